"""A folder of `split/class/name.ext`. Links on one's own disk are followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from distill.data import tree, unlabelled
from distill.data.parquet import Parquet
from distill.data.record import Example, Listing, Picture, Source
from distill.errors import DistillError
from distill.files import below, open_plain
from distill.names import ignored


def open_folder(path: Path) -> Source:
    """A folder of pictures, or of parquet."""
    tables = (table for form in ("*.parquet", "*/*.parquet") for table in path.glob(form))
    if not all(ignored(table.relative_to(path).as_posix()) for table in tables):
        return Parquet.open(path)
    return Folder(path)


class Folder:
    """Files are read one by one, when they are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = str(path)

    def listing(self) -> Listing:
        """Every example, by name; nothing is opened."""
        return tree.parse(*self._names(), self.where)

    def pictures(self) -> Listing:
        """Every picture, as if none had a label."""
        return unlabelled.parse(self._names()[0], self.where)

    def _names(self) -> tuple[list[str], list[str]]:
        """Of files and of folders."""
        files: list[str] = []
        folders: list[str] = []
        try:
            for name, path in below(self.path, ignored):
                if path.is_dir():
                    folders.append(name)
                elif path.is_file():
                    files.append(name)
                else:
                    raise _special(path)
        except OSError as error:
            raise DistillError(f"{self.where} cannot be listed: {error}") from error
        return files, folders

    def read(self, wanted: Sequence[Example]) -> Iterator[Picture]:
        """The files of `wanted`, in their order."""
        for place, example in enumerate(wanted):
            path = self.path / str(example.key)
            yield Picture(place, str(path), content_of(path))


def content_of(path: Path) -> bytes | DistillError:
    """What stands in a plain file, or why it cannot be read."""
    try:
        with open_plain(path) as file:
            return file.read()
    except OSError as error:
        return DistillError(f"cannot be read: {error.strerror or error}")


def _special(path: Path) -> DistillError:
    what = "a pipe, a socket or a device" if path.exists() else "a link that leads nowhere"
    return DistillError(f"{path} cannot be read: it is {what}", "remove it from the data set")
