"""What a module may be, and what the file of it must then do: the same, or there is one error."""

import io
import re
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from compress import int8
from compress.config import Attempt
from export import parity
from export.errors import ExportError
from export.files import Runner
from export.onnx_file import to_onnx
from export.own_input import resized

SIZE = 12
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PICTURES = np.random.default_rng(3).integers(0, 256, (16, SIZE, SIZE, 3), dtype=np.uint8)


class Input(nn.Module):
    """Resizes and normalises; `order` of the colours, `mean` and `std` of bytes over 255."""

    def __init__(self, mean=None, std=None, order=(0, 1, 2), mode="bilinear"):
        super().__init__()
        self.order, self.mode = list(order), mode
        self.mean = torch.tensor(mean or [128 / 255] * 3).view(1, -1, 1, 1)
        self.std = torch.tensor(std or [64 / 255] * 3).view(1, -1, 1, 1)

    def forward(self, image):
        planes = image.permute(0, 3, 1, 2)[:, self.order]
        if planes.shape[2:] != (SIZE, SIZE):
            smooth = {"antialias": True} if self.mode == "bilinear" else {}
            planes = F.interpolate(planes, [SIZE, SIZE], mode=self.mode, **smooth)
        return (planes.float() / 255 - self.mean) / self.std


class Net(nn.Module):
    def __init__(self, own=None, channels=3):
        super().__init__()
        torch.manual_seed(0)
        self.input = own or Input()
        self.conv = nn.Conv2d(channels, 8, 3, padding=1)
        self.last = nn.Linear(8, 4)

    def features(self, image):
        return F.relu(self.conv(self.input(image))).mean((2, 3))

    def forward(self, image):
        return self.last(self.features(image))


def export(module, folder):
    return to_onnx(module, folder / "m.onnx", image_size=SIZE, metadata={})


@pytest.mark.parametrize(
    "own",
    [
        Input(MEAN, STD),
        Input(MEAN, STD, (2, 1, 0)),
        Input([0.0] * 3, [1 / 255] * 3),
        Input([0.5], [0.5], (1,)),
    ],
)
def test_the_module_s_own_normalisation_is_kept(tmp_path, own):
    net = Net(own, len(own.order))
    path = export(net, tmp_path)
    assert parity.check(net, path, PICTURES, 1e-3) <= 1e-3


def test_a_module_with_its_own_normalisation_is_quantized(tmp_path):
    net = Net(Input(MEAN, STD))
    path = export(net, tmp_path)
    twin = int8.quantize(path, tmp_path / "int8.onnx", [PICTURES], Attempt("a"))
    wanted = net(torch.from_numpy(PICTURES)).detach().numpy()
    assert np.linalg.norm(Runner(twin)(PICTURES) - wanted) < 0.03 * np.linalg.norm(wanted)


class Whole(Net):
    """Normalises in its forward, without a child of its own for that."""

    def __init__(self, order=(0, 1, 2)):
        super().__init__(nn.Identity())
        del self.input
        self.mean, self.std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
        self.order = list(order)

    def features(self, image):
        planes = image.permute(0, 3, 1, 2)[:, self.order].float() / 255
        return F.relu(self.conv((planes - self.mean) / self.std)).mean((2, 3))


def real(n, size):
    """As photographs are: smooth, of few colours, with whites and blacks burnt out."""
    coarse = torch.rand(n, 3, 4, 4, generator=torch.Generator().manual_seed(n)) * 1.6 - 0.3
    planes = F.interpolate(coarse, [size, size], mode="bicubic").clamp(0, 1) * 255
    return planes.permute(0, 2, 3, 1).byte().numpy()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_what_forward_does_to_bytes_is_kept(tmp_path, order):
    net = Whole(order)
    path = to_onnx(net, tmp_path / "m.onnx", image_size=SIZE, metadata={}, pictures=real(6, SIZE))
    assert [(i.name, i.type) for i in Runner(path)._session.get_inputs()] == [
        ("image", "tensor(uint8)")
    ]
    assert parity.check(net, path, [*PICTURES, *real(9, SIZE)], 1e-4) <= 1e-4
    large = torch.from_numpy(real(2, 3 * SIZE))
    small = resized(large, SIZE)
    off = Runner(path)(large.numpy()) - net(small).detach().numpy()
    assert np.abs(off).max() < 0.02  # a byte of a resize


