"""Lingua as a teacher of language identification: texts in, its confidence values out.

lingua-language-detector 2 (Apache-2.0) compares letter 1- to 5-grams with those of its own corpora,
after rules for scripts and letters that only one language has. Its answer to a text is a share for
each language; shares sum to 1, or all are 0 where it finds no letter that it knows.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from distill import config
from distill.errors import DistillError
from distill.teachers.teacher import Asked, Kind, Teacher

PACKAGE = "lingua-language-detector"
BATCH = 4096  # texts at a time: it answers with an object for each text and language
FLOOR = 1e-6  # stands for a smaller confidence, also for 0, whose logarithm is not finite
DECIMALS = 7  # kept: it sums in an order that varies, so that the last bits of its answers do


def open_lingua(settings: config.Teacher, asked: Asked) -> Teacher:
    """Lingua for exactly the languages of the data, or of `teacher.classes`, at its high accuracy.

    They are named by ISO 639-1 codes.
    A logit is the logarithm of its confidence, which is rounded to DECIMALS, raised to FLOOR and
    divided by the sum of its row. So the softmax of a row is Lingua's answer, and a text without
    letters has the same logit everywhere. Models are loaded when a text first needs them.
    """
    lingua, classes = _module(), asked.labels or asked.names
    languages = [_language(lingua, name) for name in classes]
    detector = lingua.LanguageDetectorBuilder.from_languages(*languages).build()
    columns = {language: i for i, language in enumerate(languages)}

    def answer(texts: Sequence[str]) -> np.ndarray:
        return logits(_confidences(detector, columns, texts))

    version = importlib.metadata.version(PACKAGE)
    return Teacher(
        name=f"{PACKAGE} {version}",
        source=f"PyPI: {PACKAGE} {version}",
        sha256=_fingerprint(lingua, version, classes),
        licence="Apache-2.0",
        classes=len(classes),
        answer=answer,
        labels=classes,
        batch=BATCH,
    )


def logits(confidences: np.ndarray) -> np.ndarray:
    """float64 (n, classes) in 0 .. 1 -> their logarithms, rows normalised, all finite."""
    shares = np.maximum(confidences.round(DECIMALS), FLOOR)
    return np.log(shares / shares.sum(axis=1, keepdims=True))


def _confidences(detector: Any, columns: dict[Any, int], texts: Sequence[str]) -> np.ndarray:
    """float64 (n, classes), a column a class."""
    try:
        answers = detector.compute_language_confidence_values_in_parallel(list(texts))
    except UnicodeEncodeError as error:
        raise DistillError(
            f"a text holds half of a surrogate pair: {error}", "texts must be valid Unicode"
        ) from error
    found = np.zeros((len(texts), len(columns)))
    for row, values in zip(found, answers, strict=True):
        for one in values:
            row[columns[one.language]] = one.value
    return found


def _module() -> ModuleType:
    """The package, version 2 (version 1 is another program with other answers)."""
    hint = f'pip install "{PACKAGE}>=2.1,<3"'
    try:
        import lingua
    except ImportError as error:
        raise DistillError(f"the teacher {PACKAGE} is not installed", hint) from error
    version = importlib.metadata.version(PACKAGE)
    if version.split(".")[0] != "2":
        raise DistillError(f"{PACKAGE} {version} is installed, version 2 is needed", hint)
    return lingua


def _language(lingua: ModuleType, name: str) -> Any:
    try:
        code = lingua.IsoCode639_1.from_str(name)
    except ValueError as error:
        raise DistillError(
            f"{PACKAGE} knows no language {name!r}", "classes must be ISO 639-1 codes of its 75"
        ) from error
    return lingua.Language.from_iso_code_639_1(code)


def _fingerprint(lingua: ModuleType, version: str, classes: tuple[str, ...]) -> str:
    """sha256, hexadecimal, of version, classes and the compiled module, which holds the models."""
    head = {"version": version, "classes": classes, "floor": FLOOR, "decimals": DECIMALS}
    hasher = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    folder = Path(str(lingua.__file__)).parent
    compiled = [p for p in folder.iterdir() if p.suffix in (".so", ".pyd")]
    for path in sorted(compiled) or [Path(str(lingua.__file__))]:
        with path.open("rb") as file:
            hasher.update(hashlib.file_digest(file, "sha256").digest())
    return hasher.hexdigest()


def _check(settings: config.Teacher) -> None:
    """`DistillError` where the package is not there."""
    _module()


KIND = Kind(open_lingua, ("texts",), _check)
