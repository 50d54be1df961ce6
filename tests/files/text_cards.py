"""A made-up card of a text student, what it is made of, and its page in pieces."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

from zoo.card import figures
from zoo.card import page as card_page
from zoo.records import card as cards
from zoo.records.card import Attempt, Card, Origin, Teaching, Unknown, Variant
from zoo.records.measures import Measurement, Score
from zoo.records.peers import Peer

LABELS = ("bs", "de", "en", "fr", "hr", "no")
PER_CLASS = {"bs": 0.71, "de": 0.999, "en": 1.0, "fr": 0.998, "hr": 0.72, "no": 0.95}


def digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def score(value: float, dataset: str = "FLORES-200 devtest", n: int = 6072) -> Score:
    metric = "macro-averaged accuracy"
    return Score(metric, dataset, "test", n, value, value - 0.002, value + 0.002)


def timed(precision: str, batch: int, length: int, p50_ms: float, **values: Any) -> Measurement:
    row = Measurement(
        device="cpu",
        device_name="Sample CPU",
        precision=precision,
        batch=batch,
        threads=1,
        image_size=None,
        p50_ms=p50_ms,
        p95_ms=1.2 * p50_ms,
        n=2000,
        isa="avx2",
        runtime="onnxruntime",
        runtime_version="1.31.1",
        os="Linux 6.8 x86_64",
        date="2026-01-31",
        ratio_to_fp32=1.0 if precision == "fp32" else 1.04,
        ratio_low=0.98,
        ratio_high=1.06,
        control_ratio=1.0,
        control_low=0.99,
        control_high=1.01,
        text_length=length,
    )
    return dataclasses.replace(row, **values)


def attempt(name: str, drop: float | None, verdict: str) -> Attempt:
    size = None if drop is None else 551_234
    speed = None if drop is None else 1.02
    return Attempt(name, {"codec": name}, 0.93, 0.998, drop, size, speed, 1.0, 1.04, verdict, "")


def peer(name: str, **values: Any) -> Peer:
    facts: dict[str, Any] = {
        "version": "1.0",
        "licence": "MIT",
        "classes": 5,
        "accuracy": 0.8,
        "own_accuracy": 0.96,
        "n": 6072,
        "microseconds": 53.2,
        "batched": False,
        "size_bytes": 938_013,
        "dataset": "FLORES-200 devtest",
        "date": "2026-01-31",
    }
    return Peer(name, **(facts | values))


def variant(precision: str, size_bytes: int, value: float, **values: Any) -> Variant:
    return Variant(
        file=f"model.{precision}.onnx",
        sha256=digest(precision),
        size_bytes=size_bytes,
        accuracy=score(value),
        agreement_teacher=0.971,
        agreement_fp32=None if precision == "fp32" else 0.999,
        ece=0.012,
        peak_memory_mb=61.0,
        also=(score(value - 0.01, "UDHR", 360),),
        **values,
    )


def sample() -> Card:
    return Card(
        format=1,
        name="langid6-ngram-tiny.sample",
        task="text-classification",
        summary="A made-up card: no student stands behind these numbers.",
        licence="Apache-2.0",
        created="2026-01-31",
        code_commit="0" * 40,
        labels=LABELS,
        input=cards.Input("codepoints", "int32", "NL"),
        student=cards.StudentFacts("ngram", {"dim": 16, "hidden": 128}, 493_000, 40_000),
        teacher=cards.TeacherFacts(
            "sample-detector 2.1", "a package", digest("teacher"), "Apache-2.0", score(0.981)
        ),
        data=cards.DataFacts(
            source="texts.tar.xz",
            home="",
            licence="CC-BY-2.0-FR, CC0-1.0",
            sha256=digest("data"),
            train=318_000,
            validation=17_000,
            test=6072,
            drawn=60_000,
            listed=412,
            counts=Origin("detector-1.4.whl", digest("wheel"), "Apache-2.0"),
            dropped={"UDHR": 12},
        ),
        recipe_sha256=digest("recipe"),
        run_sha256=digest("run"),
        variants={
            "fp32": variant("fp32", 2_100_000, 0.9751),
            "int8": variant("int8", 551_234, 0.9749),
        },
        seeds=cards.Spread((0.9751, 0.9744, 0.9757), 0.975067, 0.00065),
        attempts=(
            attempt("linear", 0.01, "pass"),
            attempt("dynamic-2015", 0.03, "pass"),
            attempt("dynamic-bnb", None, "error"),
        ),
        gates={"max_drop_points": 0.1},
        latency=(
            timed("fp32", 1, 100, 0.0385),
            timed("int8", 1, 100, 0.0404),
            timed("fp32", 1, 8, 0.0118),
            timed("int8", 1, 8, 0.0123),
            timed("fp32", 256, 100, 2.31),
            timed("int8", 256, 100, 2.36),
        ),
        per_class=PER_CLASS,
        unknown=Unknown(below=0.4, share=0.021, right=0.35),
        peers=(
            peer("cld3-py"),
            peer("langid6-ngram-tiny.sample int8", version="", accuracy=0.9749, classes=6),
            peer("lid.176.ftz", microseconds=None, size_bytes=None, batched=True),
        ),
        teaching=Teaching("words", 0.15, 3, 0.5, 0.5, 1.0),
    )


def page(card: Card) -> str:
    return card_page.render(card, figures.names(card, {}))


def line(text: str, start: str) -> str:
    """The one line of `text` that starts so."""
    (found,) = [one for one in text.splitlines() if one.startswith(start)]
    return found


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]
