"""Text of strangers -> plain data: the one reader of YAML and of JSON, with its limits.

    document = load_yaml(path, RecipeError)

YAML is data only, by the core schema of YAML 1.2: `5e-4` is a number, `no` is text; there are no
tags, no anchors and no merge keys. A key that comes twice is an error in both languages. The
limits stand before the work: YAML's are counted while it is read; of JSON the marks of values are
counted first, which bounds how deep it can nest, and that is counted when it is read.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo.errors import ZooError
from zoo.files import open_plain

KeyPath = tuple[str | int, ...]
ErrorClass = type[ZooError]

MAX_DEPTH = 64  # lists and mappings within each other
MAX_VALUES = 1_000_000  # keys count too; a value of YAML takes some 20 us
MAX_DIGITS = 400  # of a number: beyond it none is finite


@dataclasses.dataclass(frozen=True)
class Document:
    """Plain data, and where each piece of it stands."""

    data: Any  # dict, list, str, int, float, bool or None, nested
    name: str  # of the file, as errors print it
    lines: dict[KeyPath, int] = dataclasses.field(default_factory=dict)  # YAML: 1-based, by key
    given: dict[KeyPath, str] = dataclasses.field(default_factory=dict)  # options put over it

    def where(self, path: KeyPath) -> str:
        """`recipe.yaml:12: train.epochs`, or the option in place of file and line.

        The line is that of the nearest key which is written.
        """
        above = [path[:end] for end in range(len(path), 0, -1)]
        if option := next((self.given[key] for key in above if key in self.given), ""):
            return f"{option}: {_dotted(path)}"
        line = next((self.lines[key] for key in above if key in self.lines), self.lines.get(path))
        place = f"{self.name}:{line}" if line else self.name
        return f"{place}: {_dotted(path)}" if path else place


def load_yaml(path: str | Path, error: ErrorClass) -> Document:
    """Read a YAML file."""
    return parse_yaml(_text(Path(path), error), str(path), error)


def load_json(path: str | Path, error: ErrorClass) -> Document:
    """Read a JSON file."""
    return parse_json(_text(Path(path), error), str(path), error)


def parse_yaml(
    text: str, name: str, error: ErrorClass, *, max_values: int = MAX_VALUES
) -> Document:
    """Data and lines of a YAML text; `name` is what errors call it."""
    import yaml

    lines: dict[KeyPath, int] = {}
    try:
        node = yaml.compose(text, Loader=_yaml_loader(max_values))
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


def parse_json(
    text: str, name: str, error: ErrorClass, *, max_values: int = MAX_VALUES
) -> Document:
    """Data of a JSON text; `name` is what errors call it."""
    if _values(text, max_values) > max_values:
        raise error(f"{name}: more than {max_values} values")
    try:
        pairs = json.loads(
            text, object_pairs_hook=_Pairs, parse_int=_whole, parse_constant=_no_constant
        )
        return Document(_from_pairs(pairs, ()), name)
    except json.JSONDecodeError as problem:
        raise error(f"{name}:{problem.lineno}: not JSON: {problem.msg}") from None
    except ValueError as problem:
        raise error(f"{name}: {problem}") from None
    except RecursionError:
        raise error(f"{name}: nested too deeply") from None


_YAML_HINT = "YAML is `key: value` lines; text with : or # in it goes into quotes"


def _text(path: Path, error: ErrorClass) -> str:
    try:
        with open_plain(path) as file, io.TextIOWrapper(file, encoding="utf-8") as text:
            return text.read()
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


@functools.cache
def _yaml_loader(max_values: int) -> type:
    """SafeLoader that resolves by the core schema; made on demand, for yaml is imported late."""
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own idiom)

        def __init__(self, stream: str) -> None:
            super().__init__(stream)
            self.values = self.depth = 0

        def fetch_flow_collection_start(self, token: Any) -> None:
            if self.flow_level > MAX_DEPTH:  # the scanner runs far ahead of the nodes
                raise self.refused("nested too deeply", self.get_mark())
            super().fetch_flow_collection_start(token)

        def compose_node(self, parent: Any, index: Any) -> Any:
            event = self.peek_event()
            self.values += 1
            if problem := _why_not(event, self.values, self.depth, max_values):
                raise self.refused(problem, event.start_mark)
            self.depth += 1
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

        def refused(self, problem: str, mark: Any) -> Exception:
            return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)

    for tag, (regex, first) in _CORE_SCHEMA.items():
        characters = ["" if c == "\0" else c for c in first]
        pattern = re.compile(rf"(?:{regex})\Z")
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", pattern, characters)
    return Loader


def _why_not(event: Any, values: int, depth: int, max_values: int) -> str:
    """What forbids to read on: limits, and what is no plain data; "" is nothing."""
    if values > max_values:
        return f"more than {max_values} values"
    if depth > MAX_DEPTH:
        return "nested too deeply"
    if getattr(event, "anchor", None):  # an alias has one too
        return "anchors and aliases are not read"
    if tag := getattr(event, "tag", None):
        return f'the tag "{tag}" is not read: YAML is data only here'
    return ""


def _whole(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of more than {MAX_DIGITS} digits")
    return int(text)


def _yaml_float(text: str) -> float:
    return float(re.sub(r"\.(?=[iInN])", "", text))


def _characters(text: str) -> str:
    """Two halves that were written as escapes are one character, as in JSON; one half is none."""
    if not re.search("[\ud800-\udfff]", text):
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise ValueError("half a character, which no text can hold") from None


_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": _characters,
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": _whole,
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
    return _from_scalar(node, convert)


def _from_scalar(node: Any, convert: Callable[[str], Any]) -> Any:
    try:
        return convert(node.value)
    except ValueError as problem:
        raise _marked(str(problem), node) from None


def _from_mapping(node: Any, path: KeyPath, lines: dict[KeyPath, int]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = key_node.value
        if key == "<<" and not key_node.style:
            raise _marked("merge keys are not read", key_node)
        if key_node.tag != "tag:yaml.org,2002:str":
            shown = key if isinstance(key, str) else "a list or mapping"
            raise _marked(f"the key {shown} is not text: put it in quotes", key_node)
        key = _from_scalar(key_node, _characters)
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


def _values(text: str, most: int) -> int:
    """At least how many values there are; looked at more closely where that is over `most`."""
    if (found := _marks(text)) <= most:
        return found
    return _marks(re.sub(r'"(?:[^"\\]|\\.)*+"', "", text, flags=re.DOTALL))


def _marks(text: str) -> int:
    return sum(text.count(mark) for mark in ",:[{")


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _from_pairs(value: Any, path: KeyPath) -> Any:
    if len(path) > MAX_DEPTH:
        raise ValueError("nested too deeply")
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
