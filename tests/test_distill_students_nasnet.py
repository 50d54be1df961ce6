"""NASNet-A: published sizes exact, cells wired as in the paper, one way from torch to 8 bits."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from compress import int8, rewrite  # noqa: E402
from compress.config import Attempt  # noqa: E402
from distill.errors import DistillError  # noqa: E402
from distill.students import create  # noqa: E402
from distill.students.counts import macs, parameters  # noqa: E402
from distill.students.nasnet_a import (  # noqa: E402
    NORMAL,
    REDUCTION,
    Cell,
    FactorizedReduction,
    NASNetA,
    drop_path,
)
from export import onnx_file, parity  # noqa: E402

TINY = {"cells": 1, "filters": 8, "stem": "small"}


def tiny(**options):
    """A small network whose statistics fit its weights, ready to answer."""
    torch.manual_seed(0)
    net = create("nasnet-a", 5, 32, TINY | options)
    with torch.no_grad():
        for _ in range(5):
            net.train()(pictures(16))
    return net.eval()


def pictures(count, side=32):
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8)


# Zoph et al. 2018: 3.3M parameters (table 1), 5.3M (table 2; with 1001 classes, as TF-slim has).
@pytest.mark.parametrize(
    ("options", "classes", "size", "count", "mmacs"),
    [
        ({"cells": 6, "filters": 32, "stem": "small"}, 10, 32, 3_328_234, 525.8),
        ({"cells": 4, "filters": 44}, 1001, 224, 5_288_133, 557.7),
        ({"cells": 4, "filters": 44}, 1000, 224, 5_288_133 - 1057, 557.7),
    ],
)
def test_a_published_size_is_exact(options, classes, size, count, mmacs):
    net = create("nasnet-a", classes, size, options)
    assert (parameters(net), round(macs(net, size) / 1e6, 1)) == (count, mmacs)


def test_the_channels_at_the_end_are_those_of_the_name():
    """6@768 and 4@1056."""
    ends = [
        create("nasnet-a", 10, 32, options).head.linear.in_features
        for options in ({"cells": 6, "filters": 32, "stem": "small"}, {})
    ]
    assert ends == [768, 1056]


class Same(nn.Module):
    """Stands for a layer: the same numbers, at half the side if asked, times a factor."""

    def __init__(self, factor: float, stride: int = 1):
        super().__init__()
        self.factor, self.stride = factor, stride

    def forward(self, x):
        return self.factor * x[:, :, :: self.stride, :: self.stride]


def with_factors(wiring):
    """A cell whose projections pass on, and whose convolutions are factors 2, 3, ..."""
    cell = Cell(wiring, 1, 1, 1, halve=False, keep=1.0)
    cell.here, cell.before = nn.Identity(), nn.Identity()
    for k, ((name, state), _) in enumerate(zip(reads(wiring), cell.branches, strict=True)):
        if name.startswith("sep"):
            cell.branches[k] = Same(k + 2, wiring.stride if state < 2 else 1)
    return cell.eval()


def reads(wiring):
    return [read for block in wiring.blocks for read in block]


def test_a_normal_cell_is_wired_as_in_the_paper():
    """On constant pictures an average is the picture itself, at the border too."""
    a, b = -3.0, 5.0  # h_i, h_(i-1)
    found = with_factors(NORMAL)(torch.full((1, 1, 6, 6), b), torch.full((1, 1, 6, 6), a))
    wanted = [
        b,  # state 1
        2 * 0 + 3 * b,  # sep5(0) + sep3(1); a separable convolution reads relu(a) = 0
        4 * b + 5 * b,  # sep5(1) + sep3(1)
        a + b,  # avg3(0) + id(1)
        b + b,  # avg3(1) + avg3(1)
        10 * 0 + a,  # sep3(0) + id(0)
    ]
    assert found.shape == (1, 6, 6, 6)
    assert found[0, :, 0, 0].tolist() == pytest.approx([max(value, 0) for value in wanted])
    assert torch.allclose(found, found[:, :, :1, :1].expand_as(found))


def test_a_reduction_cell_is_wired_as_in_the_paper():
    a, b = 3.0, -5.0
    found = with_factors(REDUCTION)(torch.full((1, 1, 6, 6), b), torch.full((1, 1, 6, 6), a))
    two = 2 * a + 3 * 0  # sep5(0) + sep7(1)
    three = a + 5 * 0  # max3(0) + sep7(1)
    four = a + 7 * 0  # avg3(0) + sep5(1)
    wanted = [three, four, three + two, 10 * two + a]  # id(3) + avg3(2); sep3(2) + max3(0)
    assert found.shape == (1, 4, 3, 3)
    assert found[0, :, 0, 0].tolist() == pytest.approx(wanted)


def test_every_operation_reads_the_state_of_the_table():
    """Section 2, figure 4 of the paper."""
    assert reads(NORMAL) == [
        *(("sep5", 0), ("sep3", 1), ("sep5", 1), ("sep3", 1), ("avg3", 0)),
        *(("id", 1), ("avg3", 1), ("avg3", 1), ("sep3", 0), ("id", 0)),
    ]
    assert reads(REDUCTION) == [
        *(("sep5", 0), ("sep7", 1), ("max3", 0), ("sep7", 1), ("avg3", 0)),
        *(("sep5", 1), ("id", 3), ("avg3", 2), ("sep3", 2), ("max3", 0)),
    ]
    assert (NORMAL.joined, REDUCTION.joined) == ((1, 2, 3, 4, 5, 6), (3, 4, 5, 6))


def test_a_cell_leaves_what_it_reads_as_it_was():
    cell = Cell(NORMAL, 8, 8, 8, halve=False, keep=1.0).train()
    before, x = torch.randn(2, 8, 6, 6), torch.randn(2, 8, 6, 6)
    copies = before.clone(), x.clone()
    cell(before, x)
    assert torch.equal(before, copies[0]) and torch.equal(x, copies[1])


@pytest.mark.parametrize("side", [1, 2, 7, 8])
def test_a_factorized_reduction_reads_even_and_odd_pixels(side):
    reduction = FactorizedReduction(3, 5).eval()
    x = torch.randn(2, 3, side, side)
    shifted = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]  # as TF-slim writes it
    even = F.conv2d(x[:, :, ::2, ::2], reduction.even.conv.weight)
    odd = F.conv2d(shifted[:, :, ::2, ::2], reduction.odd.conv.weight)
    scale = (1 + reduction.even.norm.eps) ** -0.5  # of a fresh batch norm
    found = reduction(x)
    assert found.shape == (2, 5, -(-side // 2), -(-side // 2))
    assert torch.allclose(found, torch.cat([even, odd], 1) * scale, atol=1e-5)


def test_averages_do_not_count_padding():
    pools = [part for part in tiny().modules() if isinstance(part, nn.AvgPool2d)]
    ones = torch.ones(1, 1, 8, 8)
    assert pools and all((pool(ones) == 1).all() for pool in pools)


@pytest.mark.parametrize(
    ("stem", "size"),
    [*(("small", size) for size in (16, 24, 32, 33)), ("imagenet", 32), ("imagenet", 47)],
)
def test_every_weight_learns_at_every_size(stem, size):
    torch.manual_seed(0)
    net = create("nasnet-a", 7, size, TINY | {"stem": stem}).train()
    net(pictures(4, size)).square().sum().backward()
    for name, weight in net.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), name
        assert name.endswith("norm.weight") or weight.grad.any(), name


def test_dropped_paths_are_nothing_and_kept_ones_make_up_for_them():
    torch.manual_seed(0)
    found = drop_path(torch.ones(4000, 2, 3, 3), 0.8)
    assert set(found.unique().tolist()) == {0.0, 1.25}
    assert found.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(found, found[:, :1, :1, :1].expand_as(found))


def test_later_cells_drop_more_and_an_answer_drops_nothing():
    net = tiny(path_keep=0.6)
    assert [cell.keep for cell in net.cells] == pytest.approx([0.92, 0.84, 0.76, 0.68, 0.6])
    whole, x = create("nasnet-a", 5, 32, TINY).eval(), pictures(4)
    whole.load_state_dict(net.state_dict())
    with torch.no_grad():
        assert torch.equal(net(x), net(x)) and torch.equal(net(x), whole(x))
        assert not torch.equal(net.train()(x), net(x))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("cells", 0),
        ("cells", 1.5),
        ("filters", 0),
        ("filters", 18),
        ("filters", "many"),
        ("stem", "large"),
        ("path_keep", 0),
        ("path_keep", 1.5),
        ("path_keep", "half"),
        ("aux", 1),
    ],
)
def test_an_option_that_cannot_be_is_one_error_that_names_it(option, value):
    with pytest.raises(DistillError, match=f"nasnet-a.*{option}") as caught:
        create("nasnet-a", 10, 32, {option: value})
    assert caught.value.hint


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A network, its float file, its 8-bit file."""
    folder, net = tmp_path_factory.mktemp("nasnet"), tiny()
    model = rewrite.optimize(onnx_file.finish(onnx_file.core(net, 32), 32, {}))
    onnx.save(model, folder / "fp32.onnx")
    onnx.save(rewrite.prepare_int8(model), folder / "ready.onnx")
    made = int8.make(
        folder / "ready.onnx", folder / "int8.onnx", [pictures(32).numpy()], Attempt("minmax")
    )
    return net, folder / "fp32.onnx", made


