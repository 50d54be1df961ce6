"""What every loss in the table is. Recipes are read without torch: files of losses import it in
their functions, and take `Tensor` from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor
else:
    Tensor = Any

Loss = Any  # `config.Loss`, which reads the table of losses


class Kind(NamedTuple):
    """A loss, and the settings of `config.Loss` that it reads."""

    term: Callable[[Loss, Tensor, Tensor, Tensor], Tensor] | None
    """(settings, student, teacher, target) -> a mean over n, in nats; None: no teacher is heard"""
    paper: Mapping[str, float]  # name of each setting -> what the paper gives it
    whole_batch: bool = False  # it compares the examples of a batch, so that a share says less
    labels: bool = False  # its term reads the true class, beside the cross-entropy
