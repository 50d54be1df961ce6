"""Texts in, labels out: what a text student gives, what it refuses and what it costs."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import zoo
from zoo.errors import InputError, ZooWarning
from zoo.tasks.image_classification.student import PictureStudent
from zoo.tasks.text_classification.student import TextStudent

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates too
PREFIX = "a lower case sentence of some Latin words "


@pytest.fixture
def student(tiny_text: Path) -> TextStudent:
    found = zoo.load(tiny_text)
    assert isinstance(found, TextStudent)
    return found


# --- what it gives -------------------------------------------------------------------------------


def test_the_file_decides_which_kind_of_student_it_is(tiny: Path, tiny_text: Path) -> None:
    assert isinstance(zoo.load(tiny), PictureStudent)
    assert isinstance(zoo.load(tiny_text), TextStudent)
    assert isinstance(zoo.load(tiny_text / "model.fp32.onnx"), zoo.Student)


def test_the_file_tells_its_name_labels_and_threshold(student: TextStudent) -> None:
    assert student.name == "scripts-tiny.test"
    assert student.labels == ("el", "en", "ru")
    assert student.unknown_below == 0.4
    assert student.precision == "int8"
    assert repr(student) == "<Student scripts-tiny.test int8, 3 labels>"


def test_one_text_gives_its_labels_the_likeliest_first(student: TextStudent) -> None:
    answer = student("guten Morgen")
    assert answer[0][0] == "en"
    probabilities = [probability for _, probability in answer]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1)
    assert all(type(probability) is float for probability in probabilities)
    assert len(student("guten Morgen", top=1)) == 1
    with pytest.raises(InputError, match="top must be at least 1, not 0"):
        student("guten Morgen", top=0)


def test_an_iterable_gives_a_list_of_lists(student: TextStudent) -> None:
    texts = ["guten Morgen", "доброе утро", "", "καλημέρα"]
    answers = student(texts)
    assert [answer[0][0] for answer in answers] == ["en", "ru", "el", "el"]
    for same in (tuple(texts), iter(texts), (text for text in texts), np.array(texts)):
        assert student(same) == answers
    assert student([]) == student.label([]) == []


def test_texts_alone_and_together_answer_alike(student: TextStudent) -> None:
    texts = ["a", "ab", "Ж", "", "αβ ж", PREFIX * 3, "x" * 9000]
    for text, answer in zip(texts, student(texts), strict=True):
        alone = student(text)
        assert [label for label, _ in alone] == [label for label, _ in answer]
        assert [p for _, p in alone] == pytest.approx([p for _, p in answer], abs=1e-5)


def test_a_label_below_the_threshold_is_unknown(student: TextStudent) -> None:
    assert student.label("guten Morgen") == "en"
    assert student.label("123") == "unknown"
    assert student.label(["123", "доброе"]) == ["unknown", "ru"]
    assert student.decision([("en", 0.39)]) == "unknown"
    assert student.decision([("en", 0.4)]) == "en"


def test_a_text_is_never_a_path(student: TextStudent, tmp_path: Path) -> None:
    (tmp_path / "Ж.txt").write_text("Ж" * 100)
    path = str(tmp_path / "Ж.txt")
    assert student(path)[0][0] == "en"


def test_logits_are_those_of_plain_onnxruntime(student: TextStudent, tiny_text: Path) -> None:
    import onnxruntime

    batch = np.random.default_rng(0).integers(0, 0x500, (5, 9), np.int32)
    session = onnxruntime.InferenceSession(tiny_text / "model.int8.onnx")
    wanted = session.run(["logits"], {"codepoints": batch})[0]
    assert np.array_equal(student.logits(batch), wanted)
    assert np.array_equal(student.logits(np.asfortranarray(batch)), wanted)


def test_logits_of_a_large_array_are_those_of_its_rows(student: TextStudent) -> None:
    batch = np.random.default_rng(0).integers(0, 0x500, (300, 100), np.int32)
    batch[:, 50:] *= np.arange(300)[:, None] > 200  # most rows are padded
    alone = np.concatenate([student.logits(row[None]) for row in batch])
    assert np.allclose(student.logits(batch), alone, atol=1e-5)


def test_logits_of_no_texts_and_of_texts_without_length(student: TextStudent) -> None:
    assert student.logits(np.zeros((0, 5), np.int32)).shape == (0, 3)
    assert student.logits(np.zeros((2, 0), np.int32)).tolist() == [[0, 0, 0], [0, 0, 0]]


def test_fp32_is_used_where_int8_answers_differently(tiny_text: Path) -> None:
    arrays = dict(np.load(tiny_text / "golden.npz"))
    np.savez(tiny_text / "golden.npz", **arrays | {"int8": arrays["int8"] + 1})
    with pytest.warns(ZooWarning, match="scripts-tiny.test: the 8-bit file answers differently"):
        assert zoo.load(tiny_text).precision == "fp32"


@pytest.mark.parametrize("before", [0, 1, 18, 19])
def test_the_kind_is_known_wherever_in_the_file_it_stands(before: int, tiny_text: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = tiny_text / "model.fp32.onnx"
    model, kind = onnx.load(path), b"text-classification"
    model.doc_string = "x" * (1 << 18)
    place = model.SerializeToString().index(kind)
    model.doc_string += "x" * (-place % (1 << 18) - before)
    onnx.save(model, path)
    assert path.read_bytes().index(kind) % (1 << 18) == -before % (1 << 18)
    options = zoo.load(path).session.get_session_options()
    assert options.intra_op_num_threads == 1
    assert not options.enable_cpu_mem_arena


def test_a_published_name_is_pulled_and_loaded(
    make_shelf: Any, tiny_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_shelf(tmp_path / "shelf", tiny_text, "scripts-tiny.test")
    monkeypatch.setenv("ZOO_REGISTRY", str(made.registry))
    monkeypatch.setenv("ZOO_STORE", str(made.store.root))
    monkeypatch.setenv("ZOO_CACHE", str(made.cache))
    assert zoo.load("scripts-tiny.test")("доброе утро")[0][0] == "ru"


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["", " ", " \t\n", "0123 456", "\U0001f642\U0001f643", "\0", "\ud800", "\u200f\u200e"]
)
def test_a_text_without_letters_is_unknown(text: str, student: TextStudent) -> None:
    assert student(text)[0][1] == pytest.approx(1 / 3)
    assert student.label(text) == student.label([text])[0] == "unknown"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Ж", "ru"),
        ("word" * 250_000, "en"),
        ("до\ud800брое", "ru"),
        ("до\0брое", "ru"),
        ("доброе утро, dear", "ru"),
        ("\u200fдоброе\u200e", "ru"),
        ("е\u0308и\u0306", "ru"),
        ("доброе\U0002a6d6", "ru"),
    ],
    ids="letter megabyte surrogate nul mixed marks nfd beyond".split(),  # noqa: SIM905
)
def test_odd_texts_are_answered(text: str, label: str, student: TextStudent) -> None:
    assert student(text)[0][0] == student.label([text, text])[1] == label


def test_nfd_and_nfc_answer_alike(student: TextStudent) -> None:
    text = "Ça va très bien, ñandú, й ё"
    assert student(unicodedata.normalize("NFD", text)) == student(text)


def test_any_number_is_a_code_point_in_a_raw_array(student: TextStudent) -> None:
    ends = np.iinfo(np.int32)
    batch = np.array([[ends.min, -1, 0x10FFFF, 0x110000, ends.max, 0x61]], np.int32)
    assert student.logits(batch).argmax() == 1
    assert np.isfinite(student.logits(batch)).all()


@given(ANY_TEXT)
def test_any_text_gives_probabilities(student: TextStudent, text: str) -> None:
    assert sum(p for _, p in student(text)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("given", "kind", "hint"),
    [
        (b"bytes", "bytes", "decode"),
        (bytearray(b"x"), "bytearray", "decode"),
        (7, "int", "str"),
        (None, "NoneType", "str"),
        (Path("a.txt"), "Path", "str"),
        (["a", 7], "int", "each text"),
        (["a", b"b"], "bytes", "each text"),
        ([["a"]], "list", "each text"),
        (["a", None], "NoneType", "each text"),
    ],
)
def test_what_is_no_text_is_one_error(
    given: Any, kind: str, hint: str, student: TextStudent
) -> None:
    for ask in (student, student.label):
        with pytest.raises(InputError, match=f"a text cannot be of type .*{kind}") as caught:
            ask(given)
        assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("array", "message", "hint"),
    [
        (np.zeros((2, 3), np.int64), "must be int32, not int64", "astype"),
        (np.zeros((2, 3), np.uint8), "must be int32, not uint8", "astype"),
        (np.zeros((2, 3), np.float32), "must be int32, not float32", "astype"),
        (np.zeros(3, np.int32), r"shape \(n, length\), not \(3,\)", "pad"),
        ("text", r"shape \(n, length\), not str", "pad"),
        ([[1]], r"shape \(n, length\), not list", "pad"),
    ],
)
def test_a_wrong_array_is_one_error(
    array: Any, message: str, hint: str, student: TextStudent
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        student.logits(array)
    assert hint in caught.value.hint


@pytest.mark.parametrize("value", ["much", "1.5", "-0.1", "true", "null"])
def test_a_threshold_that_is_no_fraction_is_an_error(value: str, tiny_text: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(tiny_text / "model.fp32.onnx")
    about = {prop.key: prop.value for prop in model.metadata_props}
    onnx.helper.set_model_props(model, about | {"studentzoo.unknown_below": value})
    onnx.save(model, tiny_text / "other.onnx")
    with pytest.raises(InputError, match=r"studentzoo\.unknown_below"):
        zoo.load(tiny_text / "other.onnx")


def test_a_file_without_a_threshold_is_never_unknown(tiny_text: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(tiny_text / "model.fp32.onnx")
    kept = [p for p in model.metadata_props if p.key != "studentzoo.unknown_below"]
    onnx.helper.set_model_props(model, {prop.key: prop.value for prop in kept})
    onnx.save(model, tiny_text / "other.onnx")
    assert zoo.load(tiny_text / "other.onnx").label("12") == "el"  # type: ignore[attr-defined]


# --- cost ----------------------------------------------------------------------------------------

_PEAK = """
import sys, zoo
student = zoo.load(sys.argv[1])
{work}
heavy = {{"PIL", "yaml", "typer", "rich", "torch", "onnx"}} & set(sys.modules)
lines = open("/proc/self/status").read().splitlines()
print(next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM")), *heavy)
"""


def peak_mb(folder: Path, work: str) -> tuple[float, list[str]]:
    """Peak resident 1e6 bytes of a process that does `work`, and what heavy modules it holds."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs Linux's /proc")
    command = [sys.executable, "-c", _PEAK.format(work=work), str(folder)]
    root = Path(zoo.__file__ or "").parents[1]
    told = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    peak, *heavy = told.stdout.split()
    return float(peak), heavy


