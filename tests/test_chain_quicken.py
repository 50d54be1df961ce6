"""A recipe's student as teacher: it labels by its 8-bit file, if that is as good and faster."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import torch

from compress.config import LADDER
from distill import labels
from distill.views import views_of
from zoo.card import writing
from zoo.chain import distil, quicken
from zoo.chain import label as label_stage
from zoo.chain.build import chain
from zoo.chain.job import Job, Timed
from zoo.errors import CardError
from zoo.files import sha256
from zoo.records import card, reader, recipe, run
from zoo.records.labeller import Labeller
from zoo.records.names import FILES
from zoo.records.text import load_json

COLOURS = {"blue": (40, 60, 200), "green": (50, 190, 60), "red": (210, 50, 40)}
TEACHER = """\
name: colours-separable-small.ce
summary: Tells three colours apart
licence: Apache-2.0
data: {source: colours, licence: CC0-1.0, image_size: 16, validation: 0.25}
student: {architecture: separable, options: {size: small}}
augment: {crop_padding: 1, flip: true}
loss: {name: ce}
train: {epochs: 12, batch_size: 8, learning_rate: 0.05, ema: 0.5}
"""
AUGMENT = "augment: {crop_padding: 2, flip: true, cutout: 3}"
STUDENT = (
    TEACHER.replace("small.ce", "small.kd")
    .replace("augment: {crop_padding: 1, flip: true}", AUGMENT)
    .replace("loss: {name: ce}", "loss: {name: kd, temperature: 2.0, ce: 0.5, kd: 0.5}")
    + """\
teacher: {recipe: teacher.yaml}
labels: {views: 2, top_k: 2, audit: 0.1}
compress: {calibration_images: 24, ladder: [{name: minmax}]}
gates: {max_drop_points: 100, min_agreement: 0.0, max_speed_ratio: 1000, max_size_bytes: 0}
"""
)


class Judged:
    """A judge of speed that knows the answer, and runs both files all the same."""

    def __init__(self, ratio: float, low: float, high: float) -> None:
        self.answer, self.asked = (ratio, low, high), 0

    def __call__(self, call: Any, reference: Any) -> tuple[float, float, float]:
        self.asked += 1
        one, other = call(), reference()
        assert one.shape == other.shape and one.shape[1] == len(COLOURS)
        assert not np.array_equal(one, other)  # two files, not one twice
        return self.answer


def fast() -> Judged:
    return Judged(0.5, 0.4, 0.6)


def slow() -> Judged:
    return Judged(0.98, 0.95, 1.01)


def never(call: Any, reference: Any) -> tuple[float, float, float]:
    raise AssertionError("nothing was to be timed")


def make_data(folder: Path, colours: dict[str, tuple[int, int, int]]) -> None:
    """Noise around these colours: 16 pictures of each to train on, 4 to test."""
    chance = np.random.default_rng(0)
    for split, count in (("train", 16), ("test", 4)):
        for name, colour in colours.items():
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = np.array(colour) + chance.integers(-40, 41, (16, 16, 3))
                picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
                picture.save(folder / split / name / f"{i:02d}.png")


def make_lab(folder: Path) -> None:
    """Data and both recipes."""
    make_data(folder / "colours", COLOURS)
    (folder / "teacher.yaml").write_text(TEACHER)
    (folder / "student.yaml").write_text(STUDENT)


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A lab in which the teacher was trained, and nothing else."""
    lab = tmp_path_factory.mktemp("lab")
    make_lab(lab)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(lab)
        patch.setattr(distil, "device", lambda: ("cpu", "as it is"))
        chain(recipe.written("teacher.yaml"), None, Path("runs"), until="export")
    yield lab


