from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from compress import codec as codecs
from compress.config import Gates, Rows
from compress.errors import CompressError
from compress.ladder import Judgement
from compress.rows import climb, quantize

CODECS = ("linear", "dynamic-2015", "dynamic-bnb")
GOOD = Judgement(0.9, 0.99, 0.1, 0.7, 0.69, 0.71)
BAD = Judgement(0.8, 0.90, 10.0, 1.2, 1.1, 1.3)
ROWS, DIM, CLASSES = 500, 8, 5


def net(tables=1):
    """Codes are rows of the table; each text's rows are summed and divided by their number."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(ROWS, DIM)) * 10 ** rng.uniform(-2, 1, (ROWS, 1))
    table[0] = 0
    weight = rng.normal(size=(CLASSES, DIM)) * 10 ** rng.uniform(-1, 1, (CLASSES, 1))
    arrays = {
        "table": table.astype("f4"),
        "weight": weight.astype("f4"),
        "bias": rng.normal(size=CLASSES).astype("f4"),
        "axis": np.array([1]),
        "last": np.array([-1]),
        "zero": np.int32(0),
    }
    node = helper.make_node
    nodes = [
        node("Greater", ["codepoints", "zero"], ["counts"]),
        node("Cast", ["counts"], ["ones"], to=TensorProto.FLOAT),
        node("ReduceMean", ["ones", "last"], ["mean"]),
        node("Div", ["ones", "mean"], ["weights"]),
        node("Gather", ["table", "codepoints"], ["rows"]),
        node("Unsqueeze", ["weights", "axis"], ["row"]),
        *[node("MatMul", ["row", "rows"], [f"sum{i}"]) for i in range(tables)],
        node("Flatten", ["sum0"], ["text"]),
        node("Gemm", ["text", "weight", "bias"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("codepoints", TensorProto.INT32, ["n", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", CLASSES])],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    model.metadata_props.add(key="studentzoo.name", value="net")
    return model


@pytest.fixture
def source(tmp_path):
    onnx.save(net(), str(tmp_path / "fp32.onnx"))
    return tmp_path / "fp32.onnx"


def texts():
    return np.random.default_rng(1).integers(1, ROWS, (20, 12)).astype(np.int32)


def run(path, batch):
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"codepoints": batch})[0]


def kinds(path, folder):
    """Operators that onnxruntime runs after its own folding, and the constants it keeps."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "fast.onnx")
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    graph = onnx.load(str(folder / "fast.onnx")).graph
    return Counter(n.op_type for n in graph.node), {
        i.name: numpy_helper.to_array(i) for i in graph.initializer
    }


def stored(path):
    model = onnx.load(str(path))
    return {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}


@pytest.mark.parametrize("codec", CODECS)
def test_the_file_computes_with_the_numbers_that_the_codec_gives(source, tmp_path, codec):
    out = quantize(source, tmp_path / "int8.onnx", codec)
    model = net()
    for init in model.graph.initializer:
        array, kind = numpy_helper.to_array(init), {"table": codec, "weight": "linear"}
        if init.name in kind:
            rounded = codecs.decode(codecs.encode(array, kind[init.name]), kind[init.name])
            if (init.name, codec) == ("table", "linear"):
                codes, scale = codecs.encode_whole(array)
                rounded = ((codes.astype("f4") - codecs.ZERO) * scale).astype("f4")
            init.CopyFrom(numpy_helper.from_array(rounded, init.name))
    onnx.save(model, str(tmp_path / "rounded.onnx"))
    wanted = run(tmp_path / "rounded.onnx", texts())
    assert np.abs(run(out, texts()) - wanted).max() <= 1e-5 * np.abs(wanted).max()
    assert np.abs(run(source, texts()) - wanted).max() <= 0.05 * np.abs(wanted).max()


@pytest.mark.parametrize("codec", CODECS)
def test_the_file_is_valid_small_and_keeps_metadata_and_contract(source, tmp_path, codec):
    out = quantize(source, tmp_path / "int8.onnx", codec)
    model = onnx.load(str(out))
    onnx.checker.check_model(model, full_check=True)
    assert {p.key: p.value for p in model.metadata_props} == {"studentzoo.name": "net"}
    assert [i.name for i in model.graph.input] == ["codepoints"]
    values = stored(out)
    assert (values["table"].dtype, values["weight"].dtype) == (np.uint8, np.int8)
    scales = ("table.scale", np.float32) if codec == "linear" else ("table.scales", np.float16)
    assert values[scales[0]].dtype == scales[1]
    assert values["weight.scales"].dtype == np.float16
    assert out.stat().st_size < ROWS * (DIM + 2) + 4000


