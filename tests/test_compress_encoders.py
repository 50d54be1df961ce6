"""Text encoders: tables in 8 bits, and what of an answer counts."""

import logging

import numpy as np
import onnx
import onnxruntime as ort
from foreign_nets import Net, saved
from onnx import TensorProto, numpy_helper
from small_net import COARSER

import compress
from compress import dynamic
from compress.answers import counted
from compress.foreign import FileGates, Speed

WORDS, WIDTH = 2048, 32  # 65,536 numbers


def tables(words=WORDS):
    """Rows of unlike size that a Gather looks up, and a product."""
    net = Net()
    rows = net.rng.normal(size=(words, WIDTH)) * 10 ** net.rng.uniform(-2, 1, (words, 1))
    x = net.node("Gather", [net.constant(rows.astype("f4")), "input"], axis=0)
    weight = net.rng.normal(size=(WIDTH, 16)) * 10 ** net.rng.uniform(-1, 1, (1, 16))
    output = net.node("MatMul", [x, net.constant(weight.astype("f4"))])
    return net.model(output, ["n"], TensorProto.INT64)


def answers(path, given):
    return ort.InferenceSession(str(path)).run(None, {"input": given})[0]


def test_a_table_has_a_scale_for_each_row_and_a_product_for_each_output(tmp_path):
    path = saved(tables(), tmp_path / "m.onnx")
    made = dynamic.quantize(path, tmp_path / "q.onnx", dynamic.LADDER[0])
    kept = [numpy_helper.to_array(i) for i in onnx.load(made).graph.initializer]
    assert {(a.dtype.name, a.shape) for a in kept} >= {
        ("uint8", (WORDS, WIDTH)),
        ("float16", (WORDS, 1)),
        ("int8", (WIDTH, 16)),
    }
    assert 16 in [a.size for a in kept if a.dtype == np.float32]  # scales of the product
    for word in range(12):  # a scale for all rows would make nothing of the small ones
        wanted, got = (answers(each, np.array([word])) for each in (path, made))
        assert np.linalg.norm(got - wanted) < 0.03 * COARSER * np.linalg.norm(wanted)


def test_a_small_table_and_one_that_others_read_stay(tmp_path):
    model = tables(WORDS // 2)
    assert dynamic.embed(model) == []
    shared = tables()
    shared.graph.node.append(onnx.helper.make_node("Identity", ["w0"], ["again"]))
    shared.graph.output.append(onnx.helper.make_empty_tensor_value_info("again"))
    assert dynamic.embed(shared) == []


def test_padding_does_not_count():
    answer = np.ones((2, 3, 4), np.float32)
    answer[1, 2] = np.nan
    mask = np.array([[1, 1, 0], [1, 1, 0]])
    found = counted(answer, {"attention_mask": mask})
    assert found.sum() == 16 and np.isfinite(found).all() and answer[0, 2, 0] == 1
    for other, feed in (
        (answer, {"mask": mask}),
        (answer, {"attention_mask": mask[:, :2]}),
        (answer[:, 0], {"attention_mask": mask[:, :2]}),  # an answer for the whole text
    ):
        assert counted(other, feed) is other


def loud(seed=0):
    """A product: one channel that it reads is 100 times louder than others, and says nothing."""
    net = Net(seed)
    weight = net.rng.normal(size=(256, 64)).astype("f4")
    weight[7] *= 1e-3
    output = net.node("MatMul", ["input", net.constant(weight)])
    model = net.model(output, ["n", 4, 256])
    model.graph.output[0].type.tensor_type.ClearField("shape")
    x = net.rng.normal(size=(24, 4, 256)).astype("f4")
    x[..., 7] *= 100
    return model, x


def test_weights_in_blocks_keep_what_one_loud_channel_drowns(tmp_path):
    model, x = loud()
    path = saved(model, tmp_path / "m.onnx")
    off = {}
    for settings in dynamic.LADDER:
        made = dynamic.quantize(path, tmp_path / f"{settings.name}.onnx", settings)
        got, wanted = answers(made, x), answers(path, x)
        off[settings.name] = np.linalg.norm(got - wanted) / np.linalg.norm(wanted)
        assert made.stat().st_size < 0.45 * path.stat().st_size
    assert off["weights-blocked"] < 0.6 * off["dynamic"]


def test_the_attempt_in_blocks_is_made_where_the_others_fail_and_leaves_logging_alone(tmp_path):
    model, x = loud()
    path, root = saved(model, tmp_path / "m.onnx"), logging.getLogger()
    before = root.handlers[:], root.level, root.manager.disable
    fast = Speed(0.5, 0.48, 0.52, 1.0, 0.99, 1.01, 2.0, 1.0)
    report = compress.compress(
        path, x, out=tmp_path / "q.onnx", speed=lambda path: fast, gates=FileGates(0.5, 0.9)
    )
    assert (root.handlers[:], root.level, root.manager.disable) == before
    verdicts = {tried.name: tried.verdict for tried in report.attempts}
    assert verdicts == {"dynamic": "fail", "dynamic-matmul": "fail", "weights-blocked": "pass"}
    assert answers(report.path, x).shape == answers(path, x).shape
