"""A teacher at its own size: it sees a view as drawn, and the student the same view smaller."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from distill import labels  # noqa: E402
from distill.config import Augment, Data, Labels, Loss, Train  # noqa: E402
from distill.data import Dataset, load  # noqa: E402
from distill.data.pictures import decode  # noqa: E402
from distill.data.record import Example, Picture  # noqa: E402
from distill.errors import DistillError, DivergedError  # noqa: E402
from distill.students.image import ImageInput  # noqa: E402
from distill.train import Plan, accuracy, fit  # noqa: E402
from distill.views import views_of  # noqa: E402

LARGE, SMALL = 96, 24  # pixels
ALL = Augment(crop_padding=3, flip=True, cutout=4, mixup=0.4)
NAMES = ("a", "b", "c")


def dataset(large: np.ndarray, split: str = "train", keep: bool = True) -> Dataset:
    """Of pictures uint8 (n, k, k, 3), their classes one after the other."""
    images = np.stack([decode(Picture(0, "picture", one), SMALL) for one in large])
    rows = [Example(split, NAMES[i % 3], f"{i}.png", i) for i in range(len(large))]  # type: ignore[arg-type]
    return Dataset.of(images, rows, NAMES, split, large=large if keep else None)


def noise(n: int = 6, size: int = LARGE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3), np.uint8)


# --- nothing changes where nothing is asked for --------------------------------------------------


def test_views_keys_and_hashes_are_those_of_before() -> None:
    images, how = noise(size=12), Augment(crop_padding=3, flip=True, cutout=4, mixup=0.4)
    rows = [Example("train", "ab"[i % 2], f"{i}.png", i) for i in range(6)]
    data = Dataset.of(images, rows, ("a", "b"), "train")
    views = views_of(data, how)
    assert data.sha256.startswith("cda6cf439ba0b326")
    assert labels.key("t", views, Labels()).startswith("79891387b31740ca")
    view, every = views.view(3), torch.arange(6)
    for pixels in (view.examples(every), view.inputs(every).numpy()):
        found = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
        assert found.startswith("024afe7f7141b6fd")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten pictures of 96 pixels in each class to train on, two to test."""
    chance = np.random.default_rng(0)
    for split, count in (("train", 10), ("test", 2)):
        for label in NAMES:
            (tmp_path / split / label).mkdir(parents=True)
            for i in range(count):
                file, pixels = io.BytesIO(), chance.integers(0, 256, (LARGE, LARGE, 3), np.uint8)
                Image.fromarray(pixels).save(file, "PNG")
                (tmp_path / split / label / f"{i}.png").write_bytes(file.getvalue())
    return tmp_path


def read(folder: Path, **settings: int) -> Dataset:
    return load(Data(str(folder), "CC0-1.0", image_size=SMALL, **settings), "train")  # type: ignore[arg-type]


@pytest.mark.parametrize("keep_size", [0, SMALL])
def test_of_one_size_one_picture_is_kept(folder: Path, keep_size: int) -> None:
    data = read(folder, keep_size=keep_size)
    assert data.large is None and data.sha256 == read(folder).sha256


def test_a_student_reads_what_it_always_read_and_the_hash_says_the_rest(folder: Path) -> None:
    plain, data, larger = (read(folder, keep_size=size) for size in (0, LARGE, LARGE + 8))
    assert np.array_equal(data.images, plain.images)
    assert data.seen.shape == (27, LARGE, LARGE, 3) and plain.seen is plain.images
    path = folder / "train" / data.names[0]
    assert np.array_equal(data.seen[0], np.asarray(Image.open(path)))
    assert len({plain.sha256, data.sha256, larger.sha256}) == 3


@pytest.mark.parametrize("size", [1, SMALL - 1, -1])
def test_a_size_below_the_students_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"keep_size must be 0.*{size}"):
        Data("x", "CC0-1.0", image_size=SMALL, keep_size=size)


# --- one view at two sizes -----------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 5])
def test_a_student_sees_the_teachers_view_as_its_own_graph_would_resize_it(number: int) -> None:
    view, rows = views_of(dataset(noise()), ALL).view(number), torch.tensor([4, 0, 4])
    seen, read = view.examples(rows), view.inputs(rows)
    assert seen.shape == (3, LARGE, LARGE, 3) and read.shape == (3, SMALL, SMALL, 3)
    assert seen.dtype == np.uint8 and read.dtype == torch.uint8
    graph = ImageInput(SMALL)
    assert torch.equal(graph(torch.from_numpy(seen)), graph(read))


def test_rows_give_the_same_bytes_in_any_batch() -> None:
    view = views_of(dataset(noise()), ALL).view(2)
    whole = view.inputs(torch.arange(6))
    parts = torch.cat([view.inputs(torch.tensor(rows)) for rows in ([0, 1, 2, 3], [4], [5])])
    assert torch.equal(whole, parts)


