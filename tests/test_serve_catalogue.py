"""The catalogue's pure core: cards distrusted, rows, filters, fronts and blocks."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("starlette")

from zoo.errors import CardError, InputError
from zoo.records import card as cards
from zoo.records.text import parse_yaml
from zoo.registry import local as zoo_registry
from zoo.serve.catalogue import blocks, models, query, registry
from zoo.serve.catalogue.models import Row
from zoo.stores.store import Add, Store

EMBEDDED = Path(models.__file__).parents[2] / "embedded"
NAMES = sorted(path.parent.name for path in EMBEDDED.glob("*/card.json"))


def row(name: str = "digits-net.kd", **changed: Any) -> Row:
    return replace(
        Row(
            repo=f"lab/{name}",
            name=name,
            summary="Handwritten digits",
            task="image-classification",
            licence="MIT",
            architecture="net",
            precision="int8",
            accuracy=0.9,
            accuracy_low=0.89,
            accuracy_high=0.91,
            metric="top-1 accuracy",
            dataset="digits",
            split="test",
            n=359,
            size_bytes=400_000,
            latency_ms=0.2,
            device="AMD EPYC, onnxruntime 1.31.1",
            parameters=1000,
            macs=50_000,
            created="2026-01-31",
            revision="0" * 40,
        ),
        **changed,
    )


def sample() -> dict[str, Any]:
    data: dict[str, Any] = json.loads((EMBEDDED / NAMES[0] / "card.json").read_bytes())
    return data


def parsed(data: dict[str, Any]) -> cards.Card:
    return models.parse(json.dumps(data).encode())


# --- cards ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_an_honest_card_is_what_zoo_reads_and_its_page_is_its_readme(name: str) -> None:
    data = (EMBEDDED / name / "card.json").read_bytes()
    card = models.parse(data)
    assert card == cards.read(EMBEDDED / name)
    readme = (EMBEDDED / name / "README.md").read_text(encoding="utf-8")
    assert readme.endswith(models.page(card))


def test_text_of_a_card_is_one_clean_line_each() -> None:
    data = sample()
    data["summary"] = "a\n## b\x00\u202e \ud800\x1b[31m  c"
    assert parsed(data).summary == "a ## b [31m c"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("student", "parameters"), 10**30),
        (("variants", "int8", "accuracy", "value"), 1.5),
        (("variants", "fp32", "accuracy", "low"), -0.1),
        (("teacher", "accuracy", "value"), 98.6),
        (("latency", 0, "p50_ms"), 0),
        (("latency", 0, "batch"), 0),
        (("name",), "../up"),
        (("variants", "fp32", "file"), "../model.onnx"),
    ],
)
def test_a_card_that_cannot_be_shown_is_one_error(path: tuple[Any, ...], value: Any) -> None:
    data = sample()
    place: Any = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(CardError, match=r"^card\.json.*$"):
        parsed(data)


def test_a_card_whose_values_do_not_fit_together_has_no_page() -> None:
    data = json.loads((EMBEDDED / "langid75-ngram-small.lingua" / "card.json").read_bytes())
    data["teaching"]["of"] = "dreams"
    with pytest.raises(CardError, match="do not fit together"):
        models.page(parsed(data))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The key path of everything in plain data."""
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value[:3]))
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


CARDS = [json.loads((EMBEDDED / name / "card.json").read_bytes()) for name in (NAMES[0], NAMES[-1])]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [0, -1, 1e308, 5e-324, 10**400, "", "|", "```", "## x", "\ud800", "a\nb", "%s"]
    ),
    st.text(max_size=20),
    st.just([]),
    st.just({}),
)


@given(st.data())
def test_a_card_with_anything_in_any_place_has_a_page_or_one_error(data: st.DataObject) -> None:
    card = json.loads(json.dumps(data.draw(st.sampled_from(CARDS))))
    for _ in range(data.draw(st.integers(1, 2))):
        *way, last = data.draw(st.sampled_from(places(card)[1:]))
        place = card
        for key in way:
            place = place[key]
        place[last] = data.draw(ODD)
    try:
        read = parsed(card)
        text = models.page(read)
    except CardError as problem:
        assert "\n" not in str(problem)
        return
    assert blocks.parse(text)
    text.encode("utf-8")


