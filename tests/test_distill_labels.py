"""What is kept of a teacher: as true as fp16, and the same bytes however often the work was cut."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

torch = pytest.importorskip("torch")

from distill import augment as views  # noqa: E402
from distill import labels  # noqa: E402
from distill.config import Augment, Labels  # noqa: E402
from distill.data import Dataset  # noqa: E402
from distill.errors import DistillError  # noqa: E402
from distill.teachers import Teacher  # noqa: E402
from distill.views import views_of  # noqa: E402

ROOT = Path(__file__).parent.parent
SIZE, CLASSES, N = 8, 12, 20
TEACHER = "a" * 64
AUGMENT = Augment(crop_padding=2, flip=True, cutout=3, mixup=0.4)
CONFIG = Labels(views=2, top_k=4, audit=0.2)
ALL = replace(CONFIG, top_k=CLASSES)


def dataset(n: int = N, classes: int = CLASSES, sha256: str = "d" * 64) -> Dataset:
    images = np.random.default_rng(1).integers(0, 256, (n, SIZE, SIZE, 3), np.uint8)
    names = tuple(f"class-{i:02d}" for i in range(classes))
    return Dataset(images, np.arange(n) % classes, names, "train", sha256)


WEIGHTS = np.random.default_rng(2).integers(-9, 10, (SIZE * SIZE * 3, CLASSES))


def ask(pictures: np.ndarray) -> np.ndarray:
    """A teacher in whole numbers: the same logits in whatever batch, between -9 and 9 or so."""
    return (pictures.reshape(len(pictures), -1).astype(np.int64) @ WEIGHTS) / 5000


class Counting:
    """Remembers how many pictures it was asked about."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        self.asked += len(pictures)
        return ask(pictures)


def keep(
    root: Path,
    teacher: Callable[[np.ndarray], np.ndarray] = ask,
    config: Labels = CONFIG,
    data: Dataset | None = None,
) -> labels.Kept:
    return labels.keep(teacher, TEACHER, data or dataset(), AUGMENT, config, root)


def live(view: int) -> np.ndarray:
    """Logits (n, classes) of the teacher itself."""
    data = dataset()
    drawn = views.draw(AUGMENT, N, SIZE, view)
    seen = views.apply(AUGMENT, drawn, torch.from_numpy(data.images), torch.arange(N))
    return ask(seen.numpy())


def recalled(kept: labels.Kept, view: int, rows: list[int] | None = None) -> np.ndarray:
    rows = list(range(N)) if rows is None else rows
    return kept(view, torch.tensor(rows), torch.empty(0)).numpy()


def shards(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*.npz"))}


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "SHARD", 8)  # three a view: 8, 8, 4


# --- truth ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", range(CONFIG.views))
def test_kept_logits_are_the_live_ones_in_fp16(tmp_path: Path, view: int) -> None:
    found = recalled(keep(tmp_path, config=ALL), view)
    assert found.dtype == np.float32
    assert np.array_equal(found, live(view).astype(np.float16).astype(np.float32))


def test_rows_are_recalled_in_the_order_asked_for(tmp_path: Path) -> None:
    kept = keep(tmp_path)
    assert np.array_equal(recalled(kept, 1, [7, 0, 7]), recalled(kept, 1)[[7, 0, 7]])


@pytest.mark.parametrize("top_k", [1, 4, CLASSES - 1, CLASSES, 99])
def test_the_classes_that_are_not_kept_share_the_mass_that_the_teacher_gave_them(
    tmp_path: Path, top_k: int
) -> None:
    found = recalled(keep(tmp_path, config=replace(CONFIG, top_k=top_k)), 0)
    for mine, true in zip(found, live(0), strict=True):
        order = np.argsort(-true)
        best, others = order[:top_k], order[top_k:]
        assert mine[best] == pytest.approx(true[best], rel=5e-4, abs=1e-4)
        assert len(set(mine[others])) <= 1
        assert np.exp(mine[others]).sum() == pytest.approx(np.exp(true[others]).sum(), rel=1e-2)


