import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import InputError
from zoo.measure import verify
from zoo.students import golden as students_golden
from zoo.students import session


def proportions():
    return st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(proportions())
def test_wilson_interval_holds_the_fraction_within_0_and_1(pair):
    successes, n = pair
    low, high = verify.wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1


@given(proportions())
def test_wilson_ends_are_where_the_normal_test_stops_refusing(pair):
    successes, n = pair
    for end in verify.wilson(successes, n):
        if 0 < end < 1:
            z = abs(successes / n - end) / math.sqrt(end * (1 - end) / n)
            assert z == pytest.approx(1.959964, rel=1e-3)


@given(proportions())
def test_wilson_of_failures_mirrors_wilson_of_successes(pair):
    successes, n = pair
    low, high = verify.wilson(successes, n)
    assert verify.wilson(n - successes, n) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_wilson_of_a_published_example():
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263
    assert verify.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_of_no_proportion_is_an_error(successes, n):
    with pytest.raises(ValueError, match="proportion"):
        verify.wilson(successes, n)


def test_golden_answers_are_reproduced(tiny):
    for precision in ("fp32", "int8"):
        verdict = students_golden.golden(tiny, precision)
        assert verdict.ok
        assert verdict.agreement == 1.0
        assert verdict.max_difference <= verdict.tolerance


def change(folder, **arrays):
    with np.load(folder / "golden.npz") as old:
        kept = dict(old)
    np.savez(folder / "golden.npz", **(kept | arrays))


def test_answers_beyond_the_tolerance_are_not_ok(tiny):
    with np.load(tiny / "golden.npz") as old:
        moved, tolerance = old["fp32"].copy(), float(old["tolerance_fp32"])
    moved[0, 0] += 2 * tolerance + 1
    change(tiny, fp32=moved)
    verdict = students_golden.golden(tiny, "fp32")
    assert not verdict.ok
    assert verdict.max_difference > tolerance


def test_answers_that_are_not_numbers_are_not_ok(tiny):
    with np.load(tiny / "golden.npz") as old:
        change(tiny, fp32=np.full_like(old["fp32"], np.nan))
    assert not students_golden.golden(tiny, "fp32").ok


def spoil(tiny, what):
    golden = tiny / "golden.npz"
    if what == "no golden":
        golden.unlink()
    elif what == "empty golden":
        golden.write_bytes(b"")
    elif what == "cut golden":
        golden.write_bytes(golden.read_bytes()[:100])
    elif what == "key missing":
        np.savez(golden, inputs=np.zeros((1, 8, 8, 3), np.uint8))
    elif what == "other classes":
        change(tiny, fp32=np.zeros((1, 77), np.float32))
    elif what == "other pictures":
        change(tiny, inputs=np.zeros((1, 8, 8, 4), np.uint8))
    elif what == "no model":
        (tiny / "model.fp32.onnx").unlink()
    elif what == "not onnx":
        (tiny / "model.fp32.onnx").write_bytes(b"\x00\x01 nothing")


@pytest.mark.parametrize(
    "what",
    [
        "no golden",
        "empty golden",
        "cut golden",
        "key missing",
        "other classes",
        "other pictures",
        "no model",
        "not onnx",
    ],
)
def test_files_that_cannot_be_tested_are_one_error_with_a_hint(tiny, what):
    spoil(tiny, what)
    with pytest.raises(InputError) as error:
        students_golden.golden(tiny, "fp32")
    assert error.value.hint


def test_accuracy_counts_the_right_answers_of_a_file(tiny):
    with np.load(tiny / "golden.npz") as arrays:
        pictures, logits = arrays["inputs"], arrays["fp32"]
    labels = logits.argmax(1)
    labels[0] = (labels[0] + 1) % logits.shape[1]
    told = []
    path = tiny / "model.fp32.onnx"
    found = verify.logits_of(path, pictures, batch=1, progress=told.append)
    score = verify.accuracy_score(found, labels, dataset="colours", split="test")
    assert (score.metric, score.dataset, score.split) == ("top-1 accuracy", "colours", "test")
    assert score.value == pytest.approx(1 - 1 / len(labels))
    assert (score.low, score.high) == verify.wilson(len(labels) - 1, len(labels))
    assert told == list(range(1, len(labels) + 1))


def test_pictures_of_unlike_sizes_are_answered_in_order(tiny):
    pictures = [np.full((size, size, 3), 255, np.uint8) for size in (8, 8, 5, 8, 12)]
    together = verify.logits_of(tiny / "model.fp32.onnx", pictures, batch=4)
    alone = [verify.logits_of(tiny / "model.fp32.onnx", [picture])[0] for picture in pictures]
    assert np.allclose(together, alone, atol=1e-5)


def test_no_pictures_or_unlike_counts_are_one_error(tiny):
    with pytest.raises(InputError, match="no pictures"):
        verify.logits_of(tiny / "model.fp32.onnx", [])
    with pytest.raises(InputError, match="labels"):
        verify.accuracy_score(np.zeros((3, 2)), np.zeros(4), dataset="d", split="s")


