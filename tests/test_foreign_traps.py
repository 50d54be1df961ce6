"""`zoo compress` where a file would be wrong, or lost, and nothing would say so."""

import json
import os
import unicodedata

import foreign_nets
import numpy as np
import onnxruntime as ort
import pytest
from foreign_nets import classifier, folder, halved, photos, saved
from foreign_runs import failed, run
from PIL import Image

from compress.source import Port
from zoo.errors import InputError
from zoo.foreign import examples
from zoo.foreign.examples import Planes
from zoo.foreign.preprocess import Asked, Preprocess, settled
from zoo.foreign.timing import Beside

COUNT, SIDE = 24, 32
EASY = ("--preset", "inception", "--min-agreement", "0.3")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """m.onnx and photos/ beside it."""
    return foreign_nets.place(tmp_path_factory.mktemp("mine"), COUNT, SIDE)


def test_the_file_that_came_in_is_never_written_over(place, tmp_path):
    (tmp_path / "link.onnx").symlink_to(place / "m.onnx")
    before = (place / "m.onnx").read_bytes()
    for out in (place / "m.onnx", tmp_path / "link.onnx"):
        given = (place / "m.onnx", "--data", place / "photos", *EASY, "-o", out)
        assert "would be written over" in failed(*given)
        assert "would be written over" in failed(*given, "--raw")
    assert (place / "m.onnx").read_bytes() == before


def test_a_fixed_batch_is_timed_as_it_is(place, tmp_path):
    path = saved(classifier(width=48, side=SIDE, batch=3), tmp_path / "m.onnx")
    for more in ((), ("--raw",)):
        out = tmp_path / "q.onnx"
        result = run(path, "--data", place / "photos", *EASY, "-o", out, *more)
        assert result.exit_code == 0, result.exception
        assert ort.InferenceSession(str(out)).get_inputs()[0].shape[0] == 3
        out.unlink()
    assert "random" in failed(path, "--random", "-o", tmp_path / "q.onnx")


def test_an_example_that_cannot_be_timed_is_one_error(place):
    wrong = {"input": np.zeros((1, 3, SIDE, SIDE + 1), np.float32)}
    with pytest.raises(InputError, match="cannot run"):
        Beside(place / "m.onnx", wrong, wrong, 1, 5)(place / "m.onnx")


def test_raw_reports_the_file_that_came_in_and_crops_in_the_middle(place, tmp_path):
    out = tmp_path / "raw.onnx"
    given = (place / "m.onnx", "--data", place / "photos", *EASY)
    result = run(*given, "--crop", "1.0", "--raw", "-o", out, "--json")
    assert result.exit_code == 0, result.exception
    told = json.loads(result.stdout)
    assert told["source"] == str(place / "m.onnx")
    assert told["size_bytes"] == pytest.approx((place / "m.onnx").stat().st_size, rel=1e-3)
    wide = photos(1, 4 * SIDE, 7)[0][:SIDE]  # all pictures that were seen are square
    Image.fromarray(wide).save(tmp_path / "wide.png")
    how = Preprocess(mean=(0.5,), std=(0.5,), crop=1.0)
    port = Port("input", "float32", (None, 3, SIDE, SIDE))
    row = Planes([tmp_path / "wide.png"], how, (SIDE, SIDE), port, True)[0]
    wanted = ort.InferenceSession(str(place / "m.onnx")).run(None, {"input": row[None]})[0]
    got = ort.InferenceSession(str(out)).run(None, {"image": wide[None]})[0]
    assert np.linalg.norm(got - wanted) < 0.1 * np.linalg.norm(wanted)


def test_raw_keeps_the_notes_of_what_was_changed(place, tmp_path):
    path = saved(halved(classifier(width=48, side=SIDE)), tmp_path / "m.onnx")
    given = (path, "--data", place / "photos", *EASY, "--raw", "--json", "-o", tmp_path / "q.onnx")
    told = json.loads(run(*given).stdout)
    assert "float16 was made float32" in told["notes"]
    assert told["size_bytes"] < 1.1 * path.stat().st_size


