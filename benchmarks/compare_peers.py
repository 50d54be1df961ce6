"""Our 8-bit file beside those of other quantizers: one float file, one run, one table.

    python benchmarks/compare_peers.py model.fp32.onnx --data cifar10.zip [--plain plain.onnx]
        [--json]

FLOAT is a student's fp32 file (uint8 pictures in). The peers quantize the same file; with --plain
they also quantize a plain torch export of the same weights (float32 (n, 3, h, w) in), and ratios
are over that. All read the same calibration pictures of the train split; accuracy and agreement
are on the test split; latency is one interleaved run. NNCF is tried where it is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import io
import json
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

from compress import int8
from compress.config import Attempt
from compress.rewrite import prepare_int8
from distill.config import Data
from distill.data import load
from zoo.measure import bench
from zoo.measure.loads import PictureLoad
from zoo.measure.verify import wilson
from zoo.students.session import open_session

BATCH = 64
Quantizer = Callable[[Path, Path, np.ndarray], None]  # float file, 8-bit file, pictures


@dataclass(frozen=True)
class Row:
    """One file."""

    tool: str
    source: str  # which float file it was made of
    accuracy: float  # fraction of the test split
    accuracy_low: float  # 95 % Wilson interval
    accuracy_high: float
    agreement: float  # fraction with the top-1 of the float file it was made of
    size_bytes: int
    cpu_seconds: float  # of quantization
    ratio: float = 1.0  # latency over the reference's
    ratio_low: float = 1.0
    ratio_high: float = 1.0


class Batches(CalibrationDataReader):
    """The pictures as onnxruntime's own calibrators read them."""

    def __init__(self, path: Path, pictures: np.ndarray) -> None:
        self._feeds = feeds(path, pictures)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def feeds(path: Path, pictures: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """Batches as the file reads them: bytes, or normalised planes."""
    (wanted,) = open_session(path).get_inputs()
    for start in range(0, len(pictures), BATCH):
        batch = pictures[start : start + BATCH]
        if "float" in wanted.type:
            batch = ((batch.astype(np.float32) - 128) / 64).transpose(0, 3, 1, 2).copy()
        yield {wanted.name: batch}


def answers(path: Path, pictures: np.ndarray) -> np.ndarray:
    """Top-1 class of every picture, int (n,)."""
    session = open_session(path)
    logits = [session.run(None, feed)[0] for feed in feeds(path, pictures)]
    return np.concatenate(logits).argmax(1)


def ours(source: Path, out: Path, pictures: np.ndarray) -> None:
    """The first rung of the ladder."""
    prepared = out.with_suffix(".prepared.onnx")
    onnx.save(prepare_int8(onnx.load(str(source))), str(prepared))
    int8.quantize(prepared, out, [pictures], Attempt("minmax"))


def ort_default(source: Path, out: Path, pictures: np.ndarray) -> None:
    """onnxruntime as it comes: QDQ, one scale a weight, s8 activations."""
    quantize_static(str(source), str(out), Batches(source, pictures))


def ort_tuned(source: Path, out: Path, pictures: np.ndarray) -> None:
    """onnxruntime as its manual advises for x86: a scale a channel, u8 activations."""
    quantize_static(
        str(source),
        str(out),
        Batches(source, pictures),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def nncf_default(source: Path, out: Path, pictures: np.ndarray) -> None:
    """NNCF as it comes."""
    import nncf

    dataset = nncf.Dataset(list(feeds(source, pictures)))
    quantized = nncf.quantize(onnx.load(str(source)), dataset, subset_size=len(pictures))
    onnx.save(quantized, str(out))


def tools() -> dict[str, Quantizer]:
    """Every quantizer that is installed."""
    version = importlib.metadata.version
    found: dict[str, Quantizer] = {
        f"onnxruntime {version('onnxruntime')}, defaults": ort_default,
        f"onnxruntime {version('onnxruntime')}, per-channel u8/s8": ort_tuned,
    }
    if importlib.util.find_spec("nncf"):
        found[f"NNCF {version('nncf')}, defaults"] = nncf_default
    return found


def compare(
    sources: dict[str, Path], pictures: np.ndarray, test: tuple[np.ndarray, np.ndarray], rounds: int
) -> list[Row]:
    """A row for each float file, for our 8-bit file and for every peer on every float file."""
    with tempfile.TemporaryDirectory() as folder:
        jobs = [("studentzoo", "ours", ours)] if "ours" in sources else []
        jobs += [(tool, name, run) for name in sources for tool, run in tools().items()]
        rows, files = _float_rows(sources, test)
        for tool, name, run in jobs:
            out = Path(folder) / f"{len(files)}.onnx"
            spent = _timed(run, sources[name], out, pictures)
            rows.append(_row(tool, name, out, test, answers(sources[name], test[0]), spent))
            files.append(out)
        return _with_ratios(rows, files, test[0].shape[1], rounds)


def _float_rows(sources: dict[str, Path], test: tuple[np.ndarray, np.ndarray]):
    rows = []
    for name, path in sources.items():
        rows.append(_row("float", name, path, test, answers(path, test[0]), 0.0))
    return rows, list(sources.values())


def _timed(run: Quantizer, source: Path, out: Path, pictures: np.ndarray) -> float:
    """CPU seconds of one quantizer, with its talk kept off the table."""
    logging.disable(logging.WARNING)
    start = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        run(source, out, pictures)
    logging.disable(logging.NOTSET)
    return time.process_time() - start


def _row(tool: str, source: str, path: Path, test, exact: np.ndarray, spent: float) -> Row:
    found = answers(path, test[0])
    right = int((found == test[1]).sum())
    low, high = wilson(right, len(found))
    agreement = float((found == exact).mean())
    size = path.stat().st_size
    return Row(tool, source, right / len(found), low, high, agreement, size, round(spent, 2))


def _with_ratios(rows: list[Row], files: list[Path], image_size: int, rounds: int) -> list[Row]:
    """All files timed in one interleaved run, over the first one."""
    labels = ["fp32", *map(str, range(1, len(files)))]
    load = PictureLoad(1, image_size)
    timed = bench.measure(dict(zip(labels, files, strict=True)), load, rounds=rounds)
    return [
        replace(row, ratio=m.ratio_to_fp32, ratio_low=m.ratio_low, ratio_high=m.ratio_high)
        for row, m in zip(rows, timed, strict=True)
    ]


def table(rows: list[Row], n: int) -> str:
    """Markdown; the first row is the reference of the ratios."""
    head = f"| tool | float file | accuracy, n = {n} [95 %] | agreement | KB | latency ratio [95 %]"
    lines = [f"{head} | CPU s |", "|---|---|---|---|---|---|---|"]
    for r in rows:
        accuracy = f"{r.accuracy:.2%} [{r.accuracy_low:.2%}, {r.accuracy_high:.2%}]"
        ratio = f"{r.ratio:.3f} [{r.ratio_low:.3f}, {r.ratio_high:.3f}]"
        size = f"{r.size_bytes / 1000:.0f}"
        cells = [r.tool, r.source, accuracy, f"{r.agreement:.2%}", size, ratio]
        lines.append(f"| {' | '.join(cells)} | {r.cpu_seconds:.1f} |")
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("float", type=Path, help="a student's fp32 file")
    parser.add_argument("--plain", type=Path, help="a plain torch export of the same weights")
    parser.add_argument("--data", required=True, help="as in a recipe: a folder, zip, tar, digits")
    parser.add_argument("--image-size", type=int, default=32, help="pixels a side")
    parser.add_argument("--calibration", type=int, default=512, help="pictures of the train split")
    parser.add_argument("--rounds", type=int, default=60, help="of the timing")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    return parser.parse_args()


def main() -> int:
    args = arguments()
    data = Data(source=args.data, licence="", image_size=args.image_size)
    train, test = load(data, "train"), load(data, "test")
    sources = ({"plain export": args.plain} if args.plain else {}) | {"ours": args.float}
    step = max(1, len(train.images) // args.calibration)
    pictures = np.ascontiguousarray(train.images[::step][: args.calibration])
    rows = compare(sources, pictures, (test.images, test.labels), args.rounds)
    text = json.dumps([asdict(row) for row in rows], indent=2)
    print(text if args.json else table(rows, len(test.labels)))
    if not importlib.util.find_spec("nncf"):
        print("NNCF is not installed here: its rows are missing", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
