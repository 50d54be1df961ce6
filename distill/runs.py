"""What a training run must be to count: of one plan from its first step to its last, and sane."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from distill.data import Dataset
from distill.data.texts import Texts
from distill.errors import DistillError, DivergedError
from distill.trial import MANY, at_chance

if TYPE_CHECKING:
    from distill.batches import Plan

FAR = 10.0  # times its first loss that a run may not end with
STILL = 0.95  # of its first loss: one that ends above has not fallen


def facts(
    student: nn.Module,
    train: Dataset | Texts,
    validation: Dataset | Texts,
    plan: Plan,
    teacher: str,
) -> dict[str, Any]:
    """All that decides what a run ends with, as plain data.

    Of the student its tensors' names and shapes, and its layers' settings; teacher tells one from
    another.
    """
    tensors = [[name, *value.shape] for name, value in student.state_dict().items()]
    layers = [[n, type(m).__qualname__, _settings(m)] for n, m in student.named_modules()]
    parts = {name: asdict(getattr(plan, name)) for name in ("loss", "augment", "train")}
    del parts["train"]["seeds"]
    found = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}
    found |= {"seed": plan.seed, "views": plan.views}
    found |= {"train data": train.sha256, "validation data": validation.sha256}
    found["student"] = hashlib.sha256(
        json.dumps([tensors, layers], default=str).encode()
    ).hexdigest()
    found["teacher"] = teacher
    return json.loads(json.dumps(found))


def _settings(part: nn.Module) -> dict[str, Any]:
    """Its plain attributes: a kernel's size, a rate, whether it shuffles."""
    plain = {k: v for k, v in vars(part).items() if isinstance(v, int | float | str | tuple)}
    return {k: v for k, v in sorted(plain.items()) if k != "training" and not k.startswith("_")}


def check_same(there: dict[str, Any], here: dict[str, Any], path: Path) -> None:
    """A run goes on by the plan that it began with, or it is a `DistillError`."""
    changed = [key for key in here if there.get(key) != here[key]]
    if changed:
        shown = (f"{k} {_short(there.get(k))} there, {_short(here[k])} here" for k in changed)
        raise DistillError(
            f"{path} is of another run: {'; '.join(shown)}",
            "give this one a folder of its own, or delete that file to begin anew",
        )


def _short(value: object) -> str:
    return str(value)[:12] if isinstance(value, str) else str(value)


def check_sane(
    began: float, last: float, answers: np.ndarray, labels: np.ndarray, classes: int
) -> None:
    """A run that taught the student nothing is a `DistillError`.

    Its last epoch's mean loss is FAR times that of its first step, or of guessing if that is more;
    or held-out examples, answers and labels int (n,), are answered as by guessing, and they are
    MANY or the loss did not fall.
    """
    hint = "lower train.learning_rate, or train for more epochs"
    losses = f"the loss began at {began:.3g} and ends at {last:.3g}"
    if last > FAR * max(began, math.log(classes)):
        raise DivergedError(f"{losses}: nothing was learned", hint)
    if at_chance(answers, labels) and (len(labels) >= MANY or last >= STILL * began):
        right = f"{(answers == labels).mean():.1%} of {len(labels)} held-out examples"
        raise DivergedError(f"the student is right in {right}: at chance; {losses}", hint)
