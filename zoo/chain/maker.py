"""How students of a task are made: the base of a task's part `maker`; its methods need torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

from zoo.records.card import Input
from zoo.records.recipe import Recipe

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from compress.ladder import Climb, Judgement
    from compress.training import Train as Learn
    from distill.labels import Kept
    from distill.teachers import Teacher
    from distill.trial import Trial

R = TypeVar("R", bound=Recipe)
D = TypeVar("D")  # a split of data: it has a length and a sha256


class Doubts(NamedTuple):
    """What is doubtful of data."""

    doubles: int  # examples of test that train or validation has too
    said: tuple[str, ...]  # to whoever builds, a sentence each
    skipped: int = 0  # pictures of all splits that cannot be read and were left out


class Maker(ABC, Generic[R, D]):
    """What a task decides on the way from one recipe to its files, in the order of the chain.

    A task whose students choose among labels needs nothing but the abstract ones. `labels` are the
    names of the data's classes, empty where there are none.
    """

    train_format = 1  # counts up when training makes something else of the same settings
    tolerance = 1e-3  # largest difference of a number between torch and ONNX

    asks = ""  # what teachers of `distill.teachers` read here, "pictures" or "texts"; "": none do

    def __init__(self, recipe: R) -> None:
        self.recipe = recipe

    # --- before the first stage ---

    def check(self) -> None:
        """Refuse a student, or a training of it, that cannot be: what needs no data to be seen.

        `DistillError`, with the key that is to blame.
        """

    def check_places(self, root: Path | None) -> None:
        """Refuse data that is not there; none of it is read."""

    def check_data(self, train: D) -> None:
        """Refuse data of which nothing could be learned."""

    def check_labels(self, labels: tuple[str, ...]) -> None:
        """Refuse a student that cannot choose among these classes."""

    # --- label ---

    @abstractmethod
    def load(self, split: Literal["train", "validation"], root: Path | None) -> D:
        """The split "train" or "validation"; `root` as in `zoo build --data`."""

    def labels(self, data: D) -> tuple[str, ...]:
        """The names of its classes, in order."""
        return tuple(data.classes)  # type: ignore[attr-defined]

    def doubts(self, train: D, validation: D, root: Path | None) -> Doubts:
        """What is doubtful of the data; `DistillError` where it must not be trained on."""
        return Doubts(0, getattr(train, "doubts", ()))

    @property
    def unlabelled(self) -> bool:
        """Whether the data have no labels, so that the teacher's first answers stand for them."""
        return False

    def class_names(self, onnx: Path | None) -> tuple[str, ...]:
        """What the teacher of unlabelled data calls its classes; `onnx` as in `teacher`."""
        raise NotImplementedError

    def answered(self, data: D, labels: np.ndarray, classes: tuple[str, ...]) -> D:
        """The same unlabelled examples under labels int (n,), the teacher's first answers."""
        return data.answered(labels, classes)  # type: ignore[attr-defined]

    @abstractmethod
    def teacher(self, labels: tuple[str, ...], onnx: Path | None) -> Teacher:
        """Who answers; `onnx` is the file of another recipe's student."""

    def quick_source(self, folder: Path) -> Path | None:
        """The float file that 8 bits are made of, in the export folder of a recipe's student.

        Where that student is the teacher, its 8-bit file labels if it is faster and answers alike.
        None: its fp32 file labels.
        """
        return None

    def try_teacher(self, teacher: Teacher, train: D) -> Trial:
        """What it says of labelled examples, where the classes have names."""
        from distill.trial import try_teacher

        names, examples = getattr(train, "names", ()), self.examples(train)
        return try_teacher(teacher, examples, train.labels, self.labels(train), names)  # type: ignore[attr-defined]

    def said(self, teacher: Teacher, data: D) -> np.ndarray:
        """What it answers to every example, (n, ...); an answer that is no number is an error with
        the example's name.
        """
        from distill.teachers.teacher import naming

        examples = self.examples(data)
        with naming(examples, getattr(data, "names", ())):
            return teacher(examples)

    @abstractmethod
    def views(self) -> Any:
        """How a view is drawn, as `distill.views` takes it."""

    def keep(self, teacher: Teacher, train: D, root: Path) -> Kept:
        """What the teacher says of every view, kept below `root`."""
        from distill import labels

        how, data = self.views(), train
        return labels.keep(teacher, teacher.sha256, data, how, self.recipe.labels, root)  # type: ignore[arg-type]

    # --- distil ---

    @abstractmethod
    def network(self, labels: tuple[str, ...], weights: Path | None = None) -> nn.Module:
        """The student, fresh or with the state dict in `weights`."""

    def reads(self) -> dict[str, Any]:
        """What decides the weights, beside what every task has."""
        return {}

    def own_code(self) -> dict[str, str]:
        """What else decides them: the sha256 of a student's code that the recipe brings along."""
        from distill import students

        architecture = self.recipe.student.architecture
        if not students.is_own(architecture):
            return {}
        return {"own code": students.own_sha256(architecture)}

    def own_state(self, labels: tuple[str, ...], seed: int) -> dict[str, str]:
        """And the sha256 of the numbers that such a student begins with: it may read a file.

        Nothing is told of one that begins otherwise each time, whatever the seed of torch.
        """
        import torch

        from distill import state, students

        if not students.is_own(self.recipe.student.architecture):
            return {}
        found = set()
        with torch.random.fork_rng(devices=[]):
            for _ in range(2):
                torch.manual_seed(seed)
                found.add(state.sha256(self.network(labels)))
        return {"own state": found.pop()} if len(found) == 1 else {}

    def fit(
        self, net: nn.Module, train: D, validation: D, seed: int, out: Path, kept: Kept | None
    ) -> list[dict[str, float]]:
        """Train `net` in place, on the device that it is on; its curves, a row an epoch."""
        from distill.train import Plan, fit

        views = self.recipe.labels.views if kept else 0
        plan = Plan(self.recipe.loss, self.views(), self.recipe.train, seed, views)
        device = str(next(net.parameters()).device)
        return fit(net, train, validation, plan, out, kept, device)  # type: ignore[arg-type]

    def processes(self, train: D, device: str) -> int:
        """How many processes share a step of `fit` here."""
        from distill.train import process_count

        count = process_count(self.recipe.train, self.recipe.loss, train, device)  # type: ignore[arg-type]
        return 1 if count > 1 and self.stays_here(train) else count

    def stays_here(self, train: D) -> bool:
        """Whether the student is the recipe's own and cannot be handed to another process."""
        from distill import students
        from distill.ranks import copyable

        if self.recipe.train.processes or not students.is_own(self.recipe.student.architecture):
            return False
        return not copyable(self.network(self.labels(train)))

    def calibrate(self, net: nn.Module, validation: D) -> float | None:
        """Scale the answers of `net` on held-out data; the temperature, None where it is not."""
        return None

    # --- export ---

    @abstractmethod
    def export(self, net: nn.Module, about: dict[str, str], validation: D, out: Path) -> float:
        """The fp32 file, and what else the next stages read, into `out`.

        Returns the largest difference of a number to torch, which is at most `tolerance`.
        """

    @abstractmethod
    def input(self) -> Input:
        """What the file reads."""

    def metadata(self) -> dict[str, str]:
        """What the file says of itself beside what every file does, by key of its metadata."""
        return {}

    # --- compress ---

    def held_out(self, validation: D) -> D:
        """What an attempt is judged on."""
        return validation

    @abstractmethod
    def climb(
        self, folder: Path, train: D, out: Path, judge: Callable[[Path], Judgement], learn: Learn
    ) -> Climb:
        """The attempts at 8 bits of what `export` wrote into `folder`.

        `learn` trains an attempt on the data and the teacher of the student, as `ladder.climb`
        takes it.
        """

    # --- measure ---

    @abstractmethod
    def golden(self, validation: D) -> np.ndarray:
        """Inputs (n, ...) of the self-test, as the file reads them."""

    @abstractmethod
    def examples(self, data: D) -> Any:
        """What a teacher reads."""

    def inputs(self, data: D) -> Any:
        """What a student reads."""
        return self.examples(data)

    def predict(self, net: nn.Module, data: D) -> np.ndarray:
        """What a network answers, as its file would: float32 (n, ...)."""
        from distill.train import predict

        return predict(net, self.inputs(data))

    def yardsticks(self, folder: Path) -> dict[str, Path]:
        """Files that the published ones are timed beside, by their label."""
        return {}

    def more(self, validation: D, test: D, outputs: np.ndarray, path: Path) -> dict[str, Any]:
        """What else the card says; outputs are those of the file at `path` on the test set."""
        return {}

    # --- card ---

    @abstractmethod
    def macs(self, net: nn.Module) -> int:
        """Multiply-accumulates of one example."""

    def data_facts(self, train: D, dropped: dict[str, int]) -> dict[str, Any]:
        """More fields of `records.card.DataFacts`; `dropped` is by test set."""
        return {}

    def card_facts(self, more: dict[str, Any]) -> dict[str, Any]:
        """More fields of `records.card.Card`, from what `more` measured."""
        return {}