def test_without_a_crop_the_student_reads_what_was_decoded_for_it() -> None:
    data, rows = dataset(noise()), torch.arange(6)
    read = views_of(data, Augment()).view(0).inputs(rows).numpy().astype(int)
    assert np.abs(read - data.images).max() <= 1  # torch and Pillow round differently


def test_crops_and_holes_are_in_pixels_of_the_student() -> None:
    views = views_of(dataset(noise(300)), Augment(crop_padding=3, cutout=4))
    assert (views.drawn.crop_padding, views.drawn.cutout) == (12, 16)  # type: ignore[attr-defined]
    moved = views.view(0).drawn.dx  # type: ignore[attr-defined]
    assert (moved.min(), moved.max()) == (-12, 12)
    assert len(moved.unique()) > 7  # also by parts of the student's pixels


def test_a_border_wider_than_the_students_picture_is_told_in_its_pixels() -> None:
    with pytest.raises(DistillError, match=r"crop_padding 24 .* of 24 pixels"):
        views_of(dataset(noise()), Augment(crop_padding=24))


def test_kept_labels_know_the_size_at_which_they_were_given(tmp_path: Path) -> None:
    shapes, config = set(), Labels(views=2, top_k=3)

    def ask(pictures: np.ndarray) -> np.ndarray:
        shapes.add(pictures.shape[1:])
        return pictures.mean((1, 2))

    kept = [
        labels.keep(ask, "t", dataset(noise(), keep=keep), ALL, config, tmp_path)
        for keep in (True, False)
    ]
    assert shapes == {(LARGE, LARGE, 3), (SMALL, SMALL, 3)}
    assert kept[0].key != kept[1].key


# --- what it is for ------------------------------------------------------------------------------


def stripes(n: int, seed: int) -> np.ndarray:
    """Stripes of 3, 4 or 6 pixels, which vanish at 24, in a faint tint, which does not."""
    chance, ramp = np.random.default_rng(seed), np.arange(LARGE)
    found = np.empty((n, LARGE, LARGE, 3), np.uint8)
    for i in range(n):
        wave = 40 * np.sin(2 * np.pi * ramp / (3, 4, 6)[i % 3] + chance.uniform(0, 6))
        tint = 128 + chance.normal(0, 20, 3) + 60 * np.eye(3)[i % 3]
        coarse = np.kron(chance.normal(0, 15, (12, 12, 1)), np.ones((8, 8, 1)))
        found[i] = (tint + coarse + wave[None, :, None]).clip(0, 255)
    return found


def counting(pictures: np.ndarray) -> np.ndarray:
    """A teacher who looks at nothing but the stripes."""
    rows = np.repeat(pictures.mean((1, 3)), LARGE // pictures.shape[1], 1)
    rows -= rows.mean(1, keepdims=True)
    waves = np.stack([np.exp(2j * np.pi * np.arange(LARGE) / p) for p in (3, 4, 6)], 1)
    return 3 * np.log1p(np.abs(rows @ waves))


class Tints(nn.Module):
    """A student of a few numbers, which pictures of any size pass through."""

    def __init__(self) -> None:
        super().__init__()
        self.input = ImageInput(SMALL)
        self.last = nn.Linear(3, 3)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.last(self.input(pictures).mean((2, 3)))


def learned(keep: bool, out: Path) -> tuple[float, float]:
    """Accuracy on new pictures of the teacher, and of a student that it alone has taught."""
    train, held, test = (
        dataset(stripes(n, seed), split, keep)
        for n, seed, split in ((240, 1, "train"), (120, 2, "validation"), (120, 3, "test"))
    )
    how, config = Augment(crop_padding=2, flip=True), Labels(views=2, top_k=3)
    kept = labels.keep(counting, "t", train, how, config, out / "labels")
    torch.manual_seed(0)
    net = Tints()
    settings = Train(epochs=6, batch_size=16, learning_rate=0.1, processes=1, sizes=(16, SMALL))
    plan = Plan(Loss(ce=0.0, kd=1.0, temperature=2.0), how, settings, 0, 2)
    right = float((counting(test.seen).argmax(1) == test.labels).mean())
    fit(net, train, held, plan, out / "fit", kept)
    return right, accuracy(net, test)


@pytest.mark.train
def test_a_teacher_at_its_own_size_lifts_the_student(tmp_path: Path) -> None:
    teacher, student = learned(True, tmp_path / "own")
    assert teacher == 1.0 and student > 0.8
    with pytest.raises(DivergedError, match="at chance"):
        learned(False, tmp_path / "squashed")
