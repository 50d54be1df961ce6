"""The registry of this hub: a row for each repository whose card is sound. Pure, no I/O."""

from __future__ import annotations

from collections.abc import Iterable

from zoo.errors import RegistryError, ZooError
from zoo.records import entry as records_entry
from zoo.records.entry import Entry, FileRef
from zoo.records.names import check_file_name
from zoo.serve.catalogue.models import Shown


def text(found: Iterable[Shown]) -> str:
    """registry.yaml; of two students of one name the one in the first repository by id."""
    entries: dict[str, Entry] = {}
    for one in sorted(found, key=lambda one: one.repo):
        row = entry(one)
        if row:
            entries.setdefault(row.name, row)
    try:
        return records_entry.render(entries.values())
    except RegistryError:  # then without those that cannot be written
        return records_entry.render(filter(_writable, entries.values()))


def _writable(row: Entry) -> bool:
    try:
        return bool(records_entry.render([row]))
    except RegistryError:
        return False


def entry(one: Shown) -> Entry | None:
    """The row of a repository; None where its card or its files cannot be one."""
    facts = one.facts
    if facts is None or one.problem:
        return None
    files = {p: FileRef(f.sha256, f.size) for p, f in one.commit.files.items() if _plain(p)}
    try:
        return Entry(
            name=facts.row.name,
            task=facts.row.task,
            repo=one.repo,
            revision=one.commit.id,
            licence=facts.row.licence,
            summary=facts.row.summary,
            files=files,
            headline=facts.headline,
        )
    except (ValueError, ZooError):
        return None


def _plain(path: str) -> bool:
    """Whether it is a file of a student: not in a folder, not hidden."""
    try:
        check_file_name(path)
    except ValueError:
        return False
    return True
