"""Labelled texts: folders and tar archives of `<class>.txt`, a text a line.

A place is

- a folder that holds the files;
- a `.tar[.gz|.xz|.bz2]`, in which one folder (or the top) holds them;
- `ARCHIVE/FOLDER`, one folder of several in a tar.

Other files beside them are passed over. Texts are NFC, without blanks around them; empty lines and
a class's repetitions are dropped. `load_texts` gives what is trained on and what is held out,
`load_tests` what only the final measurement may read.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from distill.config import TextData
from distill.data import lingua_counts
from distill.data.archives import Tar
from distill.data.lingua_counts import MARKED, Origin, draw_words, mark_share
from distill.data.record import Example
from distill.data.sources import TAR_SUFFIXES, locate
from distill.data.split import hold_out
from distill.errors import DistillError
from distill.files import open_plain
from distill.foreign import foreign
from distill.names import alike, difference, ignored, look

LAYOUT = "the layout is <class>.txt, a text a line, in UTF-8"
MAX_FILE_BYTES = 256 * 2**20  # of one file in a folder; archives have their own limits
SUFFIX = ".txt"  # in capitals too
_MEANT = re.compile(r"\.(txt|text)\W*($|\.(gz|xz|bz2|zst|zip|bak)$)", re.IGNORECASE)
_CLASS = re.compile(r"\w[\w.-]*")

Lines = dict[str, list[str]]  # class -> its texts


@dataclass(frozen=True)
class Texts:
    """One split."""

    texts: tuple[str, ...]  # NFC, no blanks around them, never empty
    labels: np.ndarray  # int64 (n,), index into classes
    words: np.ndarray  # bool (n,): of a word list or drawn; running text is False
    classes: tuple[str, ...]  # sorted
    split: str  # train, validation or the name of a test
    sha256: str  # of classes, split, labels, words and texts
    drawn: int = 0  # of words: drawn from counts; the others are listed
    origin: Origin | None = None  # of the drawn ones
    dropped: int = 0  # of a test: texts left out, for they stand in the source
    doubts: tuple[str, ...] = ()  # what whoever trains on it should know, a sentence each

    def __len__(self) -> int:
        return len(self.texts)


def load_texts(
    data: TextData, split: Literal["train", "validation"], root: Path | None = None
) -> Texts:
    """The held-out texts of `data.source`, or the others with the words of `words` and `counts`.

    Per class, the round(validation * n) texts whose sha256(class + "/" + text) is smallest are
    held out (one always stays); a held-out text is not in train as a word either. Texts of the
    source stand by class and in the order of that hash, whatever the order of lines; then come the
    words of the list, as they are listed, then the drawn ones, with repetitions: frequent words
    come often. A class in whose texts over MARKED of all letters are combining marks has none
    drawn, nor has one without counts (see `lingua_counts`). `root` is the directory in which a
    relative path is looked for first (none: the environment variable ZOO_DATA).

    Anything wrong with a place is one DistillError that names it.
    """
    source = _place(data.source, data, root)
    classes = tuple(sorted(source))
    held, rest = _hold_out(source, data.validation)
    if split == "validation":
        _check_held(held, data)
        return _texts(held, {}, classes, split)
    listed = _without(_listed(data, source, root), held)
    drawn = _without(_drawn(data, source, root), held)
    words = {name: listed.get(name, []) + drawn.get(name, []) for name in classes}
    found = _texts(rest, words, classes, split)
    origin = lingua_counts.origin(_wheel(data, root)) if data.counts else None
    doubts = tuple(_doubts(source))
    return replace(found, drawn=sum(map(len, drawn.values())), origin=origin, doubts=doubts)


def load_tests(data: TextData, root: Path | None = None) -> dict[str, Texts]:
    """Every test of the data by its name, every class of the source in each.

    A text that stands in the source too, under whatever class, is left out: it was trained on, or
    chosen by. `dropped` says how many were.
    """
    source = _place(data.source, data, root)
    return {name: _test(data, name, source, root) for name in data.tests}


def _doubts(source: Lines) -> Iterator[str]:
    """Texts with two answers."""
    classes: dict[str, list[str]] = defaultdict(list)
    for name, texts in source.items():
        for text in texts:
            classes[text].append(name)
    twice = {text: names for text, names in classes.items() if len(names) > 1}
    if twice:
        text, names = next(iter(twice.items()))
        shown = text if len(text) <= 40 else text[:40] + "..."
        yield (
            f"{len(twice)} texts have two answers or more, as {shown!r} in "
            f"{' and '.join(f'{name}.txt' for name in names)}: they are learned as each of them"
        )


def _test(data: TextData, name: str, source: Lines, root: Path | None) -> Texts:
    found = _place(data.tests[name], data, root)
    classes = tuple(sorted(source))
    _check_known(found, classes, data.tests[name])
    missing = [c for c in classes if c not in found]
    if missing:
        raise DistillError(
            f"{data.tests[name]}: {missing[0]}.txt is missing",
            f"{len(missing)} such class(es); every class of {data.source} needs test texts",
        )
    known = set(chain.from_iterable(source.values()))
    kept = {c: [text for text in texts if text not in known] for c, texts in found.items()}
    bare = [c for c in classes if not kept[c]]
    if bare:
        raise DistillError(
            f"{data.tests[name]}: every text of {bare[0]}.txt stands in {data.source} too",
            f"{len(bare)} such class(es); give test texts that are not trained on",
        )
    before, after = (sum(map(len, part.values())) for part in (found, kept))
    return replace(_texts(kept, {}, classes, name), dropped=before - after)


def _place(place: str, data: TextData, root: Path | None) -> Lines:
    """Every text of a place, by class in sorted order, in the order of their lines."""
    files = _read(place, data.home, root)
    return {name: _lines(files[name], f"{place}: {name}.txt") for name in sorted(files)}


def check_places(data: TextData, root: Path | None) -> None:
    """Every place that the data names is there, or a `DistillError` with its key; none is read."""
    places: dict[tuple[str, ...], str] = {("source",): data.source, ("words",): data.words}
    places |= {("tests", name): place for name, place in data.tests.items()}
    for key, place in {**places, ("counts",): data.counts}.items():
        try:
            if place:
                _wheel(data, root) if key == ("counts",) else _found(place, data.home, root)
        except DistillError as error:
            raise DistillError(str(error), error.hint, ("data", *key)) from error


def _read(place: str, home: str, root: Path | None) -> dict[str, bytes]:
    """The content of each class's file."""
    path, inner = _found(place, home, root)
    return _by_class(_on_disk(path) if path.is_dir() else _archived(path, inner), place)


