"""A network that rounds as an 8-bit file does: its answers, its gradients, its weights."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

from small_net import OTHERS, PICTURES, net, node, weights  # noqa: E402

from compress import calibrate, int8, rewrite  # noqa: E402
from compress.config import Attempt  # noqa: E402
from distill.data import load  # noqa: E402
from distill.students import create  # noqa: E402
from export import onnx_file  # noqa: E402
from zoo.chain.rounded_net import RoundedNet  # noqa: E402
from zoo.errors import InputError  # noqa: E402
from zoo.records import recipe  # noqa: E402
from zoo.stores import folders  # noqa: E402

DIGITS = "digits-shufflenet-v2-x0.5.kd"
STUDENTS = {
    "separable": {"size": "small"},
    "shufflenet-v1": {"groups": 3, "width": 0.5},
    "shufflenet-v2": {"width": 0.5, "stem": "small"},
}
LARGE = {"b": 1e6 * weights(8), "w": 1e-6 * weights(8, 3, 3, 3)}  # a bias too large for int32
GEMM = [node("Gemm", ["fl", "gw", "gb"], ["logits"], transB=1)]
TAILS = {
    "gemm": (GEMM, {}),
    "matmul and add": (
        [node("MatMul", ["fl", "mw"], ["m"]), node("Add", ["m", "gb"], ["logits"])],
        {"mw": weights(8, 10)},
    ),
    "one weight, two layers": (
        [
            node("Gemm", ["fl", "sw", "sb"], ["u"], transB=1),
            node("Gemm", ["u", "sw", "sb"], ["v"], transB=1),
            node("Gemm", ["v", "gw", "gb"], ["logits"], transB=1),
        ],
        {"sw": weights(8, 8), "sb": weights(8)},
    ),
    "sum and product": (
        [
            node("Add", ["fl", "fl"], ["u"]),
            node("Mul", ["u", "fl"], ["v"]),
            node("Gemm", ["v", "gw", "gb"], ["logits"], transB=1),
        ],
        {},
    ),
    "join": (
        [
            node("Gemm", ["fl", "sw", "sb"], ["u"], transB=1),
            node("Concat", ["u", "fl"], ["v"], axis=1),
            node("Gemm", ["v", "jw", "gb"], ["logits"], transB=1),
        ],
        {"sw": weights(8, 8), "sb": weights(8), "jw": weights(10, 16)},
    ),
    "channel of zeros": (
        GEMM,
        {"w": weights(8, 3, 3, 3) * (np.arange(8) > 2)[:, None, None, None].astype("f4")},
    ),
    "weights smaller than their bias": (GEMM, LARGE),
}


def rounded(path, pictures=PICTURES, exclude=()):
    loose = int8.Limits(float("inf"), float("inf"))
    return int8.rounded(path, [pictures], Attempt("a"), exclude, limits=loose)


def tail(path, name):
    nodes, constants = TAILS[name]
    return net(path, nodes, **constants)


def both(made, pictures):
    """The logits of the file and of the network on the same weights."""
    feed = made.small.graph.input[0].name
    there = calibrate.session(made.small).run(None, {feed: pictures})[0]
    with torch.inference_mode():
        return there, RoundedNet(made.int8, made.plain)(torch.from_numpy(pictures)).numpy()


@pytest.mark.parametrize("name", TAILS)
def test_network_answers_as_the_8_bit_file(tmp_path, name):
    file, ours = both(rounded(tail(tmp_path / "m.onnx", name)), OTHERS)
    assert np.isclose(ours, file, rtol=1e-5, atol=1e-5 * np.abs(file).max()).all(1).mean() >= 0.9
    assert np.linalg.norm(ours - file) <= 0.005 * np.linalg.norm(file)


@pytest.mark.skipif(not folders.holder(DIGITS).has(DIGITS), reason="the student is not here")
def test_published_student_answers_as_its_8_bit_file_but_for_halves(tmp_path):
    """8 bits move its logits by 1 %; where float sums fall on another side of a half, 0.2 %."""
    source = onnx.load(str(folders.holder(DIGITS).folder(DIGITS) / "model.fp32.onnx"))
    onnx.save(rewrite.prepare_int8(source), str(tmp_path / "float.onnx"))
    pictures = load(recipe.find(DIGITS).data, "validation").images
    made = rounded(tmp_path / "float.onnx", pictures[:64])
    file, ours = both(made, pictures)
    exact = calibrate.session(tmp_path / "float.onnx").run(None, {"image": pictures})[0]
    assert (file.argmax(1) == ours.argmax(1)).mean() >= 0.995
    assert (np.abs(file - ours).max(1) < 1e-4).mean() >= 0.8
    assert np.linalg.norm(ours - file) < 0.25 * np.linalg.norm(exact - file)


@pytest.fixture(scope="module", params=STUDENTS)
def student(request, tmp_path_factory):
    """A random network of each kind, rounded."""
    torch.manual_seed(0)
    network = create(request.param, 5, 32, STUDENTS[request.param]).eval()
    model = rewrite.optimize(onnx_file.finish(onnx_file.core(network, 32), 32, {}))
    path = tmp_path_factory.mktemp("student") / "float.onnx"
    onnx.save(rewrite.prepare_int8(model), str(path))
    return rounded(path, np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8))


def test_every_architecture_is_a_network_whose_every_weight_learns(student):
    network = RoundedNet(student.int8, student.plain)
    pictures = np.random.default_rng(1).integers(0, 256, (8, 32, 32, 3), np.uint8)
    file, ours = both(student, pictures)
    assert np.linalg.norm(ours - file) <= 0.02 * np.linalg.norm(file)
    torch.nn.functional.cross_entropy(
        network(torch.from_numpy(pictures)), torch.arange(8) % 5
    ).backward()
    layers = [n for n in student.plain.graph.node if n.op_type in ("Conv", "Gemm", "MatMul")]
    assert network.weights().keys() == {name for n in layers for name in n.input[1:3] if name}
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    flat = [name for name, p in network.named_parameters() if not p.grad.any()]
    assert not flat


def test_weights_that_moved_are_rounded_as_the_quantizer_rounds_them_then(tmp_path):
    made = rounded(tail(tmp_path / "m.onnx", "join"))
    network = RoundedNet(made.int8, made.plain)
    with torch.no_grad():
        for i, parameter in enumerate(network.parameters()):
            parameter.mul_(torch.linspace(0.7, 1.2, parameter.numel()).reshape(parameter.shape))
            parameter.add_(0.01 * i)
    onnx.save(made.with_weights(network.weights()), str(tmp_path / "moved.onnx"))
    loose = int8.Limits(float("inf"), float("inf"))
    again = int8.rounded(
        tmp_path / "moved.onnx", [PICTURES], Attempt("a"), limits=loose, ranges=made.ranges
    )
    file = calibrate.session(again.small).run(None, {"image": OTHERS})[0]
    with torch.inference_mode():
        ours = network(torch.from_numpy(OTHERS)).numpy()
    assert np.linalg.norm(ours - file) <= 0.005 * np.linalg.norm(file)
    assert np.isclose(ours, file, rtol=1e-5, atol=1e-5 * np.abs(file).max()).all(1).mean() >= 0.9


def test_layer_left_in_float_is_not_rounded_and_learns(tmp_path):
    path = tail(tmp_path / "m.onnx", "join")
    names = [n.name for n in onnx.load(str(path)).graph.node if n.op_type == "Gemm"]
    assert names == [""] * 2
    made = rounded(path, exclude=("Gemm_9",))
    network = RoundedNet(made.int8, made.plain)
    weight = made.plain.graph.node[9].input[1]
    with torch.no_grad():
        before = network(torch.from_numpy(OTHERS))
        dict(zip(network.weights(), network.parameters(), strict=True))[weight].mul_(1 + 1e-5)
        assert not torch.equal(network(torch.from_numpy(OTHERS)), before)


def test_gradient_passes_through_roundings_but_not_where_values_are_cut_off():
    from zoo.chain.rounded_net import _Round

    x = torch.tensor([-3.0, 0.4, 0.5, 1.5, 254.6, 300.0], requires_grad=True)
    out = _Round.apply(x, torch.tensor(1.0), 0.0, 255.0)
    out.sum().backward()
    assert out.tolist() == [0, 0, 0, 2, 255, 255]
    assert x.grad.tolist() == [0, 1, 1, 1, 1, 0]


def test_operator_that_is_not_known_is_one_error(tmp_path):
    nodes = [node("Sinh", ["fl"], ["s"]), node("Gemm", ["s", "gw", "gb"], ["logits"], transB=1)]
    made = rounded(net(tmp_path / "m.onnx", nodes))
    with pytest.raises(InputError, match="Sinh"):
        RoundedNet(made.int8, made.plain)
