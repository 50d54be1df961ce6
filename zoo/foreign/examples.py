"""Examples as a file reads them: pictures of a folder, arrays of an .npz, random numbers."""

from __future__ import annotations

import csv
import io
import unicodedata
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from zoo.errors import InputError
from zoo.files import open_plain
from zoo.foreign.preprocess import Preprocess
from zoo.said import one_line

if TYPE_CHECKING:
    import numpy as np

    from compress.source import Port

KEPT_BYTES = 600_000_000  # of prepared pictures that are kept in memory
ARRAY_BYTES = 4_000_000_000  # of an .npz
# What numpy raises for a file that is cut or broken.
_BROKEN = (
    *(ValueError, EOFError, KeyError, SyntaxError, TypeError, OverflowError, MemoryError),
    *(NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error),
)
DIGITS = 9  # of a label
TOKENS = 128  # length of a free axis of a random text


class Pictures(Sequence["np.ndarray"]):
    """Pictures of files, prepared when they are asked for; squares are kept while there is room."""

    def __init__(self, paths: Sequence[Path], how: Preprocess, size: tuple[int, int]) -> None:
        self.paths, self.how, self.size = paths, how, size
        self._kept: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[np.ndarray]: ...
    def __getitem__(self, index: int | slice) -> np.ndarray | Sequence[np.ndarray]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.prepared(self.square(index))

    def square(self, index: int) -> np.ndarray:
        """Bytes (h, w, channels), cropped and resized."""
        found = self._kept.get(index)
        if found is None:
            found = squared(self.paths[index], self.how, self.size)
            if (len(self._kept) + 1) * found.nbytes <= KEPT_BYTES:
                self._kept[index] = found
        return found

    def prepared(self, square: np.ndarray) -> np.ndarray:
        """What the file reads of such bytes."""
        return square


class Planes(Pictures):
    """Pictures as float or bytes, channels first or last, for the file's own input."""

    def __init__(
        self, paths: Sequence[Path], how: Preprocess, size: tuple[int, int], port: Port, nchw: bool
    ) -> None:
        super().__init__(paths, how, size)
        self.port, self.nchw = port, nchw

    def prepared(self, square: np.ndarray) -> np.ndarray:
        """In the type and layout of the input."""
        import numpy as np

        values = square if self.port.kind == "uint8" else self.how.values(square)
        return np.ascontiguousarray(values.transpose(2, 0, 1)) if self.nchw else values


class Whole(Pictures):
    """Pictures as a file with a head of ours reads them: RGB bytes, nothing cut off."""

    def square(self, index: int) -> np.ndarray:
        """Bytes (h, w, 3), as large as the head needs to cut out a square of its size."""
        from dataclasses import replace

        if self.how.crop is None:
            self.how = replace(self.how, color="RGB")
            return super().square(index)
        return whole(self.paths[index], self.how.crop, self.size)


def squared(path: Path, how: Preprocess, size: tuple[int, int]) -> np.ndarray:
    """The picture at `path` as bytes (h, w, channels) in the file's color, of `size`."""
    import numpy as np
    from PIL import Image

    image = upright(path, how.crop, size)
    if how.crop is not None:  # before the resize, as a head does: nothing around it is read
        image = image.crop(middle(image.size, how.crop))
    if how.color == "gray":
        image = image.convert("L")
    made = np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))
    if how.color == "gray":
        return made[..., None]
    return made[..., ::-1] if how.color == "BGR" else made


