"""Settings of a command line, KEY=VALUE, put over those of a document.

    override(document, ["train.epochs=3", "student.options={width: 0.5}"], RecipeError)

KEY is dotted, a number counts in a list; VALUE is YAML. What is wrong with such a setting is an
error that names the option.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from typing import Any

from zoo.records.text import Document, ErrorClass, KeyPath, parse_yaml

OPTION = "--set"


def override(document: Document, settings: Sequence[str], error: ErrorClass) -> Document:
    """The document with each setting in its place; sections that are not there yet are made."""
    if not isinstance(document.data, dict):
        return document  # whoever reads it says so
    data, given = copy.deepcopy(document.data), dict[KeyPath, str]()
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not all(key.split(".")):
            raise error(f"{OPTION} {setting}: no KEY=VALUE", "as in: --set train.epochs=3")
        name = f"{OPTION} {key}"
        value = parse_yaml(text, name, error).data
        path = _put(data, key.split("."), value, error(f"{name}: there is no such place"))
        if given.get(path) == name:
            raise error(f"{name}: comes twice", "give it once")
        given |= {
            path[:end]: name for end in range(1, len(path)) if path[:end] not in _all(document)
        }
        given[path] = name
    return dataclasses.replace(document, data=data, given=given)


def _put(data: Any, parts: list[str], value: Any, nowhere: Exception) -> KeyPath:
    """Put it there, and say where that is."""
    path: KeyPath = ()
    for last, part in zip([False] * (len(parts) - 1) + [True], parts, strict=True):
        key = _key(data, part)
        if key is None:
            raise nowhere
        path = (*path, key)
        if last:
            data[key] = value
        else:
            if isinstance(data, dict) and data.get(key) is None:
                data[key] = {}
            data = data[key]
    return path


def _key(data: Any, part: str) -> str | int | None:
    """What a part of a key means in a mapping or a list; None: nothing."""
    if isinstance(data, dict):
        return part
    inside = isinstance(data, list) and part.isascii() and part.isdigit()
    return int(part) if inside and int(part) < len(data) else None


def _all(document: Document) -> set[KeyPath]:
    """Every place that is written in it."""
    return set(document.lines)
