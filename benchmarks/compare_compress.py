"""`zoo compress` beside the quantizers of other projects: five networks, one interleaved run each.

    python benchmarks/compare_compress.py --work FOLDER --data cifar10.zip
        [--sentences FOLDER] [--python nncf=VENV/bin/python] [--python olive=...]
        [--only make,quantize,score,time] [--cases GLOB] [--tools ours,nncf] [--seconds 60]
        [--page docs/compress-peers.md]

Steps: make (export, pictures), quantize (every tool, each in the environment that --python names),
score (top-1 agreement with the float file on the test split, or cosine of embeddings), time (batch
1, one thread, files in turns). What is found is kept in FOLDER/cases, and printed as markdown;
`--only time` measures again, `--only ""` prints. A tool that fails or refuses stands there too.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from compress_cases import CASES, Case, Feed, make, normalised, one_by_one, timed_feeds
from compress_tables import tables

from zoo.measure import bench, machine
from zoo.measure.verify import wilson
from zoo.students.session import create

PEERS = Path(__file__).with_name("compress_peers.py")
PICTURES = ("ort-static", "ort-dynamic", "olive", "olive-tuned", "nncf", "nncf-mixed")
TOOLS = {"pictures": ("ours", *PICTURES), "texts": ("ours", *PICTURES, "ort-transformer")}
START, END = "<!-- compress: generated -->\n", "<!-- compress: end -->\n"
STEPS = ("make", "quantize", "score", "time")
Results = dict[str, dict[str, Any]]  # case -> file -> what was found of it


def tools_of(case: Case, asked: set[str]) -> list[str]:
    """The tools that a case is given to."""
    return [t for t in TOOLS["pictures" if case.size else "texts"] if not asked or t in asked]


def quantize(case: Case, tool: str, work: Path, pythons: dict[str, str]) -> dict[str, Any]:
    """Make a tool's file; what it says of it."""
    folder = case.folder(work)
    out = folder / f"{tool}.onnx"
    out.unlink(missing_ok=True)
    command = ours(case, folder, out) if tool == "ours" else peer(tool, folder, out, pythons)
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (folder / f"{tool}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    wall = round(time.monotonic() - began, 1)
    if done.returncode or not out.exists():
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"failed": last[:300], "seconds": wall}
    said = json.loads(done.stdout)
    return {"seconds": wall, "said": said} if tool == "ours" else {"seconds": wall, **said}


def peer(tool: str, folder: Path, out: Path, pythons: dict[str, str]) -> list[str]:
    """The peer's script by the interpreter of its environment."""
    python = pythons.get(tool.split("-")[0], sys.executable)
    files = (folder / "fp32.onnx", folder / "calibration.npz", out)
    return [python, str(PEERS), tool, *map(str, files)]


def ours(case: Case, folder: Path, out: Path) -> list[str]:
    """The command that anybody would give; with another bound where the default one refuses."""
    given = ["--data", str(folder / ("photos" if case.size else "calibration.npz"))]
    if case.size:
        given += ["--mean", *_listed(case.mean), "--std", *_listed(case.std)]
    if case.least is not None:
        given += ["--min-agreement", str(case.least)]
    command = [sys.executable, "-m", "zoo", "compress", str(folder / "fp32.onnx")]
    return [*command, *given, "-o", str(out), "--json"]


def _listed(values: tuple[float, ...]) -> list[str]:
    return [",".join(f"{value:.6g}" for value in values)]


