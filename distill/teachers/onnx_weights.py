"""An ONNX file with what it keeps beside it: read, looked at, hashed.

Tools write large weights into files of their own (`model.onnx.data`), which the file names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from distill.errors import DistillError
from distill.files import open_plain


class Weights(NamedTuple):
    """What a file consists of."""

    content: bytes  # of the file itself
    beside: tuple[Path, ...]  # files that hold weights, sorted

    @property
    def sha256(self) -> str:
        """Of the file; with weights beside it, of the hashes and names of all of them."""
        own = hashlib.sha256(self.content)
        if not self.beside:
            return own.hexdigest()
        whole = hashlib.sha256(own.digest())
        for path in self.beside:
            with path.open("rb") as file:  # a plain one: `read` looked
                whole.update(path.name.encode() + b"\0")
                whole.update(hashlib.file_digest(file, "sha256").digest())
        return whole.hexdigest()


def read(path: Path) -> Weights:
    """`DistillError` where it is no ONNX file, or where something of it is missing."""
    content = _content(path)
    ends: dict[str, int] = {}
    for tensor in _tensors(_parsed(content, path)):
        told = {entry.key: entry.value for entry in tensor.external_data}
        if tensor.data_location == 1 and "location" in told:  # 1: outside
            end = _number(told.get("offset")) + _number(told.get("length"))
            ends[told["location"]] = max(end, ends.get(told["location"], 0))
    return Weights(content, tuple(_found(path, name, ends[name]) for name in sorted(ends)))


def _content(path: Path) -> bytes:
    try:
        with open_plain(path) as file:
            return file.read()
    except OSError as error:
        raise DistillError(
            f"the teacher {path} cannot be read: {error}",
            "a relative path starts at the working directory",
        ) from error


def _parsed(content: bytes, path: Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError) as error:
        raise DistillError(
            f"the teacher {path} is not an ONNX file that can be run: {error}",
            "is it whole? compare its size with its publisher's; a Git LFS pointer is a few lines",
        ) from error
    if not model.graph.node:
        raise DistillError(f"the teacher {path} is not an ONNX file: it computes nothing")
    return model


def _tensors(model: Any) -> Iterator[Any]:
    """Every constant: of the graph, of the graphs within it, of functions."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from _of_nodes(function.node)


def _of_graph(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[Any]) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for graph in (attribute.g, *attribute.graphs):  # g is empty where there is none
                yield from _of_graph(graph)


def _found(path: Path, name: str, end: int) -> Path:
    """The file beside `path` that it names, with at least `end` bytes."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in name:
        raise DistillError(f"the teacher {path} keeps weights in {name!r}, outside its own folder")
    beside = path.parent / parts
    hint = f"keep {path.name} and {name} in one folder, both as they were written"
    if not beside.is_file():
        raise DistillError(f"the weights of the teacher {path} are in {beside}: no such file", hint)
    size = beside.stat().st_size
    if size < end:
        raise DistillError(f"{beside} is cut: {size} bytes, {path.name} reads {end} of it", hint)
    return beside


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
