"""Anybody's ONNX file to 8 bits from Python: what passes, what is refused and why."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from foreign_nets import SIDE, Net, classifier, halved, photos, planes, saved
from onnx import TensorProto, helper, numpy_helper

import compress
from compress.errors import CompressError
from compress.foreign import FileGates, Speed
from compress.judge import RANDOM

FAST = Speed(0.5, 0.48, 0.52, 1.0, 0.99, 1.01, 2.0, 1.0)
PICTURES = planes(photos(90))


def speed(path):
    return FAST


def answers(path, x, name="input"):
    return ort.InferenceSession(str(path)).run(None, {name: x})[0]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("foreign")
    path = saved(classifier(), folder / "m.onnx")
    report = compress.compress(path, PICTURES, out=folder / "q.onnx", speed=speed)
    return path, report


def test_an_exported_network_passes_and_is_written(made):
    path, report = made
    assert report.winner.name == "minmax" and report.refused == ""
    assert report.path.stat().st_size < 0.5 * path.stat().st_size
    assert report.winner.agreement.kind == "top-1" and report.winner.agreement.low > 0.8
    assert report.calibrated_on + report.judged_on == len(PICTURES)


def test_the_float_file_was_rewritten_and_proved_equal_first(made):
    _, report = made
    assert report.left_out == {} and report.off < 1e-4


def test_the_result_has_no_shuffle_and_computes_no_shape_of_it(made):
    nodes = list(onnx.load(made[1].path).graph.node)
    kinds = [node.op_type for node in nodes]
    assert not {"Reshape", "Transpose", "ReduceMean"} & set(kinds)
    (planes,) = (node for node in nodes if node.op_type == "Gather")
    assert next(n.op_type for n in nodes if planes.input[0] in n.output) == "QuantizeLinear"
    assert kinds.count("Conv") == 6


def test_the_result_is_called_as_the_file_that_came_in(made):
    path, report = made
    old, new = (ort.InferenceSession(str(p)) for p in (path, report.path))
    for a, b in ((old.get_inputs(), new.get_inputs()), (old.get_outputs(), new.get_outputs())):
        assert [(v.name, v.type) for v in a] == [(v.name, v.type) for v in b]
    wanted, got = (answers(p, PICTURES) for p in (path, report.path))
    assert np.linalg.norm(got - wanted) < 0.1 * np.linalg.norm(wanted)
    np.testing.assert_array_equal(answers(report.path, PICTURES[:1]), got[:1])


def test_channels_last_and_a_fixed_batch_are_read(tmp_path):
    path = saved(classifier("NHWC", batch=1), tmp_path / "m.onnx")
    rows = PICTURES.transpose(0, 2, 3, 1)
    report = compress.compress(path, rows, out=tmp_path / "q.onnx", speed=speed)
    assert report.winner and answers(report.path, rows[:1]).shape == (1, 4)


def test_float16_stays_at_the_ends(tmp_path):
    path = saved(halved(classifier()), tmp_path / "m.onnx")
    report = compress.compress(path, PICTURES, out=tmp_path / "q.onnx", speed=speed)
    assert report.winner and "float16 was made float32" in report.notes
    assert answers(report.path, PICTURES[:2].astype("f2")).dtype == np.float16


def test_any_size_becomes_the_examples_size_and_is_said(tmp_path):
    model = classifier()
    for k in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[k].dim_param = "side"
    path = saved(model, tmp_path / "m.onnx")
    report = compress.compress(path, PICTURES, out=tmp_path / "q.onnx", speed=speed)
    assert report.winner
    assert report.notes == (
        f"input 'input' takes 3 x {SIDE} x {SIDE} only, where it took any size",
    )


def test_weights_beside_the_file_are_read(tmp_path):
    onnx.save(
        classifier(),
        str(tmp_path / "m.onnx"),
        save_as_external_data=True,
        location="m.bin",
        size_threshold=0,
    )
    report = compress.compress(tmp_path / "m.onnx", PICTURES, out=tmp_path / "q.onnx", speed=speed)
    assert report.winner and report.size_bytes > (tmp_path / "m.bin").stat().st_size


def test_labels_make_accuracy_a_gate(tmp_path):
    path = saved(classifier(), tmp_path / "m.onnx")
    labels = answers(path, PICTURES).argmax(1)
    report = compress.compress(
        path, PICTURES, out=tmp_path / "q.onnx", speed=speed, labels=labels, gates=FileGates(5)
    )
    assert report.winner.accuracy.before == 1.0 and report.winner.accuracy.drop_points <= 5


def refused(tmp_path, **more):
    path = saved(classifier(), tmp_path / "m.onnx")
    given = {"speed": speed} | more
    report = compress.compress(path, PICTURES, out=tmp_path / "q.onnx", **given)
    assert report.path is None and not (tmp_path / "q.onnx").exists()
    return report


@pytest.mark.parametrize("high", [1.0, 1.2])
def test_a_file_that_may_be_slower_is_refused(tmp_path, high):
    slow = Speed(0.99, 0.9, high, 1.0, 0.99, 1.01, 2.0, 2.0)
    report = refused(tmp_path, speed=lambda path: slow)
    assert [tried.name for tried in report.attempts][-2:] == ["percentile-float4", "careful"]
    assert f"may be {high:.3f}, not < 1.000" in report.attempts[0].reason


def test_nothing_safer_is_tried_where_the_fastest_is_too_slow(tmp_path):
    slow = Speed(1.2, 1.1, 1.3, 1.0, 0.99, 1.01, 2.0, 2.4)
    assert len(refused(tmp_path, speed=lambda path: slow).attempts) == 1


def spiked():
    """A network with a channel that is 0 but for one pixel of one picture that calibrates: 400."""
    net = Net()
    x = net.conv(net.conv("input", 3, 16, 1), 16, 16)
    model = net.model(net.classify(net.conv(x, 16, 16), 16, 4), ["n", 3, SIDE, SIDE])
    values = [numpy_helper.to_array(c).copy() for c in net.constants[:3]]
    values[0][0], values[1][0], values[2][:, 0] = 400, -800, 0
    for k, array in enumerate(values):
        model.graph.initializer[k].raw_data = array.tobytes()
    pictures = PICTURES[:60] / 2
    pictures[9, :, 5, 5] = 1
    return model, pictures


def small_is_fast(path):
    ratio = path.stat().st_size / 50_000
    return Speed(ratio, ratio, ratio, 1.0, 0.99, 1.01, 2.0, 2 * ratio)


def test_where_layers_stay_in_float_other_ranges_are_tried_and_the_fastest_is_taken(tmp_path):
    model, pictures = spiked()
    path = saved(model, tmp_path / "m.onnx")
    report = compress.compress(
        path, pictures, out=tmp_path / "q.onnx", speed=small_is_fast, gates=FileGates(5, 0.5)
    )
    first, *_, last = report.attempts
    assert first.verdict == "pass" and first.settings["float_nodes"]
    assert report.winner is last and not last.settings["float_nodes"]
    assert report.path.stat().st_size == last.size_bytes < first.size_bytes


def test_agreement_that_few_examples_cannot_show_is_refused(tmp_path):
    report = refused(tmp_path, gates=FileGates(min_agreement=0.999))
    assert "give more examples" in report.refused or "<" in report.refused


def test_random_examples_pass_no_gate(tmp_path):
    report = refused(tmp_path, real=False)
    assert [tried.verdict for tried in report.attempts] == ["fail"]
    assert RANDOM in report.refused and report.attempts[0].speed == FAST


def test_one_example_is_too_few(tmp_path):
    path = saved(classifier(), tmp_path / "m.onnx")
    with pytest.raises(CompressError, match="one example"):
        compress.compress(path, PICTURES[:1], out=tmp_path / "q.onnx", speed=speed)


@pytest.mark.parametrize(
    "examples", [PICTURES[:, :1], PICTURES.astype("f8").tolist(), PICTURES[:, :, :5]]
)
def test_examples_of_another_shape_are_one_error(tmp_path, examples):
    path = saved(classifier(), tmp_path / "m.onnx")
    with pytest.raises(CompressError, match=r"an example of input 'input' is"):
        compress.compress(
            path,
            [np.array(row, "S4") if isinstance(row, list) else row for row in examples],
            out=tmp_path / "q.onnx",
            speed=speed,
        )


def odd(change):
    model = classifier()
    change(model)
    return model


def with_domain(model):
    model.graph.node[0].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def with_dice(model):
    model.graph.node.append(helper.make_node("RandomNormal", [], ["dice"], shape=[1]))


def in_eight_bits(model):
    model.graph.node.append(helper.make_node("DynamicQuantizeLinear", ["output"], ["a", "b", "c"]))


def of_texts(model):
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (with_domain, "other domains: com.example.Conv"),
        (with_dice, "by chance: RandomNormal"),
        (in_eight_bits, "8 bits already"),
        (of_texts, "is string"),
    ],
)
def test_what_is_not_read_is_refused_by_name(tmp_path, change, said):
    path = tmp_path / "m.onnx"
    path.write_bytes(odd(change).SerializeToString())
    with pytest.raises(CompressError, match=said):
        compress.compress(path, PICTURES, out=tmp_path / "q.onnx", speed=speed)
    assert not (tmp_path / "q.onnx").exists()


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"PK\x03\x04 not a model"])
def test_hostile_bytes_are_one_error(tmp_path, content):
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(CompressError, match="not an ONNX file"):
        compress.compress(tmp_path / "m.onnx", PICTURES, out=tmp_path / "q.onnx", speed=speed)


def test_more_than_2_gb_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "m.onnx"
    with path.open("wb") as file:
        file.truncate(2**31 + 1)
    with pytest.raises(CompressError, match="bytes"):
        compress.compress(path, PICTURES, out=tmp_path / "q.onnx", speed=speed)


def encoder():
    """Two integer inputs, an embedding, products: as a text encoder is exported."""
    net = Net()
    table = net.constant(net.rng.normal(size=(50, 64)).astype("f4"))
    x = net.node("Gather", [table, "input"], axis=0)
    mask = net.node("Unsqueeze", ["mask", net.constant(np.array([2]))])
    x = net.node("Mul", [x, net.node("Cast", [mask], to=TensorProto.FLOAT)])
    for _ in range(2):
        weight = net.rng.normal(size=(64, 64)).astype("f4") / 8
        x = net.node("Tanh", [net.node("MatMul", [x, net.constant(weight)])])
    model = net.model(x, ["n", "length"], TensorProto.INT64)
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.INT64, ["n", "l"]))
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", "length", 64])
    )
    return model


def texts(count, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 9, count)
    return [
        {"input": rng.integers(0, 50, n), "mask": np.ones(n, np.int64)} for n in lengths.tolist()
    ]


def test_a_text_encoder_is_judged_by_the_cosine_of_its_answers(tmp_path):
    path = saved(encoder(), tmp_path / "m.onnx")
    report = compress.compress(path, texts(30), out=tmp_path / "q.onnx", speed=speed)
    assert report.winner.name.startswith("dynamic")
    assert report.winner.agreement.kind == "cosine" and report.winner.agreement.low > 0.98
    assert {port.name for port in ort.InferenceSession(str(report.path)).get_inputs()} == {
        "input",
        "mask",
    }
