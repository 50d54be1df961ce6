"""Records as plain data: for JSON and YAML, and as the one text that is hashed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

LATER = "later"  # in a field's metadata: it came after things were made without it


Omit = Callable[["dataclasses.Field[Any]", Any], bool]


def to_dict(record: Any, omit: Omit = lambda field, value: False) -> Any:
    """Plain data of a record: dataclasses become dicts, tuples lists; without fields to `omit`."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        values = ((f, getattr(record, f.name)) for f in dataclasses.fields(record))
        return {f.name: to_dict(value, omit) for f, value in values if not omit(f, value)}
    if isinstance(record, dict):
        return {key: to_dict(value, omit) for key, value in record.items()}
    if isinstance(record, list | tuple):
        return [to_dict(item, omit) for item in record]
    return record


def essentials(record: Any) -> Any:
    """`to_dict` without the fields marked `LATER` that hold their default.

    A setting that came later means nothing to what was made before it, and changes no hash there.
    """
    return to_dict(record, lambda f, value: LATER in f.metadata and value == f.default)


def canonical(record: Any) -> str:
    """One text for one meaning, to be hashed: JSON with sorted keys and no white space."""
    return json.dumps(essentials(record), sort_keys=True, separators=(",", ":"), allow_nan=False)
