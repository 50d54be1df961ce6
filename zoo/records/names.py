"""What names, hashes and fractions must look like; anything else is a `ValueError` that says so."""

from __future__ import annotations

import re
from urllib.parse import quote

FILES = {"fp32": "model.fp32.onnx", "int8": "model.int8.onnx"}  # precision -> published file
GOLDEN = "golden.npz"


def check(ok: bool, message: str) -> None:
    """Refuse what is not ok."""
    if not ok:
        raise ValueError(message)


def check_fraction(value: float, name: str) -> None:
    """Refuse per cent, and what is no share at all."""
    check(0 <= value <= 1, f"{name} is a fraction in [0, 1], not {value}")


def check_name(value: str) -> None:
    """Refuse what cannot be a student's name, its folder's name and a key at once."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}", value):
        raise ValueError(f'name must be letters, digits, "-", "_" and ".", not "{value}"')


def check_file_name(value: str) -> None:
    """Refuse what would not be one plain file in its folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", value):
        raise ValueError(f'"{value}" is not a plain file name')


def check_hex(value: str, digits: int, name: str) -> None:
    """Refuse a hash that is cut, or in capitals."""
    if not re.fullmatch(rf"[0-9a-f]{{{digits}}}", value):
        raise ValueError(
            f'{name} must be {digits} lower-case hex digits, not the {len(value)} of "{value}"'
        )


def check_repo(value: str) -> None:
    """Refuse what is not "org/name" as the Hub has it: two parts of at most 96 characters each."""
    part = r"(?=[^/]{1,96}(/|$))[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
    ok = re.fullmatch(rf"{part}/{part}", value) and "--" not in value and ".." not in value
    if not ok or value.lower().endswith(".git"):
        raise ValueError(
            f'{shown(value)} is not ORG/NAME of letters, digits, "-", "_" and "." '
            '(no "--", no "..", no ".git" at the end)'
        )


def check_endpoint(value: str) -> None:
    """Refuse what is not the base URL of a hub; a `ValueError` says why."""
    if not re.fullmatch(r"https?://[^\s/?#@\\]+(/[^\s?#\\]*[^\s?#\\/])?", value):
        raise ValueError(f'endpoint must be http(s)://host without "/" at its end, not "{value}"')


def check_path(value: str) -> None:
    """Refuse what would not be a file inside its repository on every system.

    At most 512 bytes and 16 segments, none of them empty, ".", ".." or ".git".
    """
    check(_is_text(value), f"{shown(value)}: a path is text without control characters")
    check(len(value.encode()) <= 512, f"{shown(value)}: a path has at most 512 bytes")
    check("\\" not in value, f'{shown(value)}: a path has no "\\"')
    segments = value.split("/")
    check(len(segments) <= 16, f"{shown(value)}: a path has at most 16 segments")
    for segment in segments:
        if segment in ("", ".", "..") or segment.lower().rstrip(". ") in (".git", "git~1"):
            raise ValueError(f'{shown(value)}: "{segment}" cannot be part of a path')


def check_ref(value: str) -> None:
    """Refuse what cannot be a branch or a tag: git's own rules, at most 200 bytes percent-encoded.

    A name of 40 hex digits would hide a commit, one that begins with "refs/" another ref.
    """
    parts = value.split("/")
    bad = (
        not _is_text(value)
        or re.search(r"[ ~^:?*\[\\]|\.\.|@\{", value)
        or any(not p or p[0] == "." or p.endswith((".lock", ".")) for p in parts)
        or value in ("@", "HEAD")
        or value[0] == "-"
        or parts[0] == "refs"
        or re.fullmatch(r"[0-9a-fA-F]{40}", value)
        or len(quote(value, safe="")) > 200
    )
    if bad:
        raise ValueError(f"{shown(value)} cannot be the name of a branch or a tag")


def shown(value: str) -> str:
    """A name out of a stranger's hands, fit for one line of an error: at most 100 characters."""
    text = ascii(value[:100])
    return text if len(text) <= 100 and len(value) <= 100 else text[:97] + "..."


def _is_text(value: str) -> bool:
    """Unicode that UTF-8 can carry, and no control character."""
    return not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", value)
