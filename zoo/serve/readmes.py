"""What is wrong with the metadata at the head of a README, told before anything is uploaded."""

from __future__ import annotations

from typing import Any

from zoo.serve.metadata import block, parsed

_TEXT = ("pipeline_tag", "library_name", "base_model_relation", "license_name", "license_link")
_TEXTS = ("tags", "datasets", "metrics")
_TEXT_OR_TEXTS = ("license", "language", "base_model")


def problems(readme: str) -> list[str]:
    """A line for each problem; none where there is no metadata, or nothing wrong with it."""
    text = block(readme)
    try:
        data = None if text is None else parsed(text)
    except ValueError as problem:
        return [f"the metadata is {problem}"]
    if data is None:
        return []
    return _wrong_types(data) if isinstance(data, dict) else ["the metadata is no mapping"]


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
