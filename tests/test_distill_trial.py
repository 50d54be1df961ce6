"""A teacher is tried before it labels: at chance, in another order, or unsteady, it is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.errors import DistillError
from distill.teachers import Teacher
from distill.trial import Trial, at_chance, gives, permutation, try_teacher

CLASSES = tuple(sorted(map(str, range(12))))  # "0", "1", "10", "11", "2" ...: by name


def labelled(n: int = 120, classes: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (n, 4, 4, 3) that say their class, and it."""
    labels = np.arange(n) % classes
    pictures = np.broadcast_to(labels[:, None, None, None], (n, 4, 4, 3))
    return pictures.astype(np.uint8), labels


def tried(
    ask: Callable[[np.ndarray], np.ndarray],
    pictures: np.ndarray,
    labels: np.ndarray,
    classes: tuple[str, ...] = CLASSES,
) -> Trial:
    """The trial of a teacher that answers so."""
    asked = Teacher("big", "here", "0" * 64, "MIT", len(classes), ask)
    return try_teacher(asked, pictures, labels, classes, [f"{n}.png" for n in range(len(labels))])


def teacher(
    meant: Callable[[np.ndarray], np.ndarray], classes: int = 12
) -> Callable[[np.ndarray], np.ndarray]:
    """Sure of the class that `meant` makes of the true one."""
    return lambda pictures: 9.0 * np.eye(classes)[meant(pictures[:, 0, 0, 0].astype(int))]


COUNTED = np.array([int(name) for name in CLASSES])  # place by name -> place in counting order


def test_a_right_teacher_passes_and_its_accuracy_is_told() -> None:
    pictures, labels = labelled()
    found = tried(teacher(lambda true: true), pictures, labels)
    found.check()
    assert (found.accuracy, found.n, found.gives, found.warnings) == (1.0, 120, "logits", ())
    assert found.confidence > 0.99 and [one.right for one in found.classes] == [10] * 12


@pytest.mark.parametrize("n", [24, 60, 5000])
def test_classes_in_counting_order_are_an_error_that_shows_the_permutation(n: int) -> None:
    pictures, labels = labelled(n)
    with pytest.raises(DistillError, match="stand in another order") as told:
        tried(teacher(lambda true: COUNTED[true]), pictures, labels).check()
    assert "and in 100.0% if its 2 is '2' (class 4)" in str(told.value)
    assert "data.order: natural" in told.value.hint
    columns = [int(c) for c in told.value.hint.partition("[:, [")[2].rstrip("]").split(", ")]
    logits = teacher(lambda true: COUNTED[true])(pictures)[:, columns]
    assert (logits.argmax(1) == labels).all()  # the hint's own remedy


def test_a_weak_teacher_in_another_order_is_found_too() -> None:
    pictures, labels = labelled(1200)
    pictures[:, 1, 0, 0] = np.random.default_rng(0).integers(0, 256, 1200)

    def weak(pictures: np.ndarray) -> np.ndarray:
        lost, true = pictures[:, 1, 0, 0].astype(int), pictures[:, 0, 0, 0]
        return np.eye(12)[np.where(lost < 128, lost % 12, COUNTED[true])]

    with pytest.raises(DistillError, match="another order"):
        tried(weak, pictures, labels).check()


def test_always_one_class_is_refused_whatever_the_sizes() -> None:
    pictures, labels = labelled()
    with pytest.raises(DistillError, match=r"8\.3% of 120 labelled examples: no better"):
        tried(teacher(lambda true: 0 * true + 3), pictures, labels).check()
    rare = np.where(np.arange(400) % 20 == 0, 1, 0)  # 95 % are of class 0
    assert at_chance(np.zeros(400, int), rare)
    assert not at_chance(np.where(rare == 1, np.arange(400) % 40 == 0, 0), rare)