@given(st.binary(max_size=60))
def test_bytes_that_are_no_card_are_one_error(data: bytes) -> None:
    with pytest.raises(CardError):
        models.parse(data)


# --- repositories --------------------------------------------------------------------------------


def put(store: Store, repo: str, files: dict[str, bytes]) -> None:
    store.create(repo)
    adds = [Add(path, store.add([data])[0]) for path, data in files.items()]
    store.commit(repo, "main", adds, title="first")


def student(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_has_no_sound_card_is_told_with_its_reason(tmp_path: Path, tiny: Path) -> None:
    store, files = Store(tmp_path / "root"), student(tiny)
    put(store, "lab/whole", files)
    put(store, "lab/bare", {"notes.txt": b"x"})
    put(store, "lab/broken", {"card.json": b"{"})
    put(store, "lab/long", {"card.json": b" " * (models.MAX_CARD_BYTES + 1)})
    put(store, "lab/other-bytes", {**files, "model.int8.onnx": b"not it"})
    put(store, "lab/secret", files)
    store.set_private("lab/secret", True)
    found = {one.repo: one.problem for one in models.shown(store, private=False)}
    assert found["lab/whole"] == ""
    assert found["lab/bare"] == "it has no card.json"
    assert "not JSON" in found["lab/broken"]
    assert "over 256 KiB" in found["lab/long"]
    assert "model.int8.onnx" in found["lab/other-bytes"]
    assert "lab/secret" not in found
    everything = list(models.shown(store, private=True))
    assert [r.repo for r in models.rows(everything)] == ["lab/secret", "lab/whole"]


def test_a_damaged_repository_does_not_hide_the_others(tmp_path: Path) -> None:
    store = Store(tmp_path / "root")
    for repo in ("lab/damaged", "lab/whole"):
        put(store, repo, {"notes.txt": b"x"})
    for path in (store.root / "repos/lab/damaged/commits").iterdir():
        path.write_bytes(b"{")
    assert [one.repo for one in models.shown(store, private=False)] == ["lab/whole"]


def test_the_registry_holds_the_sound_ones_at_their_commits(tmp_path: Path, tiny: Path) -> None:
    store, files = Store(tmp_path / "root"), student(tiny)
    put(store, "b/twin", files)
    put(store, "a/twin", files)
    put(store, "a/broken", {"card.json": b"{}"})
    text = registry.text(models.shown(store, private=False))
    path = tmp_path / "registry.yaml"
    path.write_text(text, encoding="utf-8")
    (entry,) = zoo_registry.load(path).values()
    assert (entry.repo, entry.revision) == ("a/twin", store.resolve("a/twin", "main"))
    assert set(entry.files) == set(files)  # without .gitattributes, which is no student's file


def test_the_registry_of_an_empty_hub_can_be_read(tmp_path: Path) -> None:
    text = registry.text(models.shown(Store(tmp_path), private=False))
    assert parse_yaml(text, "registry.yaml", CardError).data["students"] == {}


# --- filters -------------------------------------------------------------------------------------

ROWS = [
    row("b", accuracy=0.8, size_bytes=10, latency_ms=None, created="2026-02-01"),
    row("a", task="text-classification", licence="CC0-1.0", size_bytes=2_000_000, latency_ms=9),
    row("c", summary="Birds", accuracy=0.95, latency_ms=0.1),
]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, "abc"),
        ({"search": "BIRDS net"}, "c"),
        ({"search": "digits nowhere"}, ""),
        ({"task": "text-classification"}, "a"),
        ({"licence": "MIT"}, "bc"),
        ({"max_size_mb": "0.4"}, "bc"),
        ({"sort": "accuracy"}, "cab"),
        ({"sort": "size"}, "bca"),
        ({"sort": "latency"}, "cab"),
        ({"sort": "newest"}, "bac"),
        ({"unknown": "x", "search": " "}, "abc"),
    ],
)
def test_filters_and_orders(fields: dict[str, str], names: str) -> None:
    assert "".join(r.name for r in query.select(ROWS, query.parse(fields))) == names


