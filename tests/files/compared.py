"""What the tests of cards side by side are made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zoo.records.card import Card
from zoo.records.measures import Measurement, Score

RECIPE: dict[str, Any] = {
    "name": "colours-tiny.test",
    "summary": "Tells colours apart",
    "licence": "CC0-1.0",
    "data": {"source": "colours", "licence": "CC0-1.0", "image_size": 8},
    "student": {"architecture": "separable", "options": {"width": 0.5}},
    "train": {"epochs": 3, "seeds": [0]},
    "loss": {"name": "ce"},
}
ROW = Measurement(
    device="cpu",
    device_name="Sample CPU",
    precision="int8",
    batch=1,
    threads=1,
    image_size=8,
    p50_ms=1.0,
    p95_ms=1.2,
    n=2000,
    isa="avx2",
    runtime="onnxruntime",
    runtime_version="1.31.1",
    os="Linux 6.8 x86_64",
    date="2026-01-31",
    ratio_to_fp32=None,
    ratio_low=None,
    ratio_high=None,
    control_ratio=None,
    control_low=None,
    control_high=None,
)


def scored(card: Card, score: Score) -> Card:
    variants = {name: replace(one, accuracy=score) for name, one in card.variants.items()}
    return replace(card, variants=variants)


def score(value: float, low: float, high: float, n: int = 1000) -> Score:
    return Score("top-1 accuracy", "made colours", "test", n, value, low, high)
