"""Labelled pictures: where they come from, how they are split, and the hash of what was read.

`load` is the door. A source is one of

- a folder, `.zip` or `.tar[.gz|.xz|.bz2]` of `split/class/name.ext` (`tree`, `folder`, `archives`);
- a Hub data set in parquet, `hub:ORG/NAME@REVISION`, or local parquet (`parquet`);
- a table of paths and labels, `.csv`, `.tsv` or `.jsonl` (`tables`);
- `digits`, scikit-learn's (`digits`).

`sources.SOURCES` lists them. Each gives `Example` rows and, for the rows asked for, their pictures;
the rest is common to all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from distill.config import Data
from distill.data import pictures
from distill.data.pictures import Broken, decode_all
from distill.data.record import Bare, Dataset, Example, Listing, Source, Split
from distill.data.sources import open_source
from distill.data.split import check_left, classes_of, not_held_out, select
from distill.data.unlabelled import without_labels

__all__ = ["Dataset", "Split", "load"]


def load(data: Data, split: Split, root: Path | None = None) -> Dataset:
    """Read one split; only its pictures are decoded, as RGB squares of `data.image_size` pixels.

    Where `data.keep_size` is larger, as squares of that size too.

    `train` and `validation` are the two parts of the source's own train split, unless it has a
    validation split too: per class, the round(validation * n) examples whose `class/name` has the
    smallest sha256 are held out. The order is that of `class/name`, whatever the order on disk;
    classes are sorted by name (`data.order`), those of parquet and the digits by the number that
    they have there. `root` is the directory in which
    a relative path is looked for first (none: the environment variable ZOO_DATA).

    Where `data.labelled` is false there are no classes, and a label is nobody's (`unlabelled`).

    Anything wrong with the source is one DistillError that names the file. Where pictures of the
    split cannot be read it tells of those in all splits, or they are left out (`data.on_broken`).
    """
    source = open_source(data, root)
    examples, order, doubts = source.listing() if data.labelled else _unlabelled(source)
    classes = classes_of(examples, order, source.where, data.order) if data.labelled else ()
    chosen = select(examples, split, data.validation, source.where)
    if split == "train":
        doubts += not_held_out(examples, data.validation)
    sizes = sorted({data.image_size, data.seen_size})
    images, broken = decode_all(source.read(chosen), len(chosen), sizes)
    doubts = doubts if split == "train" else ()
    if broken:
        if data.on_broken == "stop":
            raise _all_broken(source, examples, chosen, broken)
        doubts += (_left_out(broken, split),)
        good = np.setdiff1d(np.arange(len(chosen)), list(broken))
        images, chosen = [one[good] for one in images], [chosen[i] for i in good]
        check_left(chosen, classes, split, source.where)
    return Dataset.of(images[0], chosen, classes, split, doubts, len(broken), *images[1:])


def _unlabelled(source: Source) -> Listing:
    """Every picture; of a source that knows labelled ones only, those without their labels."""
    if isinstance(source, Bare):
        return source.pictures()
    return without_labels(source.listing())


def _all_broken(
    source: Source, examples: Sequence[Example], chosen: Sequence[Example], broken: Broken
) -> Exception:
    """One error for the broken pictures of `chosen` and of all the other examples."""
    known = set(chosen)
    others = [example for example in examples if example not in known]
    return pictures.error_of([*broken.values(), *pictures.broken_of(source.read(others)).values()])


def _left_out(broken: Broken, split: Split) -> str:
    some = pictures.shown(list(broken.values()))
    return f"pictures of {split} left out because they cannot be read: {len(broken)} ({some})"
