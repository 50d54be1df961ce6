"""What servers do wrong, and what is asked of them."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from zoo.errors import IntegrityError, PullError
from zoo.fetch.fetch import fetch
from zoo.fetch.link import Hub
from zoo.records.entry import Entry, FileRef, Headline
from zoo.registry import endpoints

DATA = random.Random(8).randbytes(600_000)
FILE = "model.fp32.onnx"
REVISION = "0123456789abcdef0123456789abcdef01234567"

Serve = Callable[..., Any]


@pytest.fixture
def chaos(files: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(files))
    return importlib.import_module("chaos")


@pytest.fixture
def serve(chaos: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """A hub that has the file; nothing else is asked."""
    for name in ("HF_HUB_OFFLINE", "ZOO_MIRRORS", "HF_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ZOO_STORE", str(tmp_path / "none"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{chaos.dead_port()}")
    with contextlib.ExitStack() as stack:
        yield lambda **how: stack.enter_context(
            chaos.Origin(how.pop("files", {FILE: DATA}), **how).running()
        )


def entry_of(**contents: bytes) -> Entry:
    refs = {
        name.replace("__", "."): FileRef(hashlib.sha256(data).hexdigest(), len(data))
        for name, data in contents.items()
    }
    head = Headline(1.0, "none", 0, 0.0)
    return Entry("far.test", "task", "lab/far.test", REVISION, "MIT", "Far.", refs, head)


@pytest.fixture
def entry() -> Entry:
    return entry_of(model__fp32__onnx=DATA)


def started(cache: Path, entry: Entry, data: bytes) -> Path:
    """A cache in which an earlier process left the beginning of the file."""
    digest = entry.files[FILE].sha256
    part = cache / "models--lab--far.test" / "blobs" / f"{digest}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(data)
    return part


def test_what_an_earlier_process_left_is_not_asked_for_again(
    serve: Serve, entry: Entry, tmp_path: Path
) -> None:
    origin = serve()
    started(tmp_path, entry, DATA[:400_000])
    folder = fetch(entry, sources=[origin.url], cache=tmp_path)
    assert (folder / FILE).read_bytes() == DATA
    ((path, headers),) = origin.asked
    assert path == f"/lab/far.test/resolve/{REVISION}/{FILE}"
    assert headers["Range"] == "bytes=400000-"


def test_what_is_whole_but_not_named_yet_is_not_asked_for(
    serve: Serve, entry: Entry, tmp_path: Path
) -> None:
    origin = serve()
    started(tmp_path, entry, DATA)
    fetch(entry, sources=[origin.url], cache=tmp_path)
    assert origin.asked == []


@pytest.mark.parametrize("left", [b"x" * 1000, b"x" * len(DATA), b"x" * (len(DATA) + 1)])
def test_wrong_bytes_from_an_earlier_process_are_thrown_away(
    left: bytes, serve: Serve, entry: Entry, tmp_path: Path
) -> None:
    started(tmp_path, entry, left)
    folder = fetch(entry, sources=[serve().url], cache=tmp_path)
    assert (folder / FILE).read_bytes() == DATA


def test_a_complete_pull_makes_no_request(serve: Serve, entry: Entry, tmp_path: Path) -> None:
    origin = serve()
    folder = fetch(entry, sources=[origin.url], cache=tmp_path)
    asked = len(origin.asked)
    assert fetch(entry, sources=[origin.url], cache=tmp_path) == folder
    assert len(origin.asked) == asked == 1


def test_a_server_without_range_sends_it_all_and_what_is_here_stays(
    serve: Serve, entry: Entry, tmp_path: Path
) -> None:
    origin, seen = serve(ranges=False), []
    started(tmp_path, entry, DATA[:400_000])
    folder = fetch(
        entry,
        sources=[origin.url],
        cache=tmp_path,
        progress=lambda file, done, total: seen.append(done),
    )
    assert (folder / FILE).read_bytes() == DATA
    assert len(origin.asked) == 1
    assert min(seen) > 400_000


def test_more_bytes_than_the_registry_says_are_not_read(
    serve: Serve, entry: Entry, tmp_path: Path
) -> None:
    origin, seen = serve(surplus=50 << 20), []
    folder = fetch(
        entry,
        sources=[origin.url],
        cache=tmp_path,
        progress=lambda file, done, total: seen.append(done),
    )
    assert (folder / FILE).read_bytes() == DATA
    assert max(seen) == len(DATA)


@pytest.mark.parametrize("content", [DATA[:-1], DATA + b"x"])
def test_another_length_is_refused_before_it_is_read(
    content: bytes, serve: Serve, entry: Entry, tmp_path: Path
) -> None:
    origin = serve(files={FILE: content})
    with pytest.raises(IntegrityError, match=r"\d+ bytes, the registry says 600000 bytes"):
        fetch(entry, sources=[origin.url], cache=tmp_path)
    assert list(tmp_path.rglob("*.part")) == []


def test_bytes_are_asked_for_as_they_are_and_never_decoded(
    serve: Serve, entry: Entry, tmp_path: Path
) -> None:
    plain = serve()
    fetch(entry, sources=[plain.url], cache=tmp_path / "plain")
    assert plain.asked[0][1]["Accept-Encoding"] == "identity"
    encoded = serve(files={FILE: gzip.compress(DATA)}, encoding="gzip")
    with pytest.raises(PullError, match="sent as 'gzip', which nobody asked for"):
        fetch(entry, sources=[encoded.url], cache=tmp_path / "encoded")


def test_a_file_of_no_bytes_needs_no_source(serve: Serve, tmp_path: Path) -> None:
    origin = serve()
    folder = fetch(entry_of(empty=b""), sources=[origin.url], cache=tmp_path)
    assert (folder / "empty").read_bytes() == b""
    assert origin.asked == []


@pytest.mark.parametrize("status", [401, 403, 404, 418])
def test_a_refusal_is_not_asked_again_and_is_told(
    status: int, serve: Serve, entry: Entry, tmp_path: Path
) -> None:
    refusing, good = serve(status=status), serve()
    fetch(entry, sources=[refusing.url, good.url], cache=tmp_path / "one")
    assert len(refusing.asked) == 1
    with pytest.raises(PullError, match=rf"{refusing.url}\S*: {status} "):
        fetch(entry, sources=[refusing.url], cache=tmp_path / "two")


def test_a_server_that_is_overloaded_is_asked_twice(
    serve: Serve, entry: Entry, tmp_path: Path
) -> None:
    busy, good = serve(status=503), serve()
    fetch(entry, sources=[busy.url, good.url], cache=tmp_path)
    assert len(busy.asked) == 2


def test_a_file_that_has_vanished_from_everywhere_tells_each_source_and_its_reason(
    serve: Serve, chaos: ModuleType, entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without, other = serve(files={}), serve(files={FILE: b"x" * len(DATA)})
    dead = f"http://127.0.0.1:{chaos.dead_port()}"
    monkeypatch.setenv("ZOO_MIRRORS", f"{tmp_path}/stick, {dead}")
    with pytest.raises(IntegrityError) as caught:
        fetch(entry, sources=[without.url, other.url], cache=tmp_path / "cache")
    told = str(caught.value)
    assert told.startswith(f"far.test: {FILE} came from nowhere, although the registry lists it: ")
    reasons = told.split(": ", 2)[2].split("; ")
    wanted = [
        f'{tmp_path}/none holds no "far.test"',
        f"{without.url}/lab/far.test/resolve/{REVISION}/{FILE}: 404 Not Found",
        f"{other.url}/lab/far.test/resolve/{REVISION}/{FILE} is not the published file: sha256",
        f"{tmp_path}/stick: no such folder or bundle",
        f"{dead}/lab/far.test/resolve/{REVISION}/{FILE}: no connection",
        f"{os.environ['HF_ENDPOINT']}/lab/far.test/resolve/{REVISION}/{FILE}: no connection",
    ]
    assert len(reasons) == len(wanted)
    assert all(r.startswith(w) for r, w in zip(reasons, wanted, strict=True)), told
    assert "\n" not in told
    assert "--from" in caught.value.hint


def test_a_dead_source_is_tried_for_one_file_of_many(serve: Serve, tmp_path: Path) -> None:
    contents = {f"f{i}": bytes([i]) * 100 for i in range(5)}
    busy, good = serve(status=503), serve(files=contents)
    fetch(entry_of(**contents), sources=[busy.url, good.url], cache=tmp_path)
    assert len(busy.asked) == 2
    assert len(good.asked) == 5


# --- tokens --------------------------------------------------------------------------------------


def test_the_token_goes_to_its_own_hub_only(
    serve: Serve, entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, mirror = serve(), serve(files={})
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", own.url)
    monkeypatch.setenv("ZOO_MIRRORS", mirror.url)
    fetch(entry, sources=[mirror.url], cache=tmp_path)
    assert [headers.get("Authorization") for _, headers in mirror.asked] == [None, None]
    assert [headers.get("Authorization") for _, headers in own.asked] == ["Bearer hf_secret"]


def test_a_redirect_to_another_host_leaves_the_token_behind(
    serve: Serve, entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = serve()
    own = serve(redirect=elsewhere.url)
    started(tmp_path, entry, DATA[:1000])
    fetch(entry, sources=[Hub(own.url, token="hf_secret")], cache=tmp_path)
    assert own.asked[0][1]["Authorization"] == "Bearer hf_secret"
    assert "Authorization" not in elsewhere.asked[0][1]
    assert elsewhere.asked[0][1]["Range"] == "bytes=1000-"
    assert "hf_secret" not in repr(Hub(own.url, token="hf_secret"))


def test_redirects_in_a_ring_are_one_reason(serve: Serve, entry: Entry, tmp_path: Path) -> None:
    ring = serve()
    ring.redirect = ring.url
    with pytest.raises(PullError, match="redirects"):
        fetch(entry, sources=[ring.url], cache=tmp_path)


def test_offline_nobody_is_asked(
    serve: Serve, entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = serve()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(PullError, match="not asked, HF_HUB_OFFLINE is set"):
        fetch(entry, sources=[origin.url], cache=tmp_path)
    assert origin.asked == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALL_PROXY", "nonsense://x"), ("SSL_CERT_FILE", "/none"), ("CURL_CA_BUNDLE", __file__)],
)
def test_an_environment_that_cannot_be_used_is_one_reason(
    name: str, value: str, serve: Serve, entry: Entry, tmp_path: Path, monkeypatch: Any
) -> None:
    origin = serve()
    for variable in endpoints.CERTIFICATES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, value)
    with pytest.raises(PullError, match=r"says of proxies|holds no certificates"):
        fetch(entry, sources=[origin.url], cache=tmp_path)