@pytest.mark.parametrize(
    "fields",
    [
        {"sort": "best"},
        {"axis": "up"},
        {"max_size_mb": "-1"},
        {"max_size_mb": "nan"},
        {"max_size_mb": "1e999"},
        {"max_size_mb": "many"},
        {"search": "x" * 201},
    ],
)
def test_a_filter_that_means_nothing_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(InputError, match=next(iter(fields))):
        query.parse(fields)


def test_rows_that_were_not_timed_are_not_in_the_plot_of_latency() -> None:
    assert [p.label for p in query.points(ROWS, "latency")] == ["a", "c"]
    assert len(query.points(ROWS, "size")) == 3


def trio(name: str, **changed: Any) -> list[Row]:
    """The first beats the two others: as many as it takes to tell a front."""
    return [
        row(name, **changed),
        *(row(f"{name}-{n}", **changed | {"accuracy": 0.1}) for n in "ab"),
    ]


def test_times_on_two_machines_do_not_share_a_front() -> None:
    slow = trio("slow", device="a small board", latency_ms=50, accuracy=0.5)
    apart = [*trio("quick"), *slow]
    assert query.on_front(apart, "latency") == {"/lab/quick", "/lab/slow"}
    together = [replace(one, device=row().device) for one in apart]
    assert query.on_front(together, "latency") == {"/lab/quick"}


@pytest.mark.parametrize("other", [{"dataset": "birds"}, {"split": "validation"}, {"n": 180}])
def test_scores_on_two_test_sets_do_not_share_a_front(other: dict[str, Any]) -> None:
    rows = [*trio("one"), *trio("two", accuracy=0.5, **other)]
    assert query.on_front(rows, "size") == {"/lab/one", "/lab/two"}


def test_two_students_make_no_front_and_three_do() -> None:
    best, *others = trio("best")
    for axis in query.AXES:
        assert query.on_front([best, others[0]], axis) == set()
        assert query.on_front([best, *others], axis) == {"/lab/best"}
    told = query.as_json([best, *others], "size")
    assert [one["pareto"] for one in told] == [True, False, False]
    assert not any(one["pareto"] for one in query.as_json([best, others[0]], "size"))


# --- blocks --------------------------------------------------------------------------------------


def test_markdown_of_a_card_becomes_blocks() -> None:
    text = (
        "## A `b`\n\none **two** `three|`\nfour https://x.org/y, five\n\n"
        "| A | B, % |\n| --- | --- |\n| a\\|b | 1.50 |\n| `c` | - |\n\n"
        "```sh\n# no heading\n\nzoo\n```\n\n![Seen](x.svg)"
    )
    heading, paragraph, table, code, picture = blocks.parse(text)
    assert heading == blocks.Heading(2, "A `b`")
    assert isinstance(paragraph, blocks.Paragraph)
    kinds = [(span.kind, span.text) for span in paragraph.spans]
    assert ("bold", "two") in kinds and ("code", "three|") in kinds
    assert ("link", "https://x.org/y") in kinds
    assert isinstance(table, blocks.Table)
    assert [[blocks.plain(cell) for cell in r] for r in table.rows] == [["a|b", "1.50"], ["c", "-"]]
    assert table.numeric == (False, True)
    assert code == blocks.Code("# no heading\n\nzoo", "sh")
    assert picture == blocks.Picture("Seen", "x.svg")


@pytest.mark.parametrize("name", NAMES)
def test_no_text_of_a_card_is_lost(name: str) -> None:
    markdown = models.page(models.parse((EMBEDDED / name / "card.json").read_bytes()))
    found = " ".join(map(str, blocks.parse(markdown)))
    for word in re.findall(r"\w{4,}", markdown):
        assert word in found


@given(st.text("#`*|-![]() \nab:/.https", max_size=80))
def test_any_text_becomes_blocks(text: str) -> None:
    for block in blocks.parse(text):
        if isinstance(block, blocks.Table):
            assert all(len(r) == len(block.head) for r in block.rows)
            assert len(block.numeric) == len(block.head)
