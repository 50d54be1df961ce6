"""Each loss against its formula, computed again slowly, and the gradient that it must have."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

torch = pytest.importorskip("torch")

from distill import losses  # noqa: E402
from distill.config import Loss  # noqa: E402

Rows = Sequence[Sequence[float]]  # logits or probabilities, a row a picture

few = settings(max_examples=40, deadline=None)
TEMPERATURES = st.sampled_from([0.5, 1.0, 2.0, 4.0, 10.0])


@st.composite
def pairs(draw: st.DrawFn, least: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Student and teacher, float64 (n, classes) in [-20, 20], and the true classes (n,)."""
    shape = (draw(st.integers(least, 5)), draw(st.integers(2, 7)))
    logits = hnp.arrays(np.float64, shape, elements=st.floats(-20, 20))
    true = hnp.arrays(np.int64, shape[0], elements=st.integers(0, shape[1] - 1))
    return draw(logits), draw(logits), draw(true)


def some(n: int = 6, classes: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    s, t = rng.normal(0, 3, (2, n, classes))
    return s, t, rng.integers(0, classes, n)


def softmax(row: Sequence[float], temperature: float = 1.0) -> list[float]:
    powers = [math.exp((z - max(row)) / temperature) for z in row]
    return [p / sum(powers) for p in powers]


def kl(p: Sequence[float], q: Sequence[float]) -> float:
    return sum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True) if a > 0)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def pearson(a: Sequence[float], b: Sequence[float]) -> float:
    da, db = [x - mean(a) for x in a], [x - mean(b) for x in b]
    top = sum(x * y for x, y in zip(da, db, strict=True))
    return top / math.sqrt(sum(x * x for x in da) * sum(y * y for y in db))


def slow_kd(s: Rows, t: Rows, tau: float) -> float:
    return tau**2 * mean([kl(softmax(b, tau), softmax(a, tau)) for a, b in zip(s, t, strict=True)])


def slow_dkd(s: Rows, t: Rows, true: Sequence[int], tau: float, alpha: float, beta: float) -> float:
    values = []
    for a, b, c in zip(s, t, true, strict=True):
        ps, pt = softmax(a, tau)[c], softmax(b, tau)[c]
        qs, qt = (sum(softmax(x, tau)[:c] + softmax(x, tau)[c + 1 :]) for x in (a, b))
        others = [softmax([z for i, z in enumerate(x) if i != c], tau) for x in (b, a)]
        values.append(alpha * kl([pt, qt], [ps, qs]) + beta * kl(*others))
    return tau**2 * mean(values)


def slow_dist(s: Rows, t: Rows, tau: float, beta: float, gamma: float) -> float:
    ps, pt = [softmax(a, tau) for a in s], [softmax(b, tau) for b in t]
    inter = mean([1 - pearson(a, b) for a, b in zip(ps, pt, strict=True)])
    columns = zip(zip(*ps, strict=True), zip(*pt, strict=True), strict=True)
    intra = mean([1 - pearson(a, b) for a, b in columns])
    return tau**2 * (beta * inter + gamma * intra)


def slow_ce(s: Rows, target: Rows, smoothing: float) -> float:
    values = []
    for a, y in zip(s, target, strict=True):
        mixed = [(1 - smoothing) * v + smoothing / len(y) for v in y]
        values.append(-sum(v * math.log(p) for v, p in zip(mixed, softmax(a), strict=True)))
    return mean(values)


def slow_standardize(rows: Rows) -> list[list[float]]:
    out = []
    for z in rows:
        std = math.sqrt(sum((x - mean(z)) ** 2 for x in z) / (len(z) - 1))
        out.append([(x - mean(z)) / (1e-7 + std) for x in z])
    return out


def one_hot(true: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes)[true]


def tensors(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(np.ascontiguousarray(a)) for a in arrays]


def close(value: torch.Tensor, expected: float) -> None:
    assert value.shape == ()
    assert value.item() == pytest.approx(expected, rel=1e-6, abs=1e-9)


@few
@given(pairs(), TEMPERATURES)
def test_kd_is_its_formula(case: tuple[np.ndarray, ...], tau: float) -> None:
    s, t, _ = case
    close(losses.kd(*tensors(s, t), tau), slow_kd(s.tolist(), t.tolist(), tau))