@pytest.fixture
def lab(school: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it as working directory."""
    shutil.copytree(school, tmp_path / "lab")
    monkeypatch.setattr(distil, "device", lambda: ("cpu", "as it is"))
    monkeypatch.setenv("ZOO_REGISTRY", str(tmp_path / "lab" / "registry.yaml"))
    monkeypatch.setenv("ZOO_STORE", str(tmp_path / "lab" / "store"))
    return _entered(tmp_path / "lab", monkeypatch)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lab in which nothing was trained."""
    make_lab(tmp_path)
    return _entered(tmp_path, monkeypatch)


def _entered(lab: Path, patch: pytest.MonkeyPatch) -> Path:
    patch.chdir(lab)
    patch.delenv("ZOO_DATA", raising=False)
    return lab


def built(timed: Timed, until: str = "label", said: list[str] | None = None) -> Any:
    """The record of the student's stage."""
    say = (lambda line: None) if said is None else said.append
    wanted = recipe.written("student.yaml")
    return chain(wanted, None, Path("runs"), Path("store"), until, say, timed=timed)


def tried() -> list[Path]:
    return sorted(Path("runs").glob("colours-separable-small.ce/quicken-*/*.onnx"))


def key_of(made: label_stage.Labelled, file: Path) -> str:
    """What the answers of this file are kept under."""
    wanted = recipe.find("student.yaml")
    views = views_of(made.data.train, wanted.augment)  # type: ignore[attr-defined]
    return labels.key(sha256(file), views, wanted.labels)


# --- chosen --------------------------------------------------------------------------------------


@pytest.mark.train
def test_an_8_bit_file_that_agrees_and_is_faster_labels_and_the_card_says_so(lab: Path) -> None:
    made = built(fast(), "card")
    (int8,) = tried()
    facts, folder = made.card, made.folder
    document = load_json(folder / run.FILE, CardError)
    happened = reader.read(run.Run, document, CardError)
    assert facts.teacher and happened.teacher and happened.teacher.training
    by = facts.teacher.labeller
    assert by and by == happened.teacher.labeller
    assert (by.precision, by.sha256, by.attempt) == ("int8", sha256(int8), int8.stem)
    assert (by.speed_ratio, by.speed_ratio_low, by.speed_ratio_high) == (0.5, 0.4, 0.6)
    assert by.n >= quicken.ENOUGH and by.agreement and by.agreement >= quicken.MIN_AGREEMENT
    assert facts.teacher.sha256 == happened.teacher.training.weights_sha256
    page = (folder / card.PAGE).read_text()
    assert f"| Labelled by | its int8 file, sha256 `{sha256(int8)}`; int8 gives" in page
    assert f"of {by.n:,} drawn views, in 0.500 (0.400 to 0.600) of its time" in page
    assert writing.drift(folder) == []
    kept = happened.seeds["0"].labels
    assert kept and kept.audit_agreement == 1.0
    assert kept.key == key_of(made.measured.compressed.exported.distilled.labelled, int8)


@pytest.mark.train
def test_the_choice_stands_when_labelling_goes_on(lab: Path) -> None:
    first = built(fast())
    shard, *_ = sorted(Path("runs/labels").rglob("*.npz"))
    before = shard.read_bytes()
    shard.unlink()
    (mark,) = Path("runs/colours-separable-small.kd").glob("label-*/done.json")
    mark.unlink()
    again = built(never)
    assert again.teacher.sha256 == first.teacher.sha256 == sha256(tried()[0])
    with np.load(shard) as new:
        shard.write_bytes(before)
        with np.load(shard) as old:
            assert all(np.array_equal(new[name], old[name]) for name in old.files)


@pytest.mark.train
def test_kept_answers_are_audited_with_the_file_that_gave_them(lab: Path) -> None:
    """A second process finds what it needs: the kept answers, and the audit by the 8-bit file."""
    built(fast())
    distilled = built(never, "distil")
    kept = distilled.seeds[0].labels
    assert distilled.labelled.fresh.audit.agreement == 1.0
    assert (kept.audit_agreement, kept.key) == (1.0, key_of(distilled.labelled, tried()[0]))


@pytest.mark.train
def test_another_student_of_the_teacher_finds_the_choice_that_was_made(lab: Path) -> None:
    built(fast())
    text = Path("student.yaml").read_text().replace("small.kd", "small.kd-longer")
    Path("student.yaml").write_text(text.replace("epochs: 12", "epochs: 13"))
    assert built(never).teacher.sha256 == sha256(tried()[0])
    assert len(list(Path("runs/labels").iterdir())) == 1


# --- refused -------------------------------------------------------------------------------------


@pytest.mark.train
def test_a_file_that_is_not_surely_faster_does_not_label(lab: Path) -> None:
    judge, said = slow(), list[str]()
    made = built(judge, said=said)
    fp32 = next(Path("runs/colours-separable-small.ce").glob(f"export-*/{FILES['fp32']}"))
    by = made.teacher_run.labeller
    assert (by.precision, by.sha256) == ("fp32", sha256(fp32))
    assert by.reason == "minmax: 0.98 (0.95 to 1.01) of the fp32 file's time"
    assert any(by.reason in line and "fp32 file labels" in line for line in said)
    assert judge.asked == 1  # the others have no fewer layers in float
    assert made.fresh.key == key_of(made, fp32)
    assert made.teacher.sha256 == sha256(fp32)


@pytest.mark.train
def test_what_another_file_said_is_not_taken_for_this_ones(lab: Path) -> None:
    first = built(fast(), "distil")
    shutil.rmtree(tried()[0].parent)
    second = built(slow(), "distil")
    assert len(list(Path("runs/labels").iterdir())) == 2
    assert first.seeds[0].labels.key != second.seeds[0].labels.key
    assert first.folder != second.folder  # trained again


def test_a_teacher_whose_8_bits_disagree_labels_by_its_fp32_file(bare: Path) -> None:
    """Grey noise, and a network that never learned: rounding turns its first answers."""
    shutil.rmtree("colours")
    make_data(bare / "colours", dict.fromkeys(COLOURS, (128, 128, 128)))
    judge = fast()
    job, data = _opened(judge)
    given = _undecided(job, data)
    file, by = _run(job, data, given)
    assert file == given
    assert by and (by.precision, by.sha256) == ("fp32", sha256(given))
    assert by.agreement is not None and by.agreement < quicken.MIN_AGREEMENT
    refused = by.reason.split("; ")
    assert f"{by.attempt}: agreement {by.agreement:.2%} < 99.50%" in refused
    assert [reason.partition(":")[0] for reason in refused] == [one.name for one in LADDER]


def test_of_too_few_different_views_nothing_is_concluded(bare: Path) -> None:
    text = Path("student.yaml").read_text()
    Path("student.yaml").write_text(text.replace(AUGMENT, "augment: {flip: true}"))
    job, data = _opened(never)
    _, by = _run(job, data, _undecided(job, data))
    assert by and (by.precision, by.n, by.agreement) == ("fp32", 48, None)
    assert by.reason == "48 different views to judge on, 2,000 are wanted"
    assert tried() == []


@pytest.mark.usefixtures("bare")
def test_a_quick_build_times_nothing_and_takes_the_choice_that_was_kept() -> None:
    text = Path("student.yaml").read_text()
    Path("student.yaml").write_text(text.replace(AUGMENT, "augment: {flip: true}"))
    job, data = _opened(never)
    given = _undecided(job, data)
    quick = dataclasses.replace(job, quick=True)
    file, by = _run(quick, data, given)
    assert file == given and by and by.reason == "nothing is timed (quick)"
    kept = _run(job, data, given)
    assert kept[1] and "views to judge on" in kept[1].reason
    assert _run(quick, data, given) == kept


@pytest.mark.train
def test_a_file_of_the_users_own_labels_as_it_is(lab: Path) -> None:
    (folder,) = Path("runs/colours-separable-small.ce").glob("export-*")
    shutil.copyfile(folder / FILES["fp32"], "mine.onnx")
    given = "teacher: {onnx: mine.onnx, licence: CC0-1.0}"
    text = STUDENT.replace("teacher: {recipe: teacher.yaml}", given)
    Path("student.yaml").write_text(text)
    made = built(never)
    assert made.teacher_run.labeller is None
    assert made.teacher.sha256 == made.teacher_run.sha256 == sha256(Path("mine.onnx"))
    assert tried() == []


def _opened(timed: Timed) -> tuple[Job, Any]:
    """The student's job, and its data."""
    wanted = recipe.find("student.yaml")
    job = Job(wanted, None, Path("runs"), None, lambda line: None, timed)
    return job, label_stage.read(job)


def _run(job: Job, data: Any, file: Path) -> tuple[Path, Labeller | None]:
    from zoo.chain.build import _driven

    found: tuple[Path, Labeller | None] = _driven(
        job, quicken.run(job, data, "colours-separable-small.ce", file)
    )
    return found


def _undecided(job: Job, data: Any) -> Path:
    """The fp32 file of a teacher that never learned: no class stands before the others in it."""
    torch.manual_seed(0)
    net, pictures = job.maker.network(data.labels), torch.from_numpy(data.train.images)
    with torch.no_grad():
        for _ in range(50):  # running statistics as these pictures give them
            net.train()(pictures)
        *_, last = (part for part in net.eval().modules() if isinstance(part, torch.nn.Linear))
        last.bias -= net(pictures).mean(0)
    folder = Path("untrained")
    folder.mkdir()
    job.maker.export(net, {}, data.validation, folder)
    return folder / FILES["fp32"]


# --- the sample ----------------------------------------------------------------------------------


def test_a_sample_is_drawn_view_after_view_and_doubles_count_once(bare: Path) -> None:
    _, data = _opened(never)
    views = views_of(data.train, recipe.find("student.yaml").augment)  # type: ignore[attr-defined]
    rows = np.array([5, 3, 8])
    found = quicken.drawn(views, rows, 7)
    wanted = [views.view(number).examples(torch.from_numpy(rows)) for number in range(3)]
    np.testing.assert_array_equal(found, np.concatenate(wanted)[:7])
    twice = quicken.distinct(np.concatenate([found, found]))
    np.testing.assert_array_equal(twice, quicken.distinct(found))


# --- the record ----------------------------------------------------------------------------------

REFUSED = Labeller("fp32", "a" * 64, 4096, "minmax", 0.98, 1.2, 1.1, 1.3, "minmax: too slow")


@pytest.mark.parametrize(
    "changes",
    [{"reason": ""}, {"precision": "int8"}, {"agreement": 98.0}, {"sha256": "abc"}],
)
def test_a_record_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"reason|fraction|sha256"):
        Labeller(**(vars(REFUSED) | changes))


def test_a_card_from_before_keeps_its_bytes_and_one_with_it_says_why() -> None:
    from dataclasses import replace

    from zoo.card import page

    path = Path(__file__).parent / "files" / "sample-card.json"
    old = card.read(path)
    assert old.teacher and old.teacher.labeller is None
    assert "labeller" not in card.to_json(old) and "Labelled by" not in page.render(old)
    new = replace(old, teacher=replace(old.teacher, labeller=REFUSED))
    told = json.loads(card.to_json(new))
    assert told["teacher"]["labeller"]["reason"] == "minmax: too slow"
    line = (
        f"| Labelled by | its fp32 file, sha256 `{'a' * 64}`; int8 gives the first answer of fp32 "
        "to 98.00 % of 4,096 drawn views, in 1.200 (1.100 to 1.300) of its time; "
        "minmax: too slow |"
    )
    assert line in page.render(new)