def bare_mb() -> float:
    """The same of a process that only imports numpy and onnxruntime."""
    work = "import numpy, onnxruntime\n" + _PEAK.partition("{work}\n")[2].format()
    command = [sys.executable, "-c", f"import sys\n{work}"]
    return float(subprocess.run(command, capture_output=True, check=True).stdout.split()[0])


def test_identifying_one_text_loads_little_and_takes_little_memory(tiny_text: Path) -> None:
    peak, heavy = peak_mb(tiny_text, "student('guten Morgen')")
    assert heavy == []
    assert peak < 80
    assert peak - bare_mb() < 20  # ours; what is mapped of the libraries differs between systems


def test_ten_thousand_texts_of_all_lengths_take_bounded_memory(tiny_text: Path) -> None:
    one, _ = peak_mb(tiny_text, "student('guten Morgen')")
    work = "answers = student.label('ab ' * (n % 1667) + 'ab' for n in range(10_000))"
    many, _ = peak_mb(tiny_text, work)
    assert many - one < 60  # the texts alone are 25 MB; at once they would take 10 GB


def test_an_array_of_many_texts_takes_bounded_memory(tiny_text: Path) -> None:
    make = "import numpy; batch = numpy.full((10_000, 500), 97, numpy.int32)"
    one, _ = peak_mb(tiny_text, f"{make}; student.logits(batch[:1])")
    many, _ = peak_mb(tiny_text, f"{make}; student.logits(batch)")
    assert many - one < 50  # at once they would take 2 GB
