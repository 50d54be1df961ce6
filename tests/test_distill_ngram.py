"""The n-gram net: folding, windows, hash and sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from distill.students.letters import LIMIT, SCRIPTS, letters  # noqa: E402
from distill.students.ngram import MULTIPLIERS, Ngram  # noqa: E402

pytestmark = pytest.mark.train

ROWS = (11, 101, 211, 307, 401)


def net(**options: int) -> Ngram:
    torch.manual_seed(0)
    return Ngram(5, *ROWS, dim=4, hidden=8, **options).eval()


def codes(*texts: str) -> torch.Tensor:
    """Texts as one padded batch."""
    rows = [[ord(character) for character in text] for text in texts]
    width = max(map(len, rows))
    padded = [row + [0] * (width - len(row)) for row in rows]
    return torch.tensor(padded, dtype=torch.int32).reshape(len(texts), width)


def slow_windows(text: str, groups_wanted: tuple[int, ...] = (0, 1, 2, 3, 4, 5)) -> list[list[int]]:
    """Rows of each group by the definition, character by character."""
    found = letters()
    points = np.array([ord(c) for c in text], np.int64)
    folded = [0, *found.fold(points).tolist(), 0, 0, 0, 0]
    scripts = found.script[found.entry(points)]
    groups: list[list[int]] = [[int(row) for row in scripts if row]] if 0 in groups_wanted else []
    first = 1 + len(SCRIPTS) * (0 in groups_wanted)
    for order, rows in enumerate(ROWS, 1):
        if order not in groups_wanted:
            continue
        group = []
        for start in range(len(text) + 1):
            window = folded[start : start + order]
            ends = [c == 0 for c in (window[0], window[-1])]
            if not all(window[1:-1]) or (all(ends) if order < 3 else False):
                continue
            total = sum(a * c for a, c in zip(MULTIPLIERS[order - 1], window, strict=False))
            group.append(first + total % rows)
        groups.append(group)
        first += rows
    return groups


@given(st.lists(st.text("abcİIßé中あ가Я .1'😀", max_size=12), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_windows_are_those_of_the_definition(texts: list[str]) -> None:
    index, counts = net().windows(codes(*texts))
    parts = iter(index.tolist())
    for text, row in zip(texts, counts.tolist(), strict=True):
        got = [[next(parts) for _ in range(count)] for count in row]
        assert got == slow_windows(text)


@pytest.mark.parametrize("groups", [(0, 1, 2, 3, 4), (1, 3, 4), (0, 2), (5,)])
def test_orders_and_scripts_may_be_left_out(groups: tuple[int, ...]) -> None:
    names = ("unigrams", "bigrams", "trigrams", "quadrigrams", "fivegrams")
    options = {name: ROWS[i] for i, name in enumerate(names) if i + 1 in groups}
    student = Ngram(5, **options, scripts=int(0 in groups), dim=4, hidden=8)
    text = "Der Hund, ein Tier"
    index, counts = student.windows(codes(text))
    wanted = slow_windows(text, groups)
    assert index.tolist() == [row for group in wanted for row in group]
    assert counts.tolist() == [[len(group) for group in wanted]]
    assert student(codes(text)).shape == (1, 5)


def test_a_net_without_any_order_is_refused() -> None:
    with pytest.raises(ValueError, match="an order of n-grams is needed"):
        Ngram(5)


def test_letters_are_lower_case_marks_belong_and_the_rest_is_a_boundary() -> None:
    text = "AZİIıßΣςЯ中あ가é́ 1.-_😀\u200f"
    expected = "aziiıßσςя中あ가é́"
    got = letters().fold(np.array([ord(c) for c in text]))
    assert "".join(map(chr, got[got > 0])) == expected


def test_a_script_that_no_student_knows_has_no_letters() -> None:
    amharic = np.array([ord(c) for c in "አማርኛ"])
    assert not letters().fold(amharic).any()


def test_any_number_is_taken_for_a_code_point() -> None:
    wild = torch.tensor([[-5, 0x10FFFF, 0x110000, 2**31 - 1, -(2**31), 0xD800]], dtype=torch.int32)
    assert torch.equal(net()(wild), net()(torch.zeros_like(wild)))
    assert not letters().fold(np.array([LIMIT, 2**31 - 1])).any()


def test_padding_and_company_change_nothing() -> None:
    alone = net()(codes("nach Hause"))
    together = net()(codes("nach Hause", "a", "ein sehr viel längerer Satz"))
    assert torch.allclose(alone[0], together[0], atol=1e-6)


def test_a_word_is_the_same_in_any_order_of_words() -> None:
    assert torch.allclose(net()(codes("der gute Hund")), net()(codes("Hund der gute")), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 0), (0, 5), (0, 0)])
def test_nothing_to_read_is_no_error(shape: tuple[int, int]) -> None:
    assert net()(torch.zeros(shape, dtype=torch.int32)).shape == (shape[0], 5)


def test_the_null_row_is_never_learnt() -> None:
    student = net()
    student(codes("a b", "")).sum().backward()
    assert student.table.grad is not None
    assert not student.table.grad[0].any()


@pytest.mark.parametrize(
    ("dim", "row_bytes", "kibibytes"), [(16, 4 * 16, 800.2), (6, 4 * 6, 334.1), (16, 16 + 2, 301.5)]
)
def test_the_sizes_of_botha_et_al_are_met(dim: int, row_bytes: int, kibibytes: float) -> None:
    """Section 3.1: V = 100, 1000, 5000, 5000, hidden 208, 67 languages; floats, and 8-bit rows.

    Our rows are the next primes, and one row of zeros: within 1 %.
    """
    student = Ngram(67, 101, 1009, 5003, 5003, scripts=0, dim=dim, hidden=208)
    dense = student.hidden.weight.numel() + student.output.weight.numel()
    found = len(student.table) * row_bytes + 4 * dense
    assert found / 1024 == pytest.approx(kibibytes, rel=0.01)


def test_the_multipliers_are_odd_and_small() -> None:
    used = [a for n, row in enumerate(MULTIPLIERS, 1) for a in row[:n]]
    assert all(a % 2 == 1 and a < 2**30 for a in used)


def test_a_table_of_rows_that_are_no_prime_is_refused() -> None:
    with pytest.raises(ValueError, match="2000"):
        Ngram(5, 11, 2000, 211, 307, 401)


def test_sums_of_the_hash_never_overflow() -> None:
    assert max(sum(row) for row in MULTIPLIERS) * LIMIT < 2**63
