"""The networks: published sizes exact, shuffles as in the papers, any picture in, logits out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

torch = pytest.importorskip("torch")

from distill.errors import DistillError  # noqa: E402
from distill.students import ARCHITECTURES, create  # noqa: E402
from distill.students.counts import macs, parameters  # noqa: E402
from distill.students.image import ImageInput  # noqa: E402
from distill.students.layers import channel_shuffle, shuffled_pair  # noqa: E402
from distill.students.shufflenet_v1 import Unit as UnitV1  # noqa: E402
from distill.students.shufflenet_v2 import DownUnit  # noqa: E402
from distill.students.shufflenet_v2 import Unit as UnitV2  # noqa: E402

few = settings(max_examples=30, deadline=None)

# Zhang et al. 2018, table 2 (million multiply-accumulates, here with the classifier's) and the
# parameters that follow from its table 1.
V1 = [
    (1, 143.08, 1_531_936),
    (2, 140.84, 1_733_848),
    (3, 137.46, 1_865_728),
    (4, 134.34, 1_968_344),
    (8, 138.37, 2_434_768),
]

# Width, groups, multiply-accumulates, parameters.
V1_WIDTHS = [
    (2.0, 3, 524_045_184, 5_450_776),
    (1.5, 3, 299_612_448, 3_443_212),
    (0.5, 3, 37_589_856, 718_324),
    (0.5, 8, 40_469_760, 1_011_448),
    (0.25, 3, 11_009_808, 305_902),
    (0.25, 8, 12_426_240, 454_504),
]

# Groups, multiply-accumulates, parameters at half width, with the small stem at 32 pixels, 10
# classes: of all widths with 3 groups this comes nearest to ShuffleNet v2 0.5x.
V1_SMALL = [(3, 11_126_976, 242_134), (8, 11_644_416, 250_138)]

# Ma et al. 2018, table 5, at 224 pixels and 1000 classes; then with the small stem at 32 and 10.
V2 = [
    (0.5, 40.5, 1_366_792, 10_902_016, 352_042),
    (1.0, 144.9, 2_278_604, 45_002_112, 1_263_854),
    (1.5, 295.8, 3_503_624, 94_259_712, 2_488_874),
    (2.0, 583.3, 7_393_996, 187_811_200, 5_365_486),
]


def millions(count: int, digits: int) -> float:
    return round(count / 1e6, digits)


@pytest.mark.parametrize(("groups", "mmacs", "count"), V1)
def test_shufflenet_v1_has_the_published_size(groups: int, mmacs: float, count: int) -> None:
    net = create("shufflenet-v1", 1000, 224, {"groups": groups})
    assert (parameters(net), millions(macs(net, 224), 2)) == (count, mmacs)


@pytest.mark.parametrize(("width", "groups", "mults", "count"), V1_WIDTHS)
def test_shufflenet_v1_of_another_width_has_its_size(
    width: float, groups: int, mults: int, count: int
) -> None:
    net = create("shufflenet-v1", 1000, 224, {"groups": groups, "width": width})
    assert (parameters(net), macs(net, 224)) == (count, mults)


@pytest.mark.parametrize(("groups", "mults", "count"), V1_SMALL)
def test_shufflenet_v1_for_32_pixels_has_its_size(groups: int, mults: int, count: int) -> None:
    net = create("shufflenet-v1", 10, 32, {"groups": groups, "width": 0.5, "stem": "small"})
    assert (parameters(net), macs(net, 32)) == (count, mults)


@pytest.mark.parametrize(("width", "mmacs", "count"), [row[:3] for row in V2])
def test_shufflenet_v2_has_the_published_size(width: float, mmacs: float, count: int) -> None:
    net = create("shufflenet-v2", 1000, 224, {"width": width})
    assert (parameters(net), millions(macs(net, 224), 1)) == (count, mmacs)


@pytest.mark.parametrize(("width", "mults", "count"), [(row[0], *row[3:]) for row in V2])
def test_shufflenet_v2_for_32_pixels_has_the_published_size(
    width: float, mults: int, count: int
) -> None:
    net = create("shufflenet-v2", 10, 32, {"width": width, "stem": "small"})
    assert (parameters(net), macs(net, 32)) == (count, mults)


def test_counting_leaves_the_network_as_it_was() -> None:
    net = create("shufflenet-v2", 10, 32, {"width": 0.5, "stem": "small"}).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert macs(net, 32) == macs(net, 32) and net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


OPTIONS = [
    *(("shufflenet-v1", {"groups": g, "width": w}) for g, _, _ in V1 for w in (0.25, 0.5, 1.0)),
    *(("shufflenet-v1", {"groups": g, "width": 0.5, "stem": "small"}) for g in (3, 8)),
    *(("shufflenet-v2", {"width": 0.5, "stem": stem}) for stem in ("imagenet", "small")),
    *(("separable", {"size": size}) for size in ("small", "base")),
    ("efficientnet-lite", {}),
    *(("nasnet-a", {"cells": 1, "filters": 8, "stem": stem}) for stem in ("imagenet", "small")),
]


@pytest.mark.parametrize(("architecture", "options"), OPTIONS)
def test_every_student_learns_with_every_weight(
    architecture: str, options: dict[str, float | int | str]
) -> None:
    torch.manual_seed(0)
    net = create(architecture, 7, 32, options).train()
    logits = net(torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8))
    assert logits.shape == (4, 7) and logits.dtype == torch.float32
    logits.square().sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), name


@pytest.mark.parametrize("architecture", [a for a in ARCHITECTURES if a != "ngram"])
def test_the_input_is_the_first_child(architecture: str) -> None:
    net = create(architecture, 10, 32, {})
    assert isinstance(next(net.children()), ImageInput) and isinstance(net.input, ImageInput)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (31, 33), (200, 7)])
def test_pictures_of_any_size_are_answered(shape: tuple[int, int]) -> None:
    net = create("shufflenet-v2", 10, 32, {"width": 0.5, "stem": "small"}).eval()
    with torch.inference_mode():
        logits = net(torch.randint(0, 256, (2, *shape, 3), dtype=torch.uint8))
    assert logits.shape == (2, 10) and logits.isfinite().all()


@few
@given(st.integers(0, 255))
def test_a_byte_becomes_a_number_that_eight_bits_hold(value: int) -> None:
    planes = ImageInput(4)(torch.full((1, 4, 4, 3), value, dtype=torch.uint8))
    assert planes.shape == (1, 3, 4, 4) and (planes == (value - 128) / 64).all()


@pytest.mark.parametrize("shape", [(64, 64), (33, 47), (8, 8), (5, 90)])
def test_resizing_is_that_of_the_data_readers(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    mine = ImageInput(16)(torch.from_numpy(pixels)[None])[0].permute(1, 2, 0).numpy() * 64 + 128
    pillow = Image.fromarray(pixels).resize((16, 16), Image.Resampling.BILINEAR)
    assert np.abs(mine - np.asarray(pillow)).max() <= 1


@few
@given(st.integers(1, 8), st.integers(1, 8))
def test_a_shuffle_deals_the_groups_out(groups: int, each: int) -> None:
    """Zhang et al. 2018, section 3.1: (g, n) transposed; the shuffle by n takes it back."""
    x = torch.arange(groups * each).float().view(1, -1, 1, 1)
    dealt = channel_shuffle(x, groups)
    expected = [g * each + i for i in range(each) for g in range(groups)]
    assert dealt.flatten().tolist() == expected
    assert torch.equal(channel_shuffle(dealt, each), x)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_shuffle_keeps_the_layout_and_the_order(layout: torch.memory_format) -> None:
    plain = torch.randn(2, 12, 3, 5)
    x = plain.to(memory_format=layout)
    shuffled, wanted = channel_shuffle(x, 3), channel_shuffle(plain, 3)
    assert torch.equal(shuffled, wanted)
    assert shuffled.is_contiguous(memory_format=layout)
    a, b = (part.to(memory_format=layout) for part in plain.chunk(2, 1))
    assert torch.equal(shuffled_pair(a, b), channel_shuffle(plain, 2))
    assert shuffled_pair(a, b).is_contiguous(memory_format=layout)


def test_gradients_of_a_pair_are_the_same_in_both_layouts_and_come_back_in_theirs() -> None:
    weight, found = torch.randn(2, 8, 3, 5), []
    for layout in (torch.contiguous_format, torch.channels_last):
        leaves = [
            torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(k)) for k in (0, 1)
        ]
        a, b = (one.to(memory_format=layout).requires_grad_() for one in leaves)
        came: list[torch.Tensor] = []
        b2 = b * 2
        b2.register_hook(came.append)
        (shuffled_pair(a, b2) * weight + shuffled_pair(b2, a)).sum().backward()
        found.append((a.grad, b.grad))
        assert came[0].is_contiguous(memory_format=layout)
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_a_v2_unit_passes_half_of_its_channels_on() -> None:
    x = torch.randn(2, 12, 5, 5)
    y = UnitV2(12).eval()(x)
    assert torch.equal(y[:, 0::2], x[:, :6]) and not torch.equal(y[:, 1::2], x[:, 6:])


def test_a_v2_down_unit_halves_the_side() -> None:
    assert DownUnit(24, 48).eval()(torch.randn(1, 24, 9, 8)).shape == (1, 48, 5, 4)


def test_a_v1_unit_of_stride_2_passes_the_pooled_picture_on() -> None:
    x = torch.randn(2, 24, 8, 8).relu()
    y = UnitV1(24, 96, groups=3, stride=2).eval()(x)
    pooled = torch.nn.functional.avg_pool2d(x, 3, 2, 1)
    assert y.shape == (2, 96, 4, 4) and torch.equal(y[:, :24], pooled)


@pytest.mark.parametrize("groups", [3, 8])
def test_without_shuffles_a_v1_unit_keeps_its_groups_apart(groups: int) -> None:
    size = 8 * groups
    group = 8  # channels of each

    def reached(shuffle: bool) -> list[int]:
        torch.manual_seed(0)
        unit = UnitV1(size, size, groups, 1, shuffle=shuffle).eval()
        x = torch.ones(1, size, 4, 4, requires_grad=True)
        unit(x)[:, :group].sum().backward()
        assert x.grad is not None
        return sorted({int(c) // group for c in x.grad.abs().sum((0, 2, 3)).nonzero()})

    assert reached(False) == [0] and len(reached(True)) > 1


@pytest.mark.parametrize("groups", [3, 8])
def test_without_shuffles_a_v1_network_has_the_same_size(groups: int) -> None:
    with_them = create("shufflenet-v1", 10, 32, {"groups": groups})
    without = create("shufflenet-v1", 10, 32, {"groups": groups, "shuffle": False})
    assert (parameters(without), macs(without, 32)) == (parameters(with_them), macs(with_them, 32))
    assert without.state_dict().keys() == with_them.state_dict().keys()


def test_the_first_v1_unit_does_not_group_its_first_convolution() -> None:
    net = create("shufflenet-v1", 10, 32, {"groups": 8})
    groups = [unit.reduce.conv.groups for unit in net.units]
    assert groups == [1] + [8] * 15


@pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("shufflenet-v3", {}),
        ("shufflenet-v1", {"groups": 5}),
        ("shufflenet-v1", {"width": 0}),
        ("shufflenet-v2", {"width": 0.75}),
        ("shufflenet-v2", {"stem": "large"}),
        ("shufflenet-v2", {"wdith": 0.5}),
        ("separable", {"size": "huge"}),
        ("efficientnet-lite", {"variant": "lite9"}),
        ("nasnet-a", {"stem": "large"}),
    ],
)
def test_an_unknown_network_or_option_is_one_error(
    architecture: str, options: dict[str, float | int | str]
) -> None:
    with pytest.raises(DistillError, match=architecture) as caught:
        create(architecture, 10, 32, options)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("architecture", "options", "message"),
    [
        ("shufflenet-v1", {"shuffle": "false"}, "shuffle is a bool, not 'false'"),
        ("shufflenet-v1", {"groups": True}, "groups is a int, not True"),
        ("shufflenet-v2", {"width": "1.0"}, "width is a float, not '1.0'"),
        ("separable", {"image_size": "32"}, "image_size is a int, not '32'"),
        ("separable", {"image_size": 0}, "image_size must be at least 1 pixel, not 0"),
    ],
)
def test_an_option_of_another_type_is_one_error(
    architecture: str, options: dict[str, str | int | bool], message: str
) -> None:
    with pytest.raises(DistillError, match=message):
        create(architecture, 10, 32, options)
