"""A cache that others may write to: nobody's file is written through it, and all can use it.

Two users are tried where the tests run as root: the effective user is changed within the process.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from command_line import invoke

import zoo
from zoo.errors import PullError, ZooWarning
from zoo.fetch import kept
from zoo.fetch.cache import CacheError, place_of
from zoo.fetch.fetch import fetch
from zoo.files import sha256
from zoo.registry import remote

if TYPE_CHECKING:
    from conftest import Shelf

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links and users of POSIX")
two_users = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may be two users"
)
ANN, BEN, GROUP = 31001, 31002, 31000
FP32 = "model.fp32.onnx"


@contextlib.contextmanager
def acting(user: int, umask: int = 0o022) -> Iterator[None]:
    """Be that user, of the one group, until the block ends."""
    before, groups = os.umask(umask), os.getgroups()
    os.setgroups([GROUP])
    os.setegid(GROUP)
    os.seteuid(user)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
        os.umask(before)


@pytest.fixture
def common() -> Iterator[Path]:
    """A folder that hands on its group, which may write there."""
    top = Path(tempfile.mkdtemp())
    top.chmod(0o755)
    common = top / "common"
    common.mkdir()
    if os.geteuid() == 0:
        os.chown(common, -1, GROUP)
    common.chmod(0o2775)
    yield common
    shutil.rmtree(top)


@pytest.fixture
def open_shelf(make_shelf: Callable[..., Shelf], tiny: Path, common: Path) -> Shelf:
    """The tiny student in a store that everybody may read."""
    made = make_shelf(common.parent / "shelf", tiny)
    for path in (made.root, *made.root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return made


def pulled(shelf: Shelf, cache: Path) -> Path:
    return fetch(shelf.entry, store=shelf.store, cache=cache)


def snapshot_is_right(shelf: Shelf, folder: Path) -> bool:
    return all(sha256(folder / f) == ref.sha256 for f, ref in shelf.entry.files.items())


# --- what lies at a known name -------------------------------------------------------------------


def known_names(shelf: Shelf) -> dict[str, Path]:
    """Where a pull writes, for whoever wants to be there first."""
    place, digest = place_of(shelf.entry, shelf.cache), shelf.entry.files[FP32].sha256
    return {
        "part": place.blob(f"{digest}.part"),
        "blob": place.blob(digest),
        "lock": shelf.cache / ".locks" / place.folder.name / f"{digest}.lock",
        "link": place.snapshot / FP32,
    }


TRAPS: dict[str, Callable[[Path, Path], object]] = {
    "symbolic link": lambda path, victim: path.symlink_to(victim),
    "hard link": lambda path, victim: path.hardlink_to(victim),
    "link to nowhere": lambda path, victim: path.symlink_to(victim.parent / "new"),
    "pipe": lambda path, victim: os.mkfifo(path),
    "link to a device": lambda path, victim: path.symlink_to("/dev/full"),
}


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("where", ["part", "blob", "lock", "link"])
def test_what_lies_at_a_known_name_is_not_written_through(
    where: str, trap: str, shelf: Shelf, tmp_path: Path
) -> None:
    victim = tmp_path / "victim" / "thesis.txt"
    victim.parent.mkdir()
    victim.write_text("years of work")
    path = known_names(shelf)[where]
    path.parent.mkdir(parents=True)
    TRAPS[trap](path, victim)
    folder = pulled(shelf, shelf.cache)
    assert snapshot_is_right(shelf, folder)
    assert stat.S_ISREG(known_names(shelf)["blob"].lstat().st_mode)
    assert [p.read_text() for p in victim.parent.iterdir()] == ["years of work"]


@two_users
def test_somebody_elses_half_file_is_left_alone(open_shelf: Shelf, common: Path) -> None:
    part = place_of(open_shelf.entry, common).blob(f"{open_shelf.entry.files[FP32].sha256}.part")
    with acting(BEN, 0):
        part.parent.mkdir(parents=True)
        part.write_bytes(b"of Ben")
    with acting(ANN):
        assert snapshot_is_right(open_shelf, pulled(open_shelf, common))
    assert part.read_bytes() == b"of Ben"


@two_users
@pytest.mark.parametrize("level", ["repository", "blobs", "snapshots", "revision", "locks"])
def test_a_folder_that_is_somebody_elses_link_is_not_entered(
    level: str, open_shelf: Shelf, common: Path
) -> None:
    place = place_of(open_shelf.entry, common)
    levels = {
        "repository": place.folder,
        "blobs": place.blob("x").parent,
        "snapshots": place.snapshot.parent,
        "revision": place.snapshot,
        "locks": common / ".locks",
    }
    project = common.parent / "project"
    with acting(0):
        project.mkdir()
        os.chown(project, ANN, GROUP)
        (project / "README.md").write_text("of Ann")
        os.chown(project / "README.md", ANN, GROUP)
    with acting(BEN, 0):
        levels[level].parent.mkdir(parents=True, exist_ok=True)
        levels[level].symlink_to(project)
    with acting(ANN), pytest.raises(PullError, match=r"is a link, .* belongs to") as caught:
        pulled(open_shelf, common)
    assert str(BEN) in str(caught.value)
    assert "ZOO_CACHE" in caught.value.hint
    assert [p.name for p in project.iterdir()] == ["README.md"]
    assert (project / "README.md").read_text() == "of Ann"


@two_users
def test_a_kept_registry_of_somebody_else_is_not_believed(
    open_shelf: Shelf, common: Path, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(common))
    site.has("/registry.yaml", open_shelf.registry.read_text())
    with acting(BEN):
        assert remote.load(site.url)
        (copy,) = (common / ".zoo-registries").iterdir()
        forged = copy.read_text().replace("Tells colours apart", "Forged")
        copy.write_text(forged)
        assert remote.load(site.url, fetch=False)[open_shelf.entry.name].summary == "Forged."
    with acting(ANN):
        assert remote.load(site.url, fetch=False) == {}
        assert remote.load(site.url)[open_shelf.entry.name].summary == "Tells colours apart."
        assert remote.load(site.url, fetch=False)[open_shelf.entry.name].summary != "Forged."


# --- two users, one cache ------------------------------------------------------------------------


@two_users
@pytest.mark.parametrize("umask", [0o077, 0o022, 0o002])
def test_one_pulls_and_the_other_uses_it(umask: int, open_shelf: Shelf, common: Path) -> None:
    with acting(ANN, umask):
        folder = pulled(open_shelf, common)
    with acting(BEN, umask):
        assert snapshot_is_right(open_shelf, folder)
        assert kept.verify(common, [open_shelf.entry]) == []
        assert kept.kept(common, [open_shelf.entry])[0].state == "complete"
    for path in common.rglob("*"):
        if not path.is_symlink():
            wanted = 0o2775 if path.is_dir() else 0o664
            assert (path, oct(stat.S_IMODE(path.stat().st_mode))) == (path, oct(wanted))
    with acting(BEN, umask):  # Ben may mend and clear what Ann has pulled
        (folder / FP32).resolve().unlink()
        assert snapshot_is_right(open_shelf, pulled(open_shelf, common))
        assert kept.prune(common, [])


@two_users
def test_a_bad_blob_of_somebody_else_does_not_stop_a_pull(open_shelf: Shelf, common: Path) -> None:
    with acting(BEN):
        blob = (pulled(open_shelf, common) / FP32).resolve()
        blob.write_bytes(b"bad")
        blob.chmod(0o600)
    with acting(ANN):
        (broken,) = kept.verify(common, [open_shelf.entry])
        assert f"belongs to the user {BEN}" in broken.problem
        assert snapshot_is_right(open_shelf, pulled(open_shelf, common))


@two_users
def test_locks_of_somebody_else_do_not_stop_a_pull(open_shelf: Shelf, common: Path) -> None:
    with acting(BEN):
        (common / ".locks").mkdir(mode=0o755)
        (common / ".locks").chmod(0o755)
    with acting(ANN):
        assert snapshot_is_right(open_shelf, pulled(open_shelf, common))


@two_users
def test_where_the_cache_is_anothers_the_line_says_whose(
    open_shelf: Shelf, common: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    common.chmod(0o755)
    os.chown(common, BEN, GROUP)
    with acting(ANN), pytest.raises(CacheError, match=f"{common} belongs to the user {BEN}"):
        pulled(open_shelf, common)
    monkeypatch.setenv("ZOO_CACHE", str(common))
    monkeypatch.setenv("ZOO_STORE", str(open_shelf.store.root))
    with acting(ANN), pytest.warns(ZooWarning, match=f"belongs to the user {BEN}; .* is used"):
        folder = fetch(open_shelf.entry)  # the package, or a store here, has the bytes
    assert folder == open_shelf.store.folder(open_shelf.entry.name)


@two_users
def test_a_folder_that_may_not_be_read_is_one_line(open_shelf: Shelf, common: Path) -> None:
    with acting(BEN):
        folder = pulled(open_shelf, common)
        folder.chmod(0o700)
        folder.parent.chmod(0o700)
    with acting(ANN):
        for look in (kept.kept, kept.verify, kept.prune):
            with contextlib.suppress(zoo.ZooError):
                look(common, [open_shelf.entry])
        with pytest.raises(PullError, match=f"belongs to the user {BEN}"):
            pulled(open_shelf, common)


# --- folders that are links of one's own ---------------------------------------------------------


@pytest.mark.parametrize("level", ["cache", "repository", "blobs", "snapshots", "refs", "locks"])
def test_a_cache_may_lie_elsewhere_by_a_link(level: str, shelf: Shelf, tmp_path: Path) -> None:
    place = place_of(shelf.entry, shelf.cache)
    path = {
        "cache": shelf.cache,
        "repository": place.folder,
        "blobs": place.folder / "blobs",
        "snapshots": place.folder / "snapshots",
        "refs": place.folder / "refs",
        "locks": shelf.cache / ".locks",
    }[level]
    elsewhere = tmp_path / "another" / "disk" / "deep" / "down"
    elsewhere.mkdir(parents=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(elsewhere)
    folder = zoo.pull(shelf.entry.name)
    assert snapshot_is_right(shelf, folder)
    assert all((folder / file).is_symlink() for file in shelf.entry.files)
    assert invoke("cache", "verify") == ""
    assert json.loads(invoke("cache", "list", "--json"))[0]["state"] == "complete"
    assert zoo.pull(shelf.entry.name) == folder


def test_a_link_to_nowhere_is_named(shelf: Shelf) -> None:
    snapshots = place_of(shelf.entry, shelf.cache).snapshot.parent
    snapshots.parent.mkdir(parents=True)
    snapshots.symlink_to("gone")
    with pytest.raises(PullError, match="snapshots leads to gone, which is not there"):
        fetch(shelf.entry, store=shelf.store, cache=shelf.cache)
