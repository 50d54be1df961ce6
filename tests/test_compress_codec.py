import hashlib

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from compress.codec import LEVELS, ZERO, book, decode, encode, encode_whole
from compress.errors import CompressError

CODECS = ("linear", "dynamic-2015", "dynamic-bnb")
DYNAMIC = CODECS[1:]
TINY = 2.0**-24  # float16's smallest


def bitsandbytes_map():
    """create_dynamic_map(signed=True, max_exponent_bits=7, total_bits=8), with torch's rounding."""
    data = [0.0, 1.0]
    for i in range(7):
        edges = torch.linspace(0.1, 1, 2**i + 1)
        means = (edges[:-1] + edges[1:]) / 2.0
        data += (10 ** (i - 6) * means).tolist() + (-(10 ** (i - 6)) * means).tolist()
    return torch.tensor(sorted(data)).numpy()


def test_bitsandbytes_table_is_bit_for_bit_its_own():
    if torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        pytest.skip("torch.linspace rounds in another way without fused multiply and add")
    assert np.array_equal(book("dynamic-bnb"), bitsandbytes_map())


def test_bitsandbytes_table_has_256_codes_and_no_minus_one():
    values = book("dynamic-bnb")
    assert len(np.unique(values)) == 256
    assert ((values < 0).sum(), (values == 0).sum(), (values > 0).sum()) == (127, 1, 128)
    assert values[-1] == 1
    assert values[0] == pytest.approx(-(1 - 0.9 / 128))


def test_the_2015_table_has_its_values_by_decades():
    values = book("dynamic-2015")
    positive = values[(values > 0) & (values < 1)]
    assert len(positive) == 126
    for k, count in enumerate((64, 32, 16, 8, 4, 2)):
        assert ((positive > 0.1 ** (k + 1)) & (positive < 0.1**k)).sum() == count
    assert np.array_equal(np.unique(values), np.unique(-values))
    assert len(np.unique(values)) == 255


def test_the_2015_table_has_the_middles_of_its_bins():
    values = np.unique(book("dynamic-2015"))
    steps = np.diff(values[values >= 0.1])
    assert steps[:31] == pytest.approx(0.0109375, rel=1e-4)
    assert steps[32:-1] == pytest.approx(0.0171875, rel=1e-4)
    assert values[-2] == pytest.approx(1 - 0.0171875 / 2)
    assert values[values > 0][:2] == pytest.approx([2.75e-6, 7.25e-6])


@pytest.mark.parametrize(
    ("number", "stored"), [(1.4e-6, 0), (1.6e-6, 2.75e-6), (0.9957, 0.99140625), (0.99571, 1)]
)
def test_the_2015_table_has_its_thresholds(number, stored):
    for sign in (1, -1):
        table = np.array([[1, sign * number]], np.float32)
        assert decode(encode(table, "dynamic-2015"), "dynamic-2015")[0, 1] == pytest.approx(
            sign * stored
        )


@pytest.mark.parametrize(
    ("codec", "sha256"),
    [
        ("linear", "a9d252f915e828f7"),
        ("dynamic-2015", "1ebf33e5edc80c7c"),
        ("dynamic-bnb", "e732639a65f497b4"),
    ],
)
def test_tables_never_change(codec, sha256):
    assert hashlib.sha256(book(codec).astype("<f4").tobytes()).hexdigest()[:16] == sha256
    assert (np.diff(book(codec)) >= 0).all()


def test_linear_is_botha_s_formula():
    table = np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)
    rows = encode(table, "linear")
    scale = rows.scales.astype(np.float64)[:, None]
    assert np.array_equal(rows.codes, np.floor(0.5 + table / scale + 128))
    assert np.array_equal(rows.scales, (np.abs(table).max(1) / 127).astype(np.float16))
    assert np.array_equal(np.abs(rows.codes.astype(int) - 128).max(1), np.full(50, 127))


@pytest.mark.parametrize(
    ("codec", "percent"), [("dynamic-2015", 1.64), ("linear", 5.00), ("dynamic-bnb", 1.92)]
)
def test_relative_error_on_normal_numbers_is_the_one_measured(codec, percent):
    """One row, as one scale for all, 4 million numbers: 1.64, 5.00 and 1.92 %."""
    table = np.random.default_rng(0).normal(size=(1, 4_000_000)).astype(np.float32)
    error = np.abs(decode(encode(table, codec), codec) - table) / np.abs(table)
    assert 100 * error.mean() == pytest.approx(percent, rel=0.02)


