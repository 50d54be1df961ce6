"""What names, hashes and fractions must look like; anything else is a `ValueError` that says so."""

from __future__ import annotations

import re


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
