"""Image classification: the parts of a build that pictures decide. See `zoo.tasks`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from compress.ladder import Climb, Judgement
    from distill.data import Dataset, Split
    from distill.teachers import Teacher
    from zoo.measure.devices import Load
    from zoo.records.card import Input
    from zoo.records.measures import Score
    from zoo.records.recipe import ImageRecipe

PLAIN = "plain.onnx"  # torch.onnx.export and nothing else: the yardstick
TOLERANCE = 1e-3  # largest difference of a logit between torch and ONNX
PARITY_PICTURES, GOLDEN_PICTURES = 40, 16


# --- learning ------------------------------------------------------------------------------------


def load(recipe: ImageRecipe, split: Split, root: Path | None) -> Dataset:
    """One split of the recipe's data."""
    from distill.data import load

    return load(recipe.data, split, root)


def open_teacher(
    recipe: ImageRecipe, classes: tuple[str, ...], onnx_path: Path | None = None
) -> Teacher:
    """Who answers; onnx_path is the file of another recipe's student."""
    from distill.teachers import open_teacher

    assert recipe.teacher is not None  # the caller looked
    size = recipe.data.image_size
    return open_teacher(recipe.teacher, len(classes), size, onnx_path=onnx_path)


def network(recipe: ImageRecipe, classes: int, weights: Path | None = None) -> nn.Module:
    """The recipe's student, fresh or with the state dict in `weights`."""
    from distill.students import create, load_weights

    facts = recipe.student
    net = create(facts.architecture, classes, recipe.data.image_size, facts.options)
    if weights is not None:
        return load_weights(net, weights)
    if facts.init == "imagenet":
        from distill.teachers.efficientnet_lite import load_imagenet

        load_imagenet(net, str(facts.options.get("variant", "lite0")))
    return net


def views(recipe: ImageRecipe) -> Any:
    """How a view is drawn."""
    return recipe.augment


def reads(recipe: ImageRecipe) -> dict[str, Any]:
    """What decides the weights, beside what every task has."""
    init = {"init": _imagenet(recipe)} if recipe.student.init else {}
    return init | {"image_size": recipe.data.image_size, "augment": asdict(recipe.augment)}


def _imagenet(recipe: ImageRecipe) -> str:
    """sha256 of the pretrained weights that the student starts from."""
    from distill.teachers.efficientnet_lite import sha256

    return sha256(str(recipe.student.options.get("variant", "lite0")))


def calibrate(recipe: ImageRecipe, net: nn.Module, validation: Dataset) -> float | None:
    """Pictures are answered as they were learnt."""
    return None


# --- export --------------------------------------------------------------------------------------


def write_files(
    recipe: ImageRecipe,
    net: nn.Module,
    metadata: dict[str, str],
    validation: Dataset,
    out: Path,
) -> float:
    """The fp32 file, the quantizer's float file and the plain export of `net` into `out`.

    Returns the largest difference of a logit to torch. Parity is shown on real pictures at the
    network's own size: a resized one may differ by one level of 255 between torch and onnxruntime.
    """
    import numpy as np
    from PIL import Image

    from export import onnx_file, parity, rewrite
    from export.files import save
    from zoo.chain.learn import FLOAT8, FP32

    size = image_size(recipe)
    plain = onnx_file.core(net, size)
    save(plain, out / PLAIN)
    model = rewrite.optimize(onnx_file.finish(plain, size, metadata))
    save(model, out / FP32)
    save(rewrite.prepare_int8(model), out / FLOAT8)
    pictures = [
        np.asarray(Image.fromarray(image).resize((size, size)))
        for image in spread(validation.images, PARITY_PICTURES)
    ]
    return max(parity.check(net, out / name, pictures, TOLERANCE) for name in (FP32, FLOAT8))


def image_size(recipe: ImageRecipe) -> int:
    """Pixels a side that the network works on."""
    return int(recipe.student.options.get("image_size", recipe.data.image_size))