@few
@given(pairs(), TEMPERATURES, st.floats(0, 4), st.floats(0, 9))
def test_dkd_is_its_formula(
    case: tuple[np.ndarray, ...], tau: float, alpha: float, beta: float
) -> None:
    s, t, true = case
    value = losses.dkd(*tensors(s, t, one_hot(true, s.shape[1])), tau, alpha, beta)
    close(value, slow_dkd(s.tolist(), t.tolist(), true.tolist(), tau, alpha, beta))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("tau", [1.0, 4.0])
def test_dist_is_its_formula(seed: int, tau: float) -> None:
    s, t, _ = some(seed=seed)
    close(losses.dist(*tensors(s, t), tau, 2.0, 0.5), slow_dist(s, t, tau, 2.0, 0.5))


@few
@given(pairs(), st.floats(0, 0.9), st.floats(0.5, 1))
def test_cross_entropy_is_its_formula(
    case: tuple[np.ndarray, ...], smoothing: float, weight: float
) -> None:
    s, _, true = case
    target = weight * one_hot(true, s.shape[1]) + (1 - weight) * one_hot(true[::-1], s.shape[1])
    value = losses.cross_entropy(*tensors(s, target), smoothing)
    close(value, slow_ce(s.tolist(), target.tolist(), smoothing))


@few
@given(pairs())
def test_standardising_is_its_formula(case: tuple[np.ndarray, ...]) -> None:
    s, _, _ = case
    assume(np.ptp(s, axis=1).min() > 1e-3)
    (z,) = tensors(s)
    np.testing.assert_allclose(losses.standardize(z), slow_standardize(s.tolist()), rtol=1e-6)


@few
@given(pairs(), st.floats(0.1, 10), st.floats(-50, 50))
def test_standardised_logits_forget_scale_and_shift(
    case: tuple[np.ndarray, ...], scale: float, shift: float
) -> None:
    s, _, _ = case
    assume(np.ptp(s, axis=1).min() > 0.1)
    z, moved = tensors(s, s * scale + shift)
    np.testing.assert_allclose(losses.standardize(z), losses.standardize(moved), atol=1e-4)
    np.testing.assert_allclose(losses.standardize(z).std(1), 1, atol=1e-4)


@few
@given(pairs(), TEMPERATURES)
def test_kd_is_tckd_and_what_the_teacher_leaves_of_nckd(
    case: tuple[np.ndarray, ...], tau: float
) -> None:
    """Zhao et al. 2022, equation 5: KD = TCKD + (1 - p_t) NCKD, picture by picture."""
    for s, t, true in zip(*case, strict=True):
        target = one_hot(true[None], len(s))
        left = 1 - softmax(t.tolist(), tau)[true]
        split = losses.dkd(*tensors(s[None], t[None], target), tau, 1.0, left)
        close(split, losses.kd(*tensors(s[None], t[None]), tau).item())


@few
@given(pairs(), TEMPERATURES, st.floats(0.1, 5))
def test_logits_and_temperature_scaled_together_scale_kd_squared(
    case: tuple[np.ndarray, ...], tau: float, a: float
) -> None:
    s, t, _ = case
    close(losses.kd(*tensors(a * s, a * t), a * tau), a**2 * losses.kd(*tensors(s, t), tau).item())


def test_at_a_high_temperature_kd_is_half_the_mean_square_of_centred_logits() -> None:
    """Hinton et al. 2015, section 2.1."""
    s, t, _ = some()
    difference = (s - s.mean(1, keepdims=True)) - (t - t.mean(1, keepdims=True))
    expected = 0.5 * (difference**2).mean(1).mean()
    assert losses.kd(*tensors(s, t), 1e4).item() == pytest.approx(expected, rel=1e-3)


@few
@given(pairs(), TEMPERATURES)
def test_a_shift_of_every_logit_of_a_picture_changes_nothing(
    case: tuple[np.ndarray, ...], tau: float
) -> None:
    s, t, true = case
    target, moved = one_hot(true, s.shape[1]), np.arange(len(s))[:, None] * 3.0
    plain, shifted = tensors(s, t, target), tensors(s + moved, t - moved, target)
    close(losses.kd(*shifted[:2], tau), losses.kd(*plain[:2], tau).item())
    close(losses.dkd(*shifted, tau, 1.0, 8.0), losses.dkd(*plain, tau, 1.0, 8.0).item())