@settings(max_examples=25)
@given(
    hnp.arrays(
        np.float32,
        (3, 5),
        elements=st.floats(-65504, 65504, width=32),
        fill=st.nothing(),
    ),
    st.integers(1, 5),
)
def test_any_logits_that_fp16_holds_are_kept(
    tmp_path_factory: pytest.TempPathFactory, logits: np.ndarray, top_k: int
) -> None:
    data = dataset(3, 5)
    data.images[:] = np.arange(3)[:, None, None, None]  # a picture says which row it is
    kept = labels.keep(
        lambda pictures: logits[pictures[:, 0, 0, 0]],
        TEACHER,
        data,
        Augment(),
        Labels(views=1, top_k=top_k, audit=1.0),
        tmp_path_factory.mktemp("labels"),
    )
    found = kept(0, torch.arange(3), torch.empty(0)).numpy()
    assert np.isfinite(found).all()
    top = np.sort(logits, 1)[:, ::-1][:, :top_k].astype(np.float16)
    assert np.array_equal(np.sort(found, 1)[:, ::-1][:, :top_k].astype(np.float16), top)
    assert kept.audit.agreement == 1.0


def test_the_audit_says_how_many_rows_it_asked_again(tmp_path: Path) -> None:
    audit = keep(tmp_path).audit
    assert audit.rows == 2 * 4  # a fifth of 20 pictures, in two views
    assert audit.agreement == 1.0
    assert 0 < audit.max_difference < 1e-2


def test_the_size_is_that_of_the_files(tmp_path: Path) -> None:
    assert keep(tmp_path).size_bytes == sum(map(len, shards(tmp_path).values()))


# --- kept ----------------------------------------------------------------------------------------


def test_what_is_kept_is_not_asked_again_but_for_the_audit(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    kept = keep(tmp_path, first)
    again = keep(tmp_path, second)
    assert (first.asked, second.asked) == (2 * N + 8, 8)
    assert again.key == kept.key and again.size_bytes == kept.size_bytes
    assert all(np.array_equal(recalled(again, v), recalled(kept, v)) for v in (0, 1))


def test_more_views_ask_for_the_new_ones_only(tmp_path: Path) -> None:
    keep(tmp_path)
    counting = Counting()
    keep(tmp_path, counting, replace(CONFIG, views=3))
    assert counting.asked == N + 3 * 4


OTHERS = {
    "teacher": ("b" * 64, dataset(), AUGMENT, CONFIG),
    "data": (TEACHER, dataset(sha256="e" * 64), AUGMENT, CONFIG),
    "augment": (TEACHER, dataset(), replace(AUGMENT, mixup=0.5), CONFIG),
    "top_k": (TEACHER, dataset(), AUGMENT, replace(CONFIG, top_k=5)),
}


def key(teacher: str, data: Dataset, how: Augment, config: Labels) -> str:
    return labels.key(teacher, views_of(data, how), config)


@pytest.mark.parametrize("changed", OTHERS)
def test_another_origin_has_another_key(changed: str) -> None:
    assert key(*OTHERS[changed]) != key(TEACHER, dataset(), AUGMENT, CONFIG)


def test_how_much_is_kept_and_audited_is_no_part_of_the_key() -> None:
    wider = replace(CONFIG, views=9, audit=1.0)
    assert key(TEACHER, dataset(), AUGMENT, wider) == key(TEACHER, dataset(), AUGMENT, CONFIG)


@pytest.mark.usefixtures("small_shards")
def test_a_killed_run_goes_on_with_the_next_shard(tmp_path: Path) -> None:
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    died = subprocess.run(
        [sys.executable, __file__, str(cut)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert [Path(name).name for name in shards(cut)] == ["00000000.npz"]
    counting = Counting()
    kept = keep(cut, counting)
    assert counting.asked == 2 * N - 8 + 8  # all but the first shard, and the audit
    uninterrupted = keep(whole)
    assert shards(cut) == shards(whole)
    assert np.array_equal(recalled(kept, 0), recalled(uninterrupted, 0))


def _label_and_die(root: Path) -> None:
    """In a process of its own: a teacher that is killed at its second shard."""
    labels.SHARD = 8
    counting = Counting()

    def teacher(pictures: np.ndarray) -> np.ndarray:
        if counting.asked:
            os.kill(os.getpid(), signal.SIGKILL)
        return counting(pictures)

    keep(root, teacher)


def _flipped(content: bytes) -> bytes:
    at = content.rindex(b"\x93NUMPY") + 130  # in the numbers of the last array
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def _narrower(content: bytes) -> bytes:
    record = dict(np.load(io.BytesIO(content)))
    made = io.BytesIO()
    np.savez(made, **{k: v[:-1] if v.ndim else v for k, v in record.items()})
    return made.getvalue()


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize(
    "broken",
    [lambda c: b"", lambda c: c[:100], lambda c: c[:-5], lambda c: b"x" * 99, _flipped, _narrower],
    ids=["empty", "cut", "cut-at-the-end", "noise", "flipped", "narrower"],
)
def test_a_broken_shard_is_asked_for_again(
    tmp_path: Path, broken: Callable[[bytes], bytes]
) -> None:
    keep(tmp_path)
    before = shards(tmp_path)
    name = sorted(before)[1]
    (tmp_path / name).write_bytes(broken(before[name]))
    counting = Counting()
    keep(tmp_path, counting)
    assert counting.asked == 8 + 8  # the shard, and the audit
    assert shards(tmp_path) == before


@settings(max_examples=30)
@given(at=st.integers(0), bit=st.integers(0, 7))
def test_a_shard_with_any_bit_turned_is_never_a_crash(
    tmp_path_factory: pytest.TempPathFactory, at: int, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("labels")
    keep(folder)
    (path, *_) = sorted(folder.rglob("*.npz"))
    whole = path.read_bytes()
    place = at % len(whole)
    path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << bit)]) + whole[place + 1 :])
    assert np.array_equal(recalled(keep(folder), 0), recalled(keep(folder), 0))
    assert keep(folder).audit.agreement == 1.0


