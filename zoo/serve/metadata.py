"""The YAML block at the head of a README.md: what a model says about itself, and what is wrong."""

from __future__ import annotations

import math
import re
from typing import Any

from zoo.errors import InputError
from zoo.records.text import parse_yaml

MAX_CHARACTERS = 1 << 16  # of the block
MAX_VALUES = 10_000  # of it, keys too: some 0.2 s of work

_TEXT = ("pipeline_tag", "library_name", "base_model_relation", "license_name", "license_link")
_TEXTS = ("tags", "datasets", "metrics")
_TEXT_OR_TEXTS = ("license", "language", "base_model")


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
    text = _block(readme)
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"longer than {MAX_CHARACTERS} characters")
    try:
        return _finite(parse_yaml(text, "README.md", InputError, max_values=MAX_VALUES).data)
    except InputError as problem:
        raise ValueError(f"not YAML as it is read here: {problem}") from None


def _block(readme: str) -> str:
    """The text between the two `---` at the head of a page, in its own lines; else ""."""
    match = re.match(
        r"\ufeff?\s*---[ \t]*\r?\n(.*?)(?:^|\n)---[ \t]*(?:\r?\n|$)", readme, re.DOTALL
    )
    return "\n" * readme.count("\n", 0, match.start(1)) + match[1] if match else ""


def _finite(value: Any) -> Any:
    """Without endless numbers, which JSON cannot hold: nothing is in their place."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