DISTILLATION: dict[str, Callable[..., torch.Tensor]] = {
    "kd": lambda s, t, y: losses.kd(s, t, 4.0),
    "dkd": lambda s, t, y: losses.dkd(s, t, y, 4.0, 1.0, 8.0),
    "dist": lambda s, t, y: losses.dist(s, t, 4.0, 1.0, 1.0),
    "kd, standardised": lambda s, t, y: losses.kd(
        losses.standardize(s), losses.standardize(t), 2.0
    ),
}
EACH = pytest.mark.parametrize("loss", DISTILLATION.values(), ids=DISTILLATION.keys())


@EACH
@few
@given(case=pairs(least=2))
def test_distillation_is_never_negative(
    loss: Callable[..., torch.Tensor], case: tuple[np.ndarray, ...]
) -> None:
    s, t, true = case
    assert loss(*tensors(s, t, one_hot(true, s.shape[1]))).item() >= -1e-9


@EACH
@pytest.mark.parametrize("seed", range(5))
def test_a_student_that_says_what_the_teacher_says_has_nothing_to_learn(
    loss: Callable[..., torch.Tensor], seed: int
) -> None:
    _, t, true = some(seed=seed)
    student, teacher, target = tensors(t.copy(), t, one_hot(true, t.shape[1]))
    value = loss(student.requires_grad_(), teacher, target)
    value.backward()
    assert abs(value.item()) < 1e-9 and student.grad.abs().max() < 1e-9


@EACH
def test_the_gradient_is_the_slope(loss: Callable[..., torch.Tensor]) -> None:
    s, t, true = some()
    student, teacher, target = tensors(s, t, one_hot(true, s.shape[1]))
    assert torch.autograd.gradcheck(lambda z: loss(z, teacher, target), student.requires_grad_())


@EACH
def test_a_step_down_the_gradient_lowers_it(loss: Callable[..., torch.Tensor]) -> None:
    s, t, true = some()
    student, teacher, target = tensors(s, t, one_hot(true, s.shape[1]))
    before = loss(student.requires_grad_(), teacher, target)
    before.backward()
    after = loss(student - 1e-3 * student.grad, teacher, target)
    assert after < before


def test_the_gradient_of_kd_is_the_difference_of_the_soft_answers() -> None:
    """Hinton et al. 2015, equation 2, times T^2: T (softmax(s/T) - softmax(t/T)) / n."""
    s, t, _ = some()
    student, teacher = tensors(s, t)
    losses.kd(student.requires_grad_(), teacher, 4.0).backward()
    expected = 4.0 * ((student / 4).softmax(1) - (teacher / 4).softmax(1)) / len(s)
    torch.testing.assert_close(student.grad, expected.detach())


@EACH
def test_confident_answers_give_finite_gradients(loss: Callable[..., torch.Tensor]) -> None:
    s = torch.tensor([[500.0, -500.0, 0.0], [-500.0, 500.0, 0.0]], requires_grad=True)
    t = torch.tensor([[-500.0, 500.0, 0.0], [-500.0, 500.0, 0.0]])
    value = loss(s, t, torch.eye(3)[:2])
    value.backward()
    assert value.isfinite() and s.grad.isfinite().all()


def test_dist_is_between_nothing_and_its_weights() -> None:
    s = np.array([[3.0, 0.0], [0.0, 3.0]])
    same, opposite = (losses.dist(*tensors(s, t), 1.0, 1.0, 2.0).item() for t in (s, -s))
    assert same == pytest.approx(0, abs=1e-9) and opposite == pytest.approx(2 * (1.0 + 2.0))


def test_the_largest_target_is_the_true_class_of_dkd() -> None:
    s, t, true = some()
    hard = one_hot(true, s.shape[1])
    mixed = 0.6 * hard + 0.4 * np.roll(hard, 1, axis=1)
    values = [losses.dkd(*tensors(s, t, y), 4.0, 1.0, 8.0).item() for y in (hard, mixed)]
    assert values[0] == values[1]


def total(loss: Loss, epoch: float = 0.0, teacher: bool = True) -> float:
    s, t, true = some()
    student, answers, target = tensors(s, t, one_hot(true, s.shape[1]))
    return losses.total(loss, student, answers if teacher else None, target, epoch).item()


def hard(smoothing: float = 0.0) -> float:
    s, _, true = some()
    return slow_ce(s.tolist(), one_hot(true, s.shape[1]).tolist(), smoothing)


def test_training_without_a_teacher_minimises_cross_entropy() -> None:
    plain = Loss(name="ce", label_smoothing=0.1)
    assert total(plain, teacher=False) == pytest.approx(hard(0.1))
    assert total(plain, teacher=True) == pytest.approx(hard(0.1))


