"""quicken: a teacher that is a recipe's student labels by an 8-bit file of its own, if it may.

Two facts decide: it answers as the fp32 file does, on views as they will be labelled, and it is
faster in parts as they will be asked. Otherwise the fp32 file labels, and the reason is kept.
"""

from __future__ import annotations

import math
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.chain.job import Job, Step, finished
from zoo.chain.made import Read, Steps
from zoo.errors import RecipeError
from zoo.files import sha256
from zoo.records import plain, reader
from zoo.records.labeller import Labeller
from zoo.records.text import Document

if TYPE_CHECKING:
    import numpy as np

    from compress.ladder import Judgement, Tried
    from distill.teachers import Teacher
    from distill.views import Views

FORMAT = 1  # counts up when other files, or other choices, come of the same settings
CALIBRATION = 512  # pictures of the train split, each in one view, at most; no others judge
JUDGED, ENOUGH = 4096, 2000  # drawn views that judge; of fewer different ones nothing is concluded
MIN_AGREEMENT = 0.995  # fraction of them with the fp32 file's first answer
TIMED = 32  # pictures of a timed call, for each core


def run(job: Job, data: Read, name: str, file: Path) -> Steps[tuple[Path, Labeller | None]]:
    """The file that labels, of the teacher `name` whose export wrote `file`; kept with the teacher.

    None: there is no choice. In a quick build, in which nothing is timed, it is the one that was
    kept, else the fp32 file.
    """
    from compress import processor
    from distill.views import views_of

    source = job.maker.quick_source(file.parent)
    if source is None:
        return file, None
    views = views_of(data.train, job.maker.views())
    reads = {
        "format": FORMAT,
        "files": [sha256(file), sha256(source)],
        "views": views.key,
    } | processor.narrowed()

    def make(out: Path) -> dict[str, Any]:
        return plain.to_dict(_choose(job, data, file, source, views, out))

    says = f"is there an 8-bit file of {name} that labels faster?"
    step = Step("quicken", says, reads, make, job.root / name)
    if job.quick and not finished(job.root / name, step):
        return file, _labeller(file, file.parent, 0, [], "nothing is timed (quick)")
    done = yield step
    found = reader.read(Labeller, Document(done.result, str(done.folder)), RecipeError)
    if found.precision == "fp32":
        job.say(f"  no, its fp32 file labels: {found.reason}")
        return file, found
    job.say(
        f"  yes, {found.attempt}: {found.agreement:.2%} alike, {found.speed_ratio:.2f} the time"
    )
    return _path(done.folder, found.attempt), found


def _path(folder: Path, attempt: str) -> Path:
    return folder / f"{attempt}.onnx"


def _choose(job: Job, data: Read, file: Path, source: Path, views: Views, out: Path) -> Labeller:
    """Make 8-bit files in `out` until one is as good, or none can be faster."""
    import numpy as np

    from compress.errors import CompressError

    order = np.random.default_rng(0).permutation(len(views))
    few = max(1, min(CALIBRATION, len(views) // 3))
    judged = distinct(drawn(views, order[few:], JUDGED)) if len(views) > few else order[:0]
    n, tried, reason = len(judged), [], ""
    if n < ENOUGH:
        reason = f"{n:,} different views to judge on, {ENOUGH:,} are wanted"
    else:
        try:
            judge = _Judge(job, data.labels, file, judged)
            tried = _climb(source, out, drawn(views, order[:few], few), judge)
        except CompressError as error:
            reason = str(error)
    return _labeller(file, out, n, tried, reason)


def drawn(views: Views, rows: np.ndarray, many: int) -> np.ndarray:
    """`many` pictures uint8 (many, s, s, 3): rows (b,), b >= 1, in one view after the other."""
    import numpy as np
    import torch

    found: list[np.ndarray] = []
    for number in count():
        if not many:
            break
        found.append(views.view(number).examples(torch.from_numpy(rows[:many])))
        many -= len(found[-1])
    return np.concatenate(found)


def distinct(pictures: np.ndarray) -> np.ndarray:
    """Each picture (n, ...) once: doubles would make a sample seem larger than it is."""
    import numpy as np

    _, first = np.unique([hash(one.tobytes()) for one in pictures], return_index=True)
    return pictures[np.sort(first)]


def _climb(source: Path, out: Path, pictures: np.ndarray, judge: _Judge) -> list[Tried]:
    """The static attempts, up to the first that passes, or that is slow with all layers in 8 bits:
    those that follow have no fewer in float."""
    from compress import ladder
    from compress.config import LADDER, Compress, Gates

    gates = Gates(min_agreement=MIN_AGREEMENT, max_speed_ratio=math.inf)  # `_Judge` says of speed
    tried: list[Tried] = []
    for attempt in LADDER:
        one = Compress((attempt,), len(pictures))
        tried += ladder.climb(source, out, [pictures], one, gates, judge).attempts
        last = tried[-1]
        slow = last.speed_ratio_high is not None and not faster(last.speed_ratio_high)
        if last.verdict == "pass" or (slow and not last.settings["float_nodes"]):
            break
    return tried


def faster(high: float) -> bool:
    """Whether a ratio of times, whose interval ends at `high`, is surely below 1."""
    return high < 1


class _Judge:
    """Measures an 8-bit file of a teacher beside its fp32 file, on pictures uint8 (n, s, s, 3)."""

    def __init__(self, job: Job, labels: tuple[str, ...], fp32: Path, pictures: np.ndarray) -> None:
        self.job, self.labels, self.pictures = job, labels, pictures
        self.fp32 = self._opened(fp32)
        self.expected = self.fp32(pictures)

    def _opened(self, path: Path) -> Teacher:
        return self.job.maker.teacher(self.labels, path)

    def __call__(self, path: Path) -> Judgement:
        from compress.errors import CompressError
        from compress.ladder import Judgement
        from distill.errors import DistillError
        from distill.teachers.onnx_file import cores

        self.job.say(f"  {path.stem}: agreement and speed")
        try:
            int8 = self._opened(path)
            agreement = self.job.task.agree(int8(self.pictures), self.expected)
        except DistillError as error:
            raise CompressError(str(error)) from error
        some = self.pictures[: TIMED * cores()]
        ratio, low, high = self.job.timed(lambda: int8(some), lambda: self.fp32(some))
        slow = f"{ratio:.2f} ({low:.2f} to {high:.2f}) of the fp32 file's time"
        missed = () if faster(high) else (slow,)
        return Judgement(None, agreement, None, ratio, low, high, missed)


def _labeller(file: Path, out: Path, n: int, tried: list[Tried], reason: str) -> Labeller:
    """What passed, or the first that was measured and why each was refused."""
    passed = [one for one in tried if one.verdict == "pass"]
    shown = next(iter(passed or [one for one in tried if one.agreement is not None]), None)
    chosen = _path(out, passed[0].name) if passed else file
    refused = "; ".join(filter(None, [reason, *(f"{t.name}: {t.reason}" for t in tried)]))
    return Labeller(
        precision="int8" if passed else "fp32",
        sha256=sha256(chosen),
        n=n,
        attempt=shown.name if shown else "",
        agreement=shown.agreement if shown else None,
        speed_ratio=shown.speed_ratio if shown else None,
        speed_ratio_low=shown.speed_ratio_low if shown else None,
        speed_ratio_high=shown.speed_ratio_high if shown else None,
        reason="" if passed else refused,
    )
