"""From `data.source` to the reader of it.

A form is a word (`digits`), the start of an address (`hub:`), the end of a file's name (`.zip`; the
longest that fits), or `/`, a folder.
"""

from __future__ import annotations

import os
from pathlib import Path

from distill.config import Data
from distill.data.record import Source
from distill.errors import DistillError
from distill.files import expanded
from distill.table import Table

_NO_HOME = "its home (the recipe names none)"
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")

SOURCES = Table("form of data")  # -> what makes a Source of `data.source`, or of a Path
SOURCES["digits"] = "distill.data.digits:Digits"
SOURCES["hub:"] = "distill.data.parquet:from_hub"
SOURCES["/"] = "distill.data.folder:open_folder"
SOURCES[".zip"] = "distill.data.archives:Zip"
SOURCES |= dict.fromkeys(TAR_SUFFIXES, "distill.data.archives:Tar")
SOURCES |= dict.fromkeys((".csv", ".tsv", ".jsonl"), "distill.data.tables:Table")
SOURCES[".parquet"] = "distill.data.parquet:Parquet.open"


def open_source(data: Data, root: Path | None) -> Source:
    """The reader that `data.source` asks for; nothing is read yet."""
    word, colon, _ = data.source.partition(":")
    if word + colon in SOURCES and word[0] not in "./":
        return SOURCES.load(word + colon)(data.source)
    path = locate(data.source, data.home, root)
    ends = [form for form in SOURCES if form[0] == "." and path.name.lower().endswith(form)]
    form = "/" if path.is_dir() else max(ends, key=len, default=path.suffix)
    if form not in SOURCES:
        raise DistillError(f"{path} is not a data set that can be read", SOURCES.near(form))
    return SOURCES.load(form)(path)


def locate(source: str, home: str, root: Path | None, hint: str = "") -> Path:
    """Where the data is: below `root` (none: ZOO_DATA), below the working directory, or as said.

    home is its public address, for the message where it is nowhere; hint tells better how to get
    it than an address does.
    """
    place = root or (expanded(os.environ["ZOO_DATA"]) if os.environ.get("ZOO_DATA") else None)
    candidates = [expanded(source)]
    if place is not None:
        candidates.insert(0, place / source)
    for candidate in candidates:
        if candidate.is_dir() or candidate.is_file():
            return candidate
        if candidate.exists():
            raise DistillError(f"{candidate} is a pipe, a socket or a device", "give a file")
    looked = f"in {place} or the working directory" if place else "in the working directory"
    raise DistillError(
        f"the data {source} was not found {looked}",
        f"{hint or f'fetch it from {home or _NO_HOME}'}, then give the "
        "directory that holds it by --data or the environment variable ZOO_DATA",
    )
