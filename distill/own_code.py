"""Code of whoever writes a recipe: `module:name`, found, hashed and called; its faults are placed.

A module is looked for as Python does, and in the working directory; who builds a recipe puts the
recipe's folder into `sys.path` too.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from distill.errors import DistillError

INSTALLED = ("site-packages", "dist-packages")  # folders of which no module is a recipe's own
OURS = ("distill", "export", "compress", "zoo")
_FOREIGN = (str(Path(__file__).parent), sysconfig.get_path("stdlib"))
_MARK = "__studentzoo_sha256__"  # in a module: the hash of what was imported


def find(address: str, wanted: str) -> Any:
    """What `module:name` names, which can be called; `wanted` says what it takes and gives.

    Raises `DistillError`, also where two modules have the name, so that nobody takes the wrong one.
    """
    name, _, attribute = address.partition(":")
    if not all(part.isidentifier() for part in [*name.split("."), attribute]):
        hint = "write module:function; of a file mine.py the module is mine"
        raise DistillError(f"{address!r} is not the address of a function", hint)
    module = _imported(name)
    found = getattr(module, attribute, None)
    if not callable(found):
        where = getattr(module, "__file__", None) or "built in"
        raise DistillError(f"{name} ({where}) has no function {attribute!r}", wanted)
    return found


def sha256(address: str) -> str:
    """Of an address that was found, and of the source of its module and of those beside it.

    These are what it imports by name from its own folder or package. A module whose source is
    another than when it was imported is a `DistillError`: what runs is the old one.
    """
    name = address.partition(":")[0]
    module = sys.modules[name]
    found = hashlib.sha256(name.encode())
    for place, content in sorted(_sources(name, module).items()):
        found.update(f"\0{place}\0{len(content)}\0".encode() + content)
    digest = found.hexdigest()
    if vars(module).setdefault(_MARK, digest) != digest:
        raise DistillError(f"{name} was changed after it was imported", "start Python anew")
    return hashlib.sha256(f"{address} {digest}".encode()).hexdigest()


def call(
    address: str, function: Any, offered: Mapping[str, Any], options: Mapping[str, Any]
) -> Any:
    """function(**), with all options, and of what is offered that which it takes.

    That is what it names, or all of it where it says `**anything`; `*args, **kwargs` says nothing.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of one that is built in
        signature = inspect.Signature([inspect.Parameter("all", inspect.Parameter.VAR_KEYWORD)])
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    every = inspect.Parameter.VAR_KEYWORD in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds
    taken = {k: v for k, v in offered.items() if every or k in signature.parameters}
    try:
        if double := sorted(set(offered) & set(options)):
            raise TypeError(f"{', '.join(double)} is not an option: it is given already")
        signature.bind(**taken, **options)
    except TypeError as error:
        takes = ", ".join(signature.parameters) or "no arguments"
        raise DistillError(f"{address}: {error}", f"{address} takes {takes}") from error
    with blamed(address):
        return function(**taken, **options)


class blamed:  # noqa: N801  # it reads as a statement
    """What a user's code raises within becomes one `DistillError` with its file and line."""

    def __init__(self, who: str, hint: str = "") -> None:
        self.who, self.hint = who, hint

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception | SystemExit) or isinstance(error, DistillError):
            return
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
        raise DistillError(f"{self.who} fails: {said}{_place(error)}", self.hint) from error


def _place(error: Exception | SystemExit) -> str:
    """Where the user's code stood, as ` (file, line n)`; nothing where it was not reached."""
    if isinstance(error, SyntaxError):
        return f" ({error.filename}, line {error.lineno})"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _own(f.filename)]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def _own(file: str) -> bool:
    installed = any(part in INSTALLED for part in Path(file).parts)
    return not (file.startswith(("<", *_FOREIGN)) or installed)


def _imported(name: str) -> ModuleType:
    """Import it; the working directory stays in the path, for what the module imports later."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    importlib.invalidate_caches()  # a file may be younger than what Python knows of its folder
    try:
        with blamed(f"the module {name}"):
            module = importlib.import_module(name)
    except DistillError as error:
        missing = error.__cause__
        if isinstance(missing, ModuleNotFoundError):
            raise DistillError(
                f"the module {name} cannot be imported: {missing}",
                "it is looked for in the environment, beside the recipe and in the working "
                f"directory {here}",
            ) from missing
        raise
    _check_alone(name.partition(".")[0])
    return module


def _check_alone(top: str) -> None:
    """No other module in the path has that name, unless it is a copy of this one."""
    loaded = getattr(sys.modules[top], "__file__", None)
    if top == "__main__" or (loaded is None and hasattr(sys.modules[top], "__path__")):
        return
    for folder in sys.path:
        for path in (Path(folder) / f"{top}.py", Path(folder) / top / "__init__.py"):
            if path.is_file() and not (loaded and _same(path, Path(loaded))):
                raise DistillError(
                    f"two modules are called {top}: {path} and {loaded or 'one built in'}, "
                    "which was imported",
                    "give yours another name, or start Python anew",
                )


def _same(one: Path, other: Path) -> bool:
    return one.samefile(other) or one.read_bytes() == other.read_bytes()


def _sources(name: str, module: ModuleType) -> dict[str, bytes]:
    """Path below its root -> content, of a module and of what it imports from there."""
    file = getattr(module, "__file__", None)
    if file is None or not file.endswith(".py"):
        return {}
    top, path = name.partition(".")[0], Path(file).resolve()
    depth = 0 if name == "__main__" else name.count(".") + (path.name == "__init__.py")
    root = path.parents[depth]
    only = top if root.name in INSTALLED else ""
    found: dict[str, bytes] = {}
    waiting = [path]
    while waiting:
        path = waiting.pop()
        place = path.relative_to(root).as_posix()
        if place not in found:
            found[place] = path.read_bytes()
            waiting += _beside(found[place], path.parent.relative_to(root).parts, root, only)
    return found


def _beside(content: bytes, package: tuple[str, ...], root: Path, only: str) -> Iterator[Path]:
    """The files below root that a source of `package` names in its imports."""
    for name in _names(content, package):
        if name[0] in OURS or (only and name[0] != only):
            continue
        for end in range(1, len(name) + 1):
            place = root.joinpath(*name[:end])
            yield from (f for f in (place.with_suffix(".py"), place / "__init__.py") if f.is_file())


def _names(content: bytes, package: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):  # named, but never imported, or it would have failed
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            yield from ((*base, alias.name) for alias in node.names)
