"""Foreign graphs: the 8-bit file answers as the float file, or there is one error."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from small_net import NOISE, OTHERS, PICTURES, answers, both, kinds, net, node, off, weights

from compress import int8
from compress.config import Attempt
from compress.errors import CompressError


def gemm(out="logits", inputs=("fl", "gw", "gb"), **settings):
    return node("Gemm", list(inputs), [out], **({"transB": 1} | settings))


@pytest.mark.parametrize(
    "tail",
    [
        [gemm("l"), node("Relu", ["l"], ["logits"])],
        [gemm("l"), node("Relu", ["l"], ["r"]), node("Identity", ["r"], ["logits"])],
        [gemm("l"), node("Clip", ["l", "low", "high"], ["logits"])],
        [
            gemm("l"),
            node("Clip", ["l", "half", "high"], ["c6"]),
            gemm("logits", ("c6", "sq", "gb")),
        ],
        [gemm("l"), node("LeakyRelu", ["l"], ["logits"], alpha=0.1)],
        [gemm("l"), node("HardSigmoid", ["l"], ["logits"])],
        [gemm("l"), node("Softmax", ["l"], ["logits"])],
        [gemm("l"), node("Relu", ["l"], ["r"]), node("Add", ["l", "r"], ["logits"])],
    ],
)
def test_what_follows_the_last_layer_stays(tmp_path, tail):
    limits = {"low": np.float32(-0.05), "high": np.float32(0.1), "half": np.float32(0.05)}
    a, b = both(net(tmp_path / "m.onnx", tail, sq=weights(10, 10), **limits))
    assert off(a, b) < NOISE
    assert a.min() < 0 or b.min() >= 0


def test_relu_that_gives_the_output_is_there(tmp_path):
    tail = [gemm("l"), node("Relu", ["l"], ["logits"])]
    path = net(tmp_path / "m.onnx", tail, gb=weights(10) + np.float32(0.6))
    both(path)
    assert kinds(path.with_suffix(".int8.onnx"))[-1] == "Relu"


@pytest.mark.parametrize(
    "out", ["l", "0", "1", "3", "a", "Z", "10", "x_scale", "fl_quantized", "é/ 名"]
)
def test_output_has_any_legal_name(tmp_path, out):
    a, b = both(net(tmp_path / "m.onnx", [gemm(out)], out))
    assert off(a, b) < NOISE


@pytest.mark.parametrize(
    "kind", ["_scale", "_zero_point", "_quantized", "_DequantizeLinear_Output"]
)
def test_tensors_are_called_as_the_quantizer_would_call_its_own(tmp_path, kind):
    tail = [node("Identity", ["fl"], ["gw" + kind]), gemm(inputs=("gw" + kind, "gw", "gb"))]
    a, b = both(net(tmp_path / "m.onnx", tail))
    assert off(a, b) < NOISE


@pytest.mark.parametrize(
    ("settings", "bias"),
    [
        ({"beta": 0.5}, weights(10) * 5),
        ({"beta": 0.0}, weights(10) * 5),
        ({"alpha": 3.0}, weights(10)),
        ({"alpha": -0.25, "beta": 7.0}, weights(10)),
        ({}, np.array([5], np.float32)),
        ({}, np.float32(5)),
        ({"beta": 2.0}, weights(1, 10)),
        ({}, weights(1, 1)),
        ({"beta": 0.5}, weights(32, 1)),
        ({}, weights(32, 10) * 5),
    ],
)
def test_gemm_has_any_factors_and_any_bias(tmp_path, settings, bias):
    path = net(tmp_path / "m.onnx", [gemm(**settings)], batch=len(OTHERS), gb=bias)
    a, b = both(path)
    assert off(a, b) < NOISE


def test_gemm_without_a_bias_with_its_input_transposed_and_with_weights_either_way(tmp_path):
    tail = [
        gemm("l1", ("fl", "gw")),
        node("Transpose", ["l1"], ["t"], perm=[1, 0]),
        gemm("l2", ("t", "sq"), transA=1, transB=0),
        node("MatMul", ["l2", "sq"], ["l3"]),
        gemm("logits", ("l3", "sq", "gb")),
    ]
    a, b = both(net(tmp_path / "m.onnx", tail, sq=weights(10, 10)))
    assert off(a, b) < 0.03


def test_a_bias_that_two_layers_share_has_the_scale_of_each(tmp_path):
    tail = [gemm("l", ("fl", "big", "gb")), gemm("logits", ("l", "sq", "gb"))]
    constants = {"big": weights(10, 8) * 100, "sq": weights(10, 10), "gb": weights(10) * 9}
    a, b = both(net(tmp_path / "m.onnx", tail, **constants))
    assert off(a, b) < NOISE


@pytest.mark.parametrize("opset", [7, 9, 11, 12])
def test_old_operators_are_raised(tmp_path, opset):
    path = net(tmp_path / "m.onnx", [gemm()], opset=opset)
    a, b = both(path)
    assert off(a, b) < NOISE
    made = onnx.load(str(path.with_suffix(".int8.onnx")))
    assert made.opset_import[0].version >= 13


def test_constants_that_are_listed_as_inputs(tmp_path):
    model = onnx.load(str(net(tmp_path / "m.onnx", [gemm()], opset=9)))
    listed = [
        helper.make_tensor_value_info(i.name, i.data_type, i.dims) for i in model.graph.initializer
    ]
    image = model.graph.input[0]
    inputs = [*listed, image]
    kept = [type(v).FromString(v.SerializeToString()) for v in inputs]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.ir_version = 3
    (tmp_path / "old.onnx").write_bytes(model.SerializeToString())
    a, b = both(tmp_path / "old.onnx")
    assert off(a, b) < NOISE


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_file_of_a_fixed_batch_is_calibrated_by_such_batches(tmp_path, batch):
    path = net(tmp_path / "m.onnx", [gemm()], batch=batch)
    twin = int8.quantize(path, tmp_path / "o.onnx", [np.concatenate([PICTURES] * 2)], Attempt("a"))
    a, b = (answers(p, OTHERS[:batch])[0] for p in (path, twin))
    assert off(a, b) < NOISE


def test_file_that_only_works_for_one_is_calibrated_one_at_a_time(tmp_path):
    tail = [node("Reshape", ["fl", "shape"], ["one"]), gemm(inputs=("one", "gw", "gb"))]
    path = net(tmp_path / "m.onnx", tail, shape=np.array([1, 8]))
    twin = int8.quantize(path, tmp_path / "o.onnx", [PICTURES], Attempt("a"))
    a, b = (answers(p, OTHERS[:1])[0] for p in (path, twin))
    assert off(a, b) < NOISE


def test_constant_nodes_are_weights_too(tmp_path):
    model = onnx.load(str(net(tmp_path / "m.onnx", [gemm()])))
    made = [node("Constant", [], [i.name], value=i) for i in model.graph.initializer]
    nodes = [*made, *model.graph.node]
    kept = [type(n).FromString(n.SerializeToString()) for n in nodes]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(kept)
    (tmp_path / "c.onnx").write_bytes(model.SerializeToString())
    a, b = both(tmp_path / "c.onnx")
    assert off(a, b) < NOISE
    left = onnx.load(str(tmp_path / "c.int8.onnx")).graph.initializer
    assert sum(i.data_type == TensorProto.INT8 and len(i.dims) > 1 for i in left) == 2


def branches(captured):
    """An If whose branches read a tensor of the graph around them."""

    def body(name, op):
        out = helper.make_tensor_value_info(f"{name}.o", TensorProto.FLOAT, None)
        return helper.make_graph([node(op, [captured, captured], [f"{name}.o"])], name, [], [out])

    return node("If", ["yes"], ["i"], then_branch=body("1", "Add"), else_branch=body("0", "Mul"))


@pytest.mark.parametrize("captured", ["l", "r"])
def test_a_tensor_that_a_branch_reads_is_still_there(tmp_path, captured):
    tail = [
        gemm("l"),
        node("Relu", ["l"], ["r"]),
        branches(captured),
        gemm("s", ("r", "sq", "gb")),
        node("Add", ["s", "i"], ["logits"]),
    ]
    a, b = both(net(tmp_path / "m.onnx", tail, yes=np.array(True), sq=weights(10, 10)))
    assert off(a, b) < 0.03


def test_several_outputs_also_such_as_others_read_and_such_as_nothing_makes(tmp_path):
    tail = [gemm("l"), node("Relu", ["l"], ["r"]), gemm("logits", ("r", "sq", "gb"))]
    outputs = ["l", "logits", "z", "gw"]
    path = net(tmp_path / "m.onnx", tail, outputs=outputs, sq=weights(10, 10))
    twin = int8.quantize(path, tmp_path / "o.onnx", [PICTURES], Attempt("a"))
    for a, b in zip(answers(path), answers(twin), strict=True):
        assert off(a, b) < 0.03


def test_two_inputs_are_named(tmp_path):
    model = onnx.load(str(net(tmp_path / "m.onnx", [gemm()])))
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["n", 8]))
    (tmp_path / "two.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(CompressError, match="'image', 'mask'"):
        both(tmp_path / "two.onnx")


def unreadable(kind, folder):
    path = net(folder / "m.onnx", [gemm()])
    if kind == "folder":
        return folder
    if kind == "text":
        path.write_text("<html>not found</html>")
    elif kind == "pointer":
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    elif kind.startswith("cut"):
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * float(kind.removeprefix("cut ")))])
    elif kind == "short weights":
        model = onnx.load(str(path))
        model.graph.initializer[1].raw_data = model.graph.initializer[1].raw_data[:-4]
        path.write_bytes(model.SerializeToString())
    elif kind == "weights beside":
        model = onnx.load(str(path))
        onnx.save(
            model, str(path), save_as_external_data=True, location="far.bin", size_threshold=0
        )
        (folder / "far.bin").unlink()
    elif kind in ("nan", "inf"):
        net(path, [gemm()], gb=np.full(10, float(kind), np.float32))
    return path


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("folder", "folder"),
        ("text", "not an ONNX file"),
        ("pointer", "not an ONNX file"),
        ("cut 0", "not an ONNX file"),
        ("cut 0.3", "not an ONNX file"),
        ("cut 0.99", "not an ONNX file"),
        ("short weights", "gb|b"),
        ("weights beside", r"far\.bin"),
        ("nan", "not finite"),
        ("inf", "not finite"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, kind, named):
    path = unreadable(kind, tmp_path)
    before = set(tmp_path.iterdir())
    with pytest.raises(CompressError, match=named) as caught:
        int8.quantize(path, tmp_path / "o.onnx", [PICTURES], Attempt("a"))
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("place", ["", "a_file/o.onnx", "x" * 300])
def test_where_nothing_can_be_written_it_is_said(tmp_path, place):
    path = net(tmp_path / "m.onnx", [gemm()])
    (tmp_path / "a_file").write_bytes(b"kept")
    with pytest.raises(CompressError, match="cannot write") as caught:
        int8.quantize(path, tmp_path / place, [PICTURES], Attempt("a"))
    assert caught.value.hint
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a_file", "m.onnx"]


def test_examples_that_are_no_arrays_are_said(tmp_path):
    path = net(tmp_path / "m.onnx", [gemm()])
    with pytest.raises(CompressError, match="list"):
        int8.quantize(path, tmp_path / "o.onnx", [PICTURES.tolist()], Attempt("a"))
