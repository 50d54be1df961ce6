"""What the C library does with memory that a training frees: it keeps it for the next step.

Left alone, glibc hands tensors of 32 MiB and more back to the system at once, and each step of a
large network asks for them again, page by page: a fifth of its time.
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_NEVER = 2**31 - 1  # bytes


def hold() -> None:
    """From now on, in this process. Nothing where the C library is another."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, 2**30)
        mallopt(_TRIM_THRESHOLD, _NEVER)
