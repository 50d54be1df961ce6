"""What a folder holds: pictures, parquet files or shards."""

from __future__ import annotations

from pathlib import Path

from distill.data.folder import Folder
from distill.data.parquet import Parquet
from distill.data.record import Source
from distill.data.shards import Shards, shards_of
from distill.names import ignored


def open_folder(path: Path) -> Source:
    """Its reader; pictures go before shards, and parquet before both."""
    tables = (table for form in ("*.parquet", "*/*.parquet") for table in path.glob(form))
    if not all(ignored(table.relative_to(path).as_posix()) for table in tables):
        return Parquet.open(path)
    shards = shards_of(path)
    return Shards(path, shards) if shards else Folder(path)
