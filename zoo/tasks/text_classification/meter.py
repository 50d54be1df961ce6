"""How students that classify texts are measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.inputs import lines
from zoo.measure.loads import SENTENCE, WORD, Load, TextLoad
from zoo.measure.meter import Progress
from zoo.records.card import Input
from zoo.records.measures import Score
from zoo.tasks.classification import ClassMeter
from zoo.tasks.text_classification.recipe import TextRecipe

if TYPE_CHECKING:
    import numpy as np

    from distill.data.texts import Texts
    from zoo.measure.tally import Tally
    from zoo.students.student import Student


class TextMeter(ClassMeter[TextRecipe, "Texts"]):
    """On the test sets that the recipe names; each class weighs the same."""

    def tests(self, root: Path | None) -> dict[str, Texts]:
        """Every test set by its name, the headline's first."""
        from distill.data.texts import load_tests

        return load_tests(self.recipe.data, root)

    def outputs(
        self, path: Path, data: Texts, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Logits float32 (n, classes)."""
        from zoo.measure.verify import logits_of_texts

        return logits_of_texts(path, data.texts, progress=progress)

    def score(self, outputs: np.ndarray, data: Texts, dataset: str, split: str) -> Score:
        """Accuracy, averaged over the classes."""
        from zoo.measure.verify import macro_score

        return macro_score(outputs, data.labels, dataset=dataset, split=split)

    def example(self, data: Texts) -> np.ndarray:
        """One text."""
        from zoo.inputs.text import codepoints

        return codepoints(data.texts[0])[None]

    def loads(self, data: Texts) -> list[Load]:
        """An attempt is judged on the first: many sentences are what speed is for."""
        return [TextLoad(256, SENTENCE), TextLoad(1, SENTENCE), TextLoad(1, WORD)]

    @staticmethod
    def counted(student: Student, root: Path, progress: Progress | None = None) -> Tally:
        """Of the texts in `root`/LABEL.txt, a text a line; the likeliest label, however unlikely.

        As in training, blanks around a text, empty lines and repetitions do not count.
        """
        from zoo.measure.tally import Tally
        from zoo.tasks.text_classification.student import TextStudent

        assert isinstance(student, TextStudent)  # of the same task
        files = lines.by_label(root, student.labels)
        tally = Tally(str(root))
        for done, (label, file) in enumerate(files.items(), 1):
            found = (text.strip() for block in lines.texts([], [file]) for text in block)
            texts = list(dict.fromkeys(filter(None, found)))
            for answer in student.rank(texts, 1):
                tally.add(label, answer[0][0])
            if progress is not None:
                progress(done, len(files))
        return tally

    @staticmethod
    def loads_of(given: Input, batch: int) -> list[Load]:
        """Words, and sentences."""
        return [TextLoad(batch, WORD), TextLoad(batch, SENTENCE)]

    def dropped(self, data: Texts) -> int:
        """Texts of a test that were left out, for they stand in the source of train."""
        return data.dropped
