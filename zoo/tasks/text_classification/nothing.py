"""2,000 texts of no language, to measure how often a student is sure of one all the same.

Their generators and their alphabets are none of those that `distill.nothing` trains on: chords,
Morse code read aloud, base64, shouts, chess, molecules, formulas, Roman figures, fingers that
wander over keyboards of other layouts, number plates and instructions of processors.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable

COUNT, SEED = 2000, 7
SHOUTS = "argh brr zap ugh yum oh yay wham hey psst shh grr aha uff oi yeah hmm pfff ouch whoa"
ENDINGS = ("", "", "m", "7", "m7", "maj7", "sus4", "dim", "add9", "7sus4", "/E", "/G")  # of chords
LAYOUTS = (  # Dvorak, Colemak, Russian, Greek
    *("pyfgcrl", "aoeuidhtns", "qjkxbmwvz", "qwfpgjluy", "arstdhneio"),
    *("йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю", "ςερτυθιοπ", "ασδφγηξκλ", "ζχψωβνμ"),
)
ATOMS = ("C", "C", "C", "c1", "N", "O", "F", "Cl", "Br", "S", "P", "[nH]", "[C@@H]", "=O", "(C)")
SIGNS = r"""
\frac \alpha \beta \gamma \int \sum \infty \partial \nabla \lambda \mu \sigma \leq \geq \cdot
\times \left( \right) _{i} ^{2} x y z k n dt dx e^{x}
"""  # of LaTeX
OPCODES = "mov jmp xor eax ebx ecx rdi rsi 0x4f r12 lea jnz cmp shl nop qword movzx jne"


def texts() -> list[str]:
    """The same texts on every machine, as many of each kind."""
    rng = random.Random(SEED)
    kinds: tuple[Callable[[random.Random], str], ...] = (
        *(_chords, _morse, _base64, _shout, _chess, _molecule, _formula, _roman, _keys, _code),
    )
    return [kinds[number % len(kinds)](rng) for number in range(COUNT)]


def _chords(rng: random.Random) -> str:
    def chord() -> str:
        return rng.choice("ABCDEFG") + rng.choice(("", "#", "b")) + rng.choice(ENDINGS)

    return rng.choice((" ", " | ", " - ")).join(chord() for _ in range(rng.randint(4, 16)))


def _morse(rng: random.Random) -> str:
    letters = [
        "-".join([*rng.choices(("di", "dah"), k=rng.randint(1, 4)), rng.choice(("dit", "dah"))])
        for _ in range(rng.randint(2, 10))
    ]
    return " ".join(letters)


def _base64(rng: random.Random) -> str:
    return base64.b64encode(rng.randbytes(rng.randint(9, 90))).decode()


def _shout(rng: random.Random) -> str:
    """A cry whose letters are drawn out."""
    cry = rng.choice(SHOUTS.split())
    text = "".join(letter * rng.choice((1, 2, 3, 5, 8)) for letter in cry)
    return rng.choice((text, text.upper())) + "!" * rng.randrange(4)


def _chess(rng: random.Random) -> str:
    def move() -> str:
        return f"{rng.choice(('', *'NBRQK'))}{rng.choice('abcdefgh')}{rng.randint(1, 8)}"

    return " ".join(f"{n}. {move()} {move()}" for n in range(1, rng.randint(3, 12)))


def _molecule(rng: random.Random) -> str:
    return "".join(rng.choices(ATOMS, k=rng.randint(8, 40)))


def _formula(rng: random.Random) -> str:
    return rng.choice(("", " ")).join(rng.choices(SIGNS.split(), k=rng.randint(5, 20)))


def _roman(rng: random.Random) -> str:
    return " ".join("".join(rng.choices("IVXLCDM", k=rng.randint(2, 9))) for _ in range(4))


def _keys(rng: random.Random) -> str:
    """A finger that wanders over a row, to a neighbour each time."""
    words = []
    for _ in range(rng.randint(1, 4)):
        row = rng.choice(LAYOUTS)
        place, word = rng.randrange(len(row)), ""
        for _ in range(rng.randint(5, 12)):
            word += row[place]
            place = max(0, min(len(row) - 1, place + rng.choice((-1, 1, 1, 2))))
        words.append(word)
    return rng.choice(("", " ")).join(words)


def _code(rng: random.Random) -> str:
    """Number plates and instructions."""
    made = ["".join(rng.choices("ABEKMHOPCTYX", k=3)) + str(rng.randrange(999)) for _ in range(3)]
    made += rng.choices(OPCODES.split(), k=rng.randint(3, 12))
    return rng.choice((" ", ", ", ";")).join(rng.sample(made, len(made)))