def score(case: Case, paths: dict[str, Path], work: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """What each file answers to the test split, beside the answers of the first, the float file."""
    kept = dict(np.load(case.folder(work) / "test.npz"))
    reference = None
    for label, path in paths.items():
        if case.size:
            found = answers(path, case, kept["pictures"])
            reference = found if reference is None else reference
            scored = picture_scores(found, reference, kept["labels"] if case.labelled else None)
        else:
            found = embeddings(path, {k: v for k, v in kept.items() if k != "scores"})
            reference = found if reference is None else reference
            scored = text_scores(found, reference, kept["scores"])
        yield label, {"bytes": path.stat().st_size} | scored


def answers(path: Path, case: Case, pictures: np.ndarray, batch: int = 20) -> np.ndarray:
    """Top-1 class of every picture, int (n,)."""
    session = create(path)
    (name,) = (value.name for value in session.get_inputs())
    starts = range(0, len(pictures), batch)
    parts = (normalised(case, pictures[k : k + batch]) for k in starts)
    return np.concatenate([session.run(None, {name: part})[0].argmax(1) for part in parts])


def embeddings(path: Path, kept: Feed) -> np.ndarray:
    """Mean over the tokens of each text's vectors, of length 1: float32 (n, width)."""
    session = create(path)
    found = [session.run(None, feed)[0][0].mean(0) for feed in one_by_one(kept)]
    return np.stack([vector / np.linalg.norm(vector) for vector in found])


def picture_scores(
    found: np.ndarray, reference: np.ndarray, labels: np.ndarray | None
) -> dict[str, Any]:
    """Agreement with the reference, and accuracy where there are labels: [value, low, high]."""
    scores: dict[str, Any] = {"n": len(found), "agreement": share(found == reference)}
    return scores if labels is None else scores | {"accuracy": share(found == labels)}


def share(right: np.ndarray) -> list[float]:
    """[value, low, high] of a proportion."""
    count, n = int(right.sum()), len(right)
    return [round(value, 4) for value in (count / n, *wilson(count, n))]


def text_scores(found: np.ndarray, reference: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    """Cosine to the reference's embeddings; rank correlation of pairs with people's scores."""
    cosine, alike = (found * reference).sum(1), (found[::2] * found[1::2]).sum(1)
    return {
        "n": len(found),
        "cosine": round(float(cosine.mean()), 5),
        "cosine_min": round(float(cosine.min()), 5),
        "spearman": round(spearman(alike, scores), 4),
    }


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation; equal values share the mean of their ranks."""
    ranks = []
    for values in (a, b):
        _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(counts) - (counts - 1) / 2)[place])
    return float(np.corrcoef(*ranks)[0, 1])


def measure(paths: dict[str, Path], feed: Feed, seconds: float) -> dict[str, dict[str, Any]]:
    """Latency of every file over fp32 in one interleaved run of about so many seconds."""
    calls = {label: opened(path, feed) for label, path in paths.items()}
    calls[bench.CONTROL] = opened(paths[bench.REFERENCE], feed)
    blocks = bench.interleave(calls, rounds_for(calls, seconds))
    reference = blocks[bench.REFERENCE]
    return {
        label: {
            "ratio": list(bench.ratio(timed, reference)),
            "p50_ms": round(float(np.median(np.concatenate(timed))) * 1e3, 4),
            "rounds": len(timed),
        }
        for label, timed in blocks.items()
    }


def opened(path: Path, feed: Feed) -> Callable[[], object]:
    """One call of a file."""
    session = create(path)
    wanted = {value.name for value in session.get_inputs()}
    given = {name: array for name, array in feed.items() if name in wanted}
    return lambda: session.run(None, given)


def rounds_for(calls: dict[str, Callable[[], object]], seconds: float) -> int:
    """As many rounds as fit, 15 to 100: one is timed first."""
    began = time.perf_counter()
    bench.interleave(calls, 1)
    return int(min(100, max(15, seconds / (time.perf_counter() - began))))


def files_of(case: Case, work: Path, tools: list[str]) -> dict[str, Path]:
    """The float file and those that tools have made of it."""
    found = {bench.REFERENCE: case.folder(work) / "fp32.onnx"}
    made = {tool: case.folder(work) / f"{tool}.onnx" for tool in tools}
    return found | {tool: path for tool, path in made.items() if path.exists()}


class Run:
    """The steps on the cases that were asked for; every finding is written at once."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        kept = {case.name: self.path(case) for case in CASES}
        self.results: Results = {
            name: json.loads(path.read_text()) for name, path in kept.items() if path.exists()
        }
        self.tools = set(filter(None, args.tools.split(",")))
        self.pythons = dict(pair.split("=", 1) for pair in args.python)

    def path(self, case: Case) -> Path:
        """Where a case's findings are kept: two runs at once may have other cases each."""
        return case.folder(self.args.work) / "results.json"

    def note(self, case: Case, label: str, found: dict[str, Any]) -> None:
        self.results.setdefault(case.name, {}).setdefault(label, {}).update(found)
        text = json.dumps(self.results[case.name], indent=1)
        self.path(case).write_text(text, encoding="utf-8")
        print(case.name, label, json.dumps(found)[:200], file=sys.stderr, flush=True)

    def make(self, case: Case) -> None:
        reason = make(case, self.args.work, self.args.data, self.args.sentences)
        if reason:
            print(f"{case.name} is left out: {reason}", file=sys.stderr)

    def quantize(self, case: Case) -> None:
        for tool in tools_of(case, self.tools):
            self.results.get(case.name, {}).pop(tool, None)
            self.note(case, tool, quantize(case, tool, self.args.work, self.pythons))

    def score(self, case: Case) -> None:
        files = files_of(case, self.args.work, tools_of(case, self.tools))
        for label, found in score(case, files, self.args.work):
            self.note(case, label, found)

    def time(self, case: Case) -> None:
        files = files_of(case, self.args.work, tools_of(case, self.tools))
        for load, feed in timed_feeds(case, self.args.work).items():
            for label, found in measure(files, feed, self.args.seconds).items():
                self.note(case, label, {load: found})


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="where everything is kept")
    parser.add_argument("--data", type=Path, help="CIFAR-10, as in a recipe: a zip, a folder")
    parser.add_argument("--sentences", type=Path, help="stsb-train.tsv and stsb-test.tsv")
    parser.add_argument("--python", action="append", default=[], help="TOOL=interpreter")
    parser.add_argument("--only", default=",".join(STEPS), help="steps, with commas between")
    parser.add_argument("--cases", default="*", help="pattern of their names")
    parser.add_argument("--tools", default="", help="with commas between; left out: all")
    parser.add_argument("--page", type=Path, help="the page whose tables are written anew")
    parser.add_argument("--seconds", type=float, default=60, help="of one interleaved run")
    args = parser.parse_args()
    if unknown := set(filter(None, args.only.split(","))) - set(STEPS):
        parser.error(f"no step is called {', '.join(unknown)}: there are {', '.join(STEPS)}")
    return args


def main() -> int:
    args = arguments()
    run = Run(args)
    for step in filter(None, args.only.split(",")):
        for case in CASES:
            ready = step == "make" or (case.folder(args.work) / "test.npz").exists()
            if ready and fnmatch.fnmatch(case.name, args.cases):
                getattr(run, step)(case)
    text = tables(run.results, f"{machine.cpu_name()}, onnxruntime {ort.__version__}")
    print(text)
    if args.page:
        write_page(args.page, text)
    return 0


def write_page(page: Path, text: str) -> None:
    """The tables between the page's two marks."""
    before, rest = page.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    page.write_text(f"{before}{START}{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
