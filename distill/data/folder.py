"""A folder of `split/class/name.ext`. Links on one's own disk are followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from distill.data import tree
from distill.data.parquet import Parquet
from distill.data.record import Example, Listing, Picture, Source
from distill.errors import DistillError


def open_folder(path: Path) -> Source:
    """A folder of pictures, or of parquet."""
    if any(next(path.glob(p), None) for p in ("*.parquet", "*/*.parquet")):
        return Parquet.open(path)
    return Folder(path)


class Folder:
    """Files are read one by one, when they are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = str(path)

    def listing(self) -> Listing:
        """Every example, by name; nothing is opened."""
        try:
            entries = [
                (entry.relative_to(self.path).as_posix(), entry.is_dir())
                for entry in sorted(_walk(self.path, depth=5))
            ]
        except OSError as error:
            raise DistillError(f"{self.where} cannot be listed: {error}") from error
        files = [name for name, is_dir in entries if not is_dir]
        return tree.parse(files, [name for name, is_dir in entries if is_dir], self.where)

    def read(self, wanted: Sequence[Example]) -> Iterator[Picture]:
        """The files of `wanted`, in their order."""
        for place, example in enumerate(wanted):
            path = self.path / str(example.key)
            try:
                content = path.read_bytes()
            except OSError as error:
                raise DistillError(f"{path} cannot be read: {error}") from error
            yield Picture(place, str(path), content)


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    """What is in `folder`, to a depth that ends loops of links."""
    for entry in folder.iterdir():
        yield entry
        if depth > 1 and not tree.ignored(entry.name) and entry.is_dir():
            yield from _walk(entry, depth - 1)
