"""The generated part of recipe.md: every key of a recipe, from the frozen configs themselves."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, Union, get_args, get_origin

from recipe_keys import Key, default, keys, messages, options, own, together

import compress.config
import distill.config
from distill.students import ARCHITECTURES
from zoo.card.markdown import between, paragraphs, table
from zoo.records import task
from zoo.records.recipe import Recipe

KINDS = tuple(task.find(name).part("recipe", Recipe) for name in task.TASKS)
NETWORKS = {name: ARCHITECTURES.load(name) for name in ARCHITECTURES}
SECTIONS = {  # by the names that annotations use
    name: config
    for module in (distill.config, compress.config)
    for name, config in vars(module).items()
    if dataclasses.is_dataclass(config)
}
HEAD = ("Key", "Type and range", "Default", "Meaning")
PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}
Anchors = Mapping[type, str]  # config -> the heading of its section


def fill(page: str) -> str:
    """The page with its generated part made anew."""
    return between(page, "keys", document(KINDS))


def document(kinds: tuple[type, ...]) -> str:
    """What all kinds of recipe share, what each has of its own, and every config they lead to."""
    anchors = headings(kinds)
    base = next(base for base in kinds[0].__mro__ if all(issubclass(kind, base) for kind in kinds))
    shared = [
        key
        for key in keys(kinds[0], SECTIONS)
        if len({_home(kind, key.name) for kind in kinds}) == 1
    ]
    said = messages(base) if dataclasses.is_dataclass(base) else []
    parts = ["## Every recipe", _table(shared, anchors), refusals(said and together(base))]
    for kind in kinds:
        rest = [key for key in keys(kind, SECTIONS) if key not in shared]
        more = [message for message in together(kind) if message not in said]
        parts += [f"## {_task(kind)}", _about(kind), _table(rest, anchors), refusals(more)]
    for config, heading in anchors.items():
        rows = _table(keys(config, SECTIONS), anchors)
        parts += [f"## {heading}", _about(config), rows, refusals(together(config))]
        parts += [MORE[config]()] if config in MORE else []
    return paragraphs(*parts)


def refusals(said: Iterable[str]) -> str:
    """What the checks say of several keys together, as a list."""
    lines = [f"- {_escaped(message)}" for message in said]
    return "\n".join(["Refused as well, in these words:", "", *lines]) if lines else ""


# --- the configs that recipes lead to ------------------------------------------------------------


def headings(kinds: tuple[type, ...]) -> dict[type, str]:
    """Each config and its heading: those of every kind of recipe first."""
    places: dict[type, dict[str, list[type]]] = {}
    for kind in kinds:
        for config, path in _walk(kind, ""):
            places.setdefault(config, {}).setdefault(path, []).append(kind)
    paths = [path for found in places.values() for path in found]
    shown: dict[type, str] = {}
    for config, found in sorted(places.items(), key=lambda at: -len(next(iter(at[1].values())))):
        path, where = next(iter(found.items()))
        shown[config] = path if paths.count(path) == 1 else f"{path} of {_task(where[0])}"
    return shown


def _walk(config: type, path: str) -> Iterator[tuple[type, str]]:
    for key in keys(config, SECTIONS):
        for inner in _inside(key.kind):
            place = f"{path}.{key.name}".lstrip(".")
            yield inner, place
            yield from _walk(inner, place)


def _inside(kind: Any) -> Iterator[type]:
    """The configs in a type."""
    if dataclasses.is_dataclass(kind):
        yield kind  # type: ignore[misc]
    for one in get_args(kind):
        yield from _inside(one)


def _home(kind: type, name: str) -> type | None:
    """The class that says what a key of a kind of recipe is; None: it has no such key."""
    return next((base for base in kind.__mro__ if name in own(base)), None)


def _task(kind: type) -> str:
    """The task of a kind of recipe."""
    return next(str(key.default) for key in keys(kind, SECTIONS) if key.name == "task")


def _about(config: type) -> str:
    return _escaped(inspect.getdoc(config) or "")


# --- a table -------------------------------------------------------------------------------------


def _table(rows: Iterable[Key], anchors: Anchors) -> str:
    return table(HEAD, [_row(key, anchors) for key in rows])


def _row(key: Key, anchors: Anchors) -> tuple[str, ...]:
    asked = "; ".join(part for part in (kind_of(key.kind, anchors), _escaped(key.range)) if part)
    return f"`{key.name}`", asked, _shown(key), _escaped(key.comment)


def kind_of(kind: Any, anchors: Anchors, several: bool = False) -> str:
    """A type in words; `several` of it."""
    ending = "s" if several else ""
    if kind in anchors:
        return f"section{ending} [{anchors[kind]}](#{_slug(anchors[kind])})"
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _either(f"`{one}`" if one != "" else '`""`' for one in inner)
    if origin in (Union, types.UnionType):
        kinds = [one for one in inner if one is not type(None)]
        kinds = [one for one in kinds if not (one is int and float in kinds)]
        return _either(kind_of(one, anchors, several) for one in kinds)
    if origin in (tuple, list):
        return f"list of {kind_of(inner[0], anchors, several=True)}"
    if origin is dict:
        return f"names, each with a {kind_of(inner[1], anchors)}"
    return PLAIN[kind] + ending


def _either(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _slug(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;")


def _shown(key: Key) -> str:
    """A default."""
    if key.default is dataclasses.MISSING:
        return "must be given"
    if key.default is None:
        return "none" if type(None) in get_args(key.kind) else "see below"
    if _is_usual(key.default):
        return "its own defaults"
    return f"`{_yaml(key.default)}`"


def _is_usual(value: Any) -> bool:
    """Whether it is a section as it is without a word."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return False
    asked = (default(field) is dataclasses.MISSING for field in dataclasses.fields(value))
    return not any(asked) and value == type(value)()


