"""Files as people have them: of torch's own exporter, of old operators, of bytes, with two ends."""

import warnings

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from foreign_nets import SIDE, Net, classifier, photos, planes, saved
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import compress
from compress import answers, foreign, source
from compress.errors import CompressError
from compress.examples import examples as examples_of
from compress.foreign import FileGates, Speed

FAST = Speed(0.5, 0.48, 0.52, 1.0, 0.99, 1.01, 2.0, 1.0)
PICTURES = photos(48)
LOOSE = FileGates(min_agreement=0.5)  # of 32 examples; how alike outputs are is looked at below


def made(model, examples, folder):
    """The report on a file, and the relative change of its outputs on all examples."""
    path, out = folder / "m.onnx", folder / "q.onnx"
    if model is not None:
        saved(model, path)
    report = compress.compress(path, examples, out=out, speed=lambda path: FAST, gates=LOOSE)
    assert report.winner, report.refused
    sessions = [ort.InferenceSession(str(each)) for each in (path, out)]
    feed = {sessions[0].get_inputs()[0].name: np.stack(list(examples))}
    pairs = zip(*(each.run(None, feed) for each in sessions), strict=True)
    return report, [float(np.linalg.norm(b - a) / np.linalg.norm(a)) for a, b in pairs]


def test_operators_of_version_7_are_raised(tmp_path):
    net = Net()
    x = net.conv(net.conv("input", 3, 16, 3, 2), 16, 16)
    x = net.node("Flatten", [net.node("GlobalAveragePool", [x])])
    weight = net.constant(net.rng.normal(size=(4, 16)).astype("f4"))
    x = net.node("Gemm", [x, weight, net.constant(np.zeros(4, "f4"))], transB=1)
    model = net.model(x, ["n", 3, SIDE, SIDE], opset=7)
    model.ir_version = 3
    names = [(i.name, i.data_type, list(i.dims)) for i in model.graph.initializer]
    model.graph.input.extend(helper.make_tensor_value_info(*each) for each in names)
    report, changes = made(model, planes(PICTURES), tmp_path)
    assert "opset 7 was raised to 17" in report.notes and max(changes) < 0.1


def test_every_output_is_kept_and_in_its_order(tmp_path):
    net = Net()
    features = net.conv(net.conv("input", 3, 16, 3, 2), 16, 16)
    embedding = net.node("Flatten", [net.node("GlobalAveragePool", [features])])
    model = net.model(net.classify(features, 16, 4), ["n", 3, SIDE, SIDE])
    for name in (embedding, features):
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    report, changes = made(model, planes(PICTURES), tmp_path)
    assert [v.name for v in onnx.load(report.path).graph.output] == ["output", embedding, features]
    assert max(changes) < 0.1


def test_bytes_channels_last_are_read_as_they_are(tmp_path):
    net = Net()
    x = net.node("Cast", [net.node("Transpose", ["input"], perm=[0, 3, 1, 2])], to=1)
    x = net.node(
        "Div", [net.node("Sub", [x, net.constant(np.float32(120))]), net.constant(np.float32(60))]
    )
    x = net.conv(net.conv(x, 3, 16, 3, 2), 16, 16)
    model = net.model(net.classify(x, 16, 4), ["n", SIDE, SIDE, 3], TensorProto.UINT8)
    report, changes = made(model, PICTURES, tmp_path)
    (port,) = ort.InferenceSession(str(report.path)).get_inputs()
    assert port.type == "tensor(uint8)" and max(changes) < 0.1


def test_one_channel_is_read(tmp_path):
    net = Net()
    x = net.conv(net.conv("input", 1, 16, 3, 2), 16, 16)
    model = net.model(net.classify(x, 16, 4), ["n", 1, SIDE, SIDE])
    _, changes = made(model, planes(PICTURES)[:, :1], tmp_path)
    assert max(changes) < 0.1


def unit(i, o, kernel=3, stride=1, group=1, act=nn.ReLU):
    conv = nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=group, bias=False)
    return [conv, nn.BatchNorm2d(o), *([act()] if act else [])]