def test_kd_is_weighed_against_cross_entropy() -> None:
    s, t, _ = some()
    loss = Loss(name="kd", temperature=3.0, ce=0.3, kd=0.7, label_smoothing=0.1)
    assert total(loss) == pytest.approx(0.3 * hard(0.1) + 0.7 * slow_kd(s, t, 3.0))


def test_standardised_kd_standardises_both_sides() -> None:
    s, t, _ = (a.tolist() for a in some())
    loss = Loss(name="kd", temperature=2.0, ce=0.1, kd=0.9, standardize=True)
    soft = slow_kd(slow_standardize(s), slow_standardize(t), 2.0)
    assert total(loss) == pytest.approx(0.1 * hard() + 0.9 * soft)


def test_dist_is_added_with_its_weights() -> None:
    s, t, _ = some()
    loss = Loss(name="dist", temperature=4.0, ce=1.0, kd=2.0, beta=1.0, gamma=0.5)
    assert total(loss) == pytest.approx(hard() + 2 * slow_dist(s, t, 4.0, 1.0, 0.5))


@pytest.mark.parametrize(("epoch", "part"), [(0.0, 0.0), (5.0, 0.25), (20.0, 1.0), (99.0, 1.0)])
def test_dkd_warms_up(epoch: float, part: float) -> None:
    s, t, true = some()
    loss = Loss(name="dkd", temperature=4.0, ce=1.0, kd=1.0, warmup_epochs=20)
    soft = slow_dkd(s.tolist(), t.tolist(), true.tolist(), 4.0, 1.0, 8.0)
    assert total(loss, epoch) == pytest.approx(hard() + part * soft)


def test_dkd_without_a_warm_up_counts_from_the_start() -> None:
    loss = Loss(name="dkd", temperature=4.0, ce=1.0, kd=1.0, warmup_epochs=0)
    assert total(loss, 0.0) == pytest.approx(total(loss, 50.0)) and total(loss) > hard()


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("kd", {"temperature": 4.0, "ce": 0.1, "kd": 0.9}),
        ("dkd", {"temperature": 4.0, "ce": 1.0, "kd": 1.0, "alpha": 1.0, "beta": 8.0}),
        ("dkd", {"warmup_epochs": 20}),
        ("dist", {"temperature": 1.0, "ce": 1.0, "kd": 2.0, "beta": 1.0, "gamma": 1.0}),
    ],
)
def test_what_a_recipe_leaves_out_is_the_papers(name: str, published: dict[str, float]) -> None:
    loss = Loss(name=name)  # type: ignore[arg-type]
    assert {key: getattr(loss, key) for key in published} == published


def test_logit_standardisation_can_be_weighed_as_published() -> None:
    assert Loss(name="kd", temperature=2.0, ce=1.0, kd=9.0, standardize=True).kd == 9.0


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "kd", "gamma": 2.0},
        {"name": "kd", "warmup_epochs": 5},
        {"name": "dkd", "standardize": True},
        {"name": "dist", "alpha": 2.0},
        {"name": "ce", "temperature": 2.0},
    ],
)
def test_a_setting_that_the_loss_does_not_read_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="means nothing to the loss"):
        Loss(**settings)  # type: ignore[arg-type]


# --- rows that the teacher was not asked about ---------------------------------------------------


def test_rows_without_an_answer_are_learnt_from_their_label_alone() -> None:
    s, t, y = (torch.from_numpy(a) for a in some())
    target = torch.nn.functional.one_hot(y, 5).double()
    t[[1, 4]] = -math.inf
    loss = Loss("kd", temperature=2.0, ce=0.3, kd=0.7)
    rows = [
        losses.total(
            loss, s[i : i + 1], None if t[i].isinf().any() else t[i : i + 1], target[i : i + 1]
        )
        for i in range(len(s))
    ]
    found = losses.total(loss, s, t, target)
    assert found.item() == pytest.approx(torch.stack(rows).mean().item(), rel=1e-12)


def test_without_any_answer_there_is_cross_entropy() -> None:
    s, _, y = (torch.from_numpy(a) for a in some())
    target = torch.nn.functional.one_hot(y, 5).double()
    nothing = torch.full_like(s, -math.inf)
    found = losses.total(Loss("kd"), s, nothing, target)
    assert found.item() == losses.cross_entropy(s, target).item()