# --- refused -------------------------------------------------------------------------------------


def test_a_teacher_that_changed_under_its_name_is_noticed(tmp_path: Path) -> None:
    keep(tmp_path)
    with pytest.raises(DistillError, match="differ from the live teacher") as told:
        keep(tmp_path, lambda pictures: ask(pictures) + 1)
    assert "delete" in told.value.hint


def test_a_teacher_in_training_mode_is_told_so_and_not_that_it_changed(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)

    def dropout(pictures: np.ndarray) -> np.ndarray:
        return ask(pictures) * (chance.random((len(pictures), CLASSES)) < 0.5)

    def batch_statistics(pictures: np.ndarray) -> np.ndarray:
        return ask(pictures) - ask(pictures).mean(0)

    for kind, teacher in enumerate((dropout, batch_statistics)):
        with pytest.raises(DistillError, match="two answers to the same examples differ") as told:
            keep(tmp_path / str(kind), teacher)
        assert "training mode (dropout, batch statistics)" in str(told.value)


def _wild(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def teacher(pictures: np.ndarray) -> np.ndarray:
        logits = ask(pictures)
        logits[0, 3] = value
        return logits

    return teacher


BAD = {
    "too few classes": (lambda p: ask(p)[:, :10], "knows 10 classes, the data has 12"),
    "nan": (_wild(np.nan), "not all finite"),
    "infinite": (_wild(-np.inf), "not all finite"),
    "beyond float32": (_wild(1e300), "not all finite"),
    "beyond fp16": (_wild(65505.0), "65504"),
    "below fp16": (_wild(-7e4), "65504"),
    "no rows": (lambda p: ask(p).ravel(), "answers"),
    "too few rows": (lambda p: ask(p)[1:], "answers"),
}


@pytest.mark.parametrize("kind", BAD)
def test_answers_that_cannot_be_kept_are_one_error_and_leave_nothing(
    tmp_path: Path, kind: str
) -> None:
    teacher, message = BAD[kind]
    with pytest.raises(DistillError, match=message):
        keep(tmp_path, teacher)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_logits_as_large_as_fp16_are_kept(tmp_path: Path) -> None:
    assert recalled(keep(tmp_path, _wild(65504.0)), 0)[0, 3] == 65504


if __name__ == "__main__":
    _label_and_die(Path(sys.argv[1]))


def test_a_picture_that_is_answered_by_nan_is_named(tmp_path: Path) -> None:
    data = replace(dataset(), names=tuple(f"class/{n}.png" for n in range(N)))
    broken = data.images[17]

    def answer(pictures: np.ndarray) -> np.ndarray:
        hit = (pictures == broken).all((1, 2, 3))
        return np.where(hit[:, None], np.nan, ask(pictures))

    teacher = Teacher("big", "here", TEACHER, "MIT", CLASSES, answer, batch=3)
    with pytest.raises(DistillError, match=r"not finite to class/17\.png"):
        labels.keep(teacher, TEACHER, data, Augment(), CONFIG, tmp_path)
    whole = replace(CONFIG, audit=1.0)
    good = replace(teacher, answer=ask)
    labels.keep(good, TEACHER, data, Augment(), whole, tmp_path)
    with pytest.raises(DistillError, match=r"not finite to class/17\.png"):  # by the audit
        labels.keep(teacher, TEACHER, data, Augment(), whole, tmp_path)
