"""How it is made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from levels_task import data as levels
from levels_task.data import Pictures
from levels_task.recipe import LevelRecipe
from zoo.chain.maker import Maker
from zoo.records.card import Input
from zoo.records.names import FILES

if TYPE_CHECKING:
    from torch import nn

    from compress.ladder import Climb, Judgement
    from compress.training import Train as Learn
    from distill.labels import Kept
    from distill.teachers import Teacher


class LevelMaker(Maker[LevelRecipe, Pictures]):
    def load(self, split: str, root: Path | None) -> Pictures:
        data = self.recipe.data
        count = data.train if split == "train" else data.held_out
        return levels.make(split, data.image_size, count)

    def labels(self, data: Pictures) -> tuple[str, ...]:
        return ()

    def teacher(self, labels: tuple[str, ...], onnx: Path | None) -> Teacher:
        from distill.teachers import Teacher

        sha256 = hashlib.sha256(Path(levels.__file__).read_bytes()).hexdigest()
        return Teacher("the mean", "this folder", sha256, "CC0-1.0", 1, levels.bright)

    def views(self) -> Any:
        return None

    def keep(self, teacher: Teacher, train: Pictures, root: Path) -> Kept:
        from distill.labels import Audit, Kept

        said, n = teacher(train.images)[None].astype(np.float16), len(train)
        index, rest = np.zeros((1, n, 1), np.uint16), np.zeros((1, n), np.float16)
        audit = Audit(n, 1.0, 0.0)
        return Kept(1, np.arange(n), index, said, rest, teacher.sha256, audit, said.nbytes)

    def network(self, labels: tuple[str, ...], weights: Path | None = None) -> nn.Module:
        import torch
        from torch import nn

        class Net(nn.Module):
            """The input is a child of its own, which the export replaces."""

            def __init__(self) -> None:
                super().__init__()
                self.input = Scaled()
                self.features = nn.Conv2d(3, 8, 3, padding=1)
                self.head = nn.Linear(8, 1)

            def forward(self, image: torch.Tensor) -> torch.Tensor:
                return self.head(self.features(self.input(image)).relu().mean((2, 3)))

        class Scaled(nn.Module):
            def forward(self, image: torch.Tensor) -> torch.Tensor:
                return (image.permute(0, 3, 1, 2).float() - 128) / 64

        net = Net()
        if weights:
            net.load_state_dict(torch.load(weights, weights_only=True))
        return net.eval()

    def reads(self) -> dict[str, Any]:
        return {"image_size": self.recipe.data.image_size}

    def fit(
        self,
        net: nn.Module,
        train: Pictures,
        validation: Pictures,
        seed: int,
        out: Path,
        kept: Kept | None,
    ) -> list[dict[str, float]]:
        import torch

        images = torch.from_numpy(train.images)
        said = kept(0, torch.arange(len(train)), images) if kept else None
        target = torch.from_numpy(train.values) if said is None else said
        optimizer = torch.optim.Adam(net.parameters(), self.recipe.train.learning_rate)
        curves = []
        for epoch in range(self.recipe.train.epochs):
            loss = (net(images) - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            curves.append({"epoch": epoch + 1, "loss": loss.item(), "seconds": 0.0})
        return curves

    def predict(self, net: nn.Module, data: Pictures) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return net(torch.from_numpy(data.images)).numpy()

    def export(
        self, net: nn.Module, about: dict[str, str], validation: Pictures, out: Path
    ) -> float:
        import onnx

        from export import onnx_file, parity
        from export.files import save

        size = self.recipe.data.image_size
        model = onnx_file.finish(onnx_file.core(net, size), size, about)
        for node in model.graph.node:  # the stage calls every output logits; this one is none
            node.output[:] = ["value" if name == "logits" else name for name in node.output]
        model.graph.output[0].name = "value"
        onnx.checker.check_model(model)
        save(model, out / FILES["fp32"])
        return parity.check(net, out / FILES["fp32"], list(validation.images[:8]), self.tolerance)

    def input(self) -> Input:
        return Input("image", "uint8", "NHWC", "RGB", self.recipe.data.image_size)

    def climb(
        self,
        folder: Path,
        train: Pictures,
        out: Path,
        judge: Callable[[Path], Judgement],
        learn: Learn,
    ) -> Climb:
        from compress import ladder

        compress, gates = self.recipe.compress, self.recipe.gates
        assert compress is not None and gates is not None
        return ladder.climb(folder / FILES["fp32"], out, [train.images], compress, gates, judge)

    def golden(self, validation: Pictures) -> np.ndarray:
        return validation.images[:8]

    def examples(self, data: Pictures) -> np.ndarray:
        return data.images

    def macs(self, net: nn.Module) -> int:
        from distill.students import counts

        return counts.macs(net, self.recipe.data.image_size)
