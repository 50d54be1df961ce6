import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.calibrate import (
    BINS,
    Seen,
    _count,
    entropy_bound,
    percentile_range,
    read_range,
    rebatch,
)
from compress.config import Attempt
from compress.errors import CompressError


def seen(values):
    tensor = Seen(float(values.min()), float(values.max()))
    _count(tensor, values)
    return tensor


def spread(seed=0, outlier=100.0):
    values = np.random.default_rng(seed).normal(size=100_000).astype(np.float32)
    values[0] = outlier
    return values


def test_histogram_counts_every_value_once():
    values = spread()
    assert seen(values).histogram.sum() == len(values)


def test_histogram_of_a_tensor_that_is_always_zero_has_a_range():
    tensor = seen(np.zeros(8, np.float32))
    assert read_range(tensor, Attempt("a", "percentile")) == pytest.approx((0, 0), abs=1e-9)


def test_minmax_takes_the_whole_range():
    tensor = seen(spread())
    assert read_range(tensor, Attempt("a", "minmax")) == (tensor.low, tensor.high)


def test_percentile_and_entropy_cut_off_an_outlier():
    tensor = seen(spread())
    for calibration in ("percentile", "entropy"):
        low, high = read_range(tensor, Attempt("a", calibration))
        assert -7 < low < -2
        assert 2 < high < 20


def test_percentile_of_100_keeps_everything_to_a_bin():
    tensor = seen(spread())
    low, high = percentile_range(tensor.histogram, tensor.bound, 100.0)
    width = tensor.bound / BINS
    assert low <= tensor.low + width
    assert high >= tensor.high - width


def test_percentile_leaves_at_most_its_share_outside():
    values = spread(outlier=5.0)
    tensor = seen(values)
    low, high = percentile_range(tensor.histogram, tensor.bound, 99.0)
    outside = ((values < low) | (values > high)).mean()
    assert outside <= 0.0101


def test_entropy_keeps_a_range_without_tail():
    values = np.random.default_rng(0).uniform(0, 1, 100_000).astype(np.float32)
    tensor = seen(values)
    assert entropy_bound(tensor.histogram, tensor.bound) > 0.95


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=50),
    st.sampled_from(["minmax", "percentile", "entropy"]),
)
def test_every_range_holds_zero_and_is_not_wider_than_what_was_seen(values, calibration):
    tensor = seen(np.array(values, np.float32))
    low, high = read_range(tensor, Attempt("a", calibration, percentile=99.0))
    slack = tensor.bound / BINS * 1.01
    assert low <= 0 <= high
    assert low >= min(tensor.low, 0) - slack
    assert high <= max(tensor.high, 0) + slack


def test_batches_are_cut_to_a_size_that_bounds_memory():
    sizes = [len(b) for b in rebatch([np.zeros((70, 4, 4, 3), np.uint8)], size=32)]
    assert sizes == [32, 32, 6]


@pytest.mark.parametrize(
    "pictures",
    [
        [],
        [np.zeros((0, 4, 4, 3), np.uint8)],
        [np.zeros((1, 4, 4, 3), np.float32)],
        [np.zeros((4, 4, 3), np.uint8)],
        [np.zeros((1, 3, 4, 4), np.uint8)],
    ],
)
def test_pictures_that_cannot_be_used_are_one_error(pictures):
    with pytest.raises(CompressError) as error:
        list(rebatch(pictures))
    assert error.value.hint
