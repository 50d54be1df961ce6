import io
import json
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from compress.rewrite import optimize, prepare_int8
from export import golden, parity
from export.errors import ExportError
from export.files import Runner
from export.onnx_file import core, finish, plain_export, to_onnx

SIZE = 12
METADATA = {"studentzoo.format": "1", "studentzoo.labels": json.dumps(["cat", "dog", "été"])}


class Input(nn.Module):
    """What a student's head does: resize the bytes, normalise, channels first."""

    def forward(self, image):
        planes = image.permute(0, 3, 1, 2)
        if planes.shape[2:] != (SIZE, SIZE):
            planes = F.interpolate(planes, [SIZE, SIZE], mode="bilinear", antialias=True)
        return (planes.float() - 128) / 64


def conv(i, o, kernel=1, stride=1, groups=1):
    layers = nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layers, nn.BatchNorm2d(o), nn.ReLU())


def shuffle(x, groups):
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class Net(nn.Module):
    """Every kind of unit: ShuffleNet v2 at both strides, v1, separable, inverted residual."""

    def __init__(self):
        super().__init__()
        self.input = Input()
        self.stem = conv(3, 6, 3)
        self.left = nn.Sequential(conv(6, 6, 3, 2, 6), conv(6, 9))
        self.right = nn.Sequential(conv(6, 9), conv(9, 9, 3, 2, 9), conv(9, 9))
        self.branch = nn.Sequential(conv(9, 9), conv(9, 9, 3, 1, 9), conv(9, 9))
        self.mix = conv(18, 18)
        self.reduce, self.expand = conv(18, 9, groups=3), conv(9, 18, groups=3)
        self.depthwise = conv(9, 9, 3, 1, 9)
        self.wide = nn.Sequential(conv(18, 20), conv(20, 20, 3, 1, 20), nn.Conv2d(20, 18, 1))
        self.last = nn.Linear(18, 3)

    def forward(self, image):
        x = self.stem(self.input(image))
        x = shuffle(torch.cat([self.left(x), self.right(x)], 1), 2)
        for _ in range(2):
            kept, changed = x.chunk(2, 1)
            x = shuffle(torch.cat([kept, self.branch(changed)], 1), 2)
        x = self.mix(x)
        x = F.relu(x + self.expand(self.depthwise(shuffle(self.reduce(x), 3))))
        x = x + self.wide(x).clamp(0, 6)
        return self.last(x.mean((2, 3)))


def pictures(count, height=SIZE, width=SIZE, seed=0):
    rng = np.random.default_rng(seed)
    return list(rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def student():
    """A net whose batch norms have seen data, so that every unit says something."""
    torch.manual_seed(0)
    net = Net()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0, 0.5)
    with torch.no_grad():
        for seed in range(20):
            net(torch.from_numpy(np.stack(pictures(8, seed=seed))))
    return net.eval()


@pytest.fixture(scope="module")
def plain(student):
    return core(student, SIZE)


@pytest.fixture(scope="module")
def files(plain, tmp_path_factory):
    """The student as exported, rewritten for fp32, and ready for the quantizer."""
    folder = tmp_path_factory.mktemp("student")
    model = finish(plain, SIZE, METADATA)
    optimized = optimize(model)
    models = {"plain": plain, "exported": model, "optimized": optimized}
    models["prepared"] = prepare_int8(optimized)
    for name, proto in models.items():
        onnx.save(proto, folder / f"{name}.onnx")
    return {name: folder / f"{name}.onnx" for name in models}


VARIANTS = ("exported", "optimized", "prepared")


@pytest.mark.parametrize("variant", VARIANTS)
def test_files_equal_the_module_at_every_batch(student, files, variant):
    assert student(torch.from_numpy(np.stack(pictures(8)))).std() > 0.02
    assert parity.check(student, files[variant], pictures(7), 1e-5) <= 1e-5


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 40), (5, 3), (24, 24), (31, 50), (400, 17), (2, 3000)]
)
def test_pictures_of_any_size_are_resized_as_torch_does(student, files, shape):
    """A byte may round the other way: 1 / 64 in a few planes."""
    parity.check(student, files["optimized"], pictures(3, *shape), 0.02)


