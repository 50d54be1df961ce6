"""The card: strict reading, merging of measurements, the page, and drift from it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.card import latency, writing
from zoo.card import page as card_page
from zoo.card.markdown import table
from zoo.card.metadata import metadata
from zoo.card.words import words
from zoo.errors import CardError
from zoo.records import card as cards
from zoo.records import plain as records_plain
from zoo.records.card import Bench, Card

SAMPLE = Path(__file__).parent / "files" / "sample-card.json"


@pytest.fixture
def card() -> Card:
    return cards.read(SAMPLE)


def changed(tmp_path: Path, **values: Any) -> Path:
    path = tmp_path / "card.json"
    path.write_text(json.dumps(json.loads(SAMPLE.read_text()) | values))
    return path


# --- reading -------------------------------------------------------------------------------------


def test_a_card_survives_writing_and_reading(card: Card, tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_text(cards.to_json(card))
    assert cards.read(path) == card


def test_reading_a_folder_reads_its_card(card: Card, tmp_path: Path) -> None:
    changed(tmp_path)
    assert cards.read(tmp_path) == card


def test_an_unknown_key_is_an_error_with_a_near_match(tmp_path: Path) -> None:
    path = changed(tmp_path, latencies=[])
    with pytest.raises(CardError, match=r"card\.json: latencies: unknown key") as caught:
        cards.read(path)
    assert "latency" in caught.value.hint


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format", 2, "format must be 1"),
        ("recipe_sha256", "abc", "recipe_sha256 must be 64 lower-case hex digits"),
        ("labels", [], "labels must not be empty"),
        ("variants", {}, "variants must hold fp32"),
        ("summary", 3, "must be text"),
        ("latency", "fast", "must be a list"),
    ],
)
def test_a_wrong_value_is_one_error_that_names_it(
    tmp_path: Path, field: str, value: object, message: str
) -> None:
    with pytest.raises(CardError, match=message):
        cards.read(changed(tmp_path, **{field: value}))


def test_a_file_outside_the_folder_is_refused(tmp_path: Path) -> None:
    variants = json.loads(SAMPLE.read_text())["variants"]
    variants["fp32"]["file"] = "../model.onnx"
    with pytest.raises(CardError, match="not a plain file name"):
        cards.read(changed(tmp_path, variants=variants))


# --- measurements --------------------------------------------------------------------------------


def bench_of(card: Card, *rows: Any, **values: Any) -> Bench:
    files = {precision: v.sha256 for precision, v in card.variants.items()}
    return Bench(**({"format": 1, "name": card.name, "files": files, "rows": rows} | values))


def test_a_row_of_the_same_setup_is_replaced(card: Card) -> None:
    faster = dataclasses.replace(card.latency[1], p50_ms=0.1)
    merged = cards.merge(card, bench_of(card, faster))
    assert merged.latency == (card.latency[0], faster, *card.latency[2:])


def test_a_row_of_another_device_is_appended(card: Card) -> None:
    gpu = dataclasses.replace(card.latency[1], device="cuda", device_name="Sample GPU")
    assert cards.merge(card, bench_of(card, gpu)).latency == (*card.latency, gpu)


def test_rows_timed_on_other_bytes_are_refused(card: Card) -> None:
    files = {"fp32": card.variants["fp32"].sha256, "int8": "0" * 64}
    with pytest.raises(CardError, match="int8 rows were timed on 000000000000") as caught:
        cards.merge(card, bench_of(card, card.latency[1], files=files))
    assert "zoo pull" in caught.value.hint


def test_rows_without_the_hash_of_their_file_are_refused(card: Card) -> None:
    with pytest.raises(CardError, match="timed on"):
        cards.merge(card, bench_of(card, card.latency[1], files={}))


def test_rows_of_another_student_are_refused(card: Card) -> None:
    with pytest.raises(CardError, match="these rows are of 'other'"):
        cards.merge(card, bench_of(card, name="other"))


def test_rows_of_a_precision_that_is_not_published_are_refused(card: Card) -> None:
    row = dataclasses.replace(card.latency[1], precision="int4")
    with pytest.raises(CardError, match="has no int4 file"):
        cards.merge(card, bench_of(card, row))


def test_the_yardstick_needs_no_published_file(card: Card) -> None:
    plain = next(row for row in card.latency if row.precision == "plain-fp32")
    assert cards.merge(card, bench_of(card, plain)) == card


def test_a_bench_document_is_read_strictly(card: Card, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(records_plain.to_dict(bench_of(card, *card.latency))))
    assert cards.read_bench(path) == bench_of(card, *card.latency)
    path.write_text(path.read_text().replace('"rows"', '"row"'))
    with pytest.raises(CardError, match="unknown key"):
        cards.read_bench(path)


# --- the page ------------------------------------------------------------------------------------


def test_the_front_matter_has_what_the_hub_asks_for(card: Card) -> None:
    data = metadata(words(card))
    assert data["license"] == "apache-2.0"
    assert data["library_name"] == "onnx"
    assert data["pipeline_tag"] == "image-classification"
    assert "datasets" not in data  # the digits are not the Hub's
    (model,) = data["model-index"]
    (result,) = model["results"]
    assert result["dataset"]["type"] == "digits"
    values = {m["name"]: m["value"] for m in result["metrics"]}
    assert values == {"top-1, int8": 0.9092, "top-1, fp32": 0.9105}


def test_the_hub_client_reads_the_front_matter(card: Card) -> None:
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(card_page.render(card)).data
    assert data.model_name == card.name
    assert {r.metric_value for r in data.eval_results} == {0.9092, 0.9105}
    assert {r.dataset_split for r in data.eval_results} == {"test"}


def test_a_licence_that_the_hub_does_not_list_is_named_in_words(card: Card) -> None:
    own = dataclasses.replace(card, licence="See the data's page")
    data = metadata(words(own))
    assert (data["license"], data["license_name"]) == ("other", "see-the-data-s-page")


def test_data_from_the_hub_is_named_by_its_id_there(card: Card) -> None:
    facts = dataclasses.replace(card.data, source="hub:org/pictures@main")
    data = metadata(words(dataclasses.replace(card, data=facts)))
    assert data["datasets"] == ["org/pictures"]
    assert data["model-index"][0]["results"][0]["dataset"]["type"] == "org/pictures"


def test_a_device_that_was_not_measured_is_said_to_be_missing(card: Card) -> None:
    assert "**GPU: not measured.**" in card_page.render(card)
    gpu = dataclasses.replace(card.latency[0], device="cuda", device_name="Sample GPU")
    page = card_page.render(cards.add_measurements(card, [gpu]))
    assert "### GPU: Sample GPU" in page
    assert "not measured" not in page
    assert "**CPU: not measured.**" in card_page.render(dataclasses.replace(card, latency=()))


def test_files_are_compared_with_the_plain_export_in_the_same_rounds(card: Card) -> None:
    assert latency.over_plain(card.latency, "int8") == pytest.approx(0.776 / 1.085)
    assert "over the plain export: int8 0.715, fp32 0.922." in card_page.render(card)
    ours = [row for row in card.latency if row.precision != "plain-fp32"]
    assert latency.over_plain(ours, "int8") is None


def test_every_attempt_stands_on_the_page_with_its_reason(card: Card) -> None:
    page = card_page.render(card)
    for attempt in card.attempts:
        assert any(
            line.startswith(f"| {attempt.name} |") and attempt.verdict in line
            for line in page.splitlines()
        )
    assert "drop of 3.10 points is above 0.3" in page
    assert "Published: `percentile`." in page


def test_a_student_without_int8_says_so(card: Card) -> None:
    fp32 = {"fp32": card.variants["fp32"]}
    refused = card.attempts[:1]
    page = card_page.render(dataclasses.replace(card, variants=fp32, attempts=refused))
    assert "None passed: there is no int8 file." in page
    assert 'InferenceSession("model.fp32.onnx")' in page
    assert "int8" not in metadata(words(dataclasses.replace(card, variants=fp32)))["tags"]


def test_what_was_not_attempted_or_not_recorded_is_said(card: Card) -> None:
    bare = dataclasses.replace(card, attempts=())
    assert "was not recorded" in card_page.render(bare)
    fp32 = {"fp32": card.variants["fp32"]}
    page = card_page.render(dataclasses.replace(bare, variants=fp32))
    assert "Not attempted: published in fp32 only." in page


def test_one_training_is_not_given_a_spread(card: Card) -> None:
    page = card_page.render(dataclasses.replace(card, seeds=None))
    assert "spread over seeds was not measured" in page
    assert "±" not in page


def test_a_student_without_a_teacher_says_so(card: Card) -> None:
    page = card_page.render(dataclasses.replace(card, teacher=None))
    assert "none: trained on the labels alone" in page


def test_every_hash_of_the_lineage_stands_in_full(card: Card) -> None:
    page = card_page.render(card)
    digests = [card.data.sha256, card.recipe_sha256, card.run_sha256]
    digests += [v.sha256 for v in card.variants.values()]
    assert card.teacher
    assert all(f"`{digest}`" in page for digest in [*digests, card.teacher.sha256])


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=5))
def test_no_text_can_break_a_table(rows: list[list[str]]) -> None:
    lines = table(("a", "b"), rows).split("\n")
    assert len(lines) == 2 + len(rows)
    assert all(line.replace(r"\|", "").count("|") == 3 for line in lines)


def test_the_page_runs_with_plain_onnxruntime(card: Card) -> None:
    blocks = card_page.render(card).split("```python\n")[1:]
    for block in blocks:
        compile(block.split("```")[0], "README.md", "exec")
    assert "zoo" not in blocks[1].split("```")[0].replace("studentzoo.labels", "")


# --- on disk -------------------------------------------------------------------------------------


def published(card: Card, folder: Path) -> Card:
    """`card` of files that stand in `folder`."""
    pytest.importorskip("matplotlib")
    run = {"seeds": {"0": {"curves": [{"epoch": 1, "loss": 2.0, "train_accuracy": 0.5}]}}}
    (folder / "run.json").write_text(json.dumps(run))
    variants = {}
    for precision, variant in card.variants.items():
        content = precision.encode()
        (folder / variant.file).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        variants[precision] = dataclasses.replace(variant, sha256=digest)
    digest = hashlib.sha256((folder / "run.json").read_bytes()).hexdigest()
    card = dataclasses.replace(card, variants=variants, run_sha256=digest)
    writing.write(card, folder)
    return card


def test_a_written_card_has_not_drifted(card: Card, tmp_path: Path) -> None:
    published(card, tmp_path)
    assert writing.drift(tmp_path) == []
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "README.md",
        "card.json",
        "curves.svg",
        "latency.svg",
        "model.fp32.onnx",
        "model.int8.onnx",
        "run.json",
    }


def test_every_file_that_was_changed_by_hand_is_found(card: Card, tmp_path: Path) -> None:
    published(card, tmp_path)
    page = tmp_path / "README.md"
    page.write_text(page.read_text().replace("90.92", "99.92"))
    (tmp_path / "model.int8.onnx").write_bytes(b"another")
    (tmp_path / "latency.svg").unlink()
    (tmp_path / "run.json").write_text("{}")
    found = "\n".join(writing.drift(tmp_path))
    assert "README.md: not what card.json says" in found
    assert "model.int8.onnx: not the file of the card" in found
    assert "latency.svg: drawn from other numbers" in found
    assert "run.json: not the run of the card" in found


def test_a_card_with_new_numbers_needs_new_figures(card: Card, tmp_path: Path) -> None:
    card = published(card, tmp_path)
    faster = dataclasses.replace(card.latency[1], p50_ms=0.1)
    later = cards.add_measurements(card, [faster])
    (tmp_path / "card.json").write_text(cards.to_json(later))
    assert any("latency.svg" in line for line in writing.drift(tmp_path))
    writing.write(later, tmp_path)
    assert writing.drift(tmp_path) == []


def test_a_page_that_cannot_be_written_leaves_the_old_one(card: Card, tmp_path: Path) -> None:
    published(card, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "run.json").write_text('{"seeds": {"0": {"curves": [{"loss": "not a number"}]}}}')
    with pytest.raises((KeyError, TypeError, ValueError)):
        writing.write(card, tmp_path)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {k: v for k, v in after.items() if k != "run.json"} == {
        k: v for k, v in before.items() if k != "run.json"
    }


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"seeds": 3}', '{"seeds": {"0": {}}}', '{"seeds": {"0": {"curves": [1]}}}'],
)
def test_a_broken_run_is_one_error(text: str, tmp_path: Path) -> None:
    from zoo.card import figures

    (tmp_path / "run.json").write_text(text)
    with pytest.raises(CardError, match=r"run\.json"):
        figures.curves(cards.read_run(tmp_path))


# --- publishing ----------------------------------------------------------------------------------


def test_a_store_of_ones_own_has_its_registry_beside_it(
    card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.publish import shelf
    from zoo.registry import local
    from zoo.stores.folders import Folders

    monkeypatch.delenv("ZOO_REGISTRY", raising=False)
    folder = tmp_path / "made"
    folder.mkdir()
    card = published(card, folder)
    entry = shelf.publish(folder, Folders(tmp_path / "own" / "embedded"))
    assert local.load(tmp_path / "own" / "registry.yaml") == {card.name: entry}
    assert entry.headline.accuracy == card.variants["int8"].accuracy.value
    assert entry.headline.int8_latency_ms == 0.312
    assert entry.revision == Folders(tmp_path / "own" / "embedded").revision(card.name)


def test_a_folder_that_drifted_is_not_published(card: Card, tmp_path: Path) -> None:
    from zoo.publish import shelf
    from zoo.stores.folders import Folders

    folder = tmp_path / "made"
    folder.mkdir()
    published(card, folder)
    (folder / "model.int8.onnx").write_bytes(b"another")
    with pytest.raises(CardError, match="not the file of the card"):
        shelf.publish(folder, Folders(tmp_path / "own" / "embedded"))
    assert not (tmp_path / "own").exists()


def test_settings_that_an_attempt_did_not_use_are_not_shown(card: Card) -> None:
    used = {"calibration": "minmax", "percentile": 99.99, "float_layers": 2, "float_nodes": ["a"]}
    attempt = dataclasses.replace(card.attempts[0], settings=used)
    page = card_page.render(dataclasses.replace(card, attempts=(attempt,)))
    assert "| calibration minmax, float_layers 2, float_nodes a |" in page
