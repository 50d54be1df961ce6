"""What would pass for a good file and is none: each is refused by name, or kept right."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from foreign_nets import SIDE, Net, classifier, halved, photos, planes, saved
from onnx import TensorProto, helper, numpy_helper

import compress
from compress import answers, foreign, graph, judge, source
from compress.errors import CompressError
from compress.examples import examples as examples_of
from compress.foreign import FileGates, Speed

FAST = Speed(0.5, 0.48, 0.52, 1.0, 0.99, 1.01, 2.0, 1.0)
PICTURES = planes(photos(48))
LOOSE = FileGates(min_agreement=0.5)


def squeezed(model, examples, folder, **more):
    path = saved(model, folder / "m.onnx")
    given = {"speed": lambda path: FAST, "gates": LOOSE} | more
    return compress.compress(path, examples, out=folder / "q.onnx", **given)


def run(path, x):
    return ort.InferenceSession(str(path)).run(None, {"input": x})[0]


def test_what_a_graph_pads_is_no_constant_at_other_lengths(tmp_path):
    net, cut = Net(), 16
    side = net.constant(np.array([cut]))
    ends = [net.constant(np.array([k])) for k in (0, 2, 3)]
    length = net.node("Slice", [net.node("Shape", ["input"]), *ends[1:]])
    more = net.node("Mod", [net.node("Sub", [side, net.node("Mod", [length, side])]), side])
    zeros = net.constant(np.zeros(5, np.int64))
    x = net.node("Pad", ["input", net.node("Concat", [zeros, more], axis=0)])
    weight = net.constant(net.rng.normal(size=(16, 2, 3)).astype("f4"))
    x = net.node("Relu", [net.node("Conv", [x, weight], kernel_shape=[3], pads=[1, 1])])
    head = net.node("Slice", [net.node("Shape", [x]), ends[0], ends[1]])
    minus = net.constant(np.array([-1]))
    x = net.node("Reshape", [x, net.node("Concat", [head, minus, side], axis=0)])
    x = net.node("ReduceMax", [x, net.constant(np.array([3]))], keepdims=0)
    x = net.node("ReduceMean", [x, ends[1]], keepdims=0)
    x = net.node("Gemm", [x, net.constant(net.rng.normal(size=(16, 4)).astype("f4"))])
    model = net.model(x, ["n", 2, "length"])
    sounds = np.random.default_rng(0).normal(size=(48, 2, 4 * cut)).astype("f4")
    sounds *= np.linspace(0.1, 3, 48, dtype="f4")[:, None, None]
    report = squeezed(model, sounds, tmp_path)
    for size in (4 * cut, 3 * cut + 5, 7):
        wanted, got = (run(p, sounds[:4, :, :size]) for p in (tmp_path / "m.onnx", report.path))
        assert np.linalg.norm(got - wanted) < 0.1 * np.linalg.norm(wanted), size


def places(longest=20):
    """An encoder that has a table of `longest` places."""
    net = Net()
    words, rows = (net.constant(net.rng.normal(size=(n, 64)).astype("f4")) for n in (50, longest))
    ends = [net.constant(np.array([k])) for k in (1, 2, 0)]
    length = net.node("Slice", [net.node("Shape", ["input"]), *ends[:2]])
    place = net.node("Slice", [rows, ends[2], length, ends[2]])
    x = net.node("Add", [net.node("Gather", [words, "input"], axis=0), place])
    weight = net.constant(net.rng.normal(size=(64, 64)).astype("f4") / 8)
    model = net.model(net.node("MatMul", [x, weight]), ["n", "length"], TensorProto.INT64)
    model.graph.output[0].CopyFrom(
        helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", "length", 64])
    )
    return model


def test_a_text_of_more_than_half_the_longest_is_read(tmp_path):
    texts = np.random.default_rng(0).integers(0, 50, (30, 17))
    report = squeezed(places(), texts, tmp_path)
    for length in (1, 9, 20):
        some = np.tile(texts[:3], 2)[:, :length]
        wanted, got = (run(p, some) for p in (tmp_path / "m.onnx", report.path))
        assert np.linalg.norm(got - wanted) < 0.05 * np.linalg.norm(wanted)


def test_the_file_that_came_in_and_its_weights_are_never_written_over(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(
        classifier(), str(path), save_as_external_data=True, location="m.bin", size_threshold=0
    )
    (tmp_path / "link.onnx").symlink_to(path)
    (tmp_path / "hard.onnx").hardlink_to(path)
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    for name in ("m.onnx", "m.bin", "link.onnx", "hard.onnx"):
        with pytest.raises(CompressError, match="would be written over"):
            compress.compress(path, PICTURES, out=tmp_path / name, speed=lambda path: FAST)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["folder", "m.onnx/q.onnx", "q" * 400])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, name):
    (tmp_path / "folder").mkdir()

    def speed(path):
        raise AssertionError

    with pytest.raises(CompressError, match="cannot write"):
        path = saved(classifier(), tmp_path / "m.onnx")
        compress.compress(path, PICTURES, out=tmp_path / name, speed=speed)


def test_doubles_count_once_and_are_said(tmp_path):
    report = squeezed(classifier(), np.concatenate([PICTURES, PICTURES]), tmp_path)
    assert report.calibrated_on + report.judged_on == 48
    assert "48 of 96 examples are the same as others: they count once" in report.notes
    with pytest.raises(CompressError, match="all examples are the same"):
        squeezed(classifier(), np.repeat(PICTURES[:1], 60, 0), tmp_path)


def test_one_answer_to_everything_is_nothing_to_judge_by(tmp_path):
    model = classifier()
    weight = next(i for i in model.graph.initializer if list(i.dims) == [4, 32])
    weight.CopyFrom(numpy_helper.from_array(np.zeros((4, 32), "f4"), weight.name))
    with pytest.raises(CompressError, match="one answer to all"):
        squeezed(model, PICTURES, tmp_path)


@pytest.mark.parametrize("kind", ["top-1", "cosine", "closeness"])
def test_where_a_blind_file_would_pass_what_differs_must_be_kept(tmp_path, kind):
    rng, count = np.random.default_rng(0), 8
    big = np.array([9.0, 0, 0, 0], np.float32)
    wanted = [[big + rng.normal(size=4).astype("f4") * 0.1] for _ in range(count)]
    if kind == "closeness":  # one far off makes the range wide
        wanted = [[np.float32([k]) * 0.01] for k in range(count - 1)] + [[np.float32([1000])]]
    seen = answers.agreement(answers.blind(wanted, kind), wanted, kind)
    assert seen.value > 0.7
    given = source.read(saved(classifier(), tmp_path / "m.onnx"))
    few = examples_of(given.inputs, PICTURES[:count])
    held = judge.Judge(given, few, None, FileGates(min_agreement=0.6), lambda path: FAST, True)
    held.passes_blind = True
    noisy = [[row[0] + rng.normal(size=row[0].shape).astype("f4") * 0.1] for row in wanted]
    assert held._blind(wanted, wanted) == []
    assert "what differs between them" in held._blind(answers.blind(wanted, "cosine"), wanted)[0]
    assert kind != "top-1" or held._blind(noisy, wanted)


def test_a_file_of_one_common_class_is_judged_by_what_differs(tmp_path):
    model = classifier()
    bias = next(i for i in model.graph.initializer if list(i.dims) == [4])
    bias.CopyFrom(numpy_helper.from_array(np.array([1e4, 0, 0, 0], "f4"), bias.name))
    given = source.read(saved(model, tmp_path / "m.onnx"))
    few = examples_of(given.inputs, PICTURES[:8])
    held = judge.Judge(given, few, None, LOOSE, lambda path: FAST, True)
    assert held.kind == "top-1" and held.passes_blind


def test_each_answer_of_one_number_has_a_range_of_its_own():
    wanted = [[np.float32([1000 * k]), np.float32([k])] for k in range(4)]
    wrong = [[row[0], np.float32([0])] for row in wanted]
    assert answers.agreement(wrong, wanted, "closeness").value == pytest.approx(0.5)


def test_a_nan_is_no_answer_of_either_file(tmp_path):
    rows = [[np.float32([np.nan, 1])], [np.float32([0, 1])]]
    assert answers.agreement(rows, rows, "top-1").value == 0.5
    assert np.isnan(answers.agreement(rows, rows, "cosine").value)
    model, broken = classifier(), PICTURES.copy()
    broken[:, 0, 0, 0] = np.nan
    with pytest.raises(CompressError, match="answers nan"):
        squeezed(model, broken, tmp_path)


def test_a_row_of_nan_that_no_example_shows_is_refused(tmp_path):
    net = Net()
    table = net.rng.normal(size=(2048, 32)).astype("f4")
    table[-1] = np.nan
    x = net.node("Gather", [net.constant(table), "input"], axis=0)
    weight = net.constant(net.rng.normal(size=(32, 16)).astype("f4"))
    model = net.model(net.node("MatMul", [x, weight]), ["n", 4], TensorProto.INT64)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    with pytest.raises(CompressError, match="constant 'w0' has nan"):
        squeezed(model, np.zeros((30, 4), np.int64), tmp_path)


def test_dropout_that_trains_is_refused_by_name(tmp_path):
    for switch in ("initializer", "input"):
        model = classifier()
        node = helper.make_node("Dropout", ["/net/Relu_1_output_0", "", "on"], ["drop"], name="d")
        model.graph.node.append(node)
        if switch == "initializer":
            model.graph.initializer.append(numpy_helper.from_array(np.array(True), "on"))
        else:
            model.graph.input.append(helper.make_tensor_value_info("on", TensorProto.BOOL, []))
        with pytest.raises(CompressError, match="by chance: Dropout 'd'"):
            source.read(saved(model, tmp_path / "m.onnx"))
    model.graph.input.pop()
    model.graph.initializer.append(numpy_helper.from_array(np.array(False), "on"))
    assert source.read(saved(model, tmp_path / "m.onnx"))


def test_an_output_without_a_batch_is_refused_by_name(tmp_path):
    model = classifier()
    model.graph.node.append(helper.make_node("ReduceSum", ["output"], ["sum"], keepdims=0))
    model.graph.output.append(helper.make_tensor_value_info("sum", TensorProto.FLOAT, []))
    with pytest.raises(CompressError, match=r"output 'sum' .* has no axis for the batch"):
        squeezed(model, PICTURES, tmp_path)


def test_a_batch_of_one_written_inside_is_kept_to_and_said(tmp_path):
    net = Net()
    x = net.conv(net.conv("input", 3, 16, 3, 2), 16, 16)
    x = net.node("Reshape", [net.node("GlobalAveragePool", [x]), net.constant(np.array([1, 16]))])
    weight = net.constant(net.rng.normal(size=(16, 4)).astype("f4"))
    model = net.model(net.node("Gemm", [x, weight]), ["n", 3, SIDE, SIDE])
    report = squeezed(model, PICTURES, tmp_path)
    assert any("one example at a time" in note for note in report.notes)
    wanted, got = (run(p, PICTURES[:1]) for p in (tmp_path / "m.onnx", report.path))
    assert np.linalg.norm(got - wanted) < 0.1 * np.linalg.norm(wanted)


def test_whole_numbers_are_judged_as_well():
    wanted = [[np.float32([0, 1]), np.array([1, 2])], [np.float32([1, 0]), np.array([3, 4])]]
    wrong = [[row[0], row[1] * [1, 0]] for row in wanted]
    assert answers.alike(wanted, wanted) == 1 and answers.alike(wrong, wanted) == 0.5


@pytest.mark.parametrize(
    ("control", "passes"),
    [((1.0, 0.98, 1.02), True), ((1.3, 1.25, 1.4), True), ((2.2, 2.0, 2.4), False),
     ((0.4, 0.35, 0.5), False), ((float("nan"),) * 3, False)],
)  # fmt: skip
def test_a_machine_on_which_a_file_is_not_as_fast_as_itself_measures_nothing(
    tmp_path, control, passes
):
    busy = Speed(0.5, 0.48, 0.52, *control, 2.0, 1.0)
    report = squeezed(classifier(), PICTURES, tmp_path, speed=lambda path: busy)
    assert bool(report.path) == passes
    assert passes or "too busy" in report.refused


def test_answers_that_would_not_fit_in_memory_judge_fewer(tmp_path, monkeypatch):
    monkeypatch.setattr(judge, "ANSWER_BYTES", 10 * 4 * 4)
    assert squeezed(classifier(), PICTURES, tmp_path).judged_on == 10


def test_labels_that_are_mostly_wrong_are_doubted(tmp_path):
    path = saved(classifier(), tmp_path / "m.onnx")
    wrong = (run(path, PICTURES).argmax(1) + 1) % 4
    report = squeezed(classifier(), PICTURES, tmp_path, labels=wrong)
    assert any("is right on 0.0%" in note for note in report.notes)
    with pytest.raises(CompressError, match="labels are float64"):
        squeezed(classifier(), PICTURES, tmp_path, labels=wrong / 2)
    with pytest.raises(CompressError, match="label -1 is no output"):
        squeezed(classifier(), PICTURES, tmp_path, labels=wrong - wrong.min() - 1)


def test_an_embedding_is_no_class():
    row, unit = np.float32([[3.0, 4.0, 1.0]]), np.float32([[0.6, 0.8, 0.0]])
    assert answers.kind_of([row], 1, "output") == "top-1"
    assert answers.kind_of([row], 1, "image_embeds") == "cosine"
    assert answers.kind_of([unit], 1, "output") == "cosine"
    assert answers.kind_of([np.float32([[1.0, 0.0, 0.0]])], 1, "output") == "top-1"  # probabilities


def test_what_becomes_more_than_2_gb_in_float32_is_refused(tmp_path, monkeypatch):
    path = saved(halved(classifier()), tmp_path / "m.onnx")
    monkeypatch.setattr(graph, "LARGEST", path.stat().st_size + 100)
    with pytest.raises(CompressError, match="bytes"):
        source.read(path)


def test_weights_beside_a_file_of_more_than_2_gb_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(
        classifier(), str(path), save_as_external_data=True, location="m.bin", size_threshold=0
    )
    with (tmp_path / "m.bin").open("r+b") as file:
        file.truncate(2**31 + 1)
    with pytest.raises(CompressError, match="2,147,48"):
        source.read(path)


def test_a_file_with_fake_roundings_has_8_bits_already(tmp_path):
    net = Net()
    grid = [net.constant(np.float32(0.02)), net.constant(np.uint8(128))]
    x = net.node("DequantizeLinear", [net.node("QuantizeLinear", ["input", *grid]), *grid])
    model = net.model(net.classify(net.conv(x, 3, 16), 16, 4), ["n", 3, SIDE, SIDE])
    with pytest.raises(CompressError, match="8 bits already: QuantizeLinear"):
        source.read(saved(model, tmp_path / "m.onnx"))


def test_names_like_the_quantizers_own_do_no_harm(tmp_path):
    net = Net()
    x = net.node("Flatten", ["input"])
    for width in (8, 8):
        size = 3 * SIDE * SIDE if x.startswith("/net/Flatten") else 8
        weight = net.constant(net.rng.normal(size=(size, width)).astype("f4") / size**0.5)
        x = net.node("Tanh", [net.node("MatMul", [x, weight])])
    model = net.model(x, ["n", 3, SIDE, SIDE])
    table = {"w0": "a_quantized", "w1": "a", "/net/Tanh_2_output_0": "a_scale"}
    for init in model.graph.initializer:
        init.name = table[init.name]
    for node in model.graph.node:
        node.input[:] = [table.get(n, n) for n in node.input]
        node.output[:] = [table.get(n, n) for n in node.output]
    report = squeezed(model, PICTURES, tmp_path)
    wanted, got = (run(p, PICTURES) for p in (tmp_path / "m.onnx", report.path))
    assert np.linalg.norm(got - wanted) < 0.1 * np.linalg.norm(wanted)


def test_the_order_of_outputs_is_part_of_the_contract(tmp_path):
    model = classifier()
    features = next(n.output[0] for n in model.graph.node if n.op_type == "ReduceMean")
    model.graph.output.append(helper.make_tensor_value_info(features, TensorProto.FLOAT, None))
    given = source.read(saved(model, tmp_path / "m.onnx"))
    turned = source.read(tmp_path / "m.onnx").model
    ends = list(turned.graph.output)[::-1]
    del turned.graph.output[:]
    turned.graph.output.extend(ends)
    with pytest.raises(CompressError, match="another order"):
        foreign.same_contract(turned, given)


def test_an_axis_of_minus_one_is_free_and_an_input_without_axes_is_refused(tmp_path):
    model = classifier()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -1
    assert squeezed(model, PICTURES, tmp_path).path
    model.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(CompressError, match="says nothing of its shape"):
        squeezed(model, PICTURES, tmp_path)


def test_what_a_rewrite_trips_over_is_left_out_and_named(tmp_path):
    model = classifier()
    make = helper.make_node
    model.graph.node.extend(
        [
            make("Shape", ["input"], ["sides"]),
            make("SplitToSequence", ["sides"], ["each"]),  # a list, no tensor
            make("ConcatFromSequence", ["each"], ["again"], axis=0),
            make("Cast", ["again"], ["floats"], to=TensorProto.FLOAT),
            make("ReduceMax", ["floats"], ["most"], keepdims=1),
            make("Div", ["output", "most"], ["scaled"]),
        ]
    )
    model.graph.output[0].name = "scaled"
    report = squeezed(model, PICTURES, tmp_path)
    assert report.path and list(report.left_out) == ["settle"]
