"""The one reader of YAML and JSON: limits stand before the work; what is read is what it says."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import InputError
from zoo.records.text import parse_json, parse_yaml

TIMES = 2  # the calls that INNOCENT takes
INNOCENT = "[" + "1, " * 9_990 + "1]"  # as many values as the tests of bombs allow


def yaml_of(text: str, **limits: int) -> Any:
    return parse_yaml(text, "r", InputError, **limits).data


def json_of(text: str, **limits: int) -> Any:
    return parse_json(text, "r", InputError, **limits).data


class Calls:
    """Counts the calls of functions, Python's and C's: work that is alike on every machine."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Calls:
        sys.setprofile(self._see)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _see(self, frame: object, event: str, argument: object) -> None:
        self.count += event in ("call", "c_call")


@cache
def innocent() -> int:
    with Calls() as calls:
        yaml_of(INNOCENT, max_values=10_000)
    return calls.count


@contextlib.contextmanager
def soon() -> Iterator[None]:
    """Not much more work than an innocent text is."""
    try:
        with Calls() as calls:
            yield
    finally:
        assert calls.count < TIMES * innocent()


KEYS = "".join(f"k{number}: 1, " for number in range(6145))
MERGES = f"a: &a {{{KEYS}}}\nb:\n" + "- <<: *a\n" * 3887
NESTED = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n + 1}: &a{n + 1}\n  <<: [*a{n}, *a{n}, *a{n}]\n" for n in range(40)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (MERGES, "r:1: anchors and aliases are not read"),
        (NESTED, "r:1: anchors and aliases are not read"),
        ("a: 1\n<<: {b: 2}", "r:2: merge keys are not read"),
        ("- <<: 1", "r:1: merge keys are not read"),
        ("[" * 65_000, "nested too deeply"),
        ("[\n" * 32_000, "nested too deeply"),
        ("{a: " * 16_000, "nested too deeply"),
        ("- " * 32_000, "nested too deeply"),
        ("? " * 32_000, "nested too deeply"),
        ("[" + "1," * 32_000 + "1]", "more than 10000 values"),
        ("- 1\n" * 16_000, "r:10000: more than 10000 values"),
        ("".join(f"k{n}:\n" for n in range(8000)), "more than 10000 values"),
        ("[" + "[]," * 20_000 + "]", "more than 10000 values"),
        ("9" * 65_000, "a number of more than 400 digits"),
        ('a: "\\ud800"', "half a character"),
        ('"\\udfffb": 1', "half a character"),
    ],
)
def test_a_bomb_of_yaml_is_refused_before_it_goes_off(text: str, reason: str) -> None:
    with soon(), pytest.raises(InputError, match=reason):
        yaml_of(text, max_values=10_000)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "more than 10000 values"),
        ("[" * 9_000, "nested too deeply"),
        ('{"a":' * 100 + "1" + "}" * 100, "nested too deeply"),
        ("[" + "[]," * 300_000 + "1]", "more than 10000 values"),
        ("{" + ",".join(f'"{n}":{{}}' for n in range(9000)) + "}", "more than 10000 values"),
        ("9" * 65_000, "a number of more than 400 digits"),
        ("[-" + "9" * 401 + "]", "a number of more than 400 digits"),
        ('{"a": 1, "\\u0061": 2}', 'the key "a" comes twice'),
    ],
)
def test_a_bomb_of_json_is_refused_before_it_goes_off(text: str, reason: str) -> None:
    with soon(), pytest.raises(InputError, match=reason):
        json_of(text, max_values=10_000)


def test_marks_inside_of_text_are_no_values() -> None:
    said = {"content": ',:[{"\\' * 5000}
    assert json_of(json.dumps(said), max_values=10) == said


def test_two_halves_of_a_character_are_the_character() -> None:
    assert yaml_of('"\\ud83d\\ude00"') == json_of('"\\ud83d\\ude00"') == "\U0001f600"


def test_a_key_that_only_looks_like_a_merge_is_a_key() -> None:
    assert yaml_of('"<<": 1') == {"<<": 1}


# --- whatever comes ------------------------------------------------------------------------------

words = st.text("abcxyz", min_size=1, max_size=5).filter(lambda w: w not in ("y", "n"))
scalars = st.one_of(
    st.integers(-(10**9), 10**9),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(lambda f: round(f, 3)),
    st.booleans(),
    st.none(),
    words,
)
plain = st.recursive(
    scalars,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(words, inside, max_size=4),
    max_leaves=20,
)


@settings(max_examples=100, derandomize=True)
@given(data=plain, flow=st.booleans(), indent=st.integers(2, 6))
def test_what_pyyaml_writes_is_read_as_pyyaml_reads_it(data: Any, flow: bool, indent: int) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow, indent=indent, sort_keys=False)
    if "&id" not in text:
        assert yaml_of(text) == yaml.safe_load(text) == data


@settings(max_examples=300, derandomize=True)
@given(text=st.text("abx1:-[]{}&*!|>?\"'#%@`\n\t ,.<~\\u", max_size=80))
def test_any_yaml_is_what_pyyaml_reads_or_one_error(text: str) -> None:
    try:
        with soon():
            found = yaml_of(text)
    except InputError as refused:
        assert str(refused).startswith("r")
    else:
        try:
            assert alike(found, yaml.safe_load(text)), text
        except yaml.YAMLError:  # text of 1.2 that means something else to 1.1
            assert "<<" in text


def alike(found: Any, theirs: Any) -> bool:
    """Equal, but for what YAML 1.1 reads in text of its own: numbers like 1_0 and 1:1, and `=`."""
    if isinstance(found, dict) and isinstance(theirs, dict):
        keys = dict(zip(found, theirs, strict=True))
        return all(alike(k, t) and alike(found[k], theirs[t]) for k, t in keys.items())
    if isinstance(found, list) and isinstance(theirs, list):
        return all(alike(f, t) for f, t in zip(found, theirs, strict=True))
    if isinstance(theirs, float) and isinstance(found, float) and math.isnan(theirs):
        return math.isnan(found)
    return found == theirs or (isinstance(found, str) and isinstance(theirs, int | float))


@settings(max_examples=200, derandomize=True)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_one_error(data: bytes) -> None:
    for read in (yaml_of, json_of):
        try:
            json.dumps(read(data.decode("latin-1")))
        except InputError as refused:
            assert str(refused).startswith("r")