def test_linear_rows_stay_bytes_in_memory_and_one_operator_makes_them_floats(source, tmp_path):
    before, _ = kinds(source, tmp_path)
    found, values = kinds(quantize(source, tmp_path / "int8.onnx", "linear"), tmp_path)
    shapes = {(v.dtype.name, v.shape) for v in values.values()}
    assert ("uint8", (ROWS, DIM)) in shapes
    assert ("float32", (ROWS, DIM)) not in shapes
    assert ("float32", (CLASSES, DIM)) in shapes
    assert found - before == Counter({"DequantizeLinear": 1})
    assert before - found == Counter()


@pytest.mark.parametrize("codec", CODECS[1:])
def test_dynamic_rows_are_floats_once_loaded_and_no_operator_is_added(source, tmp_path, codec):
    before, _ = kinds(source, tmp_path)
    after, values = kinds(quantize(source, tmp_path / "int8.onnx", codec), tmp_path)
    assert after == before
    assert ("float32", (ROWS, DIM)) in {(v.dtype.name, v.shape) for v in values.values()}


def test_every_codec_is_measured_and_the_first_that_passes_wins(source, tmp_path):
    answers = {"linear": BAD, "dynamic-2015": GOOD, "dynamic-bnb": GOOD}
    climbed = climb(source, tmp_path / "out", Rows(), Gates(), lambda path: answers[path.stem])
    assert [(t.name, t.verdict) for t in climbed.attempts] == [
        ("linear", "fail"),
        ("dynamic-2015", "pass"),
        ("dynamic-bnb", "pass"),
    ]
    assert climbed.winner == tmp_path / "out" / "dynamic-2015.onnx"
    assert all(t.settings == {"codec": t.name} and t.size_bytes for t in climbed.attempts)
    assert "drop" in climbed.attempts[0].reason


def test_no_codec_passes_and_there_is_no_winner(source, tmp_path):
    climbed = climb(source, tmp_path / "out", Rows(("linear",)), Gates(), lambda path: BAD)
    assert climbed.winner is None
    assert len(climbed.attempts) == 1


def test_a_codec_that_cannot_be_judged_is_an_error_and_the_others_are_tried(source, tmp_path):
    def judge(path):
        if path.stem == "linear":
            raise CompressError("it does not run", "look again")
        return GOOD

    climbed = climb(source, tmp_path / "out", Rows(), Gates(), judge)
    assert [t.verdict for t in climbed.attempts] == ["error", "pass", "pass"]
    assert climbed.attempts[0].reason == "it does not run"


@pytest.mark.parametrize("kind", ["missing", "not onnx", "two tables", "no table", "infinite"])
def test_a_file_without_one_table_of_rows_is_one_error(tmp_path, kind):
    path, model = tmp_path / "m.onnx", net(2 if kind == "two tables" else 1)
    table = model.graph.initializer[0]
    if kind == "no table":
        table.CopyFrom(numpy_helper.from_array(np.zeros((ROWS, DIM), np.float16), "table"))
    if kind == "infinite":
        table.CopyFrom(numpy_helper.from_array(np.full((ROWS, DIM), np.inf, "f4"), "table"))
    if kind == "not onnx":
        path.write_bytes(b"no model")
    elif kind != "missing":
        path.write_bytes(model.SerializeToString())
    with pytest.raises(CompressError) as error:
        quantize(path, tmp_path / "int8.onnx", "linear")
    assert error.value.hint
    assert not (tmp_path / "int8.onnx").exists()


def test_the_same_file_gives_the_same_bytes(source, tmp_path):
    files = [quantize(source, tmp_path / f"{i}.onnx", "linear") for i in range(2)]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("codecs", [(), ("linear", "linear"), ("bnb",)])
def test_codecs_that_cannot_be_tried_are_refused(codecs):
    with pytest.raises(ValueError, match="codecs"):
        Rows(codecs)


def test_a_file_that_answers_otherwise_is_not_written(tmp_path):
    """Weights of one row whose columns are unlike: 8 bits with one scale hold the largest alone."""
    model = net()
    weight = next(i for i in model.graph.initializer if i.name == "weight")
    table = next(i for i in model.graph.initializer if i.name == "table")
    wide = numpy_helper.to_array(weight).copy()
    wide[:, 0] = 6e4
    rows = numpy_helper.to_array(table).copy()
    rows[:, 0] = 0
    weight.CopyFrom(numpy_helper.from_array(wide, "weight"))
    table.CopyFrom(numpy_helper.from_array(rows, "table"))
    onnx.save(model, str(tmp_path / "fp32.onnx"))
    with pytest.raises(CompressError, match="change the answers") as caught:
        quantize(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", "linear")
    assert caught.value.hint
    assert [p.name for p in tmp_path.iterdir()] == ["fp32.onnx"]