def test_the_float_file_equals_the_module(files: tuple[NASNetA, Path, int8.Made]):
    net, fp32, _ = files
    assert parity.check(net, fp32, list(pictures(5).numpy()), 1e-3) <= 1e-4


def test_the_float_file_has_no_norm_and_no_pool_twice(files: tuple[NASNetA, Path, int8.Made]):
    found = Counter(node.op_type for node in onnx.load(files[1]).graph.node)
    assert "BatchNormalization" not in found and "Pad" not in found
    assert (found["AveragePool"], found["MaxPool"]) == (2 * 3 + 2 * 2, 2)  # 3 and 2 cells


def test_no_layer_of_the_8_bit_file_is_left_in_float(
    files: tuple[NASNetA, Path, int8.Made], tmp_path: Path
):
    """Nor does onnxruntime, which fuses first, make floats of anything between."""
    _, _, made = files
    options, seen = ort.SessionOptions(), tmp_path / "seen.onnx"
    options.optimized_model_filepath, options.log_severity_level = str(seen), 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    ort.InferenceSession(made.path, options, providers=["CPUExecutionProvider"])
    found = Counter(node.op_type for node in onnx.load(seen).graph.node)
    assert made.float_nodes == () and made.changes["logits"] < 0.15
    assert not {"Conv", "Relu", "Add", "Mul", "AveragePool", "DequantizeLinear"} & set(found)
    assert found["Clip"] == 2 * 3 + 3 * 2  # states 0 and 1 of each cell, 3 of a reduction
    assert np.isfinite(list(made.changes.values())).all()
