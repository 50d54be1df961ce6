"""scikit-learn's digits: 1,797 pictures of 8 x 8 grey pixels, in the package itself.

Optical Recognition of Handwritten Digits, UCI (Alpaydin and Kaynak 1998), its test part; CC BY
4.0. It comes without splits: per class, the fifth whose `class/row` has the smallest sha256 is
the test split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from distill.data.record import Example, Listing, Picture
from distill.data.split import with_test
from distill.errors import DistillError


class Digits:
    """Classes "0" to "9"; grey values 0 to 16 are spread over 0 to 255."""

    def __init__(self, where: str) -> None:
        self.where = where
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise DistillError(
                "the digits come with scikit-learn, which is not installed",
                "pip install 'studentzoo[train]'",
            ) from error
        values, self._labels = load_digits(return_X_y=True)
        grey = np.rint(values * (255 / 16)).astype(np.uint8)
        self._images = grey.reshape(-1, 8, 8)  # uint8 (1797, 8, 8)

    def listing(self) -> Listing:
        """Every digit, named by its row."""
        rows = (Example("train", str(c), f"{i:04d}", i) for i, c in enumerate(self._labels))
        return Listing(with_test(rows), tuple("0123456789"))

    def read(self, wanted: Sequence[Example]) -> Iterator[Picture]:
        """The pictures, uint8 (8, 8)."""
        for place, example in enumerate(wanted):
            yield Picture(place, f"digit {example.key}", self._images[int(example.key)])
