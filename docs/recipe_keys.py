"""The keys of a frozen dataclass: type, default, what the comment behind it says, what is checked.

A key's meaning and unit are the comment in the source, its range is what `__post_init__` checks, in
the words of the check. A key without a comment is refused.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import io
import re
import sys
import textwrap
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

CHECKS = {"_check": 1, "check": 1, "ValueError": 0}  # name -> which argument is the message


@dataclasses.dataclass(frozen=True)
class Key:
    """One key."""

    name: str
    kind: Any  # its type
    default: Any  # dataclasses.MISSING: it must be given
    comment: str
    range: str = ""  # in the words of the check; "": none of its own


def keys(config: type, names: Mapping[str, Any]) -> list[Key]:
    """Every field, inherited ones first; `names` are what annotations may name beside a module's.

    `ValueError` where a field has no comment.
    """
    found: dict[str, Key] = {}
    ranges = _ranges(config)
    for base in reversed(config.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        said = _comments(base)
        for name in own(base):
            if not said.get(name):
                raise ValueError(
                    f"{_where(base)}.{name} has no comment: say what it means, its unit"
                )
            found.pop(name, None)  # what is said anew stands where that is
            kind = evaluated(base.__annotations__[name], base, names)
            usual = default(config.__dataclass_fields__[name])  # type: ignore[attr-defined]
            found[name] = Key(name, kind, usual, said[name], ranges.get(name, ""))
    return list(found.values())


def own(config: type) -> list[str]:
    """The fields that a class itself says."""
    return list(vars(config).get("__annotations__", {}))


def options(network: type) -> list[Key]:
    """Every argument of an architecture but `classes`. `ValueError` where one has no comment."""
    source, tree = _source(network.__init__)  # type: ignore[misc]
    lines = {argument.arg: argument.lineno for argument in tree.args.args}
    found = []
    for name, parameter in inspect.signature(network).parameters.items():
        if name == "classes":
            continue
        said = _comment(source, lines[name], lines[name])
        if not said:
            raise ValueError(f"{_where(network)}: the option {name} has no comment")
        needed = parameter.default is parameter.empty
        default = dataclasses.MISSING if needed else parameter.default
        found.append(Key(name, evaluated(parameter.annotation, network, {}), default, said))
    return found


def evaluated(annotation: Any, owner: type, names: Mapping[str, Any]) -> Any:
    """The type that an annotation of a class names."""
    if not isinstance(annotation, str):
        return annotation
    return eval(annotation, vars(sys.modules[owner.__module__]) | dict(names))


def _where(config: type) -> str:
    return f"{config.__module__}.{config.__name__}"


def default(field: dataclasses.Field[Any]) -> Any:
    """What a field holds where it is left out."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


# --- comments ------------------------------------------------------------------------------------


def _comments(config: type) -> dict[str, str]:
    """The comment behind each field: of all its lines, and of lines of comment right below."""
    source, tree = _source(config)
    lines, found = source.splitlines(), {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            last = node.end_lineno or node.lineno
            while last < len(lines) and lines[last].lstrip().startswith("#"):
                last += 1
            found[node.target.id] = _comment(source, node.lineno, last)
    return found


def _comment(source: str, first: int, last: int) -> str:
    """The comments in lines first to last, as one."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    said = [t.string for t in tokens if t.type == tokenize.COMMENT and first <= t.start[0] <= last]
    words = (re.sub(r"#\s*(type: ignore|noqa)\S*", "", text) for text in said)  # not for people
    return " ".join(text.strip("# ") for text in words if text.strip("# "))


def _source(thing: Any) -> tuple[str, Any]:
    source = textwrap.dedent(inspect.getsource(thing))
    return source, ast.parse(source).body[0]


# --- what the checks say -------------------------------------------------------------------------


def messages(config: type) -> list[str]:
    """What each check of `__post_init__` says, inherited ones first; what varies is in italics."""
    found: dict[str, None] = {}
    for base in reversed(config.__mro__):
        check = vars(base).get("__post_init__")
        if check is not None:
            body, names = _source(check)[1].body, vars(sys.modules[base.__module__])
            found |= dict.fromkeys(_said(body, dict(names)))
    return list(found)


def together(config: type) -> list[str]:
    """The messages that are not about one field alone."""
    return [message for message in messages(config) if not _asked(message, config)]


def _ranges(config: type) -> dict[str, str]:
    """Fields, and what the checks ask of one of them alone."""
    found: dict[str, list[str]] = {}
    for message in messages(config):
        for name, asked in _asked(message, config):
            if not re.match(r"(one )?of ", asked):  # its type says so
                found.setdefault(name, []).append(asked)
    return {name: "; ".join(asked) for name, asked in found.items()}


def _asked(message: str, config: type) -> list[tuple[str, str]]:
    """The field that a message is about, and what it asks; [] where that is not one field."""
    match = re.match(r"(\w+) (?:must|is (?=a ))\s*(not )?(?:be |lie |have |name )?(.+)", message)
    if match is None or match[1] not in config.__dataclass_fields__:  # type: ignore[attr-defined]
        return []
    return [(match[1], (match[2] or "") + match[3])]


def _said(body: Iterable[ast.stmt], names: dict[str, Any]) -> Iterator[str]:
    """The messages in statements; `names` are those that have one value."""
    for node in body:
        if isinstance(node, ast.For):
            for given in _rounds(node):
                yield from _said(node.body, names | given)
        elif isinstance(node, ast.If):
            yield from _said([*node.body, *node.orelse], names)
        else:
            call = node.exc if isinstance(node, ast.Raise) else getattr(node, "value", None)
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in CHECKS:
                yield _text(call.args[CHECKS[call.func.id]], names)  # type: ignore[attr-defined]


def _rounds(loop: ast.For) -> list[dict[str, Any]]:
    """What a loop's variable is in each round, where the source says it; else one round."""
    if isinstance(loop.target, ast.Name) and isinstance(loop.iter, ast.Tuple | ast.List):
        values = [one.value for one in loop.iter.elts if isinstance(one, ast.Constant)]
        if len(values) == len(loop.iter.elts):
            return [{loop.target.id: value} for value in values]
    return [{}]


def _text(message: ast.expr, names: dict[str, Any]) -> str:
    """A check's message, without the value at its end that did not fit."""
    parts = message.values if isinstance(message, ast.JoinedStr) else [message]
    text = "".join(_part(part, names) for part in parts)
    return re.sub(r"(, not|; given:|:) \*[^*]*\*$", "", text)


def _part(part: ast.expr, names: dict[str, Any]) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    source = ast.unparse(part.value if isinstance(part, ast.FormattedValue) else part)
    try:
        return str(eval(source, names))
    except NameError:  # a value of the moment
        shown = re.sub(r"^self\.|\[.*", "", source)
        return f"*{shown}*"
