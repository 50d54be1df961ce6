"""Lines are read the same however they are cut, and a file's content is never held whole."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import InputError, ZooError
from zoo.stores.git import Add, Delete
from zoo.stores.store import Store

pytest.importorskip("starlette")

from zoo.serve.drafts import Draft
from zoo.serve.ndjson import MAX_LINE_BYTES, Base64, Content, Line, Splitter, parse

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter("content".__ne__), inner),
    max_leaves=10,
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data cut at the given places, taken round its length."""
    at = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(at)]


def split(chunks: list[bytes]) -> tuple[list[bytes], list[Line]]:
    """The content of each line that has one, joined, and the lines."""
    splitter = Splitter()
    found = [item for chunk in chunks for item in splitter.feed(chunk)] + list(splitter.finish())
    contents, here = [], b""
    for item in found:
        if isinstance(item, Content):
            here += item.text
        else:
            contents += [here] * item.contents
            here = b""
    return contents, [item for item in found if isinstance(item, Line)]


@given(
    st.lists(st.tuples(VALUES, st.none() | st.binary())),
    st.lists(st.integers(0, 1 << 20), max_size=20),
)
def test_lines_come_out_as_they_went_in_wherever_they_are_cut(
    items: list[tuple[Any, bytes | None]], cuts: list[int]
) -> None:
    body, texts, wanted = b"", [], []
    for value, data in items:
        line = {"a": value} if data is None else {"a": value, "content": ""}
        skeleton = json.dumps(line).encode()
        wanted.append(Line(skeleton, int(data is not None)))
        if data is not None:
            texts.append(base64.b64encode(data))
            skeleton = skeleton[:-2] + texts[-1] + skeleton[-2:]
        body += skeleton + b"\n"
    assert split(pieces(body, cuts)) == (texts, wanted)


def test_a_content_of_any_length_is_never_held() -> None:
    splitter = Splitter()
    list(splitter.feed(b'{"value": {"content" :\t"'))
    for _ in range(1000):
        assert list(splitter.feed(b"QUJD" * 1000)) == [Content(b"QUJD" * 1000)]
    assert list(splitter.feed(b'"}}')) == []
    assert list(splitter.finish()) == [Line(b'{"value": {"content" :\t""}}', 1)]


def test_a_line_that_is_too_long_beside_its_content_is_refused() -> None:
    splitter = Splitter()
    with pytest.raises(InputError, match="longer than"):
        for _ in range(MAX_LINE_BYTES // 1000 + 1):
            list(splitter.feed(b"x" * 1000))


def test_the_word_content_in_a_text_is_only_a_word() -> None:
    body = b'{"a": "\\"content\\": \\"QQ==", "b": ["content", "QQ=="], "contents": "QQ=="}\n'
    assert split([body]) == ([], [Line(body[:-1], 0)])


@given(st.binary(), st.lists(st.integers(0, 1 << 20), max_size=20))
def test_base64_in_pieces_is_what_it_is_in_one(data: bytes, cuts: list[int]) -> None:
    decoder = Base64()
    found = b"".join(decoder.feed(piece) for piece in pieces(base64.b64encode(data), cuts))
    decoder.finish()
    assert found == data


@given(st.text() | st.binary())
def test_what_is_no_json_is_an_input_error(text: str | bytes) -> None:
    try:
        parse(text)
    except InputError:
        return
    json.loads(text)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("root"))


PARTS = ["header", "file", "lfsFile", "deletedFile", "key", "value", "path", "content", "summary"]


@given(
    st.lists(
        st.binary()
        | st.sampled_from([f'"{part}"'.encode() for part in PARTS])
        | st.sampled_from([b"{", b"}", b":", b",", b"\n", b"[", b"]", b'"a"', b'"QQ=="', b"1"])
    )
)
def test_no_bytes_at_all_do_more_than_be_refused(store: Store, chunks: list[bytes]) -> None:
    header = b'{"key": "header", "value": {"summary": "a"}}\n'
    with Draft(store, 1000) as draft:
        try:
            for chunk in [header, *chunks]:
                draft.feed(chunk)
            draft.finish()
        except ZooError as problem:
            assert str(problem)
    assert not any((store.root / "incoming").glob("*"))


def test_a_draft_is_the_commit_that_was_proposed(store: Store) -> None:
    known, _, _ = store.add([b"A"])
    body = (
        '{"key": "header", "value": {"summary": "One", "description": "é", "parentCommit": "12"}}\n'
        '{"key": "file", "value": {"path": "a", "content": "QQ==", "encoding": "base64"}}\n\n'
        '{"key": "deletedFile", "value": {"path": "b/c"}}'
    ).encode()
    with Draft(store, 1000) as draft:
        for at in range(len(body)):
            draft.feed(body[at : at + 1])
        proposed = draft.finish()
    assert (proposed.title, proposed.description, proposed.parent) == ("One", "é", "12")
    assert proposed.changes == (Add("a", known), Delete("b/c"))
