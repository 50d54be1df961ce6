"""Temperature scaling."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from distill.calibration import divide, temperature  # noqa: E402

pytestmark = pytest.mark.train


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_the_temperature_that_the_answers_were_drawn_at_is_found(true: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 5))
    chance = np.exp(logits / true)
    chance /= chance.sum(1, keepdims=True)
    labels = (rng.random((20_000, 1)) > chance.cumsum(1)).sum(1)
    assert temperature(logits, labels) == pytest.approx(true, rel=0.05)


def test_answers_that_are_always_right_end_at_the_coldest() -> None:
    assert temperature(np.eye(4), np.arange(4)) == pytest.approx(0.1, rel=1e-3)


def test_a_divided_layer_gives_divided_logits() -> None:
    layer, given = torch.nn.Linear(3, 2), torch.randn(4, 3)
    before = layer(given)
    divide(layer, 2.0)
    assert torch.allclose(layer(given), before / 2)
