"""Tables of the pieces that a recipe names: architectures, losses, teachers and sources of data.

All have this one shape, and an entry is one line: `TABLE[name] = "module:attribute"`.
"""

from __future__ import annotations

from difflib import get_close_matches
from pkgutil import resolve_name
from typing import Any

from distill.errors import DistillError


class Table(dict[str, Any]):
    """Name -> "module:attribute", imported when it is asked for, or the thing itself."""

    def __init__(self, what: str) -> None:
        self.what = what  # an entry is, for messages

    def load(self, name: str) -> Any:
        """What `name` stands for; `DistillError` with near matches if it stands for nothing."""
        if name not in self:
            raise DistillError(f"no {self.what} {name!r}", self.near(name))
        entry = self[name]
        return resolve_name(entry) if isinstance(entry, str) else entry

    def near(self, name: str) -> str:
        """A hint: the names that are like `name`, then all of them."""
        close = get_close_matches(name, list(self))
        meant = f"did you mean {' or '.join(close)}? " if close else ""
        return f"{meant}there are {', '.join(self)}"
