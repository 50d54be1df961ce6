"""Parquet as the Hub keeps picture data sets: local files, or `hub:ORG/NAME[/FOLDER]@REVISION`.

A file belongs to the split that its path names: `train-00000-of-00001.parquet`,
`train.parquet` or `train/0000.parquet`, and the same for test; other splits are passed over. One
file alone, given by its path, has no splits: a fifth of it becomes test by the rule of
`split.hold_out`. A row is named by its number in its split, files in the order of their paths.

Columns: a picture (a struct with `bytes`, or plain bytes) and an integer label. They are the ones
that the schema's `huggingface` metadata calls Image and ClassLabel, else those named `image` or
`img`, and `label`. Class names are the metadata's, else the numbers.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from distill.data.record import Example, Listing, Picture
from distill.data.split import said, with_test
from distill.errors import DistillError
from distill.files import open_plain
from distill.names import ignored

if TYPE_CHECKING:
    import pyarrow.parquet

SPLITS: tuple[Literal["train"], Literal["test"]] = ("train", "test")
IMAGE_NAMES = ("image", "img")
LABEL_NAMES = ("label",)
HUB = "https://huggingface.co"
ROWS = 256  # pictures read at a time


class File(NamedTuple):
    """One file and the split it belongs to."""

    path: Path
    split: Literal["train", "test"]


class Columns(NamedTuple):
    """Which columns are read, and what the labels mean."""

    image: str
    label: str
    classes: tuple[str, ...]  # empty: the schema names none


class Parquet:
    """Rows are numbered through all files; test files are not opened for the pictures of train."""

    def __init__(self, where: str, files: Sequence[File], has_test: bool = True) -> None:
        self.where = where
        self.files = files
        self.has_test = has_test

    @classmethod
    def open(cls, path: Path) -> Parquet:
        """One file, or a folder of files that name their splits."""
        if path.is_file():
            return cls(str(path), [File(path, "train")], has_test=False)
        return cls(str(path), files_of(path))

    def listing(self) -> Listing:
        """Every row; only the labels are read."""
        found: list[Example] = []
        rows_of: Counter[str] = Counter()
        classes: tuple[str, ...] = ()
        for path, split in self.files:
            labels, names = _labels(path)
            if classes and names != classes:
                raise DistillError(f"{path} has other class names than the files before it")
            classes = names
            for label in labels:
                found.append(Example(split, label, f"{rows_of[split]:08d}", len(found)))
                rows_of[split] += 1
        if not classes:
            classes = tuple(sorted({e.label for e in found}, key=int))
        if self.has_test:
            return Listing(found, classes)
        found = with_test(found)
        return Listing(found, classes, said(found, "one file without splits"))

    def read(self, wanted: Sequence[Example]) -> Iterator[Picture]:
        """The pictures of `wanted`, in the order of the files."""
        places = {int(example.key): i for i, example in enumerate(wanted)}
        start = 0
        for path, _ in self.files:
            with _open(path) as file:
                rows = file.metadata.num_rows
                here = {k - start: i for k, i in places.items() if start <= k < start + rows}
                if here:
                    yield from _pictures(file, here, str(path))
            start += rows


def from_hub(source: str) -> Parquet:
    """`hub:ORG/NAME[/FOLDER]@REVISION`: its parquet files, fetched into the Hub's own cache."""
    repo, folder, revision = hub_address(source)
    try:
        from huggingface_hub import constants, snapshot_download
        from huggingface_hub.errors import HFValidationError, HTTPError  # of the HTTP library
    except ImportError as error:
        raise _missing("huggingface-hub", error) from error
    patterns = [f"{folder}*{split}*.parquet" for split in SPLITS]
    token = None if constants.ENDPOINT == HUB else False  # the user's own goes to no mirror
    try:
        snapshot = snapshot_download(
            repo, repo_type="dataset", revision=revision, allow_patterns=patterns, token=token
        )
    except (HFValidationError, HTTPError, OSError) as error:
        raise DistillError(
            f"{source} cannot be fetched: {error}",
            "check the name, the revision and the network; a private one needs a login",
        ) from error
    return Parquet(source, files_of(Path(snapshot) / folder))


def hub_address(source: str) -> tuple[str, str, str]:
    """(ORG/NAME, folder or "", revision) of `hub:ORG/NAME[/FOLDER]@REVISION`."""
    address, _, revision = source.removeprefix("hub:").partition("@")
    parts = address.split("/")
    if len(parts) < 2 or not all(parts) or ".." in parts or not revision:
        raise DistillError(
            f"{source!r} is not the address of a Hub data set",
            "write hub:ORG/NAME@REVISION, the revision being a commit; a folder may follow NAME",
        )
    return "/".join(parts[:2]), "/".join(parts[2:]), revision


