"""A store that is killed, crowded or out of room holds the old state or the new, and works on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo.stores.store import Add, Store

CODE = Path(zoo.__file__).parent.parent
REPO = "lab/student"

# Runs in a process of its own: the operation, again and again from the same start, each time in a
# child that dies just before its n-th call of the operating system that changes the disk.
KILLED = """
import itertools, os, shutil, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from zoo.stores.git import Add, Commit, Delete, DeleteFolder, File
from zoo.stores.store import Store
import filelock

base = Path(sys.argv[2])

def operation(store):
    {operation}

def counted(function, n, calls):
    def call(*args, **kwargs):
        if next(calls) == n:
            os._exit(42)
        return function(*args, **kwargs)
    return call

def die_at(n):
    calls = itertools.count()
    for name in ("replace", "rename", "unlink", "rmdir", "mkdir", "fsync", "utime", "open"):
        setattr(os, name, counted(getattr(os, name), n, calls))

for n in itertools.count():
    root = base / str(n)
    shutil.copytree(base / "start", root)
    child = os.fork()
    if child == 0:
        die_at(n)
        operation(Store(root))
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.wait()[1])
    if code != 42:
        sys.exit(code)
"""

OPERATIONS = {
    "create": 'store.create("lab/new", private=True)',
    "commit": """store.commit("lab/student", "main", [Delete("a"), DeleteFolder("f"),
        Add("new/x.onnx", store.add([b"new"])[0]), Add("b", store.add([b"2"])[0])],
        title="second")""",
    "tag": 'store.tag("lab/student", "v1", "main")',
    "branch": 'store.branch("lab/student", "dev/x", "main")',
    "untag": 'store.untag("lab/student", "v0")',
    "unbranch": 'store.unbranch("lab/student", "old")',
    "set_private": 'store.set_private("lab/student", True)',
    "delete": 'store.delete("lab/other")',
    "adopt": """store.adopt("up/stream", Commit("1" * 40, (), "", "a", "2026-01-31T12:00:00.000Z",
        "t", "", {"a": File("a", 1, "", "2" * 40, False)}), heads={"main": "1" * 40})""",
    "collect": "store.collect(older_than_s=-1)",
}


def python(code: str, *words: object) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    start = [sys.executable, "-c", code, str(CODE), *map(str, words)]
    return subprocess.Popen(start, stdout=pipe, stderr=pipe, text=True)


def ended(process: subprocess.Popen[str]) -> str:
    """stdout of a process that ends well."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def state(store: Store) -> dict[str, Any]:
    """All that a reader can see, without ids and dates: they differ from run to run."""
    return {repo: seen(store, repo) for repo in store.repos()}


def seen(store: Store, repo: str) -> dict[str, Any]:
    refs = store.refs(repo)
    names = {f"head {name}": id for name, id in refs.heads.items()}
    names |= {f"tag {name}": id for name, id in refs.tags.items()}
    held = {
        name: [(c.title, [(f.path, f.oid) for f in c.files.values()]) for c in store.log(repo, id)]
        for name, id in names.items()
    }
    return {"private": store.private(repo), **held}


def filled(root: Path) -> Store:
    """Two repositories, a tag, a branch with a commit of its own, and garbage."""
    store = Store(root)
    blobs = [store.add([data])[0] for data in (b"1", b"2", b"3", b"garbage")]
    for repo in (REPO, "lab/other"):
        store.create(repo)
        store.commit(repo, "main", [Add("a", blobs[0]), Add("f/b", blobs[1])], title="first")
    store.tag(REPO, "v0", "main")
    store.branch(REPO, "old")
    store.branch(REPO, "lost")
    for branch in ("old", "lost"):
        for n in range(3):
            store.commit(REPO, branch, [Add(f"{branch}{n}", blobs[2])], title=f"{branch} {n}")
    store.unbranch(REPO, "lost")
    return store


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_anywhere_the_state_is_the_old_one_or_the_new(name: str, tmp_path: Path) -> None:
    old = state(filled(tmp_path / "start"))
    ended(python(KILLED.replace("{operation}", OPERATIONS[name]), tmp_path))
    count = len(list(tmp_path.iterdir())) - 1
    new = state(Store(tmp_path / str(count - 1)))  # the one that lived
    assert count > 4
    assert (new != old) == (name != "collect")
    kinds = set()
    for n in range(count):
        store = Store(tmp_path / str(n))
        found = state(store)
        assert found in (old, new), f"killed at call {n}"
        kinds.add(json.dumps(found))
        assert store.fsck() == []
        goes_on(store, found)
    assert len(kinds) == (1 if name == "collect" else 2)


