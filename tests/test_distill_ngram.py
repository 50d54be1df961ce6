"""The n-gram net: folding, windows, hash and sizes."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from distill.students.letters import LIMIT, letters  # noqa: E402
from distill.students.ngram import CLIP, GRID, HALF, MULTIPLIERS, Ngram  # noqa: E402

pytestmark = pytest.mark.train

ROWS = 512


def net(orders: int = 12345) -> Ngram:
    torch.manual_seed(0)
    return Ngram(5, rows=ROWS, orders=orders, dim=4, hidden=8).eval()


def codes(*texts: str) -> torch.Tensor:
    """Texts as one padded batch."""
    rows = [[ord(character) for character in text] for text in texts]
    width = max(map(len, rows))
    padded = [row + [0] * (width - len(row)) for row in rows]
    return torch.tensor(padded, dtype=torch.int32).reshape(len(texts), width)


def slow_windows(text: str, orders: tuple[int, ...] = (1, 2, 3, 4, 5)) -> list[list[int]]:
    """Rows of each order by the definition, letter by letter."""
    points = np.array([ord(c) for c in text], np.int64)
    folded = [0, *letters().fold(points).tolist(), 0, 0, 0, 0]
    groups: list[list[int]] = []
    for order in orders:
        group = []
        for start in range(len(text) + 1):
            window = folded[start : start + order]
            inside = {1: window, 2: window[1:]}.get(order, window[1:-1])
            if not all(inside):
                continue
            total = 0
            for (high, low), letter in zip(MULTIPLIERS[order - 1], window, strict=True):
                total += high * (letter // HALF) + low * (letter % HALF)
            group.append(total % ROWS)
        groups.append(group)
    return groups


@given(st.lists(st.text("abcİIßé中あ가Я .1'😀ｗ𝐭", max_size=12), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_windows_are_those_of_the_definition(texts: list[str]) -> None:
    index, counts = net().windows(codes(*texts))
    parts = iter(index.tolist())
    for text, row in zip(texts, counts.tolist(), strict=True):
        got = [[next(parts) for _ in range(count)] for count in row]
        assert got == slow_windows(text)


@pytest.mark.parametrize("orders", [(1, 2, 3, 4), (1, 3, 4), (2,), (5,)])
def test_orders_may_be_left_out(orders: tuple[int, ...]) -> None:
    student = net(int("".join(map(str, orders))))
    text = "Der Hund, ein Tier"
    index, counts = student.windows(codes(text))
    wanted = slow_windows(text, orders)
    assert index.tolist() == [row for group in wanted for row in group]
    assert counts.tolist() == [[len(group) for group in wanted]]
    assert student(codes(text)).shape == (1, 5)


@pytest.mark.parametrize("orders", [0, -1, 21, 11, 6, 16, 102])
def test_orders_that_are_none_are_refused(orders: int) -> None:
    with pytest.raises(ValueError, match="orders are ascending digits of 1 to 5"):
        Ngram(5, orders=orders)


def test_letters_are_lower_case_marks_belong_and_the_rest_is_a_boundary() -> None:
    text = "AZİIıßΣςЯ中あ가é́ 1.-_😀\u200f"
    expected = "aziiıßσςя中あ가é́"
    got = letters().fold(np.array([ord(c) for c in text]))
    assert "".join(map(chr, got[got > 0])) == expected


@pytest.mark.parametrize(
    ("dressed", "plain"),
    [
        ("ｔｈｅ Ｗ", "the w"),
        ("𝐭𝐡𝐞 𝓦𝒾ℴ 𝕏ℌ", "the wio xh"),
        ("Ⓐⓑ 🄰", "ab a"),
        ("ʰₑª", "hea"),
        ("ﻡﻢ", "مم"),
        ("ｱｶ㋐", "アカア"),
        ("𝝰𝜱", "αφ"),
        ("① ²", "   "),
    ],
)
def test_letters_in_other_clothes_are_the_letters_they_stand_for(dressed: str, plain: str) -> None:
    got = letters().fold(np.array([ord(c) for c in dressed]))
    assert "".join(chr(c) if c else " " for c in got) == plain


def test_what_a_letter_is_read_as_is_the_same_letter_to_unicode() -> None:
    got = letters().fold(np.arange(LIMIT))

    def bare(text: str) -> str:
        return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())[:1]

    for code in np.flatnonzero(got).tolist():
        assert bare(chr(got[code])) == bare(chr(code)), hex(code)
    assert got.max() < 2**16


def test_a_script_that_no_student_knows_has_no_letters() -> None:
    amharic = np.array([ord(c) for c in "አማርኛ"])
    assert not letters().fold(amharic).any()


def test_any_number_is_taken_for_a_code_point() -> None:
    wild = torch.tensor([[-5, 0x10FFFF, 0x110000, 2**31 - 1, -(2**31), 0xD800]], dtype=torch.int32)
    assert torch.equal(net()(wild), net()(torch.zeros_like(wild)))
    assert not letters().fold(np.array([LIMIT - 1, LIMIT, 2**31 - 1])).any()


def test_padding_and_company_change_nothing() -> None:
    alone = net()(codes("nach Hause"))
    together = net()(codes("nach Hause", "a", "ein sehr viel längerer Satz"))
    assert torch.allclose(alone[0], together[0], atol=1e-6)


def test_a_word_is_the_same_in_any_order_of_words() -> None:
    assert torch.allclose(net()(codes("der gute Hund")), net()(codes("Hund der gute")), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 0), (0, 5), (0, 0)])
def test_nothing_to_read_is_no_error(shape: tuple[int, int]) -> None:
    assert net()(torch.zeros(shape, dtype=torch.int32)).shape == (shape[0], 5)


@pytest.mark.parametrize(
    ("dim", "row_bytes", "kibibytes"), [(16, 4 * 16, 800.2), (6, 4 * 6, 334.1), (16, 16 + 2, 301.5)]
)
def test_the_sizes_of_botha_et_al_are_met(dim: int, row_bytes: int, kibibytes: float) -> None:
    """Section 3.1: V = 100, 1000, 5000, 5000, hidden 208, 67 languages; floats, and 8-bit rows.

    Our table has a power of 2 of rows: theirs, as many as they have, weigh the same.
    """
    student = Ngram(67, rows=8192, orders=1234, dim=dim, hidden=208)
    dense = student.hidden.weight.numel() + student.output.weight.numel()
    found = len(student.table) * row_bytes * (100 + 1000 + 5000 + 5000) / 8192 + 4 * dense
    assert found / 1024 == pytest.approx(kibibytes, rel=0.01)


def test_the_multipliers_are_odd_and_exact_in_11_bits() -> None:
    used = [half for row in MULTIPLIERS for pair in row for half in pair]
    assert all(half % 2 == 1 and half < 2**11 for half in used)
    assert [len(row) for row in MULTIPLIERS] == [1, 2, 3, 4, 5]


def test_sums_of_the_hash_are_exact_in_float32() -> None:
    assert max(sum(map(sum, row)) for row in MULTIPLIERS) * (HALF - 1) < 2**24


def test_the_hash_spreads_words_as_chance_would() -> None:
    """How often two different n-grams of many words share a row, over what chance gives."""
    rng = np.random.default_rng(0)
    vowels, others = "aeiouy", "bcdfghjklmnprstvz"
    words = {
        "".join(rng.choice(list(others if k % 2 else vowels)) for k in range(rng.integers(2, 9)))
        for _ in range(20_000)
    }
    student = Ngram(2, rows=4096, orders=4, dim=1, hidden=1)
    grams = sorted({f"_{w}_"[i : i + 4] for w in words for i in range(len(w) - 1)})
    window = torch.tensor([[0 if c == "_" else ord(c) for c in g] for g in grams])
    rows = (student.sums(window.unsqueeze(1)) % 4096).numpy().ravel()
    counts = np.bincount(rows, minlength=4096)
    pairs = (counts * (counts - 1)).sum() / (len(grams) * (len(grams) - 1) / 4096)
    assert pairs < 1.1


@pytest.mark.parametrize("rows", [0, 1, 1000, 4095])
def test_a_table_whose_rows_are_no_power_of_two_is_refused(rows: int) -> None:
    with pytest.raises(ValueError, match=f"power of 2, {rows} is none"):
        Ngram(5, rows=rows)


@pytest.mark.parametrize("options", [{"rows": 2**20}, {"dim": 0}, {"hidden": 0}])
def test_sizes_that_make_no_net_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="not"):
        Ngram(5, **options)


def test_no_number_of_the_table_is_larger_than_one_step_of_8_bits_serves() -> None:
    student = net()
    with torch.no_grad():
        student.table[3] = 7.0
        wide = student(codes("ein Satz mit vielen Wörtern"))
        student.table.clamp_(-CLIP, CLIP)
        assert torch.equal(wide, student(codes("ein Satz mit vielen Wörtern")))
    table = student.parts()["table"]
    assert np.abs(table).max() <= CLIP
    assert np.array_equal(table * GRID, np.round(table * GRID))
    assert np.abs(table - student.table.detach().numpy()).max() <= 0.5 / GRID