def _found(place: str, home: str, root: Path | None) -> tuple[Path, str]:
    """The folder, or the archive and what of it, that a place means."""
    parts = PurePosixPath(place).parts
    at = next((i for i, p in enumerate(parts) if p.lower().endswith(TAR_SUFFIXES)), None)
    if at is not None:
        path = locate(str(PurePosixPath(*parts[: at + 1])), home, root)
        if path.is_file():
            return path, "/".join(parts[at + 1 :])
    path = locate(place, home, root)
    if not path.is_dir():
        raise DistillError(
            f"{path} is not a place of texts", f"a folder or {', '.join(TAR_SUFFIXES)}; {LAYOUT}"
        )
    return path, ""


def _on_disk(folder: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the text files in a folder."""
    try:
        for path in sorted(folder.iterdir()):
            if not _is_text(path.name) or path.is_dir():
                continue
            with open_plain(path) as file:
                content = file.read(MAX_FILE_BYTES + 1)
            if len(content) > MAX_FILE_BYTES:
                raise DistillError(f"{path} is larger than {MAX_FILE_BYTES} bytes", "split it")
            yield path.name, content
    except OSError as error:
        raise DistillError(f"{folder} cannot be read: {error}", LAYOUT) from error


def _archived(path: Path, folder: str) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the text files in one folder of a tar; `folder` "": in the only one."""
    found: dict[str, list[tuple[str, bytes]]] = defaultdict(list)
    folders = set()  # that hold text files, wanted or not

    def wanted(name: str) -> bool:
        parent, _, file = name.rpartition("/")
        asked = parent == folder or not folder
        if ignored(name) or not (_is_text(file) if asked else file.lower().endswith(SUFFIX)):
            return False
        folders.add(parent)
        return asked

    for name, content in Tar(path).contents(wanted):
        parent, _, file = name.rpartition("/")
        found[parent].append((file, content))
    if folder and folder not in found:
        there = ", ".join(sorted(folders)) or "none"
        raise DistillError(f"{path} has no folder {folder} of texts", f"there are: {there}")
    if len(found) > 1:
        there = ", ".join(sorted(name or "the top" for name in found))
        raise DistillError(
            f"{path} has several folders of texts: {there}", f"name one: {path.name}/FOLDER"
        )
    return chain.from_iterable(found.values())


def _is_text(name: str) -> bool:
    """Whether a file is read; one that might be meant, and is not, is an error."""
    if ignored(name):
        return False
    if _MEANT.search(name) and not name.lower().endswith(SUFFIX):
        raise DistillError(
            f"{name!r} may hold the texts of a class, but does not end in {SUFFIX}",
            f"{LAYOUT}; rename it, unpack it, or move it away",
        )
    return name.lower().endswith(SUFFIX)


def _by_class(files: Iterable[tuple[str, bytes]], place: str) -> dict[str, bytes]:
    """By the names of the files without .txt."""
    found: dict[str, bytes] = {}
    for file, content in files:
        name = unicodedata.normalize("NFC", file[: -len(SUFFIX)])
        if not _CLASS.fullmatch(name):
            raise DistillError(
                f"{place}: {file!r} is not named like a class",
                "letters, digits, '_', '-' and '.', then .txt",
            )
        if name in found:
            raise DistillError(f"{place}: {file} is in it twice", "pack it again")
        found[name] = content
    for one, other, *_ in alike(found):
        raise DistillError(
            f"{place}: {one}.txt and {other}.txt differ in {difference(one, other)} only",
            "name both alike, or join them",
        )
    if not found:
        raise DistillError(f"{place} holds no texts", LAYOUT)
    return found


def _lines(content: bytes, where: str) -> list[str]:
    """The texts of a file, each once, in its order."""
    other = foreign(content)
    if other:
        raise DistillError(f"{where}, line 1: {other.what}", other.hint)
    try:
        whole = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DistillError(
            f"{where}, line {line}: not UTF-8 ({error.reason})", "save the file as UTF-8"
        ) from error
    stripped = (line.strip() for line in unicodedata.normalize("NFC", whole).split("\n"))
    texts = list(dict.fromkeys(text for text in stripped if text))
    if not texts:
        raise DistillError(f"{where} holds no text", LAYOUT)
    return texts


def _hold_out(source: Lines, fraction: float) -> tuple[Lines, Lines]:
    """(held out, rest), by class, in the order of the hash."""
    held: Lines = {name: [] for name in source}
    rest: Lines = {name: [] for name in source}
    for name, texts in source.items():
        parts = hold_out((Example("train", name, text, text) for text in texts), fraction)
        held[name], rest[name] = ([e.name for e in part] for part in parts)
    return held, rest


def _check_held(held: Lines, data: TextData) -> None:
    empty = [name for name, texts in held.items() if not texts]
    if empty:
        raise DistillError(
            f"no text of the class {empty[0]!r} is held out",
            f"validation: {data.validation} of every class is held out, rounded; raise it or give "
            "more texts",
        )


def _listed(data: TextData, source: Lines, root: Path | None) -> Lines:
    """The words of the list, by class."""
    if not data.words:
        return {}
    listed = _place(data.words, data, root)
    _check_known(listed, tuple(source), data.words)
    return listed


def _drawn(data: TextData, source: Lines, root: Path | None) -> Lines:
    """Words drawn from counts, by class."""
    if not data.counts:
        return {}
    whole = [name for name, texts in source.items() if mark_share(texts) <= MARKED]
    return draw_words(_wheel(data, root), whole, data.drawn_words)


def _wheel(data: TextData, root: Path | None) -> Path:
    return locate(data.counts, data.home, root, hint=lingua_counts.HINT)


def _without(words: Lines, held: Lines) -> Lines:
    """`words` that are not held out in their class."""
    kept_out = {name: set(texts) for name, texts in held.items()}
    return {
        name: [text for text in texts if text not in kept_out[name]]
        for name, texts in words.items()
    }


def _check_known(found: Mapping[str, object], classes: tuple[str, ...], place: str) -> None:
    unknown = sorted(set(found) - set(classes))
    if unknown:
        twin = next((c for c in classes if look(c) == look(unknown[0])), "")
        differs = f"; {twin}.txt differs in {difference(twin, unknown[0])}" if twin else ""
        raise DistillError(
            f"{place}: {unknown[0]}.txt is of no class of the source{differs}",
            f"{len(unknown)} such class(es); the source has {', '.join(classes)}",
        )


def _texts(running: Lines, words: Lines, classes: tuple[str, ...], split: str) -> Texts:
    """Running texts by class, then words by class."""
    parts = [
        (label, single, part.get(name, []))
        for single, part in ((False, running), (True, words))
        for label, name in enumerate(classes)
    ]
    texts = tuple(chain.from_iterable(part for _, _, part in parts))
    counts = [len(part) for _, _, part in parts]
    labels = np.repeat(np.array([label for label, _, _ in parts], np.int64), counts)
    flags = np.repeat(np.array([single for _, single, _ in parts], bool), counts)
    sha256 = digest(texts, labels, flags, classes, split)
    return Texts(texts, labels, flags, classes, split, sha256)


def digest(
    texts: Iterable[str],
    labels: np.ndarray,
    words: np.ndarray,
    classes: tuple[str, ...],
    split: str,
) -> str:
    """sha256, hexadecimal, of a JSON head and then a text a line; the same on every machine."""
    head = {
        "classes": classes,
        "labels": labels.tolist(),
        "split": split,
        "words": words.tolist(),
    }
    hasher = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    hasher.update("".join(f"\n{text}" for text in texts).encode())
    return hasher.hexdigest()