def normal_rows():
    """Rows whose largest number is far from float16's denormal scales."""
    small = st.floats(-1, 1, width=32)
    return st.tuples(st.floats(0.0625, 2**14, width=32), st.lists(small, max_size=9)).map(
        lambda drawn: np.array([[drawn[0], *(drawn[0] * x for x in drawn[1])]], np.float32)
    )


@given(normal_rows())
def test_linear_is_within_half_a_step(table):
    rows = encode(table, "linear")
    half = 0.5 * float(rows.scales[0])
    slack = 2.0**-10 * np.abs(table).max()  # of the scale's own rounding, at the largest number
    assert np.abs(decode(rows, "linear") - table).max() <= half + slack


@pytest.mark.parametrize("codec", DYNAMIC)
@given(table=normal_rows())
@example(table=np.array([[1, 0.114]], np.float32))
def test_dynamic_is_within_a_tenth_of_each_number_that_does_not_vanish(codec, table):
    error = np.abs(decode(encode(table, codec), codec) - table)
    vanishing = np.abs(table).max() * 1e-5
    assert (error <= np.maximum(0.45 * np.abs(table), vanishing)).all()
    large = np.abs(table) > 0.1 * np.abs(table).max()
    widest = {"dynamic-2015": 0.06, "dynamic-bnb": 0.0616}  # a map's half step at 0.114: 0.00703
    assert (error <= widest[codec] * np.abs(table))[large].all()


@pytest.mark.parametrize("codec", CODECS)
@given(table=normal_rows())
def test_what_was_decoded_is_stored_without_a_change(codec, table):
    once = decode(encode(table, codec), codec)
    assert np.array_equal(decode(encode(once, codec), codec), once)


@pytest.mark.parametrize("codec", CODECS)
@given(st.lists(st.floats(-(2.0**-10), 2.0**-10, width=32), min_size=1, max_size=9))
def test_the_smallest_numbers_stay_small_finite_and_of_their_sign(codec, row):
    table = np.array([row], np.float32)
    got = decode(encode(table, codec), codec)
    assert np.isfinite(got).all()
    assert (got * table >= 0).all()
    assert np.abs(got).max() <= 1.1 * np.abs(table).max() + 128 * TINY


@pytest.mark.parametrize("codec", CODECS)
def test_zeros_stay_zeros_beside_other_rows(codec):
    table = np.zeros((3, 4), np.float32)
    table[1] = (0, 1, -1, 0)
    rows = encode(table, codec)
    assert rows.codes.dtype == np.uint8
    assert rows.scales.tolist()[::2] == [0, 0]
    assert (decode(rows, codec)[table == 0] == 0).all()
    assert encode(np.zeros((0, 4), np.float32), codec).codes.shape == (0, 4)
    assert encode(np.zeros((2, 0), np.float32), codec).codes.shape == (2, 0)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e6])
def test_numbers_that_cannot_be_stored_are_one_error(codec, bad):
    with pytest.raises(CompressError):
        encode(np.array([[1, bad]], np.float32), codec)


@pytest.mark.parametrize("table", [np.zeros(3, np.float32), np.zeros((2, 2))])
def test_what_is_no_table_is_one_error(table):
    with pytest.raises(CompressError, match="table of rows"):
        encode(table, "linear")


@given(
    arrays(np.float32, (7, 5), elements=st.floats(-60000, 60000, width=32)),
    st.sampled_from([1e-30, 1e-3, 1.0]),
)
def test_a_table_with_one_scale_is_half_a_step_off_at_most(table, size):
    table = (table * np.float32(size)).astype(np.float32)
    codes, scale = encode_whole(table)
    assert codes.dtype == np.uint8
    assert codes.min() >= 1
    found = (codes.astype(np.float64) - ZERO) * scale
    assert np.abs(found - table).max() <= scale * 0.5001 + 1e-38
    if np.abs(table).max() > 1e-30:
        assert scale <= np.abs(table).max() / LEVELS * 1.001


@pytest.mark.parametrize("largest", [0.0, 1.4e-45, 178 * 1.4e-45, 1e-40, 1e-38, 65504.0])
def test_a_table_of_one_number_is_stored_within_a_step(largest):
    codes, scale = encode_whole(np.full((3, 2), largest, np.float32))
    found = (codes.astype(np.float64) - ZERO) * scale
    assert np.abs(found - largest).max() <= max(scale * 0.5001, 1.4e-45 if scale == 1 else 0)


@pytest.mark.parametrize("wrong", [np.inf, np.nan, 1e5])
def test_a_table_with_one_scale_has_finite_numbers(wrong):
    with pytest.raises(CompressError):
        encode_whole(np.full((2, 2), wrong, np.float32))