def test_resized_bytes_are_torch_s_bytes_but_for_rounding(files):
    model = onnx.load(files["exported"])
    planes = next(n.output[0] for n in model.graph.node if n.op_type == "DequantizeLinear")
    model.graph.output.append(onnx.helper.make_tensor_value_info(planes, 1, None))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for shape in [(30, 30), (50, 11), (7, 90), (5, 5)]:
        batch = np.stack(pictures(2, *shape))
        wanted = 64 * Input()(torch.from_numpy(batch)).numpy()
        off = np.abs(64 * session.run([planes], {"image": batch})[0] - wanted)
        assert off.max() <= 1
        assert (off > 0).mean() < 0.05


def test_the_contract_stands_in_the_file(files):
    session = ort.InferenceSession(files["optimized"], providers=["CPUExecutionProvider"])
    (image,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type) == ("image", "tensor(uint8)")
    assert image.shape == ["n", "h", "w", 3]
    assert (logits.name, logits.type, logits.shape[1]) == ("logits", "tensor(float)", 3)
    assert session.get_modelmeta().custom_metadata_map == METADATA


@pytest.mark.parametrize("variant", VARIANTS)
def test_nothing_of_the_exporter_is_left(files, variant):
    model = onnx.load(files[variant])
    assert b"pkg.torch" not in model.SerializeToString()
    assert not any(n.metadata_props or n.doc_string for n in model.graph.node)
    assert not any(t.external_data for t in model.graph.initializer)
    assert max(len(name) for n in model.graph.node for name in (*n.input, *n.output)) <= 6


def test_batch_norm_and_the_small_grouped_shuffle_are_folded(files):
    kinds = [n.op_type for n in onnx.load(files["optimized"]).graph.node]
    assert kinds.count("BatchNormalization") == kinds.count("Reshape") == 0
    assert kinds.count("Transpose") == 1  # the head's
    assert kinds.count("Gather") == 0


def test_the_plain_export_takes_planes(student, files):
    batch = np.stack(pictures(2))
    session = ort.InferenceSession(files["plain"], providers=["CPUExecutionProvider"])
    planes = ((batch.astype(np.float32) - 128) / 64).transpose(0, 3, 1, 2)
    (got,) = session.run(None, {session.get_inputs()[0].name: planes})
    np.testing.assert_allclose(got, student(torch.from_numpy(batch)).detach(), atol=1e-5)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.input = Input()
        self.conv = conv(3, 4, 3)

    def forward(self, image):
        return self.conv(self.input(image)).mean((2, 3))


def test_export_is_silent_writes_one_file_and_leaves_the_module_alone(tmp_path):
    module = Small().train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out), warnings.catch_warnings():
        warnings.simplefilter("error")
        path = to_onnx(module, tmp_path / "a" / "m.onnx", image_size=SIZE, metadata=METADATA)
        plain_export(module, tmp_path / "a" / "plain.onnx", image_size=SIZE)
    assert out.getvalue() == ""
    assert sorted(p.name for p in path.parent.iterdir()) == ["m.onnx", "plain.onnx"]
    assert module.training
    assert isinstance(module.input, Input)
    assert all(torch.equal(before[name], t) for name, t in module.state_dict().items())


def test_a_module_that_takes_no_pictures_is_refused(tmp_path):
    with pytest.raises(ExportError, match="forward of Linear fails on bytes") as caught:
        to_onnx(nn.Linear(3, 3), tmp_path / "m.onnx", image_size=SIZE, metadata={})
    assert caught.value.hint
    assert not list(tmp_path.iterdir())


class Branching(Small):
    def forward(self, image):
        x = self.input(image)
        return x.amax((2, 3)) if x.sum() > 0 else x.mean((2, 3))


