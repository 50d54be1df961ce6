"""Lingua: words drawn from the counts of its first version, and its second as a teacher."""

import dataclasses
import hashlib
import json
import math
import os
import zipfile
from collections import Counter, defaultdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.config import Teacher as Settings
from distill.config import TextData
from distill.data import lingua_counts
from distill.data.lingua_counts import FOLDER, ORDERS, Grams, Model, build, draw_words, mark_share
from distill.data.texts import load_texts
from distill.errors import DistillError
from distill.teachers import open_text_teacher
from distill.teachers.lingua import FLOOR, logits

few = settings(max_examples=40, deadline=None)
WHEEL = "lingua_language_detector-1.4.2-py3-none-any.whl"
ONCE = "ж"  # a word that stands once: counts have no common factor
CORPUS = ["a", "ab", "ab", "abc", "cab", "abcd", "abcab", "abcab", "bcdabc", "çédàb", ONCE]
# The first words that are drawn: of class bb from the corpus above, of en from the real wheel.
BB = ["abc", "ж", "ab", "a", "abcd", "ab", "ж", "cab", "abcab", "abcd", "abcab", "ab"]
EN = ["of", "wrotes", "faith", "arieties", "contends", "board", "stay", "selectioner"]


def tables(corpus: list[str]) -> list[dict[str, str]]:
    """The five tables of a corpus of words, as Lingua's writer makes them."""
    counts = [
        Counter(word[i : i + n] for word in corpus for i in range(len(word) - n + 1))
        for n in range(1, 6)
    ]
    made = []
    for n, grams in enumerate(counts):
        by_share = defaultdict(list)
        for gram, count in grams.items():
            whole = counts[n - 1][gram[:-1]] if n else sum(grams.values())
            share = Fraction(count, whole)
            by_share[f"{share.numerator}/{share.denominator}"].append(gram)
        made.append({share: " ".join(sorted(grams)) for share, grams in by_share.items()})
    return made


def write_wheel(path: Path, languages: dict[str, list[dict[str, str]]]) -> Path:
    brotli = pytest.importorskip("brotli")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("lingua/__init__.py", "raise RuntimeError('nothing of it is run')")
        for iso, orders in languages.items():
            for order, grams in zip(ORDERS, orders, strict=True):
                content = json.dumps({"language": iso, "ngrams": grams}).encode()
                archive.writestr(f"{FOLDER}/{iso}/{order}.json.br", brotli.compress(content))
    return path


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    orders = tables(CORPUS * 3 + [ONCE])
    return write_wheel(tmp_path / WHEEL, {"aa": orders, "bb": orders})