def test_a_file_that_cannot_run_on_its_pictures_is_one_error(tiny):
    with pytest.raises(InputError, match=r"model\.fp32\.onnx cannot run"):
        session.runner(tiny / "model.fp32.onnx")(np.zeros((1, 4, 4, 4), np.uint8))


def test_calibration_error_of_sure_and_right_answers_is_zero():
    logits = np.eye(5) * 1000
    assert verify.calibration_error(logits, np.arange(5)) == 0


def test_calibration_error_of_sure_and_wrong_answers_is_one():
    logits = np.eye(5) * 1000
    assert verify.calibration_error(logits, (np.arange(5) + 1) % 5) == 1


def test_calibration_error_of_a_known_case():
    # confidence 0.8 in two classes; 6 of 10 right: the gap is 0.2
    logits = np.tile([math.log(0.8), math.log(0.2)], (10, 1))
    labels = np.array([0] * 6 + [1] * 4)
    assert verify.calibration_error(logits, labels) == pytest.approx(0.2)


@given(st.integers(2, 6), st.integers(1, 60), st.integers(0, 100), st.floats(0.01, 1000))
def test_calibration_error_lies_within_0_and_1(classes, n, seed, scale):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, classes)) * scale
    labels = rng.integers(0, classes, n)
    assert 0 <= verify.calibration_error(logits, labels) <= 1


# --- texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_golden_texts_are_compared_too(tiny_text, precision):
    verdict = students_golden.golden(tiny_text, precision)
    assert verdict.ok
    assert verdict.agreement == 1


@pytest.mark.parametrize("kind", ["int64", "uint8", "float32"])
def test_golden_texts_of_another_type_are_one_error(tiny_text, kind):
    arrays = dict(np.load(tiny_text / "golden.npz"))
    np.savez(tiny_text / "golden.npz", **arrays | {"inputs": arrays["inputs"].astype(kind)})
    with pytest.raises(InputError, match=f"inputs are {kind}"):
        students_golden.golden(tiny_text, "int8")


def test_logits_of_texts_are_those_of_each_text_alone(tiny_text):
    path, told = tiny_text / "model.int8.onnx", []
    texts = ["guten Morgen", "", "доброе утро", "x" * 9000, "e\u0301", "καλημέρα" * 30]
    found = verify.logits_of_texts(path, texts, progress=told.append)
    assert found.dtype == np.float32
    assert told[-1] == len(texts)
    for row, text in zip(found, texts, strict=True):
        alone = verify.logits_of_texts(path, [text])[0]
        assert np.allclose(row, alone, atol=1e-4)
    with pytest.raises(InputError, match="no texts"):
        verify.logits_of_texts(path, [])


def test_macro_accuracy_weighs_every_class_alike():
    labels = np.array([0] * 90 + [1] * 10)
    logits = np.eye(3)[np.zeros(100, int)]  # always the first: 90 of 90, and 0 of 10
    score = verify.macro_score(logits, labels, dataset="d", split="s")
    assert (score.metric, score.n, score.value) == ("macro-averaged accuracy", 100, 0.5)
    assert score.low == score.high == 0.5  # each class is sure of itself
    assert verify.class_accuracy(logits, labels, ["a", "b", "c"]) == {"a": 1.0, "b": 0.0}


def test_interval_of_a_macro_accuracy_is_that_of_a_mean_of_proportions():
    labels = np.array([0] * 100 + [1] * 50)
    answers = np.array([0] * 80 + [1] * 20 + [1] * 30 + [0] * 20)  # 0.8 of 100, 0.6 of 50
    score = verify.macro_score(np.eye(2)[answers], labels, dataset="d", split="s")
    half = 1.959964 * math.sqrt(0.8 * 0.2 / 100 + 0.6 * 0.4 / 50) / 2
    assert score.value == pytest.approx(0.7)
    assert (score.low, score.high) == pytest.approx((0.7 - half, 0.7 + half))


@given(st.integers(1, 5), st.integers(1, 80), st.integers(0, 100))
def test_macro_accuracy_is_the_mean_of_the_classes_and_within_its_interval(classes, n, seed):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(n, classes)), rng.integers(0, classes, n)
    score = verify.macro_score(logits, labels, dataset="d", split="s")
    each = verify.class_accuracy(logits, labels, [str(i) for i in range(classes)])
    assert score.value == pytest.approx(np.mean(list(each.values())))
    assert 0 <= score.low <= score.value <= score.high <= 1


def test_macro_accuracy_wants_a_label_each():
    with pytest.raises(InputError, match="3 answers for 4 labels"):
        verify.macro_score(np.zeros((3, 2)), np.zeros(4, int), dataset="d", split="s")
    with pytest.raises(InputError, match="no texts"):
        verify.macro_score(np.zeros((0, 2)), np.zeros(0, int), dataset="d", split="s")
