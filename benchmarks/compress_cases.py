"""What `compare_compress.py` compresses and reads: files, calibration, tests, what is timed.

Each case is a folder of WORK/cases: fp32.onnx, calibration.npz (for the peers), photos/ (the same
pictures, for `zoo compress`), test.npz. Nothing of it belongs into the repository.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

Feed = dict[str, np.ndarray]
CALIBRATION = 512  # pictures of the train split, or sentences
TRAINED = 64  # pixels that compress_nets.py trains at
TOKENS = (16, 128)  # lengths at which sentences are timed


@dataclass(frozen=True)
class Case:
    """One float file."""

    name: str  # of its folder
    net: str
    size: int = 0  # pixels a side; 0: it reads sentences
    test: int = 0  # pictures, or pairs of sentences, of the test split
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # of [0, 1]: ImageNet's, as everybody has them
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    labelled: bool = True  # the classes are CIFAR-10's
    least: float | None = None  # agreement that `zoo compress` is asked for; None: its default

    def folder(self, work: Path) -> Path:
        return work / "cases" / self.name


LITE = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3, "labelled": False, "least": 0.8}
CASES = (
    *(
        Case(f"{net}-{size}", net, size, test)
        for net in ("shufflenet-v2-1x", "mobilenet-v2", "resnet-18")
        for size, test in ((64, 2000), (224, 500))
    ),
    Case("efficientnet-lite0-224", "efficientnet-lite0", 224, 500, **LITE),  # type: ignore[arg-type]
    Case("minilm-l6", "minilm-l6", test=500),
)


def make(case: Case, work: Path, data: Path, sentences: Path | None) -> str:
    """Write what is missing of a case's folder; why it cannot be, or nothing."""
    folder = case.folder(work)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "fp32.onnx").exists():
        from compress_nets import export_net

        reason = export_net(case.net, folder / "fp32.onnx", case.size, work)
        if reason:
            return reason
    if (folder / "test.npz").exists():
        return ""
    if case.size:
        return make_pictures(case, folder, data)
    return make_sentences(case, folder, sentences)


def make_pictures(case: Case, folder: Path, data: Path) -> str:
    """CIFAR-10 at the case's size: every so many of each split, so that all classes are there."""
    from distill.config import Data
    from distill.data import load

    for split, wanted in (("train", CALIBRATION), ("test", case.test)):  # the test's comes last
        found = load(Data(source=str(data), licence="", image_size=32), split)
        chosen = spread(len(found.images), wanted)
        pictures = np.stack([shown(found.images[k], case) for k in chosen])
        labels = np.asarray(found.labels)[chosen]
        if split == "test":
            np.savez(folder / "test.npz", pictures=pictures, labels=labels)
        else:
            kept = {"pictures": pictures, "mean": case.mean, "std": case.std}
            np.savez(folder / "calibration.npz", **kept)
            save_photos(folder, pictures, labels)
    return ""


def spread(n: int, wanted: int) -> np.ndarray:
    """`wanted` places of n, evenly apart."""
    return np.linspace(0, n - 1, min(n, wanted)).round().astype(int)


def shown(picture: np.ndarray, case: Case) -> np.ndarray:
    """uint8 (h, w, 3) to (size, size, 3): enlarged, bilinear.

    A network trained at 64 px knows things of that scale only: for more pixels it sees the picture
    of 64 with mirrored ones around. What it makes of that stands in the tables.
    """
    side = min(case.size, TRAINED) if case.labelled else case.size
    grown = np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BILINEAR))
    rest = case.size - side
    around = (rest // 2, rest - rest // 2)
    return np.pad(grown, (around, around, (0, 0)), mode="symmetric")


def save_photos(folder: Path, pictures: np.ndarray, labels: np.ndarray) -> None:
    """The pictures as PNG, and labels.csv beside them."""
    photos = folder / "photos"
    photos.mkdir(exist_ok=True)
    rows = []
    for k, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        Image.fromarray(picture).save(photos / f"{k:05}.png")
        rows.append((f"{k:05}.png", int(label)))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def make_sentences(case: Case, folder: Path, sentences: Path | None) -> str:
    """Tokens of STS-B's first sentences of training, and of pairs of its test with their scores."""
    if sentences is None:
        return "it needs --sentences, a folder with stsb-train.tsv and stsb-test.tsv"
    train, test = (rows(sentences / f"stsb-{split}.tsv") for split in ("train", "test"))
    texts = [train[k][1] for k in spread(len(train), CALIBRATION)]
    pairs = [test[k] for k in spread(len(test), case.test)]
    np.savez(folder / "calibration.npz", **tokens(texts))
    read = tokens([text for _, *both in pairs for text in both])
    np.savez(folder / "test.npz", scores=[float(score) for score, *_ in pairs], **read)
    return ""


def rows(path: Path) -> list[list[str]]:
    """Score, sentence, sentence."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [cells for line in lines if len(cells := line.split("\t")) == 3]


def tokens(texts: list[str]) -> Feed:
    """int64 (n, longest) each, padded behind."""
    from compress_nets import minilm_folder
    from transformers import AutoTokenizer

    reader = AutoTokenizer.from_pretrained(minilm_folder())
    return dict(reader(texts, return_tensors="np", padding=True, truncation=True, max_length=128))


def one_by_one(kept: Feed) -> Iterator[Feed]:
    """Each text alone, without its padding."""
    for k, mask in enumerate(kept["attention_mask"]):
        yield {name: array[k : k + 1, : int(mask.sum())] for name, array in kept.items()}


def normalised(case: Case, pictures: np.ndarray) -> np.ndarray:
    """uint8 (n, h, w, 3) to float32 (n, 3, h, w)."""
    planes = (pictures.astype(np.float32) / 255 - np.float32(case.mean)) / np.float32(case.std)
    return np.ascontiguousarray(planes.transpose(0, 3, 1, 2))


def timed_feeds(case: Case, work: Path) -> dict[str, Feed]:
    """What one call reads, by the label that the table shows: one picture, or one sentence."""
    if case.size:
        picture = np.load(case.folder(work) / "test.npz")["pictures"][:1]
        return {f"{case.size} px": {"input": normalised(case, picture)}}
    rng = np.random.default_rng(0)
    ids = {n: rng.integers(1000, 30000, (1, n)) for n in TOKENS}
    return {
        f"{n} tokens": {
            "input_ids": ids[n],
            "attention_mask": np.ones((1, n), np.int64),
            "token_type_ids": np.zeros((1, n), np.int64),
        }
        for n in TOKENS
    }
