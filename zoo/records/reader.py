"""The strict reader that the four records share: text -> plain data -> frozen dataclass.

    recipe = read(Recipe, load_yaml(path, RecipeError), RecipeError)

A record may have fields of str, int, float, bool, Literal, `tuple`, `list`, `dict[str, X]`, another
dataclass, `X | None`, a union of scalars, or Any (plain data, unread). What does not fit is one
error of the class handed in: file and line (YAML) or file and key path (JSON), and near matches.

YAML is data only, by the core schema of YAML 1.2: `5e-4` is a number, `no` is text; there are no
tags, no anchors and no merge keys. A key that comes twice is an error in both languages.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import re
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from zoo.errors import ZooError

T = TypeVar("T")
KeyPath = tuple[str | int, ...]
ErrorClass = type[ZooError]


@dataclasses.dataclass(frozen=True)
class Document:
    """Plain data, and where each piece of it stands."""

    data: Any  # dict, list, str, int, float, bool or None, nested
    name: str  # of the file, as errors print it
    lines: dict[KeyPath, int] = dataclasses.field(default_factory=dict)  # YAML: 1-based, by key

    def where(self, path: KeyPath) -> str:
        """`recipe.yaml:12: train.epochs`, or without the line where it is not known."""
        line = self.lines.get(path)
        place = f"{self.name}:{line}" if line else self.name
        return f"{place}: {_dotted(path)}" if path else place


def load_yaml(path: str | Path, error: ErrorClass) -> Document:
    """Read a YAML file."""
    return parse_yaml(_text(Path(path), error), str(path), error)


def load_json(path: str | Path, error: ErrorClass) -> Document:
    """Read a JSON file."""
    return parse_json(_text(Path(path), error), str(path), error)


def parse_yaml(text: str, name: str, error: ErrorClass) -> Document:
    """Data and lines of a YAML text; `name` is what errors call it."""
    import yaml

    lines: dict[KeyPath, int] = {}
    try:
        node = yaml.compose(text, Loader=_yaml_loader())
        data = None if node is None else _from_node(node, (), lines)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        place = f"{name}:{mark.line + 1}" if mark else name
        syntax = isinstance(problem, yaml.scanner.ScannerError | yaml.parser.ParserError)
        hint = _YAML_HINT if syntax else ""
        raise error(f"{place}: {problem.problem or problem}", hint) from None
    except yaml.YAMLError as problem:  # a character that no YAML may hold
        raise error(f"{name}: {' '.join(str(problem).split())}") from None
    except RecursionError:
        raise error(f"{name}: nested too deeply") from None
    return Document(data, name, lines)


def parse_json(text: str, name: str, error: ErrorClass) -> Document:
    """Data of a JSON text; `name` is what errors call it."""
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs, parse_constant=_no_constant)
        return Document(_from_pairs(pairs, ()), name)
    except json.JSONDecodeError as problem:
        raise error(f"{name}:{problem.lineno}: not JSON: {problem.msg}") from None
    except ValueError as problem:
        raise error(f"{name}: {problem}") from None
    except RecursionError:
        raise error(f"{name}: nested too deeply") from None


def read(
    cls: type[T], document: Document, error: ErrorClass, names: dict[str, Any] | None = None
) -> T:
    """Bind plain data to the dataclass `cls`.

    `names` resolves annotations that `cls` imports only under TYPE_CHECKING.
    """
    return _Reader(document, error).record(cls, document.data, (), names)


_YAML_HINT = "YAML is `key: value` lines; text with : or # in it goes into quotes"


def _text(path: Path, error: ErrorClass) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        raise error(f"{path}: not UTF-8 text (byte {problem.start})") from None
    except OSError as problem:
        raise error(f"{path}: {problem.strerror or problem}") from None


def _dotted(path: KeyPath) -> str:
    parts = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
    return parts.removeprefix(".")


# --- YAML -> plain data --------------------------------------------------------------------------

_CORE_SCHEMA: dict[
    str, tuple[str, str]
] = {  # YAML 1.2.2, chapter 10.3.2: tag -> regex, first chars
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]+", "-+0123456789"),  # no 0o17, no 0x1f: they are text
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
}


def _yaml_loader() -> type:
    """SafeLoader that resolves by the core schema; made on demand, for yaml is imported late."""
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own idiom)

        def compose_node(self, parent: Any, index: Any) -> Any:
            event = self.peek_event()
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise yaml.MarkedYAMLError(
                    problem="anchors and aliases are not read", problem_mark=event.start_mark
                )
            if getattr(event, "tag", None):
                problem = f'the tag "{event.tag}" is not read: YAML is data only here'
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
            return super().compose_node(parent, index)

    for tag, (regex, first) in _CORE_SCHEMA.items():
        characters = ["" if c == "\0" else c for c in first]
        pattern = re.compile(rf"(?:{regex})\Z")
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", pattern, characters)
    return Loader


def _yaml_float(text: str) -> float:
    return float(re.sub(r"\.(?=[iInN])", "", text))


_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": int,
    "float": _yaml_float,
}


def _from_node(node: Any, path: KeyPath, lines: dict[KeyPath, int]) -> Any:
    import yaml

    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode) and node.tag.endswith(":map"):
        return _from_mapping(node, path, lines)
    if isinstance(node, yaml.SequenceNode) and node.tag.endswith(":seq"):
        return [_from_node(item, (*path, i), lines) for i, item in enumerate(node.value)]
    convert = _SCALARS.get(node.tag.removeprefix("tag:yaml.org,2002:"))
    if convert is None or not isinstance(node, yaml.ScalarNode):
        raise _marked(f'the tag "{node.tag}" is not read: YAML is data only here', node)
    try:
        return convert(node.value)
    except ValueError as problem:
        raise _marked(str(problem), node) from None


def _from_mapping(node: Any, path: KeyPath, lines: dict[KeyPath, int]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = key_node.value
        if key_node.tag != "tag:yaml.org,2002:str":
            shown = key if isinstance(key, str) else "a list or mapping"
            raise _marked(f"the key {shown} is not text: put it in quotes", key_node)
        if key in mapping:
            first = lines[(*path, key)]
            raise _marked(f'the key "{key}" comes twice, first in line {first}', key_node)
        lines[(*path, key)] = key_node.start_mark.line + 1
        mapping[key] = _from_node(value_node, (*path, key), lines)
    return mapping


def _marked(problem: str, node: Any) -> Exception:
    import yaml

    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


# --- JSON -> plain data --------------------------------------------------------------------------


class _Pairs(list[tuple[str, Any]]):
    """A JSON object before its keys are looked at."""


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _from_pairs(value: Any, path: KeyPath) -> Any:
    if isinstance(value, _Pairs):
        mapping: dict[str, Any] = {}
        for key, item in value:
            if key in mapping:
                raise ValueError(f'{_dotted((*path, key))}: the key "{key}" comes twice')
            mapping[key] = _from_pairs(item, (*path, key))
        return mapping
    if isinstance(value, list):
        return [_from_pairs(item, (*path, i)) for i, item in enumerate(value)]
    return value


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
    known = list(known)
    close = difflib.get_close_matches(word, known, n=3)
    if close:
        return "did you mean " + " or ".join(f'"{c}"' for c in close) + "?"
    return "known: " + ", ".join(sorted(known)) if known else ""
