"""The metadata block of a card's page, as the Hub reads it. Pure, no I/O."""

from __future__ import annotations

import re
from typing import Any

from zoo.card.words import Words
from zoo.records.card import Card
from zoo.records.measures import Score

# SPDX ids, lower case, that are also licence ids of the Hub; anything else is "other" there.
_HUB_LICENCES = frozenset(
    """
    apache-2.0 mit bsd bsd-2-clause bsd-3-clause cc0-1.0 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0
    cc-by-sa-4.0 cc-by-nc-4.0 cc-by-nc-sa-4.0 gpl-2.0 gpl-3.0 lgpl-2.1 lgpl-3.0 agpl-3.0
    mpl-2.0 odbl pddl unlicense wtfpl isc zlib ms-pl artistic-2.0 bsl-1.0 epl-2.0 unknown
    """.split()  # noqa: SIM905
)


def front_matter(said: Words) -> str:
    """The YAML block between two `---`, as the Hub validates it."""
    import yaml

    text = yaml.safe_dump(metadata(said), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{text}---"


def metadata(said: Words) -> dict[str, Any]:
    """What the front matter says, as plain data."""
    card = said.card
    tags = ["onnx", "distillation", "student", card.student.architecture]
    tags += ["int8"] if "int8" in card.variants else []
    tags += said.hub_tags()
    hub = _hub_dataset(card)
    return {
        **_hub_licence(card.licence),
        **said.hub_metadata(),
        **_base(card),
        "library_name": "onnx",
        "pipeline_tag": said.pipeline_tag or card.task,
        "tags": ["studentzoo", *tags],
        **({"datasets": [hub]} if hub else {}),  # it takes nothing but ids of its own
        **({"metrics": [said.hub_metric]} if said.hub_metric else {}),
        "model-index": [{"name": card.name, "results": _results(said)}],
    }


def _hub_licence(spdx: str) -> dict[str, str]:
    if spdx.lower() in _HUB_LICENCES:
        return {"license": spdx.lower()}
    return {"license": "other", "license_name": _slug(spdx)}


def _base(card: Card) -> dict[str, str]:
    """The teacher, where it has a Hub id; any other stands in the text alone.

    The Hub knows the relations adapter, finetune, merge and quantized: none for a student, whose
    tags say `distillation`. Its 8-bit file is listed with the quantized ones.
    """
    teacher = _hub_id(card.teacher.source) if card.teacher else None
    if teacher is None:
        return {}
    relation = "quantized" if "int8" in card.variants else "finetune"
    return {"base_model": teacher, "base_model_relation": relation}


def _hub_dataset(card: Card) -> str | None:
    """ORG/NAME where the data came from the Hub."""
    return _hub_id(card.data.source)


def _hub_id(source: str) -> str | None:
    """ORG/NAME of `hub:ORG/NAME[/FOLDER][@REVISION]`, or of a model's page on the public Hub."""
    repo = r"([\w.-]+/[\w.-]+)"
    known = (
        rf"hub:{repo}(?:/[^@]*)?(?:@.*)?",
        rf"https://huggingface\.co/(?!datasets/){repo}(?:/.*)?",
    )
    found = (re.fullmatch(pattern, source) for pattern in known)
    return next((hub[1] for hub in found if hub), None)


def _dataset_id(said: Words, dataset: str) -> str:
    """The Hub's id where the data came from there, else the data set's name as a slug.

    Texts are tested on other data sets than they come from.
    """
    hub = None if said.tested_elsewhere else _hub_dataset(said.card)
    return hub or _slug(re.sub(r"(\.zip|\.tar(\.\w+)?|\.parquet)$", "", dataset))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")


def _results(said: Words) -> list[dict[str, Any]]:
    """One result for each test set, the headline's first."""
    scores: dict[tuple[str, str], list[tuple[str, Score]]] = {}
    for precision, variant in said.card.by_use():
        for score in (variant.accuracy, *variant.also):
            scores.setdefault((score.dataset, score.split), []).append((precision, score))
    return [_result(said, found) for found in scores.values()]


def _result(said: Words, scores: list[tuple[str, Score]]) -> dict[str, Any]:
    """`scores` are of one data set and split, with the precision of their file."""
    score = scores[0][1]
    return {
        "task": {"type": said.pipeline_tag or said.card.task, "name": said.title},
        "dataset": {
            "type": _dataset_id(said, score.dataset),
            "name": score.dataset,
            "split": score.split,
        },
        "metrics": [
            {
                "type": said.hub_metric or _slug(one.metric),
                "value": round(one.value, 6),
                "name": f"{one.metric.removesuffix(' accuracy')}, {precision}",
            }
            for precision, one in scores
        ],
    }