def upright(path: Path, share: float | None, size: tuple[int, int]) -> Any:
    """The picture at `path`, a PIL image in RGB, with the sides that it has or in their proportion.

    One that is too large for memory is read as a square; where a part of it is wanted it is one of
    twice as many pixels as that part needs, and drawn out again.
    """
    from PIL import Image

    from zoo.inputs import image

    room = max(size) if share is None else max(1, min(2048, int(2 * max(size) / share)))
    array, (width, height) = image.read_sides(path, room)
    picture = Image.fromarray(array)
    if share is None or picture.size == (width, height):
        return picture
    long = max(width, height)
    sides = max(1, room * width // long), max(1, room * height // long)
    return picture.resize(sides, Image.Resampling.BILINEAR)


def middle(sides: tuple[int, int], share: float) -> tuple[int, int, int, int]:
    """The box of the middle square, of a share of the shorter side."""
    side = max(1, int(min(sides) * share))
    left, top = (sides[0] - side) // 2, (sides[1] - side) // 2
    return left, top, left + side, top + side


def whole(path: Path, share: float, size: tuple[int, int]) -> np.ndarray:
    """The whole picture, bytes (h, w, 3), as small as its middle square may be."""
    import numpy as np
    from PIL import Image

    image = upright(path, share, size)
    factor = max(size) / share / min(image.size)
    sides = [max(1, round(side * factor)) for side in image.size]
    return np.asarray(image.resize(sides, Image.Resampling.BILINEAR) if factor < 1 else image)


def labels(file: Path, folder: Path, paths: Sequence[Path]) -> np.ndarray:
    """int64 (n,) of the pictures, from rows `file,label`; a label is the index of an output."""
    import numpy as np

    wanted = {_plain(path.relative_to(folder)): i for i, path in enumerate(paths)}
    found = np.full(len(paths), -1, np.int64)
    for number, (name, label) in enumerate(_rows(file), 1):
        place, name = f"{file}, line {number}", _plain(name)
        if name not in wanted:
            raise InputError(
                f"{place}: no picture {name!r} in {folder}", "names are relative to it"
            )
        if not label.isascii() or not label.isdigit() or len(label) > DIGITS:
            raise InputError(
                f"{place}: label {label!r} is no output of the file",
                "labels are whole numbers from 0: the place in the file's answer",
            )
        if found[wanted[name]] not in (-1, int(label)):
            raise InputError(f"{place}: {name!r} has two labels", "leave one line of it")
        found[wanted[name]] = int(label)
    without = [path for path, label in zip(paths, found, strict=True) if label < 0]
    if without:
        raise InputError(
            f"{len(without)} of {len(paths)} pictures have no label in {file}, "
            f"the first is {without[0].relative_to(folder)}",
            "label them, or move them elsewhere",
        )
    return found


def _plain(name: str | Path) -> str:
    """A picture's name as labels have it: with /, no ./ before it, in one form of Unicode."""
    return unicodedata.normalize("NFC", Path(name).as_posix())


def _rows(file: Path) -> list[tuple[str, str]]:
    """(name, label) of every line; a first line whose label is no number is a heading."""
    hint = "it has lines `file,label`: the picture's name in the folder, and a number"
    try:
        with open_plain(file) as stream:
            lines = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
            rows = [row for row in csv.reader(lines) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise InputError(f"{file} cannot be read: {problem}", hint) from None
    bad = next((row for row in rows if len(row) != 2), None)
    if bad is not None or not rows:
        raise InputError(
            f"{file}: {','.join(bad)!r} is no label" if bad else f"{file} is empty", hint
        )
    pairs = [(name.strip().replace("\\", "/"), label.strip()) for name, label in rows]
    return pairs[0 if pairs[0][1].isdigit() else 1 :]


class Arrays(Sequence[Mapping[str, Any]]):
    """Rows of arrays by the names of the file's inputs."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return min(map(len, self.arrays.values()))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return {name: array[index] for name, array in self.arrays.items()}


def arrays(file: Path, ports: Sequence[Port]) -> Arrays:
    """The arrays (n, ...) of an .npz named like the inputs, or of an .npy for a single input."""
    import numpy as np

    hint = f"it holds (n, ...) arrays named {', '.join(port.name for port in ports)}"
    try:
        with open_plain(file) as stream:
            read = np.load(stream, allow_pickle=False)
            if isinstance(read, np.ndarray):
                found = {ports[0].name: read}
            else:
                there = [port.name for port in ports if port.name in read.files]
                _check_room(read.zip.infolist(), there, file)
                found = {name: read[name] for name in there}
    except (*_BROKEN, OSError) as problem:
        said = one_line(problem)
        raise InputError(f"{file} cannot be read: {said}", hint) from None
    missing = [port.name for port in ports if port.name not in found]
    if missing:
        raise InputError(f"{file} has no array {', '.join(missing)}", hint)
    kept = {port.name: found[port.name] for port in ports}
    if any(array.ndim == 0 for array in kept.values()) or len(set(map(len, kept.values()))) != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in kept.items())
        raise InputError(f"{file}: its arrays are of unlike lengths: {shapes}", hint)
    if not len(Arrays(kept)):
        raise InputError(f"{file}: its arrays hold no example", hint)
    return Arrays(kept)


def _check_room(entries: Sequence[Any], names: Sequence[str], file: Path) -> None:
    """Refuse arrays that would not fit in memory, by what the file says of them."""
    wanted = {*names, *(f"{name}.npy" for name in names)}
    size = sum(entry.file_size for entry in entries if entry.filename in wanted)
    if size > ARRAY_BYTES:
        raise InputError(
            f"{file}: its arrays have {size:,} bytes, the limit is {ARRAY_BYTES:,}",
            "give fewer examples: 1,256 are used at most",
        )


def random(ports: Sequence[Port], size: tuple[int, int] | None, count: int = 64) -> Arrays:
    """`count` random examples; free axes of pictures are `size`, others 128 long."""
    import numpy as np

    rng = np.random.default_rng(0)
    made: dict[str, np.ndarray] = {}
    for port in ports:
        shape = [side or _free(port, axis, size) for axis, side in enumerate(port.shape)][1:]
        if port.kind in ("float32", "float16"):
            made[port.name] = rng.standard_normal((count, *shape)).astype(np.float32)
        elif port.kind == "uint8":
            made[port.name] = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
        else:
            made[port.name] = np.ones((count, *shape), port.kind)
    return Arrays(made)


def _free(port: Port, axis: int, size: tuple[int, int] | None) -> int:
    if axis == 0:
        return 1
    if len(port.shape) != 4:
        return TOKENS
    if size is None:
        raise InputError(f"input {port.name!r} takes any size", "give --size")
    rows, columns = (2, 3) if channels_first(port) else (1, 2)
    return {rows: size[0], columns: size[1]}.get(axis, 3)


def channels_first(port: Port) -> bool:
    """Whether a picture (n, 3, h, w) is read, else (n, h, w, 3); an InputError where neither."""
    first, last = port.shape[1] in (1, 3), port.shape[3] in (1, 3)
    if first == last:
        shape = ", ".join("?" if side is None else str(side) for side in port.shape)
        raise InputError(
            f"input {port.name!r} is ({shape}): which axis has the channels is not known",
            "pictures are (n, 3, h, w) or (n, h, w, 3); other inputs are given as --data FILE.npz",
        )
    return first
