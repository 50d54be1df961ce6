"""Text classification: the parts of a build that texts decide. See `zoo.tasks`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from compress.ladder import Climb, Judgement
    from distill.data.texts import Texts
    from distill.teachers import Teacher
    from zoo.measure.devices import Load
    from zoo.records.card import Input
    from zoo.records.measures import Score
    from zoo.records.recipe import TextRecipe

TOLERANCE = 1e-3  # largest difference of a logit between torch and ONNX
PARITY_TEXTS, GOLDEN_TEXTS, GOLDEN_LENGTH = 300, 32, 100


# --- learning ------------------------------------------------------------------------------------


def load(recipe: TextRecipe, split: Literal["train", "validation"], root: Path | None) -> Texts:
    """One split of the recipe's data."""
    from distill.data.texts import load_texts

    return load_texts(recipe.data, split, root)


def open_teacher(
    recipe: TextRecipe, classes: tuple[str, ...], onnx_path: Path | None = None
) -> Teacher:
    """Who answers."""
    from distill.teachers import open_text_teacher

    assert recipe.teacher is not None  # the caller looked
    return open_text_teacher(recipe.teacher, classes)


def network(recipe: TextRecipe, classes: int, weights: Path | None = None) -> nn.Module:
    """The recipe's student, fresh or with the state dict in `weights`."""
    from distill.students import create, load_weights

    facts = recipe.student
    net = create(facts.architecture, classes, None, facts.options)
    return net if weights is None else load_weights(net, weights)


def views(recipe: TextRecipe) -> Any:
    """How a view is drawn."""
    return recipe.pieces


def reads(recipe: TextRecipe) -> dict[str, Any]:
    """What decides the weights, beside what every task has."""
    return {"pieces": asdict(recipe.pieces)}


def calibrate(recipe: TextRecipe, net: nn.Module, validation: Texts) -> float | None:
    """Scale the last layer by the temperature that suits held-out texts cut as in training.

    Guo et al., ICML 2017, section 4.2. Returns the temperature.
    """
    from distill import calibration
    from distill.train import predict

    cut = held_out(recipe, validation)
    found = calibration.temperature(predict(net, cut.texts), cut.labels)
    calibration.divide(net.output, found)  # type: ignore[arg-type]
    return found


# --- export --------------------------------------------------------------------------------------


