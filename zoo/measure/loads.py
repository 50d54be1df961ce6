"""What a file is timed on: random input, the same in every call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from zoo.errors import InputError

if TYPE_CHECKING:
    import numpy as np


class Load(Protocol):
    """The input of every call."""

    in_torch: ClassVar[bool]  # whether `torch_graph` runs the files that read it

    def feed(self, kind: str) -> np.ndarray:
        """What a file reads whose input is of this type, as onnxruntime names it."""

    def facts(self) -> dict[str, int | None]:
        """The load by the names of Measurement's fields."""


@dataclass(frozen=True)
class PictureLoad:
    """Random pictures."""

    in_torch: ClassVar[bool] = True
    batch: int  # pictures
    image_size: int  # pixels a side
    seed: int = 0

    def feed(self, kind: str) -> np.ndarray:
        if kind == "tensor(uint8)":
            return self.bytes()
        if kind == "tensor(float)":
            return self.planes()
        raise InputError(f"a file that reads {kind} reads no pictures", "time it on texts")

    def facts(self) -> dict[str, int | None]:
        return {"batch": self.batch, "image_size": self.image_size, "text_length": None}

    def bytes(self) -> np.ndarray:
        """uint8 (n, size, size, 3): what a student reads."""
        import numpy as np

        shape = (self.batch, self.image_size, self.image_size, 3)
        return np.random.default_rng(self.seed).integers(0, 256, shape, dtype=np.uint8)

    def planes(self) -> np.ndarray:
        """float32 (n, 3, size, size) in [-2, 2]: what a plain torch export reads."""
        import numpy as np

        normalised = (self.bytes().astype(np.float32) - 128) / 64
        return np.ascontiguousarray(normalised.transpose(0, 3, 1, 2))


@dataclass(frozen=True)
class OwnLoad:
    """Random numbers in the shape that a file names itself."""

    in_torch: ClassVar[bool] = True
    batch: int  # examples
    shape: tuple[int, ...]  # of one
    seed: int = 0

    def feed(self, kind: str) -> np.ndarray:
        """Floats are normal, bytes even; other numbers, such as those of tokens, are 1."""
        import numpy as np

        shape, rng = (self.batch, *self.shape), np.random.default_rng(self.seed)
        name = kind.removeprefix("tensor(").removesuffix(")")
        name = {"float": "float32", "double": "float64"}.get(name, name)
        if name in ("float32", "float64", "float16"):
            return rng.standard_normal(shape).astype(name)
        if name == "uint8":
            return rng.integers(0, 256, shape, dtype=np.uint8)
        if name in ("bool", "int8", "int16", "int32", "int64"):
            return np.ones(shape, name)
        raise InputError(f"a file that reads {kind} cannot be timed on random numbers")

    def facts(self) -> dict[str, int | None]:
        return {"batch": self.batch, "image_size": None, "text_length": None}


WORD, SENTENCE = 8, 100  # code points: the lengths that texts are timed at


@dataclass(frozen=True)
class TextLoad:
    """Random lower-case Latin words; all texts are of one length."""

    in_torch: ClassVar[bool] = False
    batch: int  # texts
    text_length: int  # code points a text
    seed: int = 0

    def feed(self, kind: str) -> np.ndarray:
        if kind == "tensor(int32)":
            return self.codepoints()
        raise InputError(f"a file that reads {kind} reads no texts", "time it on pictures")

    def facts(self) -> dict[str, int | None]:
        return {"batch": self.batch, "image_size": None, "text_length": self.text_length}

    def codepoints(self) -> np.ndarray:
        """int32 (n, length): after three letters of a word, one place in six is a blank."""
        import numpy as np

        rng = np.random.default_rng(self.seed)
        shape = (self.batch, self.text_length)
        codes = rng.integers(ord("a"), ord("z") + 1, shape, dtype=np.int32)
        ends = rng.random(shape) < 1 / 6
        for place in range(self.text_length):
            ends[:, place] &= place > 2 and ~ends[:, max(0, place - 3) : place].any(axis=1)
        codes[ends] = ord(" ")
        return codes
