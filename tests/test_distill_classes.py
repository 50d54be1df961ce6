"""A teacher's own classes: another order, more of them; matched to the data's by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from distill.config import Teacher as Settings
from distill.errors import DistillError
from distill.teachers import Teacher, open_teacher
from distill.teachers.classes import answering, own

OURS = ("ant", "bee", "cat")
THEIRS = ("dog", "cat", "ant", "cow", "bee")


def teacher(labels: tuple[str, ...] = THEIRS) -> Teacher:
    """Each answer is its place."""
    n = len(labels)
    return Teacher("big", "here", "0" * 64, "MIT", n, lambda x: np.tile(np.arange(n), (len(x), 1)),
                   labels)  # fmt: skip


def test_answers_are_those_of_the_datas_classes_by_name() -> None:
    found = answering(teacher(), OURS)
    assert found(np.zeros((2, 4, 4, 3), np.uint8)).tolist() == [[2, 4, 1]] * 2
    assert (found.classes, found.labels) == (3, OURS)
    assert found.sha256 != teacher().sha256
    assert found.sha256 != answering(teacher(), ("bee", "ant", "cat")).sha256
    assert "2 of its 5 are not among the data's" in found.notes[0]


def test_the_same_names_in_the_same_order_change_nothing() -> None:
    same = teacher(OURS)
    assert answering(same, OURS) is same


def test_a_class_that_it_lacks_is_named_with_what_is_near() -> None:
    with pytest.raises(DistillError, match="no class 'Bee'; it has 5 others") as told:
        answering(teacher(), ("ant", "Bee"))
    assert "nearest are 'bee'" in told.value.hint
    with pytest.raises(DistillError, match="no class 'x', 'y'") as told:
        answering(teacher(), ("x", "y"))
    assert "it begins with 'dog'" in told.value.hint


def test_a_name_that_it_has_twice_is_refused_where_it_is_needed() -> None:
    twice = teacher(("crane", "ant", "crane"))
    assert answering(twice, ("ant",)).columns == (1,)
    with pytest.raises(DistillError, match="two classes called 'crane'"):
        answering(twice, ("ant", "crane"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.txt", "\ufeffdog\ncat\r\n\nant\ncow\nbee\n"),
        ("names.json", json.dumps(list(THEIRS))),
        ("config.json", json.dumps({"id2label": {str(i): n for i, n in enumerate(THEIRS)}})),
        ("config.json", json.dumps({"label_names": list(THEIRS), "num_classes": 5})),
    ],
)
def test_names_are_read_from_a_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert own(str(tmp_path / name)) == THEIRS


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("none.txt", None),
        ("empty.txt", "\n\n"),
        ("names.json", "{"),
        ("names.json", "7"),
        ("names.json", "[1, 2]"),
        ("names.json", "{}"),
        ("names.json", json.dumps({"id2label": {"0": "ant", "2": "bee"}})),
        ("latin.txt", "caf\xe9"),
    ],
)
def test_a_file_without_names_is_one_error(tmp_path: Path, name: str, text: str | None) -> None:
    if text is not None:
        (tmp_path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(DistillError, match=name.replace(".", r"\.")):
        own(str(tmp_path / name))


def test_a_recipe_names_the_classes_of_any_teacher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "five_net.py").write_text(
        "import numpy as np\ndef answer(x): return np.tile(np.arange(5.0), (len(x), 1))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = Settings(callable="five_net:answer", licence="MIT", classes=THEIRS)
    found = open_teacher(settings, 3, 8, names=OURS)
    assert found(np.zeros((1, 8, 8, 3), np.uint8)).tolist() == [[2, 4, 1]]


def test_an_onnx_file_of_more_classes_is_a_teacher_of_some(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from onnx_teachers import onnx_file, pictures

    wide = np.random.default_rng(1).normal(0, 1, (3, 5)).astype(np.float32)
    shape = ("n", "h", "w", 3)
    path = onnx_file(tmp_path / "big.onnx", "UINT8", shape, channels_last=True, weights=wide,
                     outputs=(("logits", 5),))  # fmt: skip
    settings = Settings(onnx=str(path), licence="MIT", classes=THEIRS)
    found = open_teacher(settings, 3, 8, names=OURS)(pictures(4))
    whole = (pictures(4).astype(np.float64).mean((1, 2))) @ wide
    np.testing.assert_allclose(found, whole[:, [2, 4, 1]], rtol=1e-4)
    short = Settings(onnx=str(path), licence="MIT", classes=THEIRS[:4])
    with pytest.raises(DistillError, match="its own names are those of 4 classes"):
        open_teacher(short, 3, 8, names=OURS)
