"""What a bug report needs: versions, processor, cache, and where students come from."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError
from zoo.measure import machine
from zoo.records.names import FILES
from zoo.records.run import installed
from zoo.said import masked

if TYPE_CHECKING:
    from zoo.records.entry import Entry

PACKAGES = (
    *("studentzoo", "studentzoo-students", "onnxruntime"),
    *("numpy", "pillow", "huggingface-hub", "onnx", "torch"),
)


def examine(cache: Path | None = None) -> dict[str, Any]:
    """Every fact, as plain data; nothing is written and nothing is fetched."""
    isa = machine.isa()
    return {
        "versions": {"python": platform.python_version(), **versions()},
        "machine": {
            "os": machine.os_name(),
            "processor": machine.cpu_name(),
            "cores": os.cpu_count(),
            "instruction_set": isa,
            "providers": providers(),
        },
        "int8": {"advice": int8_advice(isa), "self_test": self_tests()},
        "cache": cache_facts(cache),
        "source": source_facts(),
    }


def versions() -> dict[str, str | None]:
    """Package -> version, None where it is not installed."""
    return {name: installed(name) for name in PACKAGES}


def providers() -> list[str]:
    """What onnxruntime can run on here."""
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def int8_advice(isa: str) -> str:
    """Whether 8-bit files are worth it on a processor with these instructions.

    onnxruntime multiplies bytes in one instruction with VNNI, AMX or the Arm dot product; without
    them on x86 two products are added in 16 bits, which may saturate.
    """
    words = set(isa.replace(",", " ").split())
    if words & {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"}:
        return "usable: the processor has 8-bit dot products"
    if words & {"avx2", "avx512f", "avx512bw"}:
        return "usable with care: no VNNI, sums may saturate; the self-test at a pull decides"
    return "not known for this processor; the self-test at a pull decides"


def self_tests() -> list[str]:
    """Whether the 8-bit file of every student in the stores answers here as it was published."""
    from zoo.registry import local
    from zoo.stores import folders

    try:
        stores = {name: folders.holder(name) for name in local.load()}
        there = {name: store.folder(name) for name, store in stores.items() if store.has(name)}
    except ZooError:  # said under "source"
        return []
    return [
        f"{name} {_self_test(folder)}"
        for name, folder in there.items()
        if (folder / FILES["int8"]).is_file()
    ]


def _self_test(folder: Path) -> str:
    from zoo.students import golden

    try:
        return "ok" if golden.golden(folder, "int8").ok else "differs"
    except ZooError as error:
        return f"broken: {error}"


def cache_facts(cache: Path | None = None) -> dict[str, Any]:
    """The cache folder, the room it takes and which students are in it."""
    from zoo.fetch.cache import cache_root, place_of

    root = cache_root(cache)
    folders = {place_of(entry, root).folder for entry in _entries()}
    there = [folder for folder in folders if folder.is_dir()]
    size = sum(f.stat().st_size for folder in there for f in folder.glob("blobs/*"))
    writable = os.access(_nearest(root), os.W_OK)
    return {"folder": str(root), "students": len(there), "size_bytes": size, "writable": writable}


def _entries() -> list[Entry]:
    from zoo.registry import registries

    try:
        return [entry for _, entry in registries.entries(fetch=False)]
    except ZooError:  # said under "source"
        return []


def _nearest(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists."""
    return path if path.exists() or path == path.parent else _nearest(path.parent)


def source_facts() -> dict[str, Any]:
    """Where students come from, and what is wrong there; of registries elsewhere the copy."""
    from zoo.fetch import sources
    from zoo.registry import endpoints, registries
    from zoo.stores import folders

    places = {origin: registries.path(origin) for origin in registries.origins()}
    found = [_registry(origin, path) for origin, path in places.items()]
    return {
        "registry": ", ".join(masked(path or origin) for origin, path in places.items()),
        "store": ", ".join(str(store.root) for store in folders.here()),
        "mirrors": list(map(masked, sources.mirror_names())),
        "hub": masked(endpoints.default()),
        "problems": [masked(problem) for _, problems in found for problem in problems],
        "students": sum(count for count, _ in found),
    }


def _registry(origin: str, path: Path | None) -> tuple[int, list[str]]:
    """How many students a registry has, and what is wrong with it: a line each."""
    from zoo.registry import local, registries

    try:
        entries = registries.load(origin, fetch=False)
    except ZooError as error:
        return 0, [str(error)]
    if path is None:
        missing = [] if entries else [f"{origin} is not here yet: no copy of it is kept"]
        return len(entries), missing
    some = path == local.WHEEL  # of its students a wheel has a few
    return len(entries), [problem for row in entries.values() for problem in _problem(row, some)]


def _problem(row: Entry, may_lack: bool) -> list[str]:
    """What is wrong with one student of the stores: a line, or none."""
    from zoo.stores import folders

    name = row.name
    try:
        store = folders.holder(name)
        if not store.has(name):
            return [] if may_lack else [f"{name} is in the registry but not in the store"]
        if not store.has(name, row.revision):
            return [f"{name} in the store is not the revision of the registry"]
    except (ZooError, OSError) as error:
        return [f"{name} in the store is broken: {error}"]
    return []
