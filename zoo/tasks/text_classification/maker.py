"""How students that classify texts are made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zoo.chain.maker import Maker
from zoo.records.card import Input, Nothing, Origin, Teaching, Unknown
from zoo.records.names import FILES
from zoo.tasks.text_classification.recipe import TextRecipe

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from compress.ladder import Climb, Judgement
    from compress.training import Train as Learn
    from distill.config import Pieces
    from distill.data.texts import Texts
    from distill.teachers import Teacher

PARITY_TEXTS, GOLDEN_TEXTS, GOLDEN_LENGTH = 300, 32, 100
TWO = ("a", "b")  # classes of a network that is tried before the data is read


class TextMaker(Maker[TextRecipe, "Texts"]):
    """Texts of any length, in views that are cut anew."""

    asks = "texts"

    def check(self) -> None:
        """The network answers to a text, and one process is enough where it must be."""
        import torch

        from distill import train
        from distill.students import try_out

        train.check_processes(self.recipe.train, self.recipe.loss)
        net = self.network(TWO)
        train.check_sizes(net, self.recipe.train)
        try_out(net, torch.full((1, 8), ord("a"), dtype=torch.int32))

    def check_places(self, root: Path | None) -> None:
        """Source, tests, words and counts."""
        from distill.data.texts import check_places

        check_places(self.recipe.data, root)

    def load(self, split: Literal["train", "validation"], root: Path | None) -> Texts:
        """One split, as students read it: without what is not to be seen."""
        from distill.data.texts import load_texts
        from zoo.inputs.text import prepare

        found = load_texts(self.recipe.data, split, root)
        texts = tuple(prepare(text).strip() or text for text in found.texts)
        if texts == found.texts:
            return found
        digest = hashlib.sha256(f"{found.sha256} visible".encode()).hexdigest()
        return replace(found, texts=texts, sha256=digest)

    def teacher(self, labels: tuple[str, ...], onnx: Path | None) -> Teacher:
        """Who answers."""
        from distill.teachers import open_text_teacher

        assert self.recipe.teacher is not None  # the caller looked
        return open_text_teacher(self.recipe.teacher, labels)

    def views(self) -> Pieces:
        """How a view is cut."""
        return self.recipe.pieces

    def network(self, labels: tuple[str, ...], weights: Path | None = None) -> nn.Module:
        """The student, fresh or with the state dict in `weights`."""
        from distill.students import create, load_weights

        facts = self.recipe.student
        net = create(facts.architecture, len(labels), None, facts.options)
        return net if weights is None else load_weights(net, weights)

    def reads(self) -> dict[str, Any]:
        """How texts are cut."""
        return {"pieces": asdict(self.recipe.pieces)}

    def calibrate(self, net: nn.Module, validation: Texts) -> float | None:
        """Scale the last layer by the temperature that suits held-out texts cut as in training.

        Guo et al., ICML 2017, section 4.2.
        """
        from distill import calibration

        cut = self.held_out(validation)
        found = calibration.temperature(self.predict(net, cut), cut.labels)
        calibration.divide(net.output, found)  # type: ignore[arg-type]
        return found

    def predict(self, net: nn.Module, data: Texts) -> np.ndarray:
        """Logits float32 (n, classes) of whole texts, as a student reads them."""
        from distill.train import predict
        from zoo.inputs.text import prepare

        return predict(net, tuple(map(prepare, data.texts)))

    def export(self, net: nn.Module, about: dict[str, str], validation: Texts, out: Path) -> float:
        """The fp32 file of `net` into `out`."""
        from export import ngram, parity
        from export.files import save
        from zoo.inputs.text import codepoints

        path = out / FILES["fp32"]
        save(ngram.to_onnx(ngram.Parts(**net.parts()), about), path)  # type: ignore[operator]
        step = max(1, len(validation) // PARITY_TEXTS)
        texts = self.held_out(validation).texts[::step]
        return parity.check(net, path, [codepoints(text) for text in texts], self.tolerance)

    def input(self) -> Input:
        """Code points, padded with 0."""
        return Input("codepoints", "int32", "NL")

    def metadata(self) -> dict[str, str]:
        """Below which probability an answer is unknown."""
        return {"studentzoo.unknown_below": str(self.recipe.unknown_below)}

    def held_out(self, validation: Texts) -> Texts:
        """Held-out texts cut as in training, words among them."""
        from distill import pieces

        return pieces.cut(validation, self.recipe.pieces)

    def climb(
        self,
        folder: Path,
        train: Texts,
        out: Path,
        judge: Callable[[Path], Judgement],
        learn: Learn,
    ) -> Climb:
        """Every 8-bit codec of the recipe; the first that passes wins. It needs no calibration,
        and nothing is trained.
        """
        from compress import rows

        compress, gates = self.recipe.compress, self.recipe.gates
        assert compress is not None and gates is not None  # the caller looked
        return rows.climb(folder / FILES["fp32"], out, compress, gates, judge)

    def golden(self, validation: Texts) -> np.ndarray:
        """Code points int32 (n, length)."""
        import numpy as np

        from zoo.inputs.text import codepoints, pad

        cut = self.held_out(validation)
        chosen = np.linspace(0, len(cut) - 1, GOLDEN_TEXTS).astype(int)
        return pad([codepoints(cut.texts[row])[:GOLDEN_LENGTH] for row in chosen])

    def examples(self, data: Texts) -> tuple[str, ...]:
        """Texts as they stand."""
        return data.texts

    def more(
        self, validation: Texts, test: Texts, outputs: np.ndarray, path: Path
    ) -> dict[str, Any]:
        """Accuracy by class, and what the threshold of `unknown` does on held-out texts."""
        from zoo.measure.verify import class_accuracy, logits_of_texts
        from zoo.students.classifier import softmax

        below, cut = self.recipe.unknown_below, self.held_out(validation)
        given = logits_of_texts(path, cut.texts)
        unsure = softmax(given).max(1) < below
        right = given.argmax(1) == cut.labels
        return {
            "per_class": class_accuracy(outputs, test.labels, test.classes),
            "unknown": {
                "below": below,
                "share": float(unsure.mean()),
                "right": float(right[unsure].mean()) if unsure.any() else 0.0,
                "nothing": self._nothing(path) if self.recipe.pieces.nothing else None,
            },
        }

    def _nothing(self, path: Path) -> dict[str, Any]:
        """How often texts of no language get an answer: the fields of the card's Nothing."""
        from zoo.measure.verify import logits_of_texts
        from zoo.students.classifier import softmax
        from zoo.tasks.text_classification import nothing

        asked = nothing.texts()
        sure = softmax(logits_of_texts(path, asked)).max(1) >= self.recipe.unknown_below
        before = self.recipe.nothing_before
        return {"texts": len(asked), "confident": float(sure.mean()), "before": before}

    def macs(self, net: nn.Module) -> int:
        """Multiply-accumulates of one sentence of 100 letters."""
        from distill.students import counts

        return counts.text_macs(net, 100)  # type: ignore[arg-type]

    def data_facts(self, train: Texts, dropped: dict[str, int]) -> dict[str, Any]:
        """The words in `train`, and how many texts each of the tests left out."""
        return {
            "drawn": train.drawn,
            "listed": int(train.words.sum()) - train.drawn,
            "counts": Origin(**asdict(train.origin)) if train.origin else None,
            "dropped": {name: count for name, count in dropped.items() if count} or None,
        }

    def card_facts(self, more: dict[str, Any]) -> dict[str, Any]:
        """What `more` measured, and what the teacher was asked."""
        found = more["unknown"]
        nothing = Nothing(**found["nothing"]) if found.get("nothing") else None
        unknown = Unknown(**found | {"nothing": nothing})
        facts = {"per_class": more["per_class"], "unknown": unknown}
        if self.recipe.teacher is None:
            return facts
        labels, loss = self.recipe.labels, self.recipe.loss
        asked = (labels.of, labels.share, labels.views)
        return facts | {"teaching": Teaching(*asked, loss.ce, loss.kd, loss.temperature)}