def test_a_module_that_cannot_be_traced_is_one_clear_error(tmp_path):
    with pytest.raises(ExportError, match="torch cannot export Branching") as caught:
        to_onnx(Branching(), tmp_path / "m.onnx", image_size=SIZE, metadata={})
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_parity_is_an_error_when_weights_differ(student, files):
    with pytest.raises(ExportError, match="off the module"):
        parity.check(lambda x: np.zeros((len(x), 3)), files["optimized"], pictures(2), 1e-3)


def test_parity_refuses_logits_that_are_not_finite(files):
    with pytest.raises(ExportError, match="not finite"):
        parity.check(lambda x: np.full((len(x), 3), np.nan), files["optimized"], pictures(2), 1e9)


def test_parity_refuses_other_classes_pictures_and_files(student, files, tmp_path):
    with pytest.raises(ExportError, match="gives logits"):
        parity.check(lambda x: np.zeros((len(x), 4)), files["optimized"], pictures(2), 1e9)
    with pytest.raises(ExportError, match="at least one picture"):
        parity.check(student, files["optimized"], [], 1e-3)
    with pytest.raises(ExportError, match="float32"):
        parity.check(student, files["optimized"], [np.zeros((3, 3, 3), np.float32)], 1e-3)
    with pytest.raises(ExportError, match="cannot read"):
        parity.check(student, tmp_path / "none.onnx", pictures(1), 1e-3)
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(ExportError, match="cannot load"):
        parity.check(student, tmp_path / "text.onnx", pictures(1), 1e-3)
    with pytest.raises(ExportError, match="takes"):
        parity.check(student, files["plain"], pictures(1), 1e-3)


def test_parity_leaves_the_module_in_its_mode(student, files):
    student.train()
    try:
        parity.check(student, files["optimized"], pictures(1), 1e-3, batches=(1,))
        assert student.training
    finally:
        student.eval()


def test_golden_vectors_hold_what_the_files_gave(files, tmp_path):
    images = np.stack(pictures(6))
    golden.write(tmp_path / "golden.npz", images, files["optimized"], files["prepared"])
    golden.write(tmp_path / "again.npz", images, files["optimized"], files["prepared"])
    assert (tmp_path / "golden.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()
    with np.load(tmp_path / "golden.npz") as kept:
        assert set(kept) == {"inputs", "fp32", "int8", "tolerance_fp32", "tolerance_int8"}
        np.testing.assert_array_equal(kept["inputs"], images)
        assert kept["fp32"].shape == kept["int8"].shape == (6, 3)
        assert kept["tolerance_fp32"].shape == ()
        assert 0 < kept["tolerance_fp32"] <= 1e-3


def test_golden_vectors_without_int8_and_of_no_pictures(files, tmp_path):
    golden.write(tmp_path / "golden.npz", np.stack(pictures(2)), files["optimized"], None)
    with np.load(tmp_path / "golden.npz") as kept:
        assert set(kept) == {"inputs", "fp32", "tolerance_fp32"}
    with pytest.raises(ExportError, match="golden pictures"):
        golden.write(tmp_path / "none.npz", np.zeros((0, 4, 4, 3), np.uint8), files["plain"], None)
    assert not (tmp_path / "none.npz").exists()


def test_the_int8_tolerance_is_half_of_what_quantization_did():
    fp32 = np.array([[1.0, -1.0], [0.5, 2.0]], np.float32)
    assert golden.int8_tolerance(fp32, fp32 + np.float32(0.4)) == pytest.approx(0.2)
    assert golden.int8_tolerance(fp32, fp32) == pytest.approx(0.02 * fp32.std())


def test_pictures_that_a_file_cannot_take_are_one_error():
    run = Runner(Path(__file__).parent / "files" / "tiny" / "model.fp32.onnx")
    with pytest.raises(ExportError, match=r"cannot run .*model\.fp32\.onnx"):
        run(np.zeros((1, 4, 4, 4), np.uint8))