@pytest.mark.parametrize("own", [Input(MEAN, STD), Input(MEAN, STD, (2, 1, 0))])
def test_parity_is_shown_on_real_pictures_of_any_size(tmp_path, own):
    net, photos = Net(own), real(7, 40)
    path = to_onnx(net, tmp_path / "m.onnx", image_size=SIZE, metadata={}, pictures=photos)
    assert parity.check(net, path, real(7, SIZE), 1e-3) <= 1e-3


@pytest.mark.parametrize("wrong", [PICTURES.astype(np.float32), PICTURES[0], PICTURES[..., :1]])
def test_pictures_of_another_kind_are_named(tmp_path, wrong):
    with pytest.raises(ExportError, match="pictures are ") as caught:
        to_onnx(Net(), tmp_path / "m.onnx", image_size=SIZE, metadata={}, pictures=wrong)
    assert "uint8 (n, h, w, 3)" in caught.value.hint


class Peeking(Net):
    """Reads planes, and the picture again beside them: bytes that are white."""

    def forward(self, image):
        white = (image.flatten(1).float() > 250).float().mean(1, keepdim=True)
        return super().forward(image) + 9 * white


def test_a_module_that_reads_the_picture_twice_is_refused(tmp_path):
    with pytest.raises(ExportError, match="off the module"):
        export(Peeking(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_module_on_bytes_is_quantized(tmp_path):
    net = Whole()
    path = export(net, tmp_path)
    twin = int8.quantize(path, tmp_path / "int8.onnx", [PICTURES], Attempt("a"))
    wanted = net(torch.from_numpy(PICTURES)).detach().numpy()
    assert np.linalg.norm(Runner(twin)(PICTURES) - wanted) < 0.03 * np.linalg.norm(wanted)


class Gamma(Input):
    def forward(self, image):
        return super().forward(image).abs() ** 0.5


class Grey(Input):
    def forward(self, image):
        return super().forward(image).mean(1, keepdim=True).expand(-1, 3, -1, -1)


class Contrast(Input):
    def forward(self, image):
        planes = super().forward(image)
        return planes / planes.std((1, 2, 3), keepdim=True).clamp_min(1e-3)


class Flat(Input):
    def forward(self, image):
        return super().forward(image).flatten(1)


class Broken(Input):
    def forward(self, image):
        raise RuntimeError("no such picture")


@pytest.mark.parametrize("own", [Gamma, Grey, Contrast, Flat, Broken])
def test_an_input_that_cannot_be_kept_is_named(tmp_path, own):
    with pytest.raises(ExportError, match="`input` of Net") as caught:
        export(Net(own(MEAN, STD)), tmp_path)
    assert caught.value.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mean", [MEAN, None])
def test_an_input_that_resizes_in_another_way_is_named(tmp_path, mean):
    with pytest.raises(ExportError, match="another size"):
        export(Net(Input(mean, STD if mean else None, mode="nearest")), tmp_path)


class Shrinking(Input):
    """Another way for pictures that are small."""

    def forward(self, image):
        if min(image.shape[1:3]) < SIZE:
            planes = F.interpolate(image.permute(0, 3, 1, 2), [SIZE, SIZE], mode="nearest")
            image = planes.permute(0, 2, 3, 1)
        return super().forward(image)


class Cropping(Input):
    """Another way for pictures that are tall."""

    def forward(self, image):
        return super().forward(image[:, : image.shape[2]])


@pytest.mark.parametrize("own", [Shrinking, Cropping])
def test_an_input_that_is_another_for_some_sizes_is_named(tmp_path, own):
    with pytest.raises(ExportError, match="another size, "):
        export(Net(own()), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_relu_at_the_end_stays(tmp_path):
    class Ending(Net):
        def forward(self, image):
            return F.relu(super().forward(image))

    net = Ending()
    path = export(net, tmp_path)
    twin = int8.quantize(path, tmp_path / "int8.onnx", [PICTURES], Attempt("a"))
    wanted = net(torch.from_numpy(PICTURES)).detach().numpy()
    found = Runner(twin)(PICTURES)
    assert wanted.min() == 0 == found.min()
    assert np.linalg.norm(found - wanted) < 0.03 * np.linalg.norm(wanted)


@dataclass
class Output:
    logits: torch.Tensor
    hidden: torch.Tensor


class Giving(Net):
    """Gives its logits in one of the ways that modules have."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, image):
        return self.how(super().forward(image))


ONE = [
    lambda y: (y, y),
    lambda y: [y, None],
    lambda y: {"logits": y, "hidden": y * 2},
    lambda y: Output(y, y * 2),
]
NONE = [
    lambda y: (y, y * 2),
    lambda y: None,
    lambda y: (),
    lambda y: "text",
    lambda y: {"a": y, "b": y + 1},
]


@pytest.mark.parametrize("how", ONE)
def test_the_tensor_is_taken_where_there_is_one(tmp_path, how):
    net = Giving(how)
    path = export(net, tmp_path)
    wanted = Net()(torch.from_numpy(PICTURES)).detach().numpy()
    np.testing.assert_allclose(Runner(path)(PICTURES), wanted, atol=1e-4)
    assert parity.check(net, path, PICTURES, 1e-3) <= 1e-3
    assert [o.name for o in onnx.load(path).graph.output] == ["logits"]


@pytest.mark.parametrize("how", NONE)
def test_where_there_is_none_or_several_it_is_said(tmp_path, how):
    with pytest.raises(ExportError, match=r"forward gives \w+ with \d tensors") as caught:
        export(Giving(how), tmp_path)
    assert "(n, classes)" in caught.value.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("how", [lambda y: y.argmax(1), lambda y: y > 0, lambda y: y.sum(1)])
def test_what_is_no_logits_is_named(tmp_path, how):
    with pytest.raises(ExportError, match=r"gives \w+ \(2.* of 2 pictures") as caught:
        export(Giving(how), tmp_path)
    assert "(n, classes)" in caught.value.hint


@pytest.mark.parametrize("logits", [lambda y: y * 1e-4, lambda y: y + 1000])
def test_logits_are_compared_by_how_far_they_lie_apart(tmp_path, logits):
    path = export(Giving(logits), tmp_path)
    parity.check_share(Giving(logits), path, PICTURES)
    with pytest.raises(ExportError, match="off the module"):
        parity.check_share(Giving(lambda y: logits(1.1 * y)), path, PICTURES)


class Branching(Net):
    def forward(self, image):
        x = super().forward(image)
        if x.sum() > 0:
            return x
        return x * 2


class Fixed(Net):
    def forward(self, image):
        return super().forward(image) + torch.ones(2, 4)


class Dropping(Net):
    def forward(self, image):
        return F.dropout(super().forward(image), 0.5, training=True)


class Wrong(Net):
    def forward(self, image):
        return self.last(self.features(image)[:, :3])


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Branching, r"data-dependent.*`if x\.sum\(\) > 0:`"),
        (Fixed, "batch of 1|logits|size"),
        (Dropping, "off the module"),
        (Wrong, "forward of Wrong fails"),
    ],
)
def test_what_cannot_be_exported_says_why_in_plain_text(tmp_path, kind, said):
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out), pytest.raises(ExportError) as caught:
        export(kind(), tmp_path)
    message = f"{caught.value} {caught.value.hint}"
    assert re.search(said, message)
    assert "\x1b" not in message
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert out.getvalue() == ""
    assert not list(tmp_path.iterdir())