def write_files(
    recipe: TextRecipe,
    net: nn.Module,
    metadata: dict[str, str],
    validation: Texts,
    out: Path,
) -> float:
    """The fp32 file of `net` into `out`; the largest difference of a logit to torch."""
    from export import ngram, parity
    from export.files import save
    from zoo.chain.learn import FP32
    from zoo.inputs.text import codepoints

    made = ngram.to_onnx(ngram.Parts(**net.parts()), metadata)  # type: ignore[operator]
    save(made, out / FP32)
    step = max(1, len(validation) // PARITY_TEXTS)
    texts = held_out(recipe, validation).texts[::step]
    return parity.check(net, out / FP32, [codepoints(text) for text in texts], TOLERANCE)


def metadata(recipe: TextRecipe) -> dict[str, str]:
    """What the file says of its input and of its answers."""
    return {
        "studentzoo.input": json.dumps({"name": "codepoints", "dtype": "int32", "layout": "NL"}),
        "studentzoo.unknown_below": str(recipe.unknown_below),
    }


# --- compressing and measuring -------------------------------------------------------------------


def held_out(recipe: TextRecipe, validation: Texts) -> Texts:
    """What an attempt is judged on: held-out texts cut as in training, words among them."""
    from distill import pieces

    return pieces.cut(validation, recipe.pieces)


def climb(
    recipe: TextRecipe,
    folder: Path,
    train: Texts,
    out: Path,
    judge: Callable[[Path], Judgement],
) -> Climb:
    """Every 8-bit codec of the recipe; the first that passes wins. It needs no calibration."""
    from compress import rows
    from zoo.chain.learn import FP32

    assert recipe.compress is not None  # the caller looked
    assert recipe.gates is not None  # a recipe has both or neither
    return rows.climb(folder / FP32, out, recipe.compress, recipe.gates, judge)


def golden_inputs(recipe: TextRecipe, validation: Texts) -> np.ndarray:
    """Code points int32 (n, length) for the self-test."""
    import numpy as np

    from zoo.inputs.text import codepoints, pad

    cut = held_out(recipe, validation)
    chosen = np.linspace(0, len(cut) - 1, GOLDEN_TEXTS).astype(int)
    return pad([codepoints(cut.texts[row])[:GOLDEN_LENGTH] for row in chosen])


def tests(recipe: TextRecipe, root: Path | None) -> dict[str, Texts]:
    """Every test set by its name, the headline's first."""
    from distill.data.texts import load_tests

    return load_tests(recipe.data, root)


def examples(data: Texts) -> tuple[str, ...]:
    """What a teacher reads."""
    return data.texts


def logits(path: Path, data: Texts) -> np.ndarray:
    """Float32 (n, classes) of a file."""
    from zoo.measure.verify import logits_of_texts

    return logits_of_texts(path, data.texts)


def score(logits: np.ndarray, data: Texts, name: str, split: str) -> Score:
    """Accuracy of logits (n, classes), averaged over the classes."""
    from zoo.measure.verify import macro_score

    return macro_score(logits, data.labels, dataset=name, split=split)


def peak_memory_mb(path: Path, data: Texts) -> float:
    """Of a fresh process that answers one text."""
    from zoo.inputs.text import codepoints
    from zoo.measure.bench import peak_memory_mb

    return peak_memory_mb(path, [codepoints(data.texts[0])[None]])


def loads(data: Texts) -> list[Load]:
    """What is timed; an attempt is judged on the first: many sentences are what speed is for."""
    from zoo.measure.devices import SENTENCE, WORD, TextLoad

    return [TextLoad(256, SENTENCE), TextLoad(1, SENTENCE), TextLoad(1, WORD)]


def plain(folder: Path) -> dict[str, Path]:
    """No exporter makes this graph: there is no yardstick."""
    return {}


def macs(recipe: TextRecipe, net: nn.Module) -> int:
    """Multiply-accumulates of one sentence of 100 letters."""
    from distill.students import counts

    return counts.text_macs(net, 100)  # type: ignore[arg-type]


def card_input(recipe: TextRecipe) -> Input:
    """What the card says of the input."""
    from zoo.records.card import Input

    return Input("codepoints", "int32", "NL")


def data_facts(train: Texts, tests: dict[str, int]) -> dict[str, Any]:
    """The card's facts of words in `train`, and how many texts each of the tests left out."""
    from zoo.records.card import Origin

    return {
        "drawn": train.drawn,
        "listed": int(train.words.sum()) - train.drawn,
        "counts": Origin(**asdict(train.origin)) if train.origin else None,
        "dropped": {name: count for name, count in tests.items() if count} or None,
    }


def dropped(data: Texts) -> int:
    """Texts of a test that were left out, for they stand in the source of train."""
    return data.dropped


def more(
    recipe: TextRecipe, validation: Texts, test: Texts, answers: np.ndarray, path: Path
) -> dict[str, Any]:
    """Accuracy by class, and what the threshold of `unknown` does on held-out texts."""
    from zoo.measure.verify import class_accuracy
    from zoo.students.classifier import softmax

    below = recipe.unknown_below
    cut = held_out(recipe, validation)
    given = logits(path, cut)
    unsure = softmax(given).max(1) < below
    right = given.argmax(1) == cut.labels
    return {
        "per_class": class_accuracy(answers, test.labels, test.classes),
        "unknown": {
            "below": below,
            "share": float(unsure.mean()),
            "right": float(right[unsure].mean()) if unsure.any() else 0.0,
        },
    }


def card_facts(recipe: TextRecipe, more: dict[str, Any]) -> dict[str, Any]:
    """The card's fields that only texts have: what `more` measured, what the teacher was asked."""
    from zoo.records.card import Teaching, Unknown

    facts = {"per_class": more["per_class"], "unknown": Unknown(**more["unknown"])}
    if recipe.teacher is None:
        return facts
    labels, loss = recipe.labels, recipe.loss
    asked = (labels.of, labels.share, labels.views)
    return facts | {"teaching": Teaching(*asked, loss.ce, loss.kd, loss.temperature)}
