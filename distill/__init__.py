"""From a large teacher to the weights of a small student: data, labels, losses, training.

    train = distill.dataset(pictures, labels)  # uint8 (n, s, s, 3), int (n,)
    student = distill.student(net, classes=10, image_size=32)
    distill.fit(student, train, held_out, plan, out, distill.asking(teacher))

`import distill` loads no torch: what is named here is imported when it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distill.batches import Plan as Plan
    from distill.config import Augment as Augment
    from distill.config import Loss as Loss
    from distill.config import Train as Train
    from distill.data.arrays import dataset as dataset
    from distill.data.record import Dataset as Dataset
    from distill.errors import DistillError as DistillError
    from distill.students.own import student as student
    from distill.teachers.torch_module import asking as asking
    from distill.train import accuracy as accuracy
    from distill.train import fit as fit

_HOMES = {
    "Augment": "distill.config",
    "Dataset": "distill.data.record",
    "DistillError": "distill.errors",
    "Loss": "distill.config",
    "Plan": "distill.batches",
    "Train": "distill.config",
    "accuracy": "distill.train",
    "asking": "distill.teachers.torch_module",
    "dataset": "distill.data.arrays",
    "fit": "distill.train",
    "student": "distill.students.own",
}

__all__ = [
    "Augment",
    "Dataset",
    "DistillError",
    "Loss",
    "Plan",
    "Train",
    "accuracy",
    "asking",
    "dataset",
    "fit",
    "student",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