def test_labels_may_be_written_as_other_tools_write_them(tmp_path):
    composed = unicodedata.normalize("NFC", "caf\u00e9.png")
    paths = folder(tmp_path / "p", photos(2)).iterdir()
    for path, name in zip(
        sorted(paths), ("a.png", unicodedata.normalize("NFD", composed)), strict=True
    ):
        path.rename(path.with_name(name))
    found = sorted((tmp_path / "p").iterdir())
    rows = tmp_path / "labels.csv"
    rows.write_text(f"./a.png,1\n{composed},2\n", encoding="utf-8")
    assert list(examples.labels(rows, tmp_path / "p", found)) == [1, 2]
    rows.write_text(f"a.png,{10**25}\n")
    with pytest.raises(InputError, match="is no output of the file"):
        examples.labels(rows, tmp_path / "p", found)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (dict(mean=(123.675,), std=(58.0,)), "brighter than white"),
        (dict(mean=(0.0,), std=(255.0,)), "does not go with white"),
        (dict(mean=(0.485,), std=(0.229,), white=255.0), "does not go with white"),
    ],
)
def test_numbers_of_two_ranges_are_refused(more, said):
    with pytest.raises(InputError, match=said):
        Preprocess(**more)


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"do_normalize": False, "do_flip_channel_order": True}, Preprocess(color="BGR")),
        ({"do_rescale": True, "do_flip_channel_order": True}, Preprocess(color="BGR")),
        (
            {"rescale_factor": 1 / 127.5, "rescale_offset": True, "do_normalize": False},
            Preprocess(mean=(1.0,), white=2.0),
        ),
        (
            {"do_normalize": False, "size": {"shortest_edge": 224}, "crop_pct": 0.875},
            Preprocess(size=(224, 224), crop=0.875),
        ),
        (
            {"do_normalize": False, "size": {"shortest_edge": 384}, "crop_pct": 0.875},
            Preprocess(size=(384, 384)),
        ),
    ],
)
def test_what_processors_do_besides_is_done(tmp_path, config, wanted):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    how, _ = settled(Asked(), tmp_path / "m.onnx", True)
    assert how.white == pytest.approx(wanted.white)
    assert (how.mean, how.std, how.color) == (wanted.mean, wanted.std, wanted.color)
    assert (how.size, how.crop) == (wanted.size, wanted.crop)


def test_a_size_beside_the_file_that_is_not_its_own_names_the_way_out(place, tmp_path):
    path = saved(classifier(width=48, side=SIDE), tmp_path / "m.onnx")
    config = {"do_normalize": False, "size": {"height": 64, "width": 64}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    said = failed(path, "--data", place / "photos", "-o", tmp_path / "q.onnx")
    assert f"give --size {SIDE}x{SIDE}" in said


def test_a_picture_too_large_for_memory_keeps_its_proportion_where_it_is_cropped(
    tmp_path, monkeypatch
):
    import distill.data.image

    x = np.linspace(0, 255, 600).astype(np.uint8)
    Image.fromarray(np.repeat(np.broadcast_to(x, (200, 600))[..., None], 3, 2)).save(
        tmp_path / "wide.png"
    )
    how = Preprocess(white=255.0, crop=0.875)
    small = examples.squared(tmp_path / "wide.png", how, (32, 32))
    monkeypatch.setattr(distill.data.image, "WHOLE_PIXELS", 60_000)
    large = examples.squared(tmp_path / "wide.png", how, (32, 32))
    assert np.abs(small.astype(int) - large).max() <= 3
    assert np.ptp(large) < 255 / 3 + 5  # a third of what there is from left to right


@pytest.mark.parametrize("what", ["labels", "arrays", "model"])
def test_a_pipe_in_a_files_place_is_not_waited_for(place, tmp_path, what):
    pipe = tmp_path / "pipe.npz"
    os.mkfifo(pipe)
    given = {
        "labels": (place / "m.onnx", "--data", place / "photos", *EASY, "--labels", pipe),
        "arrays": (place / "m.onnx", "--data", pipe),
        "model": (pipe, "--data", place / "photos", *EASY),
    }
    assert str(pipe) in failed(*given[what], "-o", tmp_path / "q.onnx")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + b"x" * 90, b"\x93NUMPY\x01\x00\xff\xff{"])
def test_broken_arrays_are_one_error(place, tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    assert "cannot be read" in failed(place / "m.onnx", "--data", tmp_path / "a.npz")


def test_arrays_without_an_example_or_too_many_are_one_error(place, tmp_path, monkeypatch):
    file = tmp_path / "a.npz"
    np.savez(file, input=np.zeros((0, 3, SIDE, SIDE), np.float32))
    assert "hold no example" in failed(place / "m.onnx", "--data", file)
    np.savez_compressed(file, input=np.zeros((64, 3, SIDE, SIDE), np.float32))
    monkeypatch.setattr(examples, "ARRAY_BYTES", 100_000)
    assert "the limit is 100,000" in failed(place / "m.onnx", "--data", file)
