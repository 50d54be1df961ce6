"""Views of texts: what is cut, that a number decides it, and what an epoch holds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from distill import pieces  # noqa: E402
from distill.config import Pieces  # noqa: E402
from distill.data.texts import Texts  # noqa: E402
from distill.pieces import TextViews  # noqa: E402

pytestmark = pytest.mark.train

SENTENCES = ("the quick brown fox jumps", "over a lazy dog", "der schnelle braune Fuchs", "ja")
WORDS = ("whisky", "at", "tankard", "Wirtshaus", "Bier", "und")
LABELS = (0, 0, 1, 1, 0, 0, 0, 1, 1, 1)
WHOLE = Pieces(whole=1, snatch=0, pair=0, word=0)


def data(texts: tuple[str, ...] = SENTENCES + WORDS, labels: tuple[int, ...] = LABELS) -> Texts:
    words = np.array([text in WORDS for text in texts])
    return Texts(texts, np.array(labels, np.int64), words, ("en", "de"), "train", "0" * 64)


def seen(how: Pieces, number: int = 0, of: Texts | None = None) -> list[str]:
    of = of or data()
    return TextViews(of, how).view(number).examples(torch.arange(len(of)))


def test_a_whole_text_is_the_text() -> None:
    assert seen(WHOLE)[:4] == list(SENTENCES)


def test_one_word_is_a_word_of_the_text() -> None:
    how = Pieces(whole=0, snatch=0, pair=0, word=1)
    for number in range(20):
        for cut, text in zip(seen(how, number), SENTENCES, strict=False):
            assert cut in text.split()


def test_a_pair_is_two_neighbours_or_all_there_is() -> None:
    how = Pieces(whole=0, snatch=0, pair=1, word=0)
    for number in range(20):
        for cut, text in zip(seen(how, number), SENTENCES, strict=False):
            assert cut in text
            assert len(cut.split()) == min(2, len(text.split()))


def test_a_snatch_is_a_stretch_of_the_text() -> None:
    how = Pieces(whole=0, snatch=1, pair=0, word=0)
    lengths = set()
    for number in range(20):
        for cut, text in zip(seen(how, number), SENTENCES, strict=False):
            assert cut in text
            lengths.add(len(cut))
    assert max(lengths) <= 30
    assert len(lengths) > 5


def test_a_text_without_blanks_gives_a_bite_in_place_of_a_word() -> None:
    long = data(("今日は天気がいいから散歩しましょうと彼女は言いましたとさ",), (0,))
    bites = {seen(Pieces(whole=0, snatch=0, pair=0, word=1), n, long)[0] for n in range(20)}
    assert all(2 <= len(bite) <= 5 and bite in long.texts[0] for bite in bites)
    assert len(bites) > 5


@pytest.mark.parametrize(
    ("how", "counts"),
    [
        (Pieces(alone=1, paired=0, strung=0), {1}),
        (Pieces(alone=0, paired=1, strung=0), {2}),
        (Pieces(alone=0, paired=0, strung=1), set(range(3, 10))),
    ],
)
def test_long_words_are_strung_with_others_of_their_class(how: Pieces, counts: set[int]) -> None:
    english = {"whisky", "at", "tankard"}
    found = set()
    for number in range(30):
        line = seen(how, number)[4].split()
        assert line[0] == "whisky"
        assert set(line) <= english
        found.add(len(line))
    assert found <= counts
    assert len(found) > len(counts) / 2


def test_a_short_word_is_seldom_alone() -> None:
    views = [seen(Pieces(alone=1, paired=0, strung=0), number)[5].split() for number in range(200)]
    alone = np.mean([len(view) == 1 for view in views])
    assert 0.1 < alone < 0.3


def test_a_view_is_known_by_its_number() -> None:
    assert seen(Pieces(), 3) == seen(Pieces(), 3)
    assert seen(Pieces(), 3) != seen(Pieces(), 4)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_rows_are_the_same_in_any_company(rows: list[int], number: int) -> None:
    view = TextViews(data(), Pieces()).view(number)
    everything = view.examples(torch.arange(10))
    assert view.examples(torch.tensor(rows)) == [everything[row] for row in rows]


def test_student_and_teacher_read_the_same() -> None:
    view, rows = TextViews(data(), Pieces()).view(1), torch.arange(10)
    assert np.array_equal(view.inputs(rows).numpy(), pieces.padded(view.examples(rows)))


def test_running_text_may_be_cut_several_times_in_a_view() -> None:
    views = TextViews(data(), Pieces(whole=0, snatch=0, pair=0, word=1, cuts=3))
    assert len(views) == 10 + 2 * len(SENTENCES)
    cut = views.view(0).examples(torch.arange(len(views)))
    for again, text in zip((cut[10:14], cut[14:]), (SENTENCES, SENTENCES), strict=True):
        assert all(piece in whole.split() for piece, whole in zip(again, text, strict=True))
    assert len({cut[0], cut[10], cut[14]}) > 1
    assert cut[:10] == seen(Pieces(whole=0, snatch=0, pair=0, word=1, cuts=3))
    assert views.view(0).targets(torch.tensor([10, 12])).tolist() == [[1, 0], [0, 1]]


def test_an_epoch_has_as_many_rows_of_every_class() -> None:
    views = TextViews(data(), Pieces())
    batches = views.view(0).batches(np.random.default_rng(0), 2)
    assert len(batches) == views.steps(2) == 5
    labels = data().labels[torch.cat(batches).numpy()]
    assert np.bincount(labels).tolist() == [5, 5]


def test_rows_of_a_batch_are_of_like_length() -> None:
    texts = tuple("x" * (1 + k % 50) for k in range(2000))
    many = data(texts, tuple(k % 2 for k in range(2000)))
    view = TextViews(many, WHOLE).view(0)
    spans = [np.ptp(view.total[b.numpy()]) for b in view.batches(np.random.default_rng(0), 20)]
    assert max(spans) <= 2


def test_targets_are_the_classes() -> None:
    view = TextViews(data(), Pieces()).view(0)
    assert view.targets(torch.tensor([0, 2])).tolist() == [[1, 0], [0, 1]]


def test_a_cut_data_set_keeps_its_labels_and_has_a_hash_of_its_own() -> None:
    cut = pieces.cut(data(), Pieces())
    assert list(cut.texts) == seen(Pieces())
    assert np.array_equal(cut.labels, data().labels)
    assert cut.sha256 != data().sha256


def test_a_view_is_never_endless() -> None:
    endless = data(("a" * 5000,), (0,))
    assert len(seen(WHOLE, 0, endless)[0]) == pieces.LONGEST


@pytest.mark.parametrize("wrong", [{"whole": 0.9}, {"alone": -0.4, "paired": 1.3}])
def test_fractions_that_are_none_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must be 1|negative"):
        Pieces(**wrong)
