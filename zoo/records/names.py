"""What names, hashes and fractions must look like; anything else is a `ValueError` that says so."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable
from urllib.parse import quote, urlsplit

from zoo.said import shown

FILES = {"fp32": "model.fp32.onnx", "int8": "model.int8.onnx"}  # precision -> published file
GOLDEN = "golden.npz"


def check(ok: bool, message: str) -> None:
    """Refuse what is not ok."""
    if not ok:
        raise ValueError(message)


def check_fraction(value: float, name: str) -> None:
    """Refuse per cent, and what is no share at all."""
    check(0 <= value <= 1, f"{name} is a fraction in [0, 1], not {value}")


def check_word(value: str) -> None:
    """Refuse what is not one word, of a person or a thing."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}", value):
        raise ValueError(f'name must be letters, digits, "-", "_" and ".", not "{value}"')


def check_name(value: str) -> None:
    """Refuse what cannot be a student's name, its folder's name and a key at once."""
    check_word(value)
    check_segment(value)


def check_file_name(value: str) -> None:
    """Refuse what would not be one plain file in its folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", value):
        raise ValueError(f'"{value}" is not a plain file name')
    check_segment(value)


def check_hex(value: str, digits: int, name: str) -> None:
    """Refuse a hash that is cut, or in capitals."""
    if not re.fullmatch(rf"[0-9a-f]{{{digits}}}", value):
        raise ValueError(
            f'{name} must be {digits} lower-case hex digits, not the {len(value)} of "{value}"'
        )


def check_repo(value: str) -> None:
    """Refuse what cannot become "org/name": its folder is to be one on every system."""
    check_stored_repo(value)
    for part in value.split("/"):
        check_segment(part)


def check_stored_repo(value: str) -> None:
    """Refuse what is not "org/name" as the Hub has it: two parts of at most 96 characters each."""
    part = r"(?=[^/]{1,96}(/|$))[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
    ok = re.fullmatch(rf"{part}/{part}", value) and "--" not in value and ".." not in value
    if not ok or value.lower().endswith(".git"):
        raise ValueError(
            f'{quoted(value)} is not ORG/NAME of letters, digits, "-", "_" and "." '
            '(no "--", no "..", no ".git" at the end)'
        )


def check_endpoint(value: str) -> None:
    """Refuse what is not the base URL of a hub; a `ValueError` says why."""
    if not re.fullmatch(r"https?://[^\s/?#@\\]+(/[^\s?#\\]*[^\s?#\\/])?", value):
        raise ValueError(f'endpoint must be http(s)://host without "/" at its end, not "{value}"')
    try:
        port = urlsplit(value).port
    except ValueError:  # no number, or over 65535
        port = 0
    check(port != 0, f'there is no such port: "{value}"')


def check_segment(value: str) -> None:
    """Refuse what cannot be the name of one file or folder on every system.

    At most 255 bytes; none of the characters and names that Windows keeps for itself.
    """
    told = quoted(value)
    check(len(value.encode()) <= 255, f"{told}: the name of a file has at most 255 bytes")
    check(not re.search(r'[<>:"|?*\\]', value), f'{told}: a name has none of < > : " | ? * \\')
    check(value[-1:] not in (".", " "), f"{told}: a name does not end in a dot or a blank")
    device = value.partition(".")[0].rstrip(" ").lower()
    check(device not in _DEVICES, f"{told}: Windows keeps this name for a device")


_DEVICES = frozenset(["con", "prn", "aux", "nul", "conin$", "conout$"]) | {
    f"{kind}{number}" for kind in ("com", "lpt") for number in "0123456789\u00b9\u00b2\u00b3"
}
# not seen, and on a Mac not there either
_UNSEEN = re.compile("[\u200c-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")


def check_path(value: str) -> None:
    """Refuse what would not be a file inside its repository on every system: for what is new.

    See `check_stored_path` and `check_segment`.
    """
    check_stored_path(value)
    for segment in value.split("/"):
        check_segment(segment)


def check_stored_path(value: str) -> None:
    """Refuse what would not be a file inside its repository; enough for what is there already.

    At most 512 bytes and 16 segments, none of them empty, ".", ".." or ".git".
    """
    check(_is_text(value), f"{quoted(value)}: a path is text without control characters")
    check(len(value.encode()) <= 512, f"{quoted(value)}: a path has at most 512 bytes")
    check("\\" not in value, f'{quoted(value)}: a path has no "\\"')
    segments = value.split("/")
    check(len(segments) <= 16, f"{quoted(value)}: a path has at most 16 segments")
    for segment in segments:
        plain = _UNSEEN.sub("", segment).lower().rstrip(". ")
        if segment in ("", ".", "..") or plain in (".git", "git~1"):
            raise ValueError(f"{quoted(value)}: {quoted(segment)} cannot be part of a path")


def check_together(paths: Iterable[str], new: Container[str] | None = None) -> None:
    """Refuse two names that are one where case, or how letters are composed, does not count.

    `new`: what is older stays as it is; only these may not be the second.
    """
    first: dict[str, str] = {}
    for path in sorted(paths, key=lambda path: new is not None and path in new):
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            part = "/".join(parts[:depth])
            other = first.setdefault(folded(part), part)
            if other != part and (new is None or path in new):
                raise ValueError(f"{quoted(part)} and {quoted(other)} are one name on some systems")


def folded(name: str) -> str:
    """The same for names that some system takes for one."""
    if name.isascii():
        return name.lower()
    decomposed = unicodedata.normalize("NFD", _UNSEEN.sub("", name))
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", decomposed.casefold()))


def check_ref(value: str) -> None:
    """Refuse what cannot become a branch or a tag: clients keep each in a file of its name."""
    check_stored_ref(value)
    for segment in value.split("/"):
        check_segment(segment)


def check_stored_ref(value: str) -> None:
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
        raise ValueError(f"{quoted(value)} cannot be the name of a branch or a tag")


def quoted(value: str) -> str:
    """A name out of a stranger's hands in quotes, for an error: at most 100 characters."""
    return f"'{shown(value, 98)}'"


def _is_text(value: str) -> bool:
    """Unicode that UTF-8 can carry, and no control character."""
    return not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", value)