def as_counter(grams: Grams, model: Model, n: int) -> dict[str, int]:
    """Strings of n letters -> how often, without those of 0."""
    base = len(model.alphabet)
    places = [grams.codes // base ** (n - 1 - i) % base for i in range(n)]
    strings = ("".join(map(chr, row)) for row in model.alphabet[np.stack(places, 1)].tolist())
    return {s: c for s, c in zip(strings, grams.counts.tolist(), strict=True) if c}


# Counts


@given(st.lists(st.text("abcé𐐷", min_size=1, max_size=8), max_size=30))
def test_short_words_and_starts_are_recovered_exactly(words: list[str]) -> None:
    corpus = [*words, "abcde", ONCE]
    model = build(tables(corpus))
    for n in (1, 2, 3):
        whole = Counter(word for word in corpus if len(word) == n)
        assert as_counter(model.words[n - 1], model, n) == whole
    assert as_counter(model.starts, model, 4) == Counter(w[:4] for w in corpus if len(w) > 3)
    for n, grams in ((4, model.four), (5, model.five)):
        inside = Counter(w[i : i + n] for w in corpus for i in range(len(w) - n + 1))
        assert as_counter(grams, model, n) == inside


@pytest.mark.parametrize(
    ("order", "change"),
    [
        (0, {"1/2": "a b"}),  # letters of the other orders are missing
        (0, {}),
        (0, {"1/2": "a", "1/4": "a b"}),
        (0, {"1/2": ". ,"}),
        (0, {"1/2": "a\ud800"}),
        (1, {"3/2": "ab"}),
        (1, {"0/2": "ab"}),
        (1, {"half": "ab"}),
        (1, {"1/2": "abc"}),
        (1, {"1/2": "a  b"}),
        (1, {"1/7919": "ab"}),  # of no whole count
        (1, {f"1/{2**70}": "ab"}),
        (1, {"1/1": "ab ab"}),
        (2, {"1/1": "aba"}),  # "ba" is not counted
        (2, {"1/1": "bcd"}),  # "cd" is counted, its neighbours are missing
        (4, {"1/1": "abcdb"}),
        (4, {"1/1": "abca abcd"}),
    ],
)
def test_counts_that_cannot_be_are_refused(
    tmp_path: Path, order: int, change: dict[str, str]
) -> None:
    orders = tables(CORPUS)
    orders[order] = change
    path = write_wheel(tmp_path / WHEEL, {"aa": orders})
    with pytest.raises(DistillError, match="the counts of aa") as caught:
        draw_words(path, ["aa"], 10)
    assert "pip download" in caught.value.hint


# Words


def test_drawn_words_follow_the_corpus(tmp_path: Path) -> None:
    corpus = ["the"] * 50 + ["of"] * 30 + ["ö"] * 10 + ["quick"] * 9 + ["quickly"] * 20 + [ONCE]
    n = 20_000
    words = draw_words(write_wheel(tmp_path / WHEEL, {"en": tables(corpus)}), ["en"], n)["en"]
    assert len(words) == n and set(words) == set(corpus)
    found = Counter(words)
    for word, count in Counter(corpus).items():
        share = count / len(corpus)
        assert abs(found[word] / n - share) < 5 * math.sqrt(share * (1 - share) / n), word


def test_long_words_are_chains_of_the_corpus_5_grams(tmp_path: Path) -> None:
    corpus = ["abcdefg", "xbcdeyz", "bcde", ONCE]
    words = draw_words(write_wheel(tmp_path / WHEEL, {"en": tables(corpus)}), ["en"], 500)["en"]
    assert set(words) == {
        *(start + end for start in ("abcde", "xbcde", "bcde") for end in ("fg", "yz", "")),
        ONCE,
    }


def test_a_word_that_does_not_end_is_cut(tmp_path: Path) -> None:
    corpus = ["a" * 2000, ONCE]
    words = draw_words(write_wheel(tmp_path / WHEEL, {"en": tables(corpus)}), ["en"], 50)["en"]
    assert max(map(len, words)) == lingua_counts.LONGEST


def test_words_depend_on_class_and_seed_alone(wheel: Path) -> None:
    drawn = draw_words(wheel, ["aa", "bb"], 200)
    assert drawn["aa"] == draw_words(wheel, ["aa"], 200)["aa"] != drawn["bb"]
    assert draw_words(wheel, ["aa"], 200, seed=1)["aa"] != drawn["aa"]
    assert drawn["bb"][:12] == BB  # Philox's raw numbers are the same in every NumPy


def test_nothing_is_drawn_without_counts(wheel: Path) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:  # the real wheel has a table of zh, of letters
        archive.writestr(f"{FOLDER}/zh/unigrams.json.br", b"")
    assert set(draw_words(wheel, ["aa", "zh", "ko", "xx", "../aa"], 5)) == {"aa"}


def test_drawn_words_are_trained_on_but_not_of_marked_scripts(tmp_path: Path, wheel: Path) -> None:
    (tmp_path / "talk").mkdir()
    (tmp_path / "talk" / "aa.txt").write_text("Ein Satz.\nNoch ein Satz.", "utf-8")
    (tmp_path / "talk" / "bb.txt").write_text("हिन्दी में लिखा है\nदूसरा वाक्य", "utf-8")
    data = TextData("talk", "CC0-1.0", {"x": "x"}, counts=WHEEL, drawn_words=30, validation=0.5)
    train = load_texts(data, "train", tmp_path)
    assert train.labels.tolist() == [0, 1] + [0] * 30
    assert train.words.tolist() == [False, False] + [True] * 30
    assert list(train.texts[2:]) == draw_words(wheel, ["aa"], 30)["aa"]


def test_drawn_words_are_told_from_listed_ones_with_their_origin(
    tmp_path: Path, wheel: Path
) -> None:
    for folder in ("talk", "list"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "aa.txt").write_text(f"one {folder}\ntwo {folder}", "utf-8")
    data = TextData("talk", "CC0-1.0", {"x": "x"}, words="list", counts=WHEEL, drawn_words=30)
    data = dataclasses.replace(data, validation=0.5)
    train = load_texts(data, "train", tmp_path)
    assert (len(train), int(train.words.sum()), train.drawn) == (33, 32, 30)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert train.origin == lingua_counts.Origin(WHEEL, digest, "Apache-2.0")
    assert load_texts(data, "validation", tmp_path).origin is None


def test_the_share_of_marks_is_of_letters_and_marks() -> None:
    assert mark_share(["abc 123", "d!"]) == mark_share([]) == mark_share(["123"]) == 0
    assert mark_share(["a\u0301b\u0302"]) == 0.5
    assert mark_share(["ภาษาไทยเป็นภาษาที่มีระดับเสียง"]) > lingua_counts.MARKED


# What is wrong


def test_another_file_is_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "text.whl").write_bytes(b"no zip")
    for path in (write_wheel(tmp_path / "two.whl", {}), tmp_path / "text.whl", tmp_path / "gone"):
        with pytest.raises(DistillError, match=path.name) as caught:
            draw_words(path, ["aa"], 5)
        assert "lingua-language-detector==1.4.2" in caught.value.hint


