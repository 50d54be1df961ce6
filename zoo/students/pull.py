"""A name, and the student is here: found in a registry, fetched, tried on this processor."""

from __future__ import annotations

import warnings
from pathlib import Path

from zoo.errors import PullError, ZooWarning
from zoo.fetch.fetch import From, fetch
from zoo.fetch.fetcher import Progress
from zoo.records.names import FILES
from zoo.registry import registries
from zoo.registry.registries import Where


def pull(
    name: str,
    *,
    sources: From = (),
    cache: str | Path | None = None,
    registry: Where = None,
    progress: Progress | None = None,
    verify: bool = True,
) -> Path:
    """Folder with the student's files, each checked by its sha256.

    sources: folders, bundles and hubs (paths, URLs) to ask after the folders that come with the
    package and with studentzoo[students], and before $ZOO_MIRRORS and the hub that the registry
    names.
    registry: a path, a URL or ORG/NAME, or several, in place of $ZOO_REGISTRY; see
    `zoo.registry.registries`. The hashes in it are what is trusted.

    With `verify`, the golden vectors run on this processor: a ZooWarning tells when the 8-bit file
    answers differently here (`zoo.load` then uses the fp32 file), a PullError when both do.
    """
    entry = registries.find(name, registry)
    named = registries.named(registry, entry)
    folder = fetch(entry, sources=sources, cache=cache, progress=progress, named=named)
    if verify:
        self_test(folder, name)
    return folder


def self_test(folder: Path, name: str) -> None:
    """Run the golden vectors of the student's files in `folder` on this processor."""
    from zoo.students.golden import golden

    if (folder / FILES["int8"]).is_file():
        if golden(folder, "int8").ok:
            return
        warnings.warn(
            f"{name}: the 8-bit file answers differently on this processor; the fp32 file is used",
            ZooWarning,
            stacklevel=3,
        )
    if not golden(folder, "fp32").ok:
        raise PullError(
            f"{name}: the files are those that were published, but answer differently here",
            "try another version of onnxruntime, and tell us the output of `zoo doctor`",
        )
