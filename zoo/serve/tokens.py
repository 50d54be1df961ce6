"""The tokens of a root: `tokens.json` holds their hashes, never a token itself."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from zoo.errors import Exists, NotFound, StoreError, disk, require
from zoo.files import make_private, write_text
from zoo.records.names import check, check_hex, check_name, check_word

SCOPES = ("read", "write")
_NO_HAND = "`zoo token add` writes this file; nobody edits it"


@dataclass(frozen=True)
class Token:
    """Who may do what."""

    name: str  # of the person or the machine; also the author of commits
    scope: str  # "read" or "write"; who may write may read
    sha256: str  # of the token, 64 hex digits
    expires: str = ""  # ISO 8601 in UTC; "" is never

    @property
    def id(self) -> str:
        """What others may know of it, 24 hex digits."""
        return self.sha256[:24]

    def expired(self, now: datetime) -> bool:
        """Whether it has run out at `now`."""
        return bool(self.expires) and datetime.fromisoformat(self.expires) <= now


class Tokens:
    """What stands in `root/tokens.json`; read again whenever the file has changed."""

    def __init__(self, root: str | Path) -> None:
        self.path = Path(root) / "tokens.json"
        self._seen: tuple[tuple[int, int, int], dict[str, Token]] | None = None

    def add(self, name: str, scope: str, *, days: float | None = None) -> str:
        """A new token, which is told here and never again; `days` until it expires, over 0."""
        _check_new(name, scope, days)
        expires = "" if days is None else (datetime.now(UTC) + timedelta(days=days)).isoformat()
        token = f"zoo_{secrets.token_urlsafe(30)}"
        with self._changing():
            rows = self.all()
            if any(row.name == name for row in rows):
                raise Exists(f'there is a token of the name "{name}"', f"zoo token revoke {name}")
            self._write([*rows, Token(name, scope, _hash(token), expires)])
        return token

    def revoke(self, name: str) -> None:
        """Make the token of that name worthless from the next request on."""
        with self._changing():
            rows = self.all()
            if all(row.name != name for row in rows):
                known = ", ".join(row.name for row in rows) or "none"
                raise NotFound(f'there is no token of the name "{name}"', f"there are: {known}")
            self._write([row for row in rows if row.name != name])

    def all(self) -> list[Token]:
        """All of them by name, expired ones too."""
        return sorted(self._read().values(), key=lambda token: token.name)

    def check(self, token: str) -> Token | None:
        """Whose token this is; None where it is unknown, revoked or expired."""
        found = self._read().get(_hash(token))
        return None if found is None or found.expired(datetime.now(UTC)) else found

    def holder(self, id: str) -> Token | None:
        """The token of that `id`; None where it was revoked or has expired since."""
        now = datetime.now(UTC)
        rows = self._read().values()
        return next((row for row in rows if row.id == id and not row.expired(now)), None)

    def _read(self) -> dict[str, Token]:
        with disk(self.path, hint=_NO_HAND):
            try:
                stat = self.path.stat()
            except FileNotFoundError:
                return {}
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if self._seen is None or self._seen[0] != stamp:
                self._seen = (stamp, _parsed(self.path))
        return self._seen[1]

    def _write(self, rows: list[Token]) -> None:
        data = {"tokens": [asdict(row) for row in rows]}
        write_text(self.path, json.dumps(data, indent=2) + "\n")
        self.path.chmod(0o600)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Alone with the file; a StoreError where the disk refuses."""
        from filelock import FileLock

        with disk(self.path, hint=""):
            make_private(self.path.parent)
            with FileLock(self.path.with_name(".tokens.lock")):
                yield


def _check_new(name: str, scope: str, days: float | None) -> None:
    require(check_name, name, StoreError)
    if scope not in SCOPES:
        raise StoreError(f'a token\'s scope is read or write, not "{scope}"')
    if days is not None and not 0 < days <= 36500:
        raise StoreError(f"a token lasts more than 0 and at most 36500 days, not {days}")


def _parsed(path: Path) -> dict[str, Token]:
    try:
        rows = [Token(**row) for row in json.loads(path.read_text("utf-8"))["tokens"]]
        for row in rows:
            _check_row(row)
    except (ValueError, KeyError, TypeError) as problem:
        raise StoreError(f"{path}: {problem}", _NO_HAND) from None
    return {row.sha256: row for row in rows}


def _check_row(row: Token) -> None:
    check_word(row.name)
    check_hex(row.sha256, 64, "sha256")
    check(row.scope in SCOPES, f"{row.name}: the scope is read or write, not {row.scope}")
    row.expired(datetime.now(UTC))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
