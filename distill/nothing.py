"""Texts of no language, made by rule: what a student that tells languages should not be sure of.

Each is trained to the uniform answer, so that "unknown" is a matter of what is read and not of a
class of its own. The same count and words give the same texts on every machine; a change here is a
change of what is trained on, and raises the maker's `train_format`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

ALPHABETS = (  # letters, and how often they are taken
    ("abcdefghijklmnopqrstuvwxyz", 12),
    ("абвгдежзийклмнопрстуфхцчшщъыьэюя", 3),
    ("ابتثجحخدذرزسشصضطظعغفقكلمنهوي", 2),
    ("अआइईउऊएकखगघचछजझटठडढतथदधनपफबभमयरलवशसह", 1),
)
ROWS = (  # of keyboards and alphabets, along which a finger goes
    *("azertyuiop", "qsdfghjklm", "wxcvbn", "abcdefghijklmnopqrstuvwxyz"),
    *("qwertzuiop", "yxcvbnm", "абвгдежзийклмнопрстуфхцчшщ", "ابتثجحخدذرزسش"),
)
TOKENS = """
int char ptr buf len tmp idx str num var fn def ret obj cfg ctx src dst arg env get set add del init
impl async await elif endif null nil void bool enum struct printf malloc sizeof uint64 foo bar baz
btn div px css href svg json xml html utf args kwargs self isinstance foreach strlen
"""  # what stands for words in programs
MARKS = (*" .,;:_-=+*/()[]{}<>&|!#$%\\\"'", "::", "->", "==", "();", " = ", "\t")
CONSONANTS, VOWELS = "bcdfghjklmnpqrstvwxyz", "aeiou"
HEX, BASE36 = "0123456789abcdef", "0123456789abcdefghijklmnopqrstuvwxyz"
NAMES = "user info admin mail name test example office contact web shop support hello noreply team"
ENDS = "com org net edu gov info de fr uk ru jp br it es pl nl"
TAILS = ("", "", "index.html", "page", "img.jpg", "main.php", "file.pdf", "?id=", "#top")
SEED = 20_161_202


def texts(count: int, words: Sequence[str]) -> list[str]:
    """`count` texts, of every kind as many; addresses are made of `words`, at least one."""
    rng = random.Random(SEED)
    kinds: tuple[Callable[[], str], ...] = (
        lambda: _mash(rng, 26),
        lambda: _mash(rng, rng.randint(2, 6)),
        lambda: _letter(rng) * rng.choice((rng.randint(3, 12), rng.randint(13, 400))),
        lambda: _repeated(rng),
        lambda: _walk(rng),
        lambda: _digits(rng),
        lambda: _program(rng),
        lambda: _address(rng, words),
        lambda: _few(rng),
    )
    return [kinds[number % len(kinds)]() for number in range(count)]


def _alphabet(rng: random.Random) -> str:
    return rng.choices([a for a, _ in ALPHABETS], [often for _, often in ALPHABETS])[0]


def _letter(rng: random.Random) -> str:
    return rng.choice(_alphabet(rng))


def _mash(rng: random.Random, most: int) -> str:
    """Words of letters drawn evenly from at most so many of an alphabet."""
    alphabet = _alphabet(rng)
    letters = rng.sample(alphabet, min(most, len(alphabet)))
    words = ["".join(rng.choices(letters, k=rng.randint(3, 14))) for _ in range(rng.randint(1, 6))]
    return _cased(rng, " ".join(words))


def _repeated(rng: random.Random) -> str:
    """A syllable over and over, its last time perhaps in part."""
    syllable = "".join(rng.choices(_alphabet(rng), k=rng.randint(2, 4)))
    if rng.random() < 0.5:  # as people laugh
        syllable = rng.choice(CONSONANTS) + rng.choice(VOWELS)
    whole = syllable * rng.choice((rng.randint(2, 6), rng.randint(7, 60)))
    return _cased(rng, whole[: len(whole) - rng.randrange(len(syllable))])


def _walk(rng: random.Random) -> str:
    """Neighbours on a keyboard or in an alphabet, there or back."""
    words = []
    for _ in range(rng.randint(1, 3)):
        row = rng.choice(ROWS)[:: rng.choice((1, 1, -1))]
        start = rng.randrange(max(1, len(row) - 3))
        words.append(row[start : start + rng.randint(4, 12)])
    return rng.choice(("", " ")).join(words)


def _digits(rng: random.Random) -> str:
    """Hashes and keys."""
    digits = rng.choice((HEX, BASE36))
    words = ["".join(rng.choices(digits, k=rng.choice((8, 12, 16, 32, 40, 64))))]
    words += ["".join(rng.choices(digits, k=rng.randint(4, 16))) for _ in range(rng.randrange(3))]
    return _cased(rng, rng.choice("- ").join(words))


def _program(rng: random.Random) -> str:
    """Names as programs have them, with marks between."""
    made = []
    for _ in range(rng.randint(2, 14)):
        name = [rng.choice(TOKENS.split()) for _ in range(rng.choice((1, 1, 2, 3)))]
        if rng.random() < 0.5:
            made.append(name[0] + "".join(part.capitalize() for part in name[1:]))
        else:
            made.append(rng.choice("_-").join(name))
        made.append(rng.choice(MARKS) + (rng.choice("xyijkn01234") if rng.random() < 0.3 else ""))
    return "".join(made)


def _address(rng: random.Random, words: Sequence[str]) -> str:
    """Of mail or of a page."""
    known = rng.choices((words, NAMES.split()), k=2)
    name, host = (_first(rng.choice(some)) for some in known)
    end = rng.choice(ENDS.split())
    if rng.random() < 0.5:
        return f"{name}{rng.choice(('', '.', '_', str(rng.randrange(99))))}@{host}.{end}"
    path = "/".join(_first(rng.choice(words)) for _ in range(rng.randrange(3)))
    head = rng.choice(("https://", "http://", "www.", "https://www.", ""))
    return f"{head}{host}.{end}/{path}{rng.choice(TAILS)}"


def _first(text: str) -> str:
    """Its first word, in part where it is long."""
    return (text.split() or [text])[0].lower()[:16]


def _few(rng: random.Random) -> str:
    """Letters one by one among figures, as in formulas, sizes and lists."""
    alphabet, made = _alphabet(rng), []
    for _ in range(rng.randint(2, 12)):
        letters = "".join(rng.choices(alphabet, k=rng.choice((1, 1, 1, 2))))
        number = str(rng.randrange(1000)) if rng.random() < 0.6 else ""
        made.append(rng.choice((letters + number, number + letters)))
    return _cased(rng, rng.choice((" ", " ", "-", " = ", ", ")).join(made))


def _cased(rng: random.Random, text: str) -> str:
    return rng.choice((text, text, text.upper(), text.title()))
