"""The strict reader: what it binds, and what each mistake is called."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import RecipeError
from zoo.records.plain import canonical
from zoo.records.plain import to_dict as plain
from zoo.records.reader import read
from zoo.records.text import Document, load_json, load_yaml, parse_json, parse_yaml


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5
    steps: tuple[int, ...] = (1,)

    def __post_init__(self) -> None:
        if self.rate < 0:
            raise ValueError(f"rate must be >= 0, not {self.rate}")
        if len(self.steps) > self.rate * 100:
            raise ValueError("too many of them")


@dataclass(frozen=True)
class Outer:
    name: str
    on: bool = False
    kind: Literal["a", "b"] = "a"
    inner: Inner | None = None
    pair: tuple[int, str] = (0, "")
    options: dict[str, float | int | str] = field(default_factory=dict)
    parts: list[Inner] = field(default_factory=list)
    anything: Any = None


def from_yaml(text: str) -> Outer:
    return read(Outer, parse_yaml(text, "r.yaml", RecipeError), RecipeError)


def from_json(text: str) -> Outer:
    return read(Outer, parse_json(text, "r.json", RecipeError), RecipeError)


floats = st.floats(0, 1e9, allow_nan=False).map(abs)
scalars = st.one_of(floats, st.integers(), st.text())
inners = st.builds(Inner, rate=st.floats(1, 1e9), steps=st.tuples(st.integers()))
outers = st.builds(
    Outer,
    name=st.text(),
    on=st.booleans(),
    kind=st.sampled_from(["a", "b"]),
    inner=st.none() | inners,
    pair=st.tuples(st.integers(), st.text()),
    options=st.dictionaries(st.text(max_size=99), scalars),  # YAML: keys of 1024 at most
    parts=st.lists(inners, max_size=3),
)


@given(outers)
def test_what_is_written_is_read_back(record: Outer) -> None:
    assert from_json(json.dumps(plain(record))) == record
    assert from_json(canonical(record)) == record


@given(outers)
def test_yaml_reads_what_json_reads(record: Outer) -> None:
    text = json.dumps(plain(record), indent=1)
    if "\\ud" not in text:  # JSON writes what is beyond 16 bits as two escapes, YAML does not
        assert from_yaml(text) == record


@given(outers, st.text(min_size=1))
def test_a_key_that_is_not_a_field_is_refused(record: Outer, key: str) -> None:
    data = plain(record)
    if key not in data:
        with pytest.raises(RecipeError, match="unknown key"):
            read(Outer, Document(data | {key: 1}, "r.json"), RecipeError)


@given(st.text())
def test_any_text_is_read_or_refused_by_one_error(text: str) -> None:
    for parse in (parse_yaml, parse_json):
        try:
            read(Outer, parse(text, "r", RecipeError), RecipeError)
        except RecipeError as error:
            assert str(error).startswith("r")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("nam: x", "r.yaml:1: nam: unknown key", '"name"'),
        ("name: x\nname: y", 'r.yaml:2: the key "name" comes twice, first in line 1', ""),
        ("name: x\ninner:\n  rate: 1\n  rate: 2", 'r.yaml:4: the key "rate" comes twice', ""),
        ("on: true", 'r.yaml:1: "name" is missing', "add `name"),
        ("name: 3", "r.yaml:1: name: must be text, not 3", ""),
        ("name: x\non: 1", "r.yaml:2: on: must be true or false, not 1", ""),
        ("name: x\non: yes", 'r.yaml:2: on: must be true or false, not "yes"', ""),
        ("name: x\ninner: {rate: fast}", 'inner.rate: must be a number, not "fast"', ""),
        ("name: x\ninner: {rate: true}", "inner.rate: must be a number, not true", ""),
        ("name: x\ninner: {steps: [1, 2.5]}", r"inner.steps\[1\]: must be a whole number", ""),
        ("name: x\ninner: {steps: 3}", "inner.steps: must be a list, not 3", ""),
        ("name: x\npair: [1]", "pair: must have 2 items, not 1", ""),
        ("name: x\nkind: c", 'kind: must be one of "a", "b", not "c"', ""),
        ("name: x\noptions: {k: [1]}", "options.k: must be a number or a whole number or text", ""),
        ("name: x\ninner:\n  steps: [1]\n  rate: -1", "r.yaml:4: inner.rate: rate must be", ""),
        ("name: x\ninner:\n  rate: 0", "r.yaml:2: inner: too many of them", ""),
        ("name: x\ninner: {rate: .inf}", "inner.rate: must be a finite number", ""),
        ("- 1", "r.yaml:1: must be a mapping, not a list", ""),
        ("", "r.yaml: must be a mapping, not null", ""),
        ("name: [", "r.yaml:1: expected the node content", "key: value"),
        ("name: x: y", "r.yaml:1: mapping values are not allowed here", "quotes"),
        ("1: x", "r.yaml:1: the key 1 is not text", ""),
        ("name: &a x\nkind: *a", "r.yaml:1: anchors and aliases are not read", ""),
        ("name: !!python/name:os.system x", "the tag .* is not read: YAML is data only", ""),
        ("name: !mine x", 'the tag "!mine" is not read', ""),
        ("name: !!timestamp 2020-01-01", "the tag .* is not read", ""),
        ('name: !!int "3"', "r.yaml:1: the tag .*:int. is not read", ""),
        ("a: 1\nname: !!bool yes", "r.yaml:2: the tag .*:bool. is not read", ""),
        ("name: !!str 3", "the tag .*:str. is not read", ""),
        ("name: ! 3", 'the tag "!" is not read', ""),
        ("!!map {name: x}", "the tag .*:map. is not read", ""),
        ("!!str name: x", "the tag .*:str. is not read", ""),
        ("[" * 1000, "nested too deeply", ""),
        ("a: 1\n---\nb: 2", "r.yaml:2: but found another document", ""),
    ],
)
def test_a_yaml_mistake_is_named_with_its_line(text: str, message: str, hint: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        from_yaml(text)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"name": "x", "name": "y"}', 'r.json: name: the key "name" comes twice'),
        ('{"name": "x", "parts": [{"rate": 1, "rate": 1}]}', r"parts\[0\].rate: the key"),
        ('{"name": "x",\n "on": }', "r.json:2: not JSON: Expecting value"),
        ('{"name": "x", "inner": {"rate": NaN}}', "r.json: NaN is not JSON"),
        ('{"name": "x", "inner": {"rate": 1e999}}', "inner.rate: must be a finite number"),
        ('{"name": "x", "inner": {"rates": 1}}', "r.json: inner.rates: unknown key"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_json_mistake_is_named_with_its_key_path(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        from_json(text)


def test_yaml_numbers_are_those_of_yaml_1_2() -> None:
    read_back = parse_yaml("[5e-4, 1_000, 12:30, 010, no, 2020-01-01, ~]", "r", RecipeError)
    assert read_back.data == [5e-4, "1_000", "12:30", 10, "no", "2020-01-01", None]


def test_a_whole_number_may_stand_for_a_number_but_not_the_other_way() -> None:
    inner = from_yaml("name: x\ninner: {rate: 2}").inner
    assert inner is not None
    assert type(inner.rate) is float
    with pytest.raises(RecipeError, match="must be a whole number"):
        from_yaml("name: x\ninner: {steps: [1.0]}")


def test_a_union_keeps_the_type_that_was_written() -> None:
    options = from_yaml("name: x\noptions: {a: 1, b: 1.0, c: one}").options
    assert [type(value) for value in options.values()] == [int, float, str]


@dataclass(frozen=True)
class Named:
    classes: str | tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("text", "wanted"), [("[a, b]", ("a", "b")), ("names.txt", "names.txt"), ("[]", ())]
)
def test_a_text_or_a_list_of_texts_is_either(text: str, wanted: Any) -> None:
    document = parse_yaml(f"classes: {text}", "here", RecipeError)
    assert read(Named, document, RecipeError).classes == wanted


@pytest.mark.parametrize("text", ["[a, 1]", "7", "{a: b}"])
def test_what_is_neither_is_one_error(text: str) -> None:
    document = parse_yaml(f"classes: {text}", "here", RecipeError)
    with pytest.raises(RecipeError, match="must be text"):
        read(Named, document, RecipeError)


@pytest.mark.parametrize("load", [load_yaml, load_json])
def test_a_file_that_cannot_be_read_is_one_error(load: Any, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="No such file"):
        load(tmp_path / "none", RecipeError)
    with pytest.raises(RecipeError, match="directory"):
        load(tmp_path, RecipeError)
    (tmp_path / "latin").write_bytes(b"name: caf\xe9")
    with pytest.raises(RecipeError, match="not UTF-8"):
        load(tmp_path / "latin", RecipeError)
