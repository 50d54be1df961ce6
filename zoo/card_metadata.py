"""The metadata block of a card's page, as the Hub reads it. Pure, no I/O."""

from __future__ import annotations

import re
from typing import Any

from zoo.card import Card

# SPDX ids, lower case, that are also licence ids of the Hub; anything else is "other" there.
_HUB_LICENCES = frozenset(
    """
    apache-2.0 mit bsd bsd-2-clause bsd-3-clause cc0-1.0 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0
    cc-by-sa-4.0 cc-by-nc-4.0 cc-by-nc-sa-4.0 gpl-2.0 gpl-3.0 lgpl-2.1 lgpl-3.0 agpl-3.0
    mpl-2.0 odbl pddl unlicense wtfpl isc zlib ms-pl artistic-2.0 bsl-1.0 epl-2.0 unknown
    """.split()  # noqa: SIM905
)
_TASKS = {"image-classification": "Image classification"}


def front_matter(card: Card) -> str:
    """The YAML block between two `---`, as the Hub validates it."""
    import yaml

    text = yaml.safe_dump(metadata(card), sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{text}---"


def metadata(card: Card) -> dict[str, Any]:
    """What the front matter says, as plain data."""
    tags = ["onnx", "distillation", "student", card.student.architecture]
    tags += ["int8"] if "int8" in card.variants else []
    hub = _hub_dataset(card)
    return {
        **_hub_licence(card.licence),
        "library_name": "onnx",
        "pipeline_tag": card.task,
        "tags": ["studentzoo", *tags],
        **({"datasets": [hub]} if hub else {}),  # it takes nothing but ids of its own
        "metrics": ["accuracy"],
        "model-index": [{"name": card.name, "results": [_result(card)]}],
    }


def _hub_licence(spdx: str) -> dict[str, str]:
    if spdx.lower() in _HUB_LICENCES:
        return {"license": spdx.lower()}
    return {"license": "other", "license_name": _slug(spdx)}


def _hub_dataset(card: Card) -> str | None:
    """ORG/NAME where the data came from the Hub."""
    hub = re.fullmatch(r"hub:([\w.-]+/[\w.-]+?)(@.*)?", card.data.source)
    return hub[1] if hub else None


def _dataset_id(card: Card) -> str:
    """The Hub's id where the data came from there, else the data set's name as a slug."""
    name = card.variants["fp32"].accuracy.dataset
    return _hub_dataset(card) or _slug(re.sub(r"(\.zip|\.tar(\.\w+)?|\.parquet)$", "", name))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")


def _result(card: Card) -> dict[str, Any]:
    score = card.variants["fp32"].accuracy
    return {
        "task": {"type": card.task, "name": _TASKS.get(card.task, card.task)},
        "dataset": {"type": _dataset_id(card), "name": score.dataset, "split": score.split},
        "metrics": [
            {"type": "accuracy", "value": round(v.accuracy.value, 6), "name": f"top-1, {precision}"}
            for precision, v in card.by_use()
        ],
    }