@given(st.integers(2, 20), st.integers(0, 2**32))
def test_guessing_is_at_chance_and_right_answers_never_are(classes: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    labels = np.arange(60 * classes) % classes
    assert not at_chance(labels, labels)
    assert permutation(labels, labels, classes) is None
    guessed = chance.permutation(labels)
    guessed[: len(labels) // 2] = np.roll(labels, 1)[: len(labels) // 2]  # surely wrong
    assert at_chance(guessed, labels)
    half = np.where(chance.random(len(labels)) < 0.5, labels, chance.permutation(labels))
    assert not at_chance(half, labels)
    assert permutation(half, labels, classes) is None


@given(st.permutations(range(6)), st.integers(0, 2**32), st.floats(0.6, 1.0))
def test_any_permutation_is_found(order: list[int], seed: int, right: float) -> None:
    chance = np.random.default_rng(seed)
    labels = np.arange(600) % 6
    meant = np.array(order)[labels]
    answers = np.where(chance.random(600) < right, meant, chance.integers(0, 6, 600))
    found = permutation(answers, labels, 6)
    if list(order) == sorted(order):
        assert found is None
    else:
        assert found is not None and found[np.array(order)].tolist() == list(range(6))


def test_of_a_handful_nothing_is_concluded() -> None:
    pictures, labels = labelled(12)
    assert tried(teacher(lambda true: 0 * true), pictures, labels).accuracy == 1 / 12
    assert permutation(np.array([0, 1, 2]), np.array([0, 2, 1]), 3) is None


def test_dropout_and_batch_statistics_are_named() -> None:
    pictures, labels = labelled()
    chance = np.random.default_rng(0)

    def dropout(pictures: np.ndarray) -> np.ndarray:
        return teacher(lambda true: true)(pictures) * (chance.random((len(pictures), 12)) < 0.7)

    def batch_norm(pictures: np.ndarray) -> np.ndarray:
        return teacher(lambda true: true)(pictures) - pictures.mean() - len(pictures)

    for ask in (dropout, batch_norm):
        with pytest.raises(DistillError, match="two answers to the same examples differ") as told:
            tried(ask, pictures, labels).check()
        assert "training mode (dropout, batch statistics)" in str(told.value)


# --- what it gives -------------------------------------------------------------------------------


def softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_a_softmax_is_recognised_and_taken_back_to_logits(kind: type) -> None:
    pictures, labels = labelled()
    logits = np.random.default_rng(0).normal(0, 2, (120, 12))
    logits[np.arange(120), labels] += 9
    spread = {picture.tobytes(): row for picture, row in zip(pictures, logits, strict=True)}

    def answer(asked: np.ndarray) -> np.ndarray:
        return softmax(np.stack([spread[one.tobytes()] for one in asked])).astype(kind)

    asked = Teacher("big", "here", "0" * 64, "MIT", 12, answer)
    found = try_teacher(asked, pictures, labels, CLASSES)
    assert found.gives == "probabilities"
    taken = asked.giving(found.gives)
    wanted = np.stack([spread[one.tobytes()] for one in pictures])
    off = taken(pictures) - wanted
    if kind is not np.float16:  # a softmax is the same for logits that differ by a constant
        np.testing.assert_allclose(off - off[:, :1], 0, atol=1e-3)
    assert np.isfinite(taken(pictures)).all()
    assert taken.sha256 != asked.sha256 and asked.giving("logits") is asked
    assert found.confidence == pytest.approx(float(softmax(wanted).max(1).mean()), abs=1e-3)


def test_shares_of_1000_classes_in_half_precision_are_probabilities() -> None:
    logits = np.random.default_rng(0).normal(0, 3, (200, 1000))
    assert gives(softmax(logits).astype(np.float16).astype(np.float32)) == "probabilities"


@pytest.mark.parametrize(
    "answers",
    [
        np.random.default_rng(0).normal(0, 1, (50, 3)),
        np.random.default_rng(0).uniform(0, 1, (50, 3)),
        np.log(softmax(np.random.default_rng(0).normal(0, 1, (50, 3)))),
        np.abs(np.random.default_rng(0).normal(0, 9, (50, 3))),
        np.ones((50, 1)),
        np.zeros((0, 3)),
    ],
)
def test_other_numbers_are_logits(answers: np.ndarray) -> None:
    assert gives(answers) == "logits"


@pytest.mark.parametrize("worse", [lambda p: p * 100, lambda p: p.round(2)])
def test_probabilities_that_were_changed_are_doubtful(
    worse: Callable[[np.ndarray], np.ndarray],
) -> None:
    pictures, labels = labelled()
    noise = np.random.default_rng(0).normal(0, 1, (120, 12))
    ask = teacher(lambda true: true)
    found = tried(
        lambda asked: worse(softmax(ask(asked) / 3 + noise[: len(asked)])), pictures, labels
    )
    assert found.gives == "logits" and "rounded or multiplied" in found.warnings[0]


def test_answers_of_a_sigmoid_are_doubtful() -> None:
    pictures, labels = labelled()
    ask = teacher(lambda true: true)
    found = tried(lambda asked: 1 / (1 + np.exp(4 - ask(asked))), pictures, labels)
    assert found.gives == "logits" and "sigmoid" in found.warnings[0]


def test_the_probabilities_of_a_larger_teacher_are_recognised_before_they_are_cut() -> None:
    pictures, labels = labelled()
    wide = Teacher("big", "here", "0" * 64, "MIT", 12, lambda asked: softmax(np.eye(24)[
        12 + asked[:, 0, 0, 0]] * 9), width=24, columns=tuple(range(12, 24)))  # fmt: skip
    found = try_teacher(wide, pictures, labels, CLASSES)
    assert (found.gives, found.accuracy) == ("probabilities", 1.0)


def test_a_picture_that_is_answered_by_nan_is_named() -> None:
    pictures, labels = labelled()
    pictures[77] = 99

    def broken(asked: np.ndarray) -> np.ndarray:
        return np.where(asked[:, :1, 0, 0] == 99, np.nan, np.zeros((len(asked), 12)))

    with pytest.raises(DistillError, match=r"not finite to 77\.png"):
        tried(broken, pictures, labels)
    texts = ["a", "ab", "b" * 90] * 20
    reader = Teacher("big", "here", "0" * 64, "MIT", 2, lambda asked: np.array(
        [[0.0, np.inf if len(one) == 90 else 1.0] for one in asked]))  # fmt: skip
    with pytest.raises(DistillError, match=r"not finite to 'b{60}'"):
        try_teacher(reader, texts, np.zeros(60, int), ("x", "y"))


def test_an_answer_that_is_no_number_is_told_with_the_examples_name_or_its_text() -> None:
    from distill.teachers.teacher import NotFiniteError, naming

    def told(examples: Sequence[object], names: Sequence[str] = ()) -> str:
        with pytest.raises(NotFiniteError) as caught, naming(examples, names):
            raise NotFiniteError("big", 1)
        return str(caught.value)

    assert told([0, 1], ["a.png", "b.png"]).endswith("not finite to b.png")
    assert told(["one", "two" * 99]).endswith("not finite to '" + "two" * 20 + "'")
    assert told([0, 1]).endswith("not finite")
