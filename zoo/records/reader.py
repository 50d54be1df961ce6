"""The strict reader that the four records share: text -> plain data -> frozen dataclass.

    recipe = read(Recipe, load_yaml(path, RecipeError), RecipeError)

A record may have fields of str, int, float, bool, Literal, `tuple`, `list`, `dict[str, X]`, another
dataclass, `X | None`, a union of scalars and one list, or Any (plain data, unread). What does not
fit is one error of the class handed in: file and line (YAML) or file and key path (JSON), and near
matches.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Iterable
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from zoo.errors import ZooError
from zoo.records.text import Document, ErrorClass, KeyPath

T = TypeVar("T")


def read(
    cls: type[T], document: Document, error: ErrorClass, names: dict[str, Any] | None = None
) -> T:
    """Bind plain data to the dataclass `cls`.

    `names` resolves annotations that `cls` imports only under TYPE_CHECKING.
    """
    return _Reader(document, error).record(cls, document.data, (), names)


# --- plain data -> dataclass ---------------------------------------------------------------------

_NAMES: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    tuple: "a list",
    dict: "a mapping",
    type(None): "null",
}


class _Reader:
    """Binds one document; every method takes the type wanted, the value and its key path."""

    def __init__(self, document: Document, error: ErrorClass) -> None:
        self.document = document
        self.error = error

    def fail(self, path: KeyPath, problem: str, hint: str = "") -> ZooError:
        return self.error(f"{self.document.where(path)}: {problem}", hint)

    def record(
        self, cls: type[T], value: Any, path: KeyPath, names: dict[str, Any] | None = None
    ) -> T:
        if not isinstance(value, dict):
            raise self.wrong_type("a mapping", value, path)
        fields = [f for f in dataclasses.fields(cls) if f.init]  # type: ignore[arg-type]
        self.check_keys(value, fields, path)
        hints = get_type_hints(cls, localns=names)
        bound = {
            f.name: self.value(hints[f.name], value[f.name], (*path, f.name))
            for f in fields
            if f.name in value
        }
        try:
            return cls(**bound)
        except ValueError as problem:
            first = str(problem).partition(" ")[0]
            raise self.fail((*path, first) if first in value else path, str(problem)) from None

    def check_keys(
        self, value: dict[str, Any], fields: list[dataclasses.Field[Any]], path: KeyPath
    ) -> None:
        known = [f.name for f in fields]
        for key in value:
            if key not in known:
                raise self.fail((*path, key), "unknown key", near(key, known))
        for f in fields:
            missing = dataclasses.MISSING
            if f.name not in value and f.default is missing and f.default_factory is missing:
                raise self.fail(path, f'"{f.name}" is missing', f"add `{f.name}: ...`")

    def value(self, wanted: Any, value: Any, path: KeyPath) -> Any:
        origin = get_origin(wanted) or wanted
        if wanted is Any or wanted is object:
            return value
        if origin in (Union, types.UnionType):
            return self.union(get_args(wanted), value, path)
        if origin is Literal:
            return self.choice(get_args(wanted), value, path)
        if origin in (list, tuple):
            return self.sequence(origin, get_args(wanted), value, path)
        if origin is dict:
            return self.mapping(get_args(wanted), value, path)
        if dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
            return self.record(wanted, value, path)
        return self.scalar(wanted, value, path)

    def scalar(self, wanted: Any, value: Any, path: KeyPath) -> Any:
        if wanted is float and type(value) is int:
            try:
                return float(value)
            except OverflowError:
                raise self.fail(path, "too large for a number") from None
        if type(value) is not wanted:
            raise self.wrong_type(_NAMES.get(wanted, wanted.__name__), value, path)
        if wanted is float and not math.isfinite(value):
            raise self.fail(path, f"must be a finite number, not {value}")
        return value

    def union(self, members: tuple[Any, ...], value: Any, path: KeyPath) -> Any:
        if value is None and type(None) in members:
            return None
        others = [m for m in members if m is not type(None)]
        if len(others) == 1:
            return self.value(others[0], value, path)
        for exact in (type(value), *([float] if type(value) is int else [])):
            if exact in others:
                return self.scalar(exact, value, path)
        sequences = [m for m in others if get_origin(m) in (list, tuple)]
        if isinstance(value, list) and len(sequences) == 1:
            return self.value(sequences[0], value, path)
        wanted = " or ".join(_NAMES.get(get_origin(m) or m, str(m)) for m in members)
        raise self.wrong_type(wanted, value, path)

    def choice(self, choices: tuple[Any, ...], value: Any, path: KeyPath) -> Any:
        for choice in choices:
            if type(choice) is type(value) and choice == value:
                return choice
        wanted = "one of " + ", ".join(json.dumps(c) for c in choices)
        raise self.wrong_type(wanted, value, path, near(str(value), [str(c) for c in choices]))

    def sequence(self, kind: type, items: tuple[Any, ...], value: Any, path: KeyPath) -> Any:
        if not isinstance(value, list):
            raise self.wrong_type("a list", value, path)
        if kind is list or not items or items[-1] is Ellipsis:
            of_each = [items[0] if items else Any] * len(value)
        elif len(items) != len(value):
            raise self.fail(path, f"must have {len(items)} items, not {len(value)}")
        else:
            of_each = list(items)
        pairs = zip(of_each, value, strict=True)
        return kind(self.value(item, v, (*path, i)) for i, (item, v) in enumerate(pairs))

    def mapping(self, items: tuple[Any, ...], value: Any, path: KeyPath) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.wrong_type("a mapping", value, path)
        of_each = items[1] if items else Any
        return {key: self.value(of_each, v, (*path, key)) for key, v in value.items()}

    def wrong_type(self, wanted: str, value: Any, path: KeyPath, hint: str = "") -> ZooError:
        short = isinstance(value, str | int | float | bool) and len(str(value)) < 60
        given = json.dumps(value) if short else _NAMES.get(type(value), "something else")
        return self.fail(path, f"must be {wanted}, not {given}", hint)


def near(word: str, known: Iterable[str]) -> str:
    """A hint: the known word that is nearest to `word`, or all of them when none is near."""
    import difflib  # where something is wrong

    known = list(known)
    close = difflib.get_close_matches(word, known, n=3)
    if close:
        return "did you mean " + " or ".join(f'"{c}"' for c in close) + "?"
    return "known: " + ", ".join(sorted(known)) if known else ""
