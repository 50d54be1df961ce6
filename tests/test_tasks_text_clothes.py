"""Published language students: letters in other clothes, what is not seen, and no language."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import numpy as np
import pytest

import zoo
from zoo.cli.app import app
from zoo.records import card as cards
from zoo.stores import folders

typer_testing = pytest.importorskip("typer.testing")

NAMES = [  # a wheel has the first alone
    name
    for name in ("langid75-ngram-small.lingua", "langid75-ngram-base.lingua")
    if folders.holder(name).has(name)
]
TEXTS = {
    "en": "the weather was lovely yesterday",
    "es": "ayer hizo un tiempo precioso y caminamos junto al río",
    "de": "gestern war das Wetter wunderbar und wir gingen am Fluss entlang",
    "fr": "hier il faisait un temps magnifique au bord de la rivière",
    "ru": "вчера была прекрасная погода и мы гуляли вдоль реки",
    "el": "χθες ο καιρός ήταν υπέροχος και περπατήσαμε",
    "ar": "كان الطقس رائعا أمس ومشينا على طول النهر",
    "ja": "昨日は天気がとてもよくて、カワのソバをアルキました",
}


def wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def styled(first: int, text: str) -> str:
    """ASCII letters of an alphabet of mathematics that begins with A."""
    offset = {c: i for i, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")}
    return "".join(chr(first + offset[c]) if c in offset else c for c in text)


CLOTHES = {
    "wide": wide,
    "bold": lambda text: styled(0x1D400, text),
    "sans": lambda text: styled(0x1D5A0, text),
    "script bold": lambda text: styled(0x1D4D0, text),
    "monospace": lambda text: styled(0x1D670, text),
    "double-struck": lambda text: styled(0x1D538, text.lower()),
    "circled": lambda text: "".join(
        chr(0x24D0 + ord(c) - 97) if "a" <= c <= "z" else c for c in text.lower()
    ),
}
UNSEEN = ("\u00ad", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u034f", "\U000e0061")
NOTHING = (
    *("hahahaha", "qwertyuiop", "user@example.com", "a" * 1_000_000, "hahahahahahahaha"),
    *("asdfghjkl", "zxcvbnm", "aaaaaaaaaaaa", "lololololol", "xyxyxyxyxyxy"),
    *("5d41402abc4b2a76b9719d911017c592", "aGVsbG8gd29ybGQgYWdhaW4=", "dGhpcyBpcyBub3RoaW5n"),
    *("for(i=0;i<n;i++){x[i]^=k;}", "https://www.example.com/index.html", "info@firma.de"),
    *("MCMXCIV XVII", "x = 3 y + 4 z", "щщщщщщщщщ", "йцукенг"),
)


@pytest.fixture(scope="module", params=NAMES)
def student(request: pytest.FixtureRequest) -> Any:
    return zoo.load(request.param)


@pytest.mark.parametrize("language", TEXTS)
def test_plain_texts_are_told(student: Any, language: str) -> None:
    assert student.label(TEXTS[language]) == language


@pytest.mark.parametrize("clothes", CLOTHES)
@pytest.mark.parametrize("language", ["en", "es", "de", "fr"])
def test_letters_in_other_clothes_are_read_as_they_are_meant(
    student: Any, language: str, clothes: str
) -> None:
    dressed = CLOTHES[clothes](TEXTS[language])
    assert dressed != TEXTS[language]
    assert student.label(dressed) == language


def test_wide_letters_give_the_same_answer_to_the_last_bit(student: Any) -> None:
    assert student(wide(TEXTS["en"])) == student(TEXTS["en"])  # X1


@pytest.mark.parametrize("language", ["ar", "ja"])
def test_presentation_forms_give_the_language(student: Any, language: str) -> None:
    """Every letter by a form that Unicode maps to it, where there is one."""
    forms: dict[str, str] = {}
    for code in (*range(0xFB50, 0xFF00), *range(0xFF66, 0xFF9E)):
        tag, _, bare = unicodedata.decomposition(chr(code)).partition(" ")
        if (
            tag in ("<isolated>", "<initial>", "<medial>", "<final>", "<narrow>")
            and " " not in bare
        ):
            forms[chr(int(bare, 16))] = chr(code)
    dressed = "".join(forms.get(c, c) for c in TEXTS[language])
    assert dressed != TEXTS[language]
    assert student(dressed) == student(TEXTS[language])


@pytest.mark.parametrize(
    ("dressed", "plain"),
    [
        ("ａ̀ ｌａ ｍｅ̀ｒｅ", "à la mère"),
        ("ｿﾊﾞｦﾀﾍﾞﾏｼﾀ ﾃﾞｽ", "ソバヲタベマシタ デス"),
        (wide("ayer hizo un dia precioso"), "ayer hizo un dia precioso"),
    ],
)
def test_marks_belong_to_letters_in_other_clothes(student: Any, dressed: str, plain: str) -> None:
    assert student(dressed) == student(plain)


@pytest.mark.parametrize("more", ["\n" * 2000, " " * 4000, "\u200b" * 4000, "12 " * 1500])
def test_blanks_and_figures_change_no_answer(student: Any, more: str) -> None:
    text = (TEXTS["de"] + " ") * 8
    assert student.label(text + more) == "de"
    assert dict(student(text + more))["de"] > 0.9


@pytest.mark.parametrize("length", [300, 600, 2000])
def test_unseen_signs_change_no_bit_of_long_texts(student: Any, length: int) -> None:
    text = (TEXTS["es"] + " ") * 40
    plain = text[:length]
    assert student("\u00ad".join(plain)) == student(plain)


@pytest.mark.parametrize("sign", UNSEEN, ids=lambda sign: f"{ord(sign):04X}")
@pytest.mark.parametrize("every", [1, 3])
def test_what_is_not_seen_changes_no_bit(student: Any, sign: str, every: int) -> None:
    for text in TEXTS.values():
        letters = [c + sign * (i % every == every - 1) for i, c in enumerate(text)]
        assert student("".join(letters)) == student(text)  # X3


@pytest.mark.parametrize("text", NOTHING, ids=lambda text: text[:12])
def test_what_is_no_language_is_unknown(student: Any, text: str) -> None:
    assert student.label(text) == "unknown"  # X4, X7


def test_a_text_of_two_languages_is_never_sure(student: Any) -> None:
    both = TEXTS["en"] * 48 + TEXTS["de"] * 48  # X10
    answers = dict(student(both))
    assert student.label(both) in ("en", "de", "unknown")
    assert max(answers.values()) < 0.9
    assert min(answers["en"], answers["de"]) > 0.1


def test_a_long_text_of_one_language_is_sure(student: Any) -> None:
    assert dict(student((TEXTS["de"] + ". ") * 100))["de"] > 0.9


@pytest.mark.parametrize("text", ["", "\u00ad", "\u200b\u200d", "123", "!?", "\0"])
def test_nothing_to_read_is_unknown(student: Any, text: str) -> None:
    answers = student(text, top=75)
    assert student.label(text) == "unknown"
    assert max(p for _, p in answers) == pytest.approx(1 / 75, rel=1e-3)


def test_one_text_and_many_are_answered_alike(student: Any) -> None:
    texts = [*TEXTS.values(), *NOTHING, "", TEXTS["en"] * 40]
    together = student(texts, top=1)
    for text, found in zip(texts, together, strict=True):
        ((label, probability),) = student(text, top=1)
        assert probability == pytest.approx(found[0][1], abs=1e-5)
        if probability > 0.05:
            assert label == found[0][0]


def test_the_command_line_reads_as_the_library_does(student: Any) -> None:
    text = wide(TEXTS["en"])
    ran = typer_testing.CliRunner().invoke(app, ["run", student.name, "--text", text, "--json"])
    assert ran.exit_code == 0
    assert json.loads(ran.stdout)["label"] == "en"


@pytest.mark.parametrize("name", NAMES)
def test_the_card_says_how_often_no_language_is_answered(name: str) -> None:
    from zoo.tasks.text_classification import nothing

    rule = cards.read(folders.holder(name).folder(name)).unknown
    assert rule is not None
    assert rule.nothing is not None
    student = zoo.load(name)
    sure = np.mean([label != "unknown" for label in student.label(nothing.texts())])
    assert rule.nothing.texts == 2000
    assert rule.nothing.confident == pytest.approx(sure, abs=0.002)
    assert rule.nothing.before is not None
    assert rule.nothing.confident < rule.nothing.before / 2
