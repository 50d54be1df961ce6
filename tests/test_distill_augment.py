"""Views: each operation against pictures made by hand, and the same bytes in whatever batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from distill import augment as views  # noqa: E402
from distill.config import Augment  # noqa: E402
from distill.errors import DistillError  # noqa: E402

N, SIZE, CLASSES = 9, 8, 4
ALL = Augment(crop_padding=3, flip=True, cutout=3, mixup=0.4)

augments = st.builds(
    Augment,
    crop_padding=st.integers(0, SIZE - 1),
    flip=st.booleans(),
    cutout=st.integers(0, 2 * SIZE),
    mixup=st.sampled_from([0.0, 0.1, 1.0, 8.0]),
)
seeds = st.integers(0, 2**63)


def pictures(n: int = N, size: int = SIZE) -> torch.Tensor:
    shape = (n, size, size, 3)
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


def grid(size: int = 4) -> torch.Tensor:
    """One picture whose pixel in row y and column x is 10 y + x."""
    ramp = torch.arange(size)
    plane = (10 * ramp[:, None] + ramp).to(torch.uint8)
    return plane[None, :, :, None].repeat(1, 1, 1, 3)


def view(n: int = 1, **given: list[float]) -> views.View:
    """A view that leaves n pictures alone, but for what is given."""
    fields = {"dy": 0, "dx": 0, "flip": False, "hole_y": 0, "hole_x": 0, "partner": 0}
    made = {k: torch.tensor(given.get(k, [v] * n)) for k, v in fields.items()}
    return views.View(**made, weight=torch.tensor(given.get("weight", [1.0] * n)))


def plane(pictures: torch.Tensor, row: int = 0) -> list[list[int]]:
    assert (pictures[row] == pictures[row, :, :, :1]).all()
    return pictures[row, :, :, 0].tolist()


ROW = torch.tensor([0])


def test_a_crop_moves_the_picture_and_reflects_it_at_the_border() -> None:
    moved = views.apply(Augment(crop_padding=2), view(dy=[1], dx=[-2]), grid(), ROW)
    assert plane(moved) == [
        [12, 11, 10, 11],
        [22, 21, 20, 21],
        [32, 31, 30, 31],
        [22, 21, 20, 21],
    ]


def test_a_flip_mirrors_left_and_right() -> None:
    mirrored = views.apply(Augment(flip=True), view(flip=[True]), grid(), ROW)
    assert plane(mirrored) == [[3, 2, 1, 0], [13, 12, 11, 10], [23, 22, 21, 20], [33, 32, 31, 30]]


def test_a_crop_is_mirrored_as_a_whole() -> None:
    both = Augment(crop_padding=2, flip=True)
    moved = views.apply(both, view(dx=[1], flip=[True]), grid(), ROW)
    assert plane(moved)[0] == [2, 3, 2, 1]  # cropped: 1 2 3 2


@pytest.mark.parametrize(
    ("y", "x", "side", "rows", "columns"),
    [(1, 2, 2, {0, 1}, {1, 2}), (0, 3, 3, {0, 1}, {2, 3}), (3, 0, 1, {3}, {0})],
)
def test_cutout_greys_one_square_cut_at_the_border(
    y: int, x: int, side: int, rows: set[int], columns: set[int]
) -> None:
    cut = plane(views.apply(Augment(cutout=side), view(hole_y=[y], hole_x=[x]), grid(), ROW))
    for i in range(4):
        for j in range(4):
            assert cut[i][j] == (128 if i in rows and j in columns else 10 * i + j)


def test_mixup_blends_a_row_with_its_partner_in_pixels_and_in_targets() -> None:
    pair = torch.tensor([100, 201], dtype=torch.uint8)[:, None, None, None].repeat(1, 2, 2, 3)
    drawn = view(2, partner=[1, 0], weight=[0.75, 0.5])
    mixup, rows, labels = Augment(mixup=1.0), torch.tensor([1, 0]), torch.tensor([2, 0])
    mixed = views.apply(mixup, drawn, pair, rows)
    assert plane(mixed, 0) == [[150] * 2] * 2  # 150.5, to the even neighbour
    assert plane(mixed, 1) == [[125] * 2] * 2  # 125.25
    assert views.targets(mixup, drawn, labels, rows, 3).tolist() == [[0.5, 0, 0.5], [0.25, 0, 0.75]]


def test_the_partner_of_mixup_is_cropped_and_mirrored_as_its_own_row_is() -> None:
    drawn = view(2, dx=[0, 1], flip=[False, True], partner=[1, 1], weight=[0.5, 1.0])
    images = torch.cat([torch.zeros_like(grid()), grid()])
    config = Augment(crop_padding=1, flip=True, mixup=1.0)
    mixed = views.apply(config, drawn, images, torch.tensor([0, 1]))
    assert plane(mixed, 1)[0] == [2, 3, 2, 1]
    assert plane(mixed, 0)[2] == [11, 12, 11, 10]  # half of 22, 23, 22, 21, to the even neighbour


def test_nothing_asked_for_changes_nothing() -> None:
    images, rows = pictures(), torch.tensor([3, 0, 3])
    drawn = views.draw(Augment(), N, SIZE, 5)
    assert torch.equal(views.apply(Augment(), drawn, images, rows), images[rows])
    assert views.targets(Augment(), drawn, torch.arange(N) % 4, rows, 4).argmax(1).tolist() == [
        3,
        0,
        3,
    ]


@given(augments, seeds, st.lists(st.integers(0, N - 1), min_size=1, max_size=12), st.integers(1, 5))
def test_rows_give_the_same_bytes_in_any_batch_and_order(
    augment: Augment, seed: int, rows: list[int], batch: int
) -> None:
    images = pictures()
    before = images.clone()
    whole = views.apply(augment, views.draw(augment, N, SIZE, seed), images, torch.arange(N))
    again = views.draw(augment, N, SIZE, seed)
    asked = torch.tensor(rows).split(batch)
    parts = torch.cat([views.apply(augment, again, images, some) for some in asked])
    assert parts.dtype == torch.uint8
    assert torch.equal(parts, whole[rows])
    assert torch.equal(images, before)


@given(augments, seeds, st.lists(st.integers(0, CLASSES - 1), min_size=N, max_size=N))
def test_targets_are_distributions_in_which_the_row_itself_prevails(
    augment: Augment, seed: int, labels: list[int]
) -> None:
    drawn, rows = views.draw(augment, N, SIZE, seed), torch.arange(N)
    target = views.targets(augment, drawn, torch.tensor(labels), rows, CLASSES)
    assert target.shape == (N, CLASSES)
    assert (target >= 0).all()
    assert torch.allclose(target.sum(1), torch.ones(N))
    assert (target[rows, labels] >= 0.5).all()


@given(augments, seeds, st.integers(1, 40))
def test_a_drawn_view_keeps_to_its_ranges(augment: Augment, seed: int, n: int) -> None:
    drawn = views.draw(augment, n, SIZE, seed)
    assert all(len(value) == n for value in vars(drawn).values())
    assert max(drawn.dy.abs().max(), drawn.dx.abs().max()) <= augment.crop_padding
    assert augment.flip or not drawn.flip.any()
    assert sorted(drawn.partner.tolist()) == list(range(n))
    assert drawn.weight.dtype == torch.float32
    assert ((drawn.weight >= 0.5) & (drawn.weight <= 1)).all()
    assert augment.mixup > 0 or (drawn.weight == 1).all()
    assert min(drawn.hole_y.min(), drawn.hole_x.min()) >= 0
    assert max(drawn.hole_y.max(), drawn.hole_x.max()) < SIZE


def test_views_differ_by_their_number_and_hit_every_shift() -> None:
    first, second = (views.draw(ALL, 500, SIZE, seed) for seed in (0, 1))
    assert not torch.equal(first.dy, second.dy)
    assert not torch.equal(first.weight, second.weight)
    assert set(first.dy.tolist()) == set(first.dx.tolist()) == set(range(-3, 4))
    assert 0.4 < first.flip.float().mean() < 0.6


def test_a_view_is_the_same_wherever_and_whenever_it_is_drawn() -> None:
    """Kept teacher outputs are worth nothing if these numbers ever change."""
    drawn = views.draw(ALL, 5, SIZE, 7)
    assert drawn.dy.tolist() == [-2, 3, 3, -1, -1]
    assert drawn.dx.tolist() == [-1, 1, -1, 0, -3]
    assert drawn.flip.tolist() == [False, True, False, True, False]
    assert drawn.partner.tolist() == [4, 2, 0, 3, 1]
    weights = [0.659013, 0.519194, 0.599747, 0.983876, 0.521926]
    assert drawn.weight.tolist() == pytest.approx(weights, abs=1e-6)


@pytest.mark.parametrize("padding", [SIZE, 3 * SIZE])
def test_a_border_wider_than_the_picture_is_one_error(padding: int) -> None:
    with pytest.raises(DistillError, match=f"crop_padding {padding} .*{SIZE}") as told:
        views.draw(Augment(crop_padding=padding), N, SIZE, 0)
    assert "smaller" in told.value.hint
