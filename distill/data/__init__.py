"""Labelled pictures: where they come from, how they are split, and the hash of what was read.

`load` is the door. A source is one of

- a folder, `.zip` or `.tar[.gz|.xz|.bz2]` of `split/class/name.ext` (`tree`, `folder`, `archives`);
- a Hub data set in parquet, `hub:ORG/NAME@REVISION`, or local parquet (`parquet`);
- `digits`, scikit-learn's (`digits`).

`sources.SOURCES` lists them. Each gives `Example` rows and, for the rows asked for, their pictures;
the rest is common to all.
"""

from __future__ import annotations

from pathlib import Path

from distill.config import Data
from distill.data.pictures import decode_all
from distill.data.record import Dataset, Split
from distill.data.sources import open_source
from distill.data.split import classes_of, not_held_out, select

__all__ = ["Dataset", "Split", "load"]


def load(data: Data, split: Split, root: Path | None = None) -> Dataset:
    """Read one split; only its pictures are decoded, as RGB squares of `data.image_size` pixels.

    `train` and `validation` are the two parts of the source's own train split, unless it has a
    validation split too: per class, the round(validation * n) examples whose `class/name` has the
    smallest sha256 are held out. The order is that of `class/name`, whatever the order on disk;
    classes are sorted by name (`data.order`), those of parquet and the digits by the number that
    they have there. `root` is the directory in which
    a relative path is looked for first (none: the environment variable ZOO_DATA).

    Anything wrong with the source is one DistillError that names the file.
    """
    source = open_source(data, root)
    examples, order, doubts = source.listing()
    classes = classes_of(examples, order, source.where, data.order == "natural")
    chosen = select(examples, split, data.validation, source.where)
    if split == "train":
        doubts += not_held_out(examples, data.validation)
    images = decode_all(source.read(chosen), len(chosen), data.image_size)
    return Dataset.of(images, chosen, classes, split, doubts if split == "train" else ())
