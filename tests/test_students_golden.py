"""The golden self-test of any input and output: equal is equal, and nonsense is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.errors import InputError
from zoo.students.golden import golden

onnx = pytest.importorskip("onnx")

TYPES = {"uint8": 2, "int64": 7, "float32": 1, "float64": 11, "int32": 6}


def echo(folder: Path, values: np.ndarray, **told: Any) -> Path:
    """A file that gives its input back, and golden outputs for it."""
    kind = TYPES[str(values.dtype)]
    shape = ["n", *values.shape[1:]]
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    ends = [onnx.helper.make_tensor_value_info(name, kind, shape) for name in "xy"]
    graph = onnx.helper.make_graph([node], "echo", ends[:1], ends[1:])
    opset = [onnx.helper.make_opsetid("", 20)]
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=opset, ir_version=9), folder / "model.fp32.onnx"
    )
    arrays = {"inputs": values, "fp32": values, "tolerance_fp32": np.float32(0.5)} | told
    np.savez(folder / "golden.npz", **arrays)
    return folder


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_any_type_of_number_is_compared(kind: str, tmp_path: Path) -> None:
    values = np.array([[0, 1], [2, 3]], kind)
    verdict = golden(echo(tmp_path, values), "fp32")
    assert (verdict.ok, verdict.max_difference, verdict.agreement) == (True, 0.0, 1.0)
    other = golden(echo(tmp_path, values, fp32=values + np.array([[0], [1]], kind)), "fp32")
    assert (other.ok, other.max_difference, other.agreement) == (False, 1.0, 0.5)


def test_bytes_that_differ_by_one_are_not_255_apart(tmp_path: Path) -> None:
    values = np.array([[0, 255]], np.uint8)
    told = golden(echo(tmp_path, values, fp32=np.array([[1, 254]], np.uint8)), "fp32")
    assert told.max_difference == 1.0


def test_what_is_equal_and_no_number_is_no_difference(tmp_path: Path) -> None:
    values = np.array([[np.nan, -np.inf, np.inf, 1.0]], np.float32)
    assert golden(echo(tmp_path, values), "fp32").ok
    finite = np.nan_to_num(values, nan=0, neginf=0, posinf=0)
    assert not golden(echo(tmp_path, values, fp32=finite), "fp32").ok


@pytest.mark.parametrize(
    "told",
    [
        {"tolerance_fp32": np.float32(np.inf)},
        {"tolerance_fp32": np.float32(np.nan)},
        {"tolerance_fp32": np.float32(-1)},
        {"tolerance_fp32": np.ones(2, np.float32)},
        {"tolerance_fp32": np.array("much")},
        {"fp32": np.array([["a", "b"]])},
        {"fp32": np.zeros((1, 0), np.float32)},
        {"fp32": np.zeros((2, 2), np.float32)},
        {"inputs": np.zeros((0, 2), np.float32)},
        {"inputs": np.zeros((1, 2), np.complex64)},
    ],
)
def test_golden_vectors_that_mean_nothing_are_one_error(
    told: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"golden\.npz"):
        golden(echo(tmp_path, np.zeros((1, 2), np.float32), **told), "fp32")


def test_a_flipped_byte_of_golden_vectors_is_one_error(tmp_path: Path) -> None:
    values = np.arange(4000, dtype=np.float32)[None]
    np.savez_compressed(
        echo(tmp_path, values) / "golden.npz",
        inputs=values,
        fp32=values,
        tolerance_fp32=np.float32(1),
    )
    whole = (tmp_path / "golden.npz").read_bytes()
    for place in range(60, len(whole) - 60, 97):
        (tmp_path / "golden.npz").write_bytes(
            whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :]
        )
        try:
            golden(tmp_path, "fp32")
        except InputError as problem:
            assert "golden.npz" in str(problem)
