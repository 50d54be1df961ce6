"""The rung of the ladder that learns: on the student's own data, views, teacher and loss."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.chain import distil
from zoo.chain.job import Job, code
from zoo.chain.made import Labelled
from zoo.errors import InputError

if TYPE_CHECKING:
    from compress.config import Attempt
    from compress.int8 import Rounded
    from compress.training import Trained
    from distill.config import Train
    from distill.labels import Kept

CODE = ("zoo.chain.learn", "zoo.chain.rounded_net", "zoo.measure.torch_graph")
CURVES = ("loss", "validation_accuracy")  # what the card says of every epoch


class Learner:
    """Trains what an attempt rounded; a fault of the graph or of the run is a `CompressError`."""

    def __init__(self, labelled: Labelled, job: Job) -> None:
        self.labelled, self.job = labelled, job

    def reads(self) -> dict[str, Any]:
        """All that decides its weights, beside the attempt and the float file."""
        found = distil.reads(self.labelled, self.job, self.settled)
        return found | {"seed": self.settled.seeds[0], "code": list(map(code, CODE))}

    @cached_property
    def settled(self) -> Train:
        """How its student was trained."""
        return distil.settled(self.labelled, self.job)

    @cached_property
    def answers(self) -> Kept | None:
        """What the teacher said, read once."""
        return distil.answers(self.labelled, self.job)

    def __call__(self, attempt: Attempt, rounded: Rounded, folder: Path) -> Trained:
        from compress.errors import CompressError
        from compress.training import Trained
        from distill.errors import DivergedError
        from distill.train import predict
        from zoo.chain.rounded_net import RoundedNet

        self.job.say(f"  {attempt.name}: training as 8 bits round, epochs: {attempt.epochs}")
        try:
            net = RoundedNet(rounded.int8, rounded.plain).to(distil.device()[0])
            curves = self._fit(net, attempt, folder)
        except (DivergedError, InputError) as error:  # of a killed run nothing is concluded
            raise CompressError(str(error), error.hint) from error
        net.to("cpu")
        settings = {key: [round(row[key], 4) for row in curves if key in row] for key in CURVES}
        return Trained(net.weights(), lambda batch: predict(net, batch), settings)

    def _fit(self, net: Any, attempt: Attempt, folder: Path) -> list[dict[str, float]]:
        from distill.config import Train

        data, recipe = self.labelled.data, self.job.recipe
        seed, loss = recipe.train.seeds[0], replace(recipe.loss, warmup_epochs=0)
        train = Train(
            epochs=attempt.epochs,
            batch_size=recipe.train.batch_size,
            learning_rate=attempt.learning_rate,
            schedule="cosine",
            weight_decay=0.0,
            seeds=(seed,),
            processes=self.settled.processes,
        )
        maker = type(self.job.maker)(replace(recipe, loss=loss, train=train))
        return maker.fit(net, data.train, data.validation, seed, folder, self.answers)
