"""How students that classify pictures are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.chain.maker import Doubts, Maker
from zoo.records.card import Input
from zoo.records.names import FILES
from zoo.tasks.image_classification.recipe import ImageRecipe

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from compress.ladder import Climb, Judgement
    from compress.training import Train as Learn
    from distill.config import Augment
    from distill.data import Dataset, Split
    from distill.teachers import Teacher

FLOAT = "float.onnx"  # what the quantizer starts from
PLAIN = "plain.onnx"  # torch.onnx.export and nothing else: the yardstick
PARITY_PICTURES, GOLDEN_PICTURES = 40, 16
MOST_PIXELS = 2048  # a side
TWO = ("a", "b")  # classes of a network that is tried before the data is read


class PictureMaker(Maker[ImageRecipe, "Dataset"]):
    """Squares of one size, in views that are cropped, mirrored, cut out and mixed."""

    asks = "pictures"

    def check(self) -> None:
        """The network answers to a picture; sizes, views and processes fit each other."""
        import torch

        from distill import augment, train
        from distill.students import is_own, own_sha256, try_out

        recipe, side = self.recipe, self.recipe.data.image_size
        self._check_sides()
        augment.draw(recipe.augment, 1, side, 0)
        self._check_init()
        train.check_processes(recipe.train, recipe.loss)
        if is_own(recipe.student.architecture):  # its classes may be fixed: see `check_data`
            own_sha256(recipe.student.architecture)
            return
        net = type(self)(replace(recipe, student=replace(recipe.student, init=""))).network(TWO)
        try_out(net, torch.zeros(1, side, side, 3, dtype=torch.uint8))
        train.check_sizes(net, recipe.train)
        self._check_weights()

    def _check_sides(self) -> None:
        """Before a picture of that size is made."""
        from distill.errors import DistillError

        data, teacher = self.recipe.data, self.recipe.teacher
        sides: dict[tuple[str, ...], object] = {
            ("data", "image_size"): data.image_size,
            ("data", "keep_size"): data.keep_size,
            ("student", "options", "image_size"): self.recipe.student.options.get("image_size"),
            ("teacher", "input", "size"): teacher.input.size if teacher and teacher.input else 0,
        }
        for key, side in sides.items():
            if isinstance(side, int) and side > MOST_PIXELS:
                what = f"pictures of {side} pixels a side are larger than can be worked on"
                raise DistillError(what, f"at most {MOST_PIXELS}", key)

    def _check_init(self) -> None:
        from distill.errors import DistillError

        facts = self.recipe.student
        if facts.init == "imagenet" and facts.architecture != "efficientnet-lite":
            what = f"there are no weights of {facts.architecture} to start from"
            hint = "init: imagenet is for efficientnet-lite; leave it out"
            raise DistillError(what, hint, ("student", "init"))

    def _check_weights(self) -> None:
        from distill.errors import DistillError
        from distill.teachers.efficientnet_lite import weights

        if not self.recipe.student.init:
            return
        try:
            weights(self.variant)
        except DistillError as error:
            raise DistillError(str(error), error.hint, ("student", "init")) from error

    def check_places(self, root: Path | None) -> None:
        """The source."""
        from distill.data.sources import open_source

        open_source(self.recipe.data, root)

    def check_data(self, train: Dataset) -> None:
        """A batch can be filled, and the teacher has something to answer."""
        from distill.batches import check_count
        from distill.views import views_of

        check_count(len(train), self.recipe.train)
        views_of(train, self.views()).askable(self.recipe.labels.of)

    def check_labels(self, labels: tuple[str, ...]) -> None:
        """A student of the recipe's own is tried on as many classes as there are."""
        from distill import train
        from distill.errors import DistillError
        from distill.students import is_own

        if not labels or not is_own(self.recipe.student.architecture):
            return
        try:
            train.check_sizes(self.network(labels), self.recipe.train)
        except DistillError as error:
            key = error.key or ("student", "architecture")
            raise DistillError(str(error), error.hint, key) from error

    def load(self, split: Split, root: Path | None) -> Dataset:
        """One split, decoded."""
        from distill.data import load

        return load(self.recipe.data, split, root)

    def doubts(self, train: Dataset, validation: Dataset, root: Path | None) -> Doubts:
        """Those of reading each split, and pictures that stand in two."""
        from distill.data import doubles

        splits = (train, validation, self.load("test", root))
        found = doubles.find(*splits)
        said = [doubt for split in splits for doubt in split.doubts]
        return Doubts(found.test, (*said, *found.doubts), sum(one.skipped for one in splits))

    @property
    def unlabelled(self) -> bool:
        """As the recipe says."""
        return not self.recipe.data.labelled

    def class_names(self, onnx: Path | None) -> tuple[str, ...]:
        """As the recipe says of the teacher, or else as its file does."""
        from distill.teachers.class_names import class_names

        assert self.recipe.teacher is not None  # the recipe looked
        return class_names(self.recipe.teacher, onnx)

    def teacher(self, labels: tuple[str, ...], onnx: Path | None) -> Teacher:
        """Who answers."""
        from distill.teachers import open_teacher

        assert self.recipe.teacher is not None  # the caller looked
        facts = (self.recipe.teacher, len(labels), self.recipe.data.seen_size)
        return open_teacher(*facts, names=labels, onnx_path=onnx)

    def quick_source(self, folder: Path) -> Path | None:
        """What the quantizer starts from."""
        source = folder / FLOAT
        return source if source.is_file() else None

    def views(self) -> Augment:
        """How a view is drawn."""
        return self.recipe.augment

    def network(self, labels: tuple[str, ...], weights: Path | None = None) -> nn.Module:
        """The student, fresh or with the state dict in `weights`."""
        from distill.students import create, load_weights

        facts = self.recipe.student
        net = create(facts.architecture, len(labels), self.recipe.data.image_size, facts.options)
        if weights is not None:
            return load_weights(net, weights)
        if facts.init == "imagenet":
            from distill.teachers.efficientnet_lite import load_imagenet

            load_imagenet(net, self.variant)
        return net

    @property
    def variant(self) -> str:
        """Of EfficientNet-Lite, whose pretrained weights the student starts from."""
        return str(self.recipe.student.options.get("variant", "lite0"))

    def reads(self) -> dict[str, Any]:
        """The size, the views, and the pretrained weights that the student starts from."""
        recipe, init = self.recipe, {}
        if recipe.student.init:
            from distill.teachers.efficientnet_lite import sha256

            init = {"init": sha256(self.variant)}
        return init | {"image_size": recipe.data.image_size, "augment": asdict(recipe.augment)}

    def export(
        self, net: nn.Module, about: dict[str, str], validation: Dataset, out: Path
    ) -> float:
        """The fp32 file, the quantizer's float file and the plain export of `net` into `out`.

        Parity is shown on real pictures at the network's own size: a resized one may differ by one
        level of 255 between torch and onnxruntime.
        """
        import numpy as np
        from PIL import Image

        from compress import rewrite
        from export import onnx_file, parity
        from export.files import save

        size = self.size
        plain = onnx_file.core(net, size)
        save(plain, out / PLAIN)
        model = rewrite.optimize(onnx_file.finish(plain, size, about))
        save(model, out / FILES["fp32"])
        save(rewrite.prepare_int8(model), out / FLOAT)
        pictures = [
            np.asarray(Image.fromarray(image).resize((size, size)))
            for image in _spread(validation.images, PARITY_PICTURES)
        ]
        files = (FILES["fp32"], FLOAT)
        return max(parity.check(net, out / file, pictures, self.tolerance) for file in files)

    @property
    def size(self) -> int:
        """Pixels a side that the network works on."""
        return int(self.recipe.student.options.get("image_size", self.recipe.data.image_size))

    def input(self) -> Input:
        """Pictures of any size, resized in the graph."""
        return Input("image", "uint8", "NHWC", "RGB", self.size)

    def climb(
        self,
        folder: Path,
        train: Dataset,
        out: Path,
        judge: Callable[[Path], Judgement],
        learn: Learn,
    ) -> Climb:
        """The ladder, calibrated on pictures of the train split."""
        from compress import ladder

        compress, gates = self.recipe.compress, self.recipe.gates
        assert compress is not None and gates is not None  # the caller looked
        pictures = _spread(train.images, compress.calibration_images)
        return ladder.climb(folder / FLOAT, out, [pictures], compress, gates, judge, learn)

    def golden(self, validation: Dataset) -> np.ndarray:
        """Pictures uint8 (n, s, s, 3)."""
        return _spread(validation.images, GOLDEN_PICTURES)

    def examples(self, data: Dataset) -> np.ndarray:
        """Pictures uint8 (n, k, k, 3), at the size that views are drawn at."""
        return data.seen

    def inputs(self, data: Dataset) -> np.ndarray:
        """Pictures uint8 (n, s, s, 3)."""
        return data.images

    def yardsticks(self, folder: Path) -> dict[str, Path]:
        """The plain export."""
        return {"plain-fp32": folder / PLAIN}

    def data_facts(self, train: Dataset, dropped: dict[str, int]) -> dict[str, Any]:
        """The size at which the teacher saw the pictures, and whether they have labels."""
        own = {} if train.large is None else {"keep_size": train.large.shape[1]}
        return own | ({"labelled": False} if self.unlabelled else {})

    def macs(self, net: nn.Module) -> int:
        """Multiply-accumulates of one picture."""
        from distill.students import counts

        return counts.macs(net, self.size)


def _spread(images: np.ndarray, count: int) -> np.ndarray:
    """`count` pictures evenly over a split, and so over its classes: images (n, s, s, 3)."""
    import numpy as np

    return images[np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)]