def goes_on(store: Store, before: dict[str, Any]) -> None:
    """What was broken off is no hindrance, and all of it is collected."""
    for repo in {"lab/new", "lab/other"} - before.keys():
        store.create(repo)
    store.commit("lab/new", "main", [Add("c", store.add([b"9"])[0])], title="goes on")
    after = state(store)
    store.collect(older_than_s=-1)
    assert list((store.root / "incoming").iterdir()) == []
    assert state(store) == after
    assert store.fsck() == []


# --- many at once --------------------------------------------------------------------------------

# A writer's blobs are old and unreached for a moment, as after a day between upload and commit.
WRITER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from zoo.errors import Conflict
from zoo.stores.store import Add, Store
root, me, careful = sys.argv[2], sys.argv[3], sys.argv[4] == "careful"
store, stale = Store(root), 0
for n in range(25):
    data = f"{me} {n}".encode()
    blob = store.add([data])[0]
    os.utime(store.blob(blob), (0, 0))
    store.add([data], sha256=blob)
    while True:
        try:
            head = store.resolve("lab/student", "main") if careful else None
            change = [Add(f"{me}/{n}", blob)]
            store.commit("lab/student", "main", change, title=f"{me} {n}", parent=head)
            break
        except Conflict:
            stale += 1
print(stale)
"""

COLLECTOR = """
import sys
sys.path.insert(0, sys.argv[1])
from zoo.stores.store import Store
store = Store(sys.argv[2])
for n in range(30):
    store.collect()
    store.read("lab/student", "main")
print(len(store.fsck()))
"""


@pytest.mark.parametrize("care", ["careful", "careless"])
def test_four_writers_and_a_collector_at_once_lose_nothing(care: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.create(REPO)
    writers = [python(WRITER, tmp_path, f"writer{n}", care) for n in range(4)]
    collector = python(COLLECTOR, tmp_path)
    stale = [int(ended(writer)) for writer in writers]
    assert int(ended(collector)) == 0
    log = list(store.log(REPO, "main"))
    assert len(log) == 101
    assert len({commit.title for commit in log}) == 101
    files = store.read(REPO, "main").files
    wanted = {f"writer{w}/{n}": f"writer{w} {n}" for w in range(4) for n in range(25)}
    assert {p: store.blob(f.sha256).read_text() for p, f in files.items() if "/" in p} == wanted
    assert care == "careful" or stale == [0] * 4
    assert store.fsck() == []


def test_of_many_deletes_at_once_one_succeeds(tmp_path: Path) -> None:
    Store(tmp_path).create(REPO)
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from zoo.errors import NotFound
from zoo.stores.store import Store
try:
    Store(sys.argv[2]).delete("lab/student")
    print("deleted")
except NotFound:
    print("gone")
"""
    told = sorted(ended(p).strip() for p in [python(code, tmp_path) for _ in range(3)])
    assert told == ["deleted", "gone", "gone"]
    assert Store(tmp_path).repos() == []


# --- no room -------------------------------------------------------------------------------------

FULL = """
import resource, signal, sys
sys.path.insert(0, sys.argv[1])
from zoo.errors import StoreError
from zoo.stores.store import Add, Store
import filelock
store = Store(sys.argv[2])
blob = store.add([b"small"])[0]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
tries = {
    "blob": lambda: store.add([b"x" * 4096] * 100),
    "commit": lambda: store.commit("lab/student", "main", [Add("b", blob)], title="x" * 4000),
    "tag": lambda: store.tag("lab/student", "v1", "main"),
    "create": lambda: store.create("lab/new"),  # its .gitattributes is here already
}
try:
    tries[sys.argv[4]]()
except StoreError as problem:
    print(problem, "|", problem.hint)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on files")
@pytest.mark.parametrize(
    ("what", "room_bytes"), [("blob", 5000), ("commit", 3000), ("tag", 10), ("create", 200)]
)
def test_a_full_disk_is_one_error_and_leaves_the_old_state(
    what: str, room_bytes: int, tmp_path: Path
) -> None:
    store = filled(tmp_path)
    before = state(store)
    told = ended(python(FULL, tmp_path, room_bytes, what))
    assert told == f"{tmp_path}: File too large | is there room?\n"
    assert state(store) == before
    assert store.fsck() == []
    assert list((tmp_path / "incoming").iterdir()) == []
