"""What `zoo.load` returns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.errors import ZooError
from zoo.inputs import pictures
from zoo.inputs.asked import Asked
from zoo.students.student import Student


class LevelStudent(Student):
    """student("photo.jpg") is a number."""

    contract = ("image", "tensor(uint8)", 4)
    output = ("value", "tensor(float)", 2)

    def __call__(self, given: Any) -> float:
        array = pictures.as_array(given, 16)
        return float(self._run(array[None])[0, 0])

    def told(self, asked: Asked) -> Iterator[str | ZooError]:
        def answer(paths: list[Path]) -> list[float]:
            return [self(path) for path in paths]

        def show(path: Path, value: float) -> str:
            return json.dumps({"file": str(path), "value": value})

        def line(path: Path, value: float) -> str:
            return f"{path}\t{value:.2f}"

        return pictures.told(answer, show if asked.as_json else line, asked)
