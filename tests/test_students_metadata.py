"""What a file says of itself is read as onnxruntime reads it, and nonsense stops nobody."""

from __future__ import annotations

import time
from pathlib import Path

import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.students import metadata

EMBEDDED = Path(metadata.__file__).parents[1] / "embedded"
FILES = sorted(EMBEDDED.glob("*/*.onnx"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_it_is_what_onnxruntime_reads(path: Path) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert metadata.read(path) == session.get_modelmeta().custom_metadata_map
    assert metadata.read(path)["studentzoo.task"]


@given(st.dictionaries(st.text(max_size=40), st.text(max_size=400), max_size=6))
def test_any_key_and_text_come_back(tmp_path: Path, told: dict[str, str]) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.ModelProto(ir_version=9, producer_name="x" * 200)
    onnx.helper.set_model_props(model, told)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    assert metadata.read(path) == told


@given(st.binary(max_size=300), st.integers(0, 3000), st.integers(0, 255))
def test_broken_bytes_are_no_error(
    files: Path, tmp_path: Path, end: bytes, cut: int, byte: int
) -> None:
    whole = (files / "tiny" / "model.int8.onnx").read_bytes()
    path = tmp_path / "broken.onnx"
    for data in (end, whole[:cut], whole[:cut] + bytes([byte]) + end):
        path.write_bytes(data)
        assert isinstance(metadata.read(path), dict)


def test_a_length_beyond_the_end_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "long.onnx"
    path.write_bytes(b"\x72" + b"\xff" * 8 + b"\x01")  # field 14 of 2^63 bytes
    assert metadata.read(path) == {}
    assert metadata.read(tmp_path / "nothing.onnx") == {}


@pytest.mark.parametrize("byte", [b"\0", b"\x72\0", b"\x08\x01"])
def test_what_is_no_model_is_soon_given_up(byte: bytes, tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    path.write_bytes(byte * 5_000_000)
    began = time.thread_time()
    metadata.read(path)
    assert time.thread_time() - began < 2  # seconds; field by field to the end it would be 5