@pytest.mark.parametrize("classes", [[], ["zh"], ["xx", "yy"]])
def test_a_wheel_that_gives_no_words_at_all_is_an_error(wheel: Path, classes: list[str]) -> None:
    with pytest.raises(DistillError, match=r"whl gives no words") as caught:
        draw_words(wheel, classes, 5)
    assert "ISO 639-1" in caught.value.hint


def test_a_wheel_that_is_nowhere_is_fetched_with_pip(tmp_path: Path) -> None:
    (tmp_path / "aa.txt").write_text("Ein Satz.\nNoch ein Satz.", "utf-8")
    data = TextData(str(tmp_path), "CC0-1.0", {"x": "x"}, home="https://home", validation=0.5)
    data = dataclasses.replace(data, counts="gone.whl", drawn_words=5)
    with pytest.raises(DistillError, match=r"gone\.whl was not found") as caught:
        load_texts(data, "train", tmp_path)
    assert "pip download --no-deps lingua-language-detector==1.4.2" in caught.value.hint
    assert "https://home" not in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [b"", b"no brotli", "half", b"[]", b"{}", b'{"ngrams": {"1/2": 3}}', b"[" * 10**5, b"\xff"],
)
def test_a_damaged_table_is_one_error(wheel: Path, content: bytes | str) -> None:
    brotli = pytest.importorskip("brotli")
    name = f"{FOLDER}/cc/{ORDERS[0]}.json.br"
    if content == "half":
        content = brotli.compress(os.urandom(1000))[:500]
    elif content not in (b"", b"no brotli"):
        content = brotli.compress(content)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(name, content)
    with pytest.raises(DistillError, match="the counts of cc"):
        draw_words(wheel, ["aa", "cc"], 5)