def _yaml(value: Any) -> str:
    """A value as a recipe would say it, in a line."""
    if dataclasses.is_dataclass(value):
        said = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        usual = {field.name: field.default for field in dataclasses.fields(value)}
        return _yaml({name: one for name, one in said.items() if one != usual[name]})
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_yaml(one)}" for name, one in value.items()) + "}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if value != "" else '""'


# --- what a section has beside its table ---------------------------------------------------------


def architectures() -> str:
    """The options of each architecture."""
    tables = [
        part
        for name, network in NETWORKS.items()
        for part in (f"### {name}", _table(map(_optional, options(network)), {}))
    ]
    return paragraphs("The architectures, and the `options` of each:", *tables)


def _optional(key: Key) -> Key:
    """An option that an architecture has no default for: the rest of the recipe says it."""
    missing = key.default is dataclasses.MISSING
    return dataclasses.replace(key, default=None, kind=key.kind | None) if missing else key


def losses() -> str:
    """What each loss is by default."""
    kinds = {key.name: key for key in keys(distill.config.Loss, SECTIONS)}
    names = [name for name, key in kinds.items() if key.default is None]
    rows = [
        (f"`{loss}`", *(_paper(loss, name) for name in names))
        for loss in get_args(kinds["name"].kind)
    ]
    return paragraphs(
        "What stands for a key that is left out; -: the loss does not read it.",
        table(("Loss", *(f"`{name}`" for name in names)), rows),
    )


def _paper(loss: Any, name: str) -> str:
    """What a loss takes for a key that is left out; "-" where it takes nothing for it."""
    value = getattr(distill.config.Loss(name=loss), name)
    try:
        distill.config.Loss(name=loss, **{name: value + 1})
    except ValueError as problem:
        if "means nothing" in str(problem):
            return "-"
    return _yaml(value)


MORE: dict[type, Callable[[], str]] = {
    distill.config.Student: architectures,
    distill.config.Loss: losses,
}