class Shuffle(nn.Module):
    """ShuffleNet v2's unit of stride 1: half goes through, half by, then they are mixed."""

    def __init__(self, width):
        super().__init__()
        half = width // 2
        deep = unit(half, half, 3, 1, half, None)
        self.branch = nn.Sequential(*unit(half, half, 1), *deep, *unit(half, half, 1))

    def forward(self, x):
        a, b = x.chunk(2, dim=1)
        x = torch.cat([a, self.branch(b)], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Inverted(nn.Module):
    """MobileNetV2's unit: wide, deep, narrow, and added to what came in."""

    def __init__(self, width):
        super().__init__()
        wide = 4 * width
        deep = unit(wide, wide, 3, 1, wide, nn.ReLU6)
        narrow = unit(wide, width, 1, act=None)
        self.branch = nn.Sequential(*unit(width, wide, 1, act=nn.ReLU6), *deep, *narrow)

    def forward(self, x):
        return x + self.branch(x)


def live(body):
    """A network whose batch norms have seen pictures, and whose answers differ."""
    torch.manual_seed(0)
    end = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(24, 4)]
    net = nn.Sequential(*unit(3, 24, 3, 2), *body(), *end)
    for norm in (m for m in net.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
        norm.momentum = None
    with torch.inference_mode():
        net(torch.from_numpy(planes(PICTURES)))
    return net.eval()


BODIES = {"shuffle": lambda: [Shuffle(24), Shuffle(24)], "inverted": lambda: [Inverted(24)] * 1}


@pytest.mark.parametrize("kind", BODIES)
def test_what_torch_exports_passes_with_no_layer_in_float(tmp_path, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            live(BODIES[kind]),
            (torch.zeros(2, 3, SIDE, SIDE),),
            str(tmp_path / "m.onnx"),
            dynamo=False,
            input_names=["pixels"],
            output_names=["logits"],
            dynamic_axes={"pixels": {0: "n"}, "logits": {0: "n"}},
        )
    report, changes = made(None, planes(PICTURES), tmp_path)
    assert report.left_out == {} and report.winner.settings["float_nodes"] == []
    kinds = {node.op_type for node in onnx.load(report.path).graph.node}
    assert max(changes) < 0.15
    assert not {"BatchNormalization", "Reshape", "Transpose", "Dropout"} & kinds


def test_a_classifier_by_its_default_gates(tmp_path):
    path = saved(classifier(), tmp_path / "m.onnx")
    report = compress.compress(
        path, planes(photos(90)), out=tmp_path / "q.onnx", speed=lambda path: FAST
    )
    assert report.winner and report.winner.agreement.low >= 0.9


def test_labels_stay_with_their_examples_whatever_the_batch(tmp_path):
    """A batch of 3 does not divide the 16 that are run at once: what fills it up is no example."""
    path = saved(classifier(batch=3), tmp_path / "m.onnx")
    examples = planes(PICTURES)
    session = ort.InferenceSession(str(path))
    runs = [session.run(None, {"input": examples[k : k + 3]})[0] for k in range(0, 48, 3)]
    labels = np.concatenate(runs).argmax(1)
    given = {"out": tmp_path / "q.onnx", "speed": lambda path: FAST, "gates": LOOSE}
    report = compress.compress(path, examples, labels=labels, **given)
    assert report.judged_on == 32
    for tried in report.attempts:
        assert tried.accuracy.before == 1.0
        assert tried.accuracy.after == tried.agreement.value
        assert tried.accuracy.n == tried.agreement.n


def test_an_answer_of_one_number_is_held_by_how_near_it_is():
    wanted = [[np.array([x])] for x in (1.0, 2.0, 5.0)]
    twice = [[2 * row[0]] for row in wanted]  # the last is further off than the range
    assert answers.kind_of([np.zeros((1, 1))], 1) == "closeness"
    assert answers.agreement(wanted, wanted, "closeness").value == 1.0
    assert answers.agreement(twice, wanted, "closeness").value == pytest.approx((0.75 + 0.5) / 3)


def test_an_output_after_the_first_is_a_gate_as_well(tmp_path):
    given = source.read(saved(classifier(), tmp_path / "m.onnx"))
    judge = foreign.Judge(given, few(given), None, FileGates(), lambda path: FAST, True)
    judge.wanted = [[*row, np.array([1.0, 0.0])] for row in judge.wanted]
    assert judge._others(judge.wanted) == []
    turned = [[row[0], np.array([0.0, 1.0])] for row in judge.wanted]
    assert "cosine of 0.0000 < 0.9000" in judge._others(turned)[0]


def test_a_file_that_answers_otherwise_once_it_is_read_is_refused(tmp_path):
    path = saved(classifier(), tmp_path / "m.onnx")
    given = source.read(path)
    bias = next(i for i in given.model.graph.initializer if len(i.dims) == 1)
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 1, bias.name))
    with pytest.raises(CompressError, match="answers otherwise once it is read"):
        foreign.check_read(given, few(given))


def few(given):
    return examples_of(given.inputs, planes(PICTURES[:4]))