def files_of(folder: Path) -> list[File]:
    """The files of train and test in `folder`, by path; one configuration only."""
    below = sorted(folder.rglob("*.parquet"))
    paths = [path for path in below if not ignored(path.relative_to(folder).as_posix())]
    files = [File(p, s) for p in paths if (s := split_of(p.relative_to(folder)))]
    homes = {p.parent.parent if p.parent.name == s else p.parent for p, s in files}
    if len(homes) > 1:
        names = ", ".join(sorted(h.relative_to(folder).as_posix() for h in homes))
        raise DistillError(
            f"{folder} holds more than one data set: {names}", "name one of these folders"
        )
    if not files:
        raise DistillError(
            f"{folder} has no parquet file of train or test",
            "files are named train-*.parquet and test-*.parquet, or lie in train/ and test/",
        )
    return files


def split_of(path: PurePath) -> Literal["train", "test"] | None:
    """The split that a relative path names, if it is train or test."""
    first = path.name.replace(".", "-").split("-")[0]
    for split in SPLITS:
        if split in (first, path.parent.name):
            return split
    return None


def columns_of(schema: Any, where: str) -> Columns:
    """The columns of a pyarrow schema, by its `huggingface` metadata or by name."""
    features = _features(schema.metadata or {})
    image = _column(schema.names, features, "Image", IMAGE_NAMES, where)
    label = _column(schema.names, features, "ClassLabel", LABEL_NAMES, where)
    names = features.get(label, {}).get("names") or ()
    if len(set(names)) != len(names):
        raise DistillError(f"{where}: two classes have the same name")
    return Columns(image, label, tuple(str(name) for name in names))


def _features(metadata: Mapping[bytes, bytes]) -> dict[str, dict[str, Any]]:
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {k: v for k, v in features.items() if isinstance(v, dict)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # written by something else than the Hub's own library


def _column(
    names: Sequence[str],
    features: Mapping[str, Mapping[str, Any]],
    kind: str,
    usual: Sequence[str],
    where: str,
) -> str:
    typed = [n for n in names if features.get(n, {}).get("_type") == kind]
    usually = [n for n in names if n in usual]
    for candidates in (typed, usually):
        if len(candidates) == 1:
            return candidates[0]
    raise DistillError(
        f"{where}: which column is the {usual[0]}? Columns: {', '.join(names)}",
        f"name one of them {' or '.join(usual)}",
    )


def _labels(path: Path) -> tuple[list[str], tuple[str, ...]]:
    """(class of every row by name, the names in order; empty where the schema has none)."""
    with _open(path) as file:
        columns = columns_of(file.schema_arrow, str(path))
        values = _integers(file, columns.label, str(path))
    classes = columns.classes
    for row, value in enumerate(values):
        if value is None or value < 0 or (classes and value >= len(classes)):
            raise DistillError(
                f"{path}: row {row} has the label {value}",
                "every row needs a label; a test split without labels cannot be measured on",
            )
    return [classes[v] if classes else str(v) for v in values], classes


def _integers(file: pyarrow.parquet.ParquetFile, name: str, where: str) -> list[int]:
    import pyarrow as pa

    try:
        column = file.read([name]).column(0)
    except (pa.ArrowException, OSError, IndexError) as error:
        raise _damaged(where, error) from error
    if not pa.types.is_integer(column.type):
        raise DistillError(f"{where}: the column {name} must hold whole numbers")
    return column.to_pylist()


def _pictures(
    file: pyarrow.parquet.ParquetFile, wanted: Mapping[int, int], where: str
) -> Iterator[Picture]:
    """The rows `wanted` (row of the file: index to give it) of the picture column."""
    import pyarrow as pa

    column, row = columns_of(file.schema_arrow, where).image, 0
    try:
        for batch in file.iter_batches(ROWS, columns=[column]):
            values = batch.column(0)
            if pa.types.is_struct(values.type):
                values = values.field("bytes")
            for value in values:
                if row in wanted:
                    yield Picture(wanted[row], f"{where}: row {row}", _bytes(value))
                row += 1
    except (pa.ArrowException, OSError, KeyError) as error:
        raise _damaged(where, error) from error


def _bytes(value: Any) -> bytes | DistillError:
    content = value.as_py()
    if isinstance(content, bytes):
        return content
    return DistillError("it holds no picture", "pictures must be in the file")


def _open(path: Path) -> pyarrow.parquet.ParquetFile:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise _missing("pyarrow", error) from error
    try:
        open_plain(path).close()
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(str(path), error) from error


def _missing(package: str, error: ImportError) -> DistillError:
    return DistillError(f"{package} is not installed: {error}", "pip install 'studentzoo[train]'")


def _damaged(where: str, error: Exception) -> DistillError:
    return DistillError(f"{where} is damaged or not parquet: {error}", "fetch it again")
