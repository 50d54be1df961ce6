"""What an ONNX file says of itself, read without its graph and without onnxruntime.

An ONNX file is a protobuf message (`onnx.proto`, ModelProto): fields of which each tells its number
and its length. The metadata are the fields 14; all others, the graph among them, are jumped over.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from zoo.files import open_plain

_PROPERTIES, _KEY, _VALUE = 14, 1, 2  # of ModelProto; of StringStringEntryProto
_SIZES = {1: 8, 5: 4}  # wire type -> bytes
_MAX_FIELDS = 10_000  # a model has some thirty; what has more is none
_MAX_BYTES = 1 << 24  # of one property; a longer one is not read


def read(path: Path) -> dict[str, str]:
    """The metadata of the file by key; of what is no whole ONNX file, what could be read."""
    found: dict[str, str] = {}
    try:
        with open_plain(path) as file:
            for _, data in _fields(file, (_PROPERTIES,)):
                pair = {n: text.decode() for n, text in _fields(io.BytesIO(data), (_KEY, _VALUE))}
                found[pair.get(_KEY, "")] = pair.get(_VALUE, "")
    except (EOFError, OSError, ValueError):
        pass  # whoever opens it says what is wrong
    return found


def how_to_add(path: Path, values: Mapping[str, str]) -> str:
    """A command that puts metadata into a file; `values` are key -> Python that makes the text."""
    import shlex

    pairs = ", ".join(f'"{key}": {value}' for key, value in values.items())
    code = (
        "import json, onnx, sys; p = sys.argv[1]; m = onnx.load(p); "
        f"[m.metadata_props.add(key=k, value=v) for k, v in {{{pairs}}}.items()]; onnx.save(m, p)"
    )
    return f"python -c {shlex.quote(code)} {shlex.quote(str(path))}"


def _fields(file: BinaryIO, wanted: Collection[int]) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of the `wanted` fields."""
    end = file.seek(0, 2)
    file.seek(0)
    for _ in range(_MAX_FIELDS):
        if file.tell() == end:
            return
        number, kind = divmod(_varint(file), 8)
        if number == 0:  # there is none
            raise EOFError
        size = _varint(file) if kind in (0, 2) else _SIZES.get(kind, end)
        if kind == 0:  # that was its value
            continue
        if size > end - file.tell():
            raise EOFError
        if number in wanted and size <= _MAX_BYTES:
            yield number, file.read(size)
        else:
            file.seek(size, 1)


def _varint(file: BinaryIO) -> int:
    """A whole number, 7 bits a byte, the lowest first."""
    value = 0
    for shift in range(0, 70, 7):
        byte = (file.read(1) or b"\x80")[0]  # after the end no number ends
        value |= byte % 128 << shift
        if byte < 128:
            return value
    raise EOFError
