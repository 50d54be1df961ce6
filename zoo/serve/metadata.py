"""The YAML block at the head of a README.md: what a model says about itself, and what is wrong."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

MAX_CHARACTERS = 1 << 16  # of the block
MAX_NODES = 10_000  # values in all: what refers to itself or to others ten times over has no end

_TEXT = ("pipeline_tag", "library_name", "base_model_relation", "license_name", "license_link")
_TEXTS = ("tags", "datasets", "metrics")
_TEXT_OR_TEXTS = ("license", "language", "base_model")

# What YAML's own constructors raise beside YAMLError, on "!!bool x", "!!timestamp x", 2026-13-01,
# or brackets ten thousand deep.
_NO_VALUE = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError)


def front_matter(readme: str) -> dict[str, Any] | None:
    """The block as plain data that JSON can hold; None where there is none that can be read."""
    try:
        data = _parsed(readme)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def problems(readme: str) -> list[str]:
    """A line for each problem; none where there is no block, or nothing wrong with it."""
    try:
        data = _parsed(readme)
    except ValueError as problem:
        return [f"the metadata is {problem}"]
    if data is None:
        return []
    return _wrong_types(data) if isinstance(data, dict) else ["the metadata is no mapping"]


def _parsed(readme: str) -> Any:
    """What the block says, as plain data, or None; a ValueError tells why it cannot be read."""
    import yaml

    text = _block(readme)
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"longer than {MAX_CHARACTERS} characters")
    try:
        data = _plain(yaml.safe_load(text), itertools.count())
        json.dumps(data, ensure_ascii=False).encode()  # no half characters, no endless numbers
        return data
    except yaml.YAMLError as problem:
        raise ValueError(f"not YAML: {' '.join(str(problem).split())}") from None
    except _NO_VALUE as problem:
        raise ValueError(f"not YAML: {type(problem).__name__}: {str(problem)[:200]}") from None


def _block(readme: str) -> str:
    """The text between the two `---` at the head of a page; "" where there is none."""
    match = re.match(
        r"\ufeff?\s*---[ \t]*\r?\n(.*?)(?:^|\n)---[ \t]*(?:\r?\n|$)", readme, re.DOTALL
    )
    return match[1] if match else ""


def _plain(value: Any, seen: Iterator[int]) -> Any:
    """Dates and keys as text; a ValueError where there is too much of it."""
    if next(seen) > MAX_NODES:
        raise ValueError("too many values")
    if isinstance(value, dict):
        return {str(k): _plain(v, seen) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v, seen) for v in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _wrong_types(data: dict[Any, Any]) -> list[str]:
    found = [f'"{key}" must be text' for key in _TEXT if not _is_text(data.get(key, ""))]
    found += [f'"{key}" must be a list of text' for key in _TEXTS if not _are(data.get(key, []))]
    return found + [
        f'"{key}" must be text or a list of text'
        for key in _TEXT_OR_TEXTS
        if not (_is_text(data.get(key, "")) or _are(data[key]))
    ]


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _are(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(v, str) for v in value))