def metadata(recipe: ImageRecipe) -> dict[str, str]:
    """What the file says of its input."""
    size = image_size(recipe)
    told = {"name": "image", "dtype": "uint8", "layout": "NHWC", "color": "RGB", "size": size}
    return {"studentzoo.input": json.dumps(told)}


def spread(images: np.ndarray, count: int) -> np.ndarray:
    """`count` pictures evenly over a split, and so over its classes: images (n, s, s, 3)."""
    import numpy as np

    return images[np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)]


# --- compressing and measuring -------------------------------------------------------------------


def held_out(recipe: ImageRecipe, validation: Dataset) -> Dataset:
    """What an attempt is judged on."""
    return validation


def climb(
    recipe: ImageRecipe,
    folder: Path,
    train: Dataset,
    out: Path,
    judge: Callable[[Path], Judgement],
) -> Climb:
    """The ladder of static quantization, calibrated on pictures of the train split."""
    from compress import ladder
    from zoo.chain.learn import FLOAT8

    assert recipe.compress is not None  # the caller looked
    assert recipe.gates is not None  # a recipe has both or neither
    pictures = spread(train.images, recipe.compress.calibration_images)
    return ladder.climb(folder / FLOAT8, out, [pictures], recipe.compress, recipe.gates, judge)


def golden_inputs(recipe: ImageRecipe, validation: Dataset) -> np.ndarray:
    """Pictures uint8 (n, s, s, 3) for the self-test."""
    return spread(validation.images, GOLDEN_PICTURES)


def tests(recipe: ImageRecipe, root: Path | None) -> dict[str, Dataset]:
    """The test split under its data set's name."""
    return {recipe.data.name or recipe.data.source: load(recipe, "test", root)}


def examples(data: Dataset) -> np.ndarray:
    """What a teacher reads."""
    return data.images


def logits(path: Path, data: Dataset) -> np.ndarray:
    """Float32 (n, classes) of a file."""
    from zoo.measure.verify import logits_of

    return logits_of(path, data.images)


def score(logits: np.ndarray, data: Dataset, name: str, split: str) -> Score:
    """Accuracy of logits (n, classes)."""
    from zoo.measure.verify import accuracy_score

    return accuracy_score(logits, data.labels, dataset=name, split=split)


def peak_memory_mb(path: Path, data: Dataset) -> float:
    """Of a fresh process that answers one picture."""
    from zoo.measure.bench import peak_memory_mb

    return peak_memory_mb(path, [data.images[:1]])


def loads(data: Dataset) -> list[Load]:
    """What is timed: one picture, on which an attempt is judged, and 32 together."""
    from zoo.measure.devices import PictureLoad

    side = data.images.shape[1]
    return [PictureLoad(1, side), PictureLoad(32, side)]


def plain(folder: Path) -> dict[str, Path]:
    """The yardstick that the files are timed beside."""
    return {"plain-fp32": folder / PLAIN}


def macs(recipe: ImageRecipe, net: nn.Module) -> int:
    """Multiply-accumulates of one picture."""
    from distill.students import counts

    return counts.macs(net, image_size(recipe))


def card_input(recipe: ImageRecipe) -> Input:
    """What the card says of the input."""
    from zoo.records.card import Input

    return Input("image", "uint8", "NHWC", "RGB", image_size(recipe))


def data_facts(train: Dataset, tests: dict[str, int]) -> dict[str, Any]:
    """What only texts have."""
    return {}


def dropped(data: Dataset) -> int:
    """No picture of a test is left out."""
    return 0


def more(
    recipe: ImageRecipe, validation: Dataset, test: Dataset, answers: np.ndarray, path: Path
) -> dict[str, Any]:
    """What only texts have."""
    return {}


def card_facts(recipe: ImageRecipe, more: dict[str, Any]) -> dict[str, Any]:
    """What only texts have."""
    return {}
