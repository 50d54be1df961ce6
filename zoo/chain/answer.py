"""answer: of data without labels, the teacher's first answers take the labels' place.

Labels could have been optional from the loader to the card. Instead the teacher is asked once about
each example as it stands, and its first answer is the example's label from there on. So whatever
counts right answers (curves, gates, the card) counts agreement with the teacher, and the task's
meter calls it that. No weight depends on these labels: the recipe must not weigh them
(`loss.ce` is 0). The test split gets its own when it is measured.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.chain.job import Job, Step
from zoo.chain.made import Read, Steps
from zoo.errors import RecipeError

if TYPE_CHECKING:
    from distill.teachers import Teacher

SHOWN = 10  # classes in a message


def run(data: Read, job: Job, teacher: Teacher) -> Steps[Read]:
    """train and validation with the teacher's answers; `data.labels` are its classes."""
    import numpy as np

    splits = {"train": data.train, "validation": data.validation}

    def make(out: Path) -> dict[str, Any]:
        return {
            name: job.maker.said(teacher, split).argmax(1).tolist()
            for name, split in splits.items()
        }

    reads = {
        "teacher": teacher.sha256,
        "data": [split.sha256 for split in splits.values()],
        "labels": list(data.labels),
    }
    says = f"{teacher.name} answers {sum(map(len, splits.values())):,} examples without labels"
    done = yield Step("answer", says, reads, make)
    _check(Counter(done.result["train"]), job, data.labels)
    answered = {
        name: job.maker.answered(split, np.array(done.result[name]), data.labels)
        for name, split in splits.items()
    }
    return replace(data, **answered)


def _check(counts: Counter[int], job: Job, labels: tuple[str, ...]) -> None:
    """A teacher that says one thing teaches nothing; what it never says is told."""
    if len(counts) < 2:
        raise RecipeError(
            f'the teacher answers "{labels[next(iter(counts))]}" to every picture',
            "nothing can be learned from that: is this what it reads, prepared as it expects?",
        )
    never = [name for place, name in enumerate(labels) if place not in counts]
    if never:
        some = ", ".join(never[:SHOWN]) + (" and others" if len(never) > SHOWN else "")
        job.say(f"  warning: {len(never)} classes are never the teacher's first answer: {some}")