def test_what_unpacks_to_too_much_is_refused(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brotli = pytest.importorskip("brotli")
    monkeypatch.setattr(lingua_counts, "MAX_BYTES", 2**22)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(f"{FOLDER}/cc/{ORDERS[0]}.json.br", brotli.compress(bytes(2**23)))
        archive.writestr(f"{FOLDER}/dd/{ORDERS[0]}.json.br", bytes(2**22 + 1))
    for name, message in (("cc", "unpacks to over"), ("dd", "larger than")):
        with pytest.raises(DistillError, match=message):
            draw_words(wheel, [name], 5)


@few
@given(st.integers(0, 10**6), st.integers(0, 255))
def test_a_flipped_byte_is_one_error_or_none(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    path = write_wheel(tmp_path_factory.mktemp("flip") / WHEEL, {"aa": tables(CORPUS)})
    content = bytearray(path.read_bytes())
    content[place % len(content)] = value
    path.write_bytes(content)
    try:
        assert len(draw_words(path, ["aa"], 5).get("aa", "12345")) == 5
    except DistillError as error:
        assert WHEEL in str(error)


# The real wheel and the real teacher


def test_the_real_counts_give_the_most_frequent_words() -> None:
    path = Path(os.environ.get("ZOO_DATA", "/nonexistent")) / WHEEL
    if not path.is_file():
        pytest.skip(f"ZOO_DATA names no directory with {WHEEL}")
    words = draw_words(path, ["en", "zh"], 3000)
    assert set(words) == {"en"}
    common = {word for word, _ in Counter(words["en"]).most_common(6)}
    assert common == {"the", "of", "to", "and", "in", "a"}
    assert words["en"][:8] == EN


def test_confidences_become_finite_logits() -> None:
    got = logits(np.array([[0.75, 0.25, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 1e-12]]))
    assert np.isfinite(got).all()
    np.testing.assert_allclose(np.exp(got).sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(got[0]), [0.75, 0.25, FLOOR], rtol=1e-5)
    np.testing.assert_allclose(np.exp(got[1]), [1 / 3] * 3)
    np.testing.assert_allclose(got[2], [0, np.log(FLOOR), np.log(FLOOR)], atol=1e-5)


def test_sums_in_another_order_give_the_same_logits() -> None:
    some = np.random.default_rng(0).dirichlet([0.3] * 75, 100)
    assert np.array_equal(logits(some), logits(np.nextafter(some, 1)))


@pytest.mark.parametrize("given", [{"onnx": "x.onnx"}, {"pretrained": "efficientnet-lite0"}])
def test_another_teacher_is_none_of_texts(given: dict[str, str]) -> None:
    with pytest.raises(DistillError, match="not a teacher of texts"):
        open_text_teacher(Settings(licence="MIT", **given), ("de", "en"))


@pytest.mark.train
def test_lingua_answers_in_the_order_of_the_classes() -> None:
    pytest.importorskip("lingua")
    classes = ("el", "de", "en", "ja")
    teacher = open_text_teacher(Settings(pretrained="lingua"), classes)
    texts = ["die Sprache der Menschen", "the language of people", "γλώσσα", "言葉です", "", "42"]
    answers = teacher(texts)
    assert answers.shape == (6, 4) and answers.dtype == np.float32
    assert answers[:4].argmax(axis=1).tolist() == [1, 2, 0, 3]
    np.testing.assert_allclose(np.exp(answers).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(answers[4:], np.log(0.25), rtol=1e-6)
    assert np.array_equal(teacher(texts[:2] * 3000)[-2:], answers[:2])  # in batches
    assert teacher.name.startswith("lingua-language-detector 2.")
    assert teacher.labels == classes and teacher.licence == "Apache-2.0"
    with pytest.raises(DistillError, match="surrogate"):
        teacher(["\ud800"])
    with pytest.raises(DistillError, match="no language 'xx'"):
        open_text_teacher(Settings(pretrained="lingua"), ("de", "xx"))
    turned = Settings(pretrained="lingua", classes=("en", "de", "el", "ja"))
    assert open_text_teacher(turned, classes)(texts[:3]).argmax(axis=1).tolist() == [1, 2, 0]
    other = open_text_teacher(Settings(pretrained="lingua"), classes[::-1])
    assert len({teacher.sha256, other.sha256}) == 2
    assert np.array_equal(other(texts)[:, ::-1], answers)
