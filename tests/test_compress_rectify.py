"""A Relu beside other readers of its input runs on bytes; constant factors stay exact."""

from collections import Counter

import numpy as np
import onnxruntime as ort
import pytest
from foreign_nets import SIDE, Net, photos, planes, saved

from compress import graph, int8
from compress.config import Attempt
from compress.qdq import whole_step
from compress.rectify import shared

PICTURES = planes(photos(24))
CHANNELS = 8


def forked(relus=1):
    """What so many Relus and a pool read, in sums that end in a classifier."""
    net = Net()
    net.conv("input", 3, CHANNELS, relu=None)
    net.nodes[-1].output[:] = ["state"]
    x = net.node("MaxPool", ["state"], kernel_shape=[3, 3], pads=[1] * 4, strides=[1, 1])
    for _ in range(relus):
        y = net.conv(net.node("Relu", ["state"]), CHANNELS, CHANNELS, group=CHANNELS, relu=None)
        x = net.node("Add", [x, y])
    x = net.node("Flatten", [net.node("GlobalAveragePool", [x])])
    weight = net.constant(net.rng.normal(size=(CHANNELS, 4)).astype("f4"))
    return net.model(net.node("Gemm", [x, weight]), ["n", 3, SIDE, SIDE])


def made(model, folder):
    """The 8-bit file and the operators that onnxruntime makes of it."""
    path = folder / "int8.onnx"
    int8.make(saved(model, folder / "fp32.onnx"), path, [PICTURES], Attempt("minmax"))
    options, seen = ort.SessionOptions(), folder / "seen.onnx"
    options.optimized_model_filepath, options.log_severity_level = str(seen), 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return graph.read(path), Counter(node.op_type for node in graph.read(seen).graph.node)


@pytest.mark.parametrize("relus", [1, 2])
def test_a_relu_beside_other_readers_is_a_clip_of_bytes(tmp_path, relus):
    model, seen = made(forked(relus), tmp_path)
    clips = [node for node in model.graph.node if node.op_type == "Clip"]
    assert len(clips) == relus and not any(node.op_type == "Relu" for node in model.graph.node)
    assert seen["Clip"] >= 1 and seen["Relu"] == 0
    assert seen["QuantizeLinear"] == 1 and not seen["DequantizeLinear"]  # the picture


def test_the_bytes_are_those_of_a_relu_between_two_roundings(tmp_path):
    model, _ = made(forked(), tmp_path)
    clip = next(node for node in model.graph.node if node.op_type == "Clip")
    for name in (clip.input[0], clip.output[0]):
        model.graph.output.add().name = name
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    _, before, after = session.run(None, {"input": PICTURES})
    zero = graph.constants(model)[clip.input[1]]
    assert before.dtype == after.dtype == np.uint8 and before.min() < zero < before.max()
    floats = (before.astype(np.float32) - zero).clip(0)
    assert np.array_equal(after, np.round(floats) + zero)


def test_a_relu_takes_the_range_of_its_input():
    model = forked()
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    known = {"state": (-2.0, 3.0), relu.output[0]: (0.0, 3.0), "other": (0.0, 1.0)}
    assert shared(model, known) == known | {relu.output[0]: (-2.0, 3.0)}
    assert shared(model, known, stay={relu.name}) == known


def test_a_relu_that_is_alone_keeps_its_own_range():
    model = forked()
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    known = {relu.output[0]: (0.0, 3.0)}  # its input is folded into it, and has none
    assert shared(model, known) == known


def test_what_copies_a_relu_follows_it():
    net = Net()
    net.conv("input", 3, CHANNELS, relu=None)
    net.nodes[-1].output[:] = ["state"]
    halves = net.node("Split", [net.node("Relu", ["state"])], axis=1, num_outputs=2)
    net.nodes[-1].output.append("second")
    model = net.model(net.node("Concat", [halves, "second", "state"], axis=1), ["n", 3, SIDE, SIDE])
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    own = dict.fromkeys((relu.output[0], halves, "second"), (0.0, 3.0))
    found = shared(model, {"state": (-2.0, 3.0)} | own)
    assert set(found.values()) == {(-2.0, 3.0)}


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([1, 1.5, 2.25], 0.25),
        ([0.5], 0.5),
        ([2, 3], 1),
        ([1, 2.5, 6.25], 0.25),
        ([1, np.pi], None),
        ([0, 1], None),
        ([-1, 1], None),
        ([1, np.inf], None),
        ([], None),
    ],
)
def test_numbers_that_lie_on_one_step_have_it(values, step):
    found = whole_step(np.array(values, np.float32))
    assert found == step and (step is None or found.dtype == np.float32)


def test_constant_factors_stay_exact_in_eight_bits(tmp_path):
    net = Net()
    x = net.conv("input", 3, CHANNELS)
    factors = np.full((1, 1, SIDE, SIDE), 1, np.float32)
    factors[..., 0, :], factors[..., 0] = 1.5, 2.25
    x = net.node("Mul", [x, net.constant(factors)])
    model, _ = made(net.model(net.classify(x, CHANNELS, 4), ["n", 3, SIDE, SIDE]), tmp_path)
    values = graph.constants(model)
    kept = next(
        node
        for node in model.graph.node
        if node.op_type == "DequantizeLinear"
        and node.input[0] in values
        and values[node.input[0]].shape == factors.shape
    )
    bytes_, scale = values[kept.input[0]], values[kept.input[1]]
    assert np.array_equal(bytes_ * scale, factors)
