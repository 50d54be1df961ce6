"""From `data.source` to the reader of it."""

from __future__ import annotations

import os
from pathlib import Path

from distill.config import Data
from distill.data.archives import Tar, Zip
from distill.data.folder import Folder
from distill.data.record import Source
from distill.errors import DistillError

_NO_HOME = "its home (the recipe names none)"
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")


def open_source(data: Data, root: Path | None) -> Source:
    """The reader that `data.source` asks for; nothing is read yet."""
    if data.source == "digits":
        from distill.data.digits import Digits

        return Digits()
    if data.source.startswith("hub:"):
        from distill.data.parquet import from_hub

        return from_hub(data.source)
    return open_path(locate(data.source, data.home, root))


def open_path(path: Path) -> Source:
    """A folder, an archive or parquet, told by its name."""
    name = path.name.lower()
    if path.is_dir():
        return _folder(path)
    if name.endswith(".zip"):
        return Zip(path)
    if name.endswith(TAR_SUFFIXES):
        return Tar(path)
    if name.endswith(".parquet"):
        from distill.data.parquet import Parquet

        return Parquet.open(path)
    raise DistillError(
        f"{path} is not a data set that can be read",
        f"a folder, .zip, {', '.join(TAR_SUFFIXES)} or .parquet, hub:ORG/NAME@REVISION, digits",
    )


def locate(source: str, home: str, root: Path | None, hint: str = "") -> Path:
    """Where the data is: below `root` (none: ZOO_DATA), below the working directory, or as said.

    home is its public address, for the message where it is nowhere; hint tells better how to get
    it than an address does.
    """
    place = root or (Path(os.environ["ZOO_DATA"]) if os.environ.get("ZOO_DATA") else None)
    candidates = [Path(source).expanduser()]
    if place is not None:
        candidates.insert(0, place / source)
    for candidate in candidates:
        if candidate.exists():
            return candidate
    looked = f"in {place} or the working directory" if place else "in the working directory"
    raise DistillError(
        f"the data {source} was not found {looked}",
        f"{hint or f'fetch it from {home or _NO_HOME}'}, then give the "
        "directory that holds it by --data or the environment variable ZOO_DATA",
    )


def _folder(path: Path) -> Source:
    if any(next(path.glob(p), None) for p in ("*.parquet", "*/*.parquet")):
        from distill.data.parquet import Parquet

        return Parquet.open(path)
    return Folder(path)
