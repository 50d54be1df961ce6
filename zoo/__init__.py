"""Small, fast, honest students of large models: find, pull, run and measure them.

    import zoo

    student = zoo.load("cifar10-separable-small.kd")
    student("photo.jpg")  # [("cat", 0.93), ("dog", 0.04), ...]

Nothing heavy is imported before it is needed: `import zoo` loads neither numpy nor onnxruntime.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.chain.build import build as build
    from zoo.errors import ZooError as ZooError
    from zoo.errors import ZooWarning as ZooWarning
    from zoo.registry.registries import models as models
    from zoo.students.load import Student as Student
    from zoo.students.load import load as load
    from zoo.students.pull import pull as pull

    __version__: str

_HOMES = {
    "Student": "zoo.students.student",
    "ZooError": "zoo.errors",
    "ZooWarning": "zoo.errors",
    "build": "zoo.chain.build",
    "load": "zoo.students.load",
    "models": "zoo.registry.registries",
    "pull": "zoo.students.pull",
}

__all__ = ["Student", "ZooError", "ZooWarning", "__version__", "build", "load", "models", "pull"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("studentzoo")
        except PackageNotFoundError:  # a checkout that is not installed
            return "0+checkout"
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
