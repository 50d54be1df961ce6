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

        return pictures.told(answer, _Form(asked.as_json), pictures.listed(asked), asked)


class _Form:
    """A line a picture."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def head(self) -> Iterator[str]:
        yield from ()

    def row(self, given: Path, answer: float) -> str:
        if self.as_json:
            return json.dumps({"file": str(given), "value": answer})
        return f"{given}\t{answer:.2f}"

    def end(self) -> Iterator[str]:
        yield from ()
