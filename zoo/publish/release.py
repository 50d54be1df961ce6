"""Whether a student may be published, and what would be sent.

    zoo publish NAME    folder -> `read`: every check -> `hub`: commit, proof, tag -> registry

The folder is read here, the hub is talked to in `hub`, and `remote` does one after the other. The
step before is `shelf`: a build's folder into the folders and the registry here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.card import licences, writing
from zoo.errors import CardError, PublishError
from zoo.records import card as cards
from zoo.records.card import Attempt, Card
from zoo.records.text import parse_yaml
from zoo.stores import folders, git

_WRITE_AGAIN = "write the card again: zoo.card.writing.write"


@dataclass(frozen=True)
class Blob:
    """One file, known by its bytes; what a hub says of one may be less than all."""

    size: int | None  # bytes
    sha256: str  # 64 hex digits; "": not told, as of a small file on a hub
    oid: str  # 40 hex digits: git's id of the bytes, or, of a large file on a hub, of its pointer


@dataclass(frozen=True)
class Snapshot:
    """One commit on a hub."""

    commit: str  # 40 hex digits
    files: dict[str, Blob]  # by path


@dataclass(frozen=True)
class Release:
    """A student that may be published, as it stands in its folder."""

    card: Card
    folder: Path
    tree: str  # 40 hex digits: git's id of the folder
    files: dict[str, Blob]  # by name, all of them known by size, sha256 and oid

    @property
    def tag(self) -> str:
        """A name for exactly these files; `git rev-parse HEAD:FOLDER` begins with its digits."""
        return f"v{self.tree[:12]}"


@dataclass(frozen=True)
class Plan:
    """What one publication does."""

    name: str
    endpoint: str  # of the hub
    repo: str  # "org/name"
    tag: str
    parent: str  # the commit it is made on; "": the repository is made first
    files: dict[str, int]  # every file and its bytes
    send: tuple[str, ...]  # of them, those that the hub lacks
    delete: tuple[str, ...]  # of an older student, which this one has no more

    @property
    def empty(self) -> bool:
        """Whether the hub has it all."""
        return not self.send and not self.delete


@dataclass(frozen=True)
class Published:
    """What came of a plan."""

    plan: Plan
    revision: str  # the commit that holds the files; "" after a dry run
    new: bool  # whether it was committed now


# --- before --------------------------------------------------------------------------------------


def read(folder: Path) -> Release:
    """The student in `folder`; a PublishError names everything that forbids to publish it."""
    check_page(folder / cards.PAGE)
    card = cards.read(folder)
    objections = list(_objections(card, folder))
    if objections:
        reasons = "; ".join(reason for reason, _ in objections)
        hints = "; ".join(dict.fromkeys(hint for _, hint in objections))
        raise PublishError(f"{card.name} is not published: {reasons}", hints)
    files = {path.name: _blob(path) for path in folders.plain_files(folder)}
    return Release(card, folder, folders.tree_id(folder), files)


def check_page(path: Path) -> None:
    """A CardError if the page has no front matter that a hub can read: broken YAML, no mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise CardError(f"{path}: {problem}", _WRITE_AGAIN) from None
    block = re.match(r"---\n(.*?\n)---\n", text, re.S)
    if not block:
        raise CardError(f"{path}:1: no front matter between two ---", _WRITE_AGAIN)
    try:  # with a line for the ---, so that its lines are the page's
        data = parse_yaml("\n" + block[1], str(path), CardError).data
    except CardError as problem:
        raise CardError(str(problem), _WRITE_AGAIN) from None
    if not isinstance(data, dict) or "license" not in data:
        raise CardError(f"{path}:1: the front matter names no license", _WRITE_AGAIN)


def _objections(card: Card, folder: Path) -> Iterator[tuple[str, str]]:
    """Reasons not to publish, each with what to do about it."""
    from zoo.students.golden import golden

    for reason in writing.drift(folder):
        yield reason, _WRITE_AGAIN
    for reason in missed_gates(card):
        yield reason, "change the recipe and build again"
    for reason in licences.refusals(card):
        yield reason, "say another licence in the recipe, or take another teacher or other data"
    if not golden(folder, "fp32").ok:
        yield "the fp32 file does not give its golden outputs here", "see `zoo doctor`"


def missed_gates(card: Card) -> list[str]:
    """Why the published file did not pass its gates; a student in fp32 alone was asked none."""
    int8 = card.variants.get("int8")
    if int8 is None:
        failed = [f"{attempt.name}: {attempt.reason}" for attempt in card.attempts]
        return [f"no attempt passed its gates ({', '.join(failed)})"] if failed else []
    made = [a for a in card.attempts if a.verdict == "pass" and a.size_bytes == int8.size_bytes]
    if not made:
        return [f"no attempt on its card made {int8.file} and passed"]
    if not card.gates:
        return ["its card names no gates"]
    return list(_misses(made[0], card.gates))


def _misses(attempt: Attempt, gates: Mapping[str, float]) -> Iterator[str]:
    """Gates that the figures of an attempt do not reach, whatever its verdict says."""
    at_most = {
        "max_drop_points": attempt.drop_points,
        "max_speed_ratio": attempt.speed_ratio,
        "max_size_bytes": attempt.size_bytes if gates.get("max_size_bytes") else 0,
    }
    for gate, value in at_most.items():
        if gate in gates and not (value is not None and value <= gates[gate]):
            yield f"{attempt.name} misses {gate} {gates[gate]:g} with {value}"
    least = gates.get("min_agreement", 0)
    if not (attempt.agreement is not None and attempt.agreement >= least):
        yield f"{attempt.name} misses min_agreement {least:g} with {attempt.agreement}"


def _blob(path: Path) -> Blob:
    data = path.read_bytes()
    return Blob(len(data), hashlib.sha256(data).hexdigest(), git.blob_id(data))


# --- what is sent --------------------------------------------------------------------------------

_MADE = re.compile(r"model\.\w+\.onnx|golden\.npz|run\.json|(classes|curves|latency)\.svg")


def plan(release: Release, endpoint: str, repo: str, head: Snapshot | None) -> Plan:
    """What makes the hub's newest commit hold the release; `head` None: there is no repository."""
    there = head.files if head else {}
    return Plan(
        name=release.card.name,
        endpoint=endpoint,
        repo=repo,
        tag=release.tag,
        parent=head.commit if head else "",
        files={name: blob.size or 0 for name, blob in release.files.items()},
        send=tuple(differences(release.files, there)),
        delete=tuple(p for p in there if _MADE.fullmatch(p) and p not in release.files),
    )


def differences(ours: Mapping[str, Blob], theirs: Mapping[str, Blob]) -> dict[str, str]:
    """Files of ours that theirs are not, each with what is different about it."""
    found = ((name, _difference(blob, theirs.get(name))) for name, blob in ours.items())
    return {name: reason for name, reason in found if reason}


def _difference(ours: Blob, theirs: Blob | None) -> str:
    if theirs is None:
        return "is not there"
    if theirs.size != ours.size:
        return f"has {theirs.size} bytes, not {ours.size}"
    told, digest = (theirs.sha256, ours.sha256) if theirs.sha256 else (theirs.oid, ours.oid)
    return "" if told == digest else f"has the hash {told[:12] or 'of nothing'}, not {digest[:12]}"
