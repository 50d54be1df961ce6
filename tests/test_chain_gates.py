"""Gates on the student itself, what small held-out data cannot show, and the table at the end."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from colours_lab import NAME, RECIPE, enter, make_lab

from compress.config import Gates
from compress.ladder import Judgement, misses
from zoo.chain import distil, table
from zoo.chain.build import build
from zoo.chain.compress import gap_of
from zoo.chain.made import Known
from zoo.errors import GateError, RecipeError
from zoo.records import recipe
from zoo.records.measures import Scale, Score
from zoo.records.plain import canonical


def score(value: float, scale: Scale | None = None) -> Score:
    return Score("top-1 accuracy", "", "validation", 60, value, 0.0, 1.0, scale or Scale())


def judged(accuracy: float | None, ratio: float | None = 0.5) -> Judgement:
    return Judgement(accuracy, 1.0, 0.0, ratio, ratio, ratio)


def test_an_accuracy_below_the_bound_is_a_miss() -> None:
    gates = Gates(min_accuracy=0.9)
    assert misses(judged(0.8667), 1, gates) == ["accuracy 86.67% < 90.00%"]
    assert misses(judged(0.9), 1, gates) == []
    assert misses(judged(None), 1, gates) == []  # there are no labels
    assert misses(judged(float("nan")), 1, gates) != []


def test_what_was_not_timed_misses_no_bound_of_speed() -> None:
    assert misses(judged(1.0, None), 1, Gates()) == []
    assert misses(judged(1.0, float("nan")), 1, Gates()) != []


def test_a_gap_to_the_teacher_is_in_points_of_the_metric() -> None:
    known, gates = Known(score(0.95), score(0.9833)), Gates(max_gap_points=3.0)
    assert gap_of(known, score(0.9533), gates) == ""
    missed = gap_of(known, score(0.8667), gates)
    assert missed == "11.66 points below the teacher's 98.33 > 3.00"
    assert gap_of(known, score(0.8667), Gates()) == ""
    error = Scale(unit="levels", best="lowest", high=None)
    known = Known(score(0.5, error), score(0.1, error))
    assert gap_of(known, score(0.3, error), Gates(max_gap_points=0.1)) != ""
    assert gap_of(known, score(0.15, error), Gates(max_gap_points=0.1)) == ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"min_accuracy": 86.0}, "min_accuracy is a fraction"),
        ({"min_accuracy": -0.1}, "min_accuracy is a fraction"),
        ({"max_gap_points": -1.0}, "max_gap_points must be >= 0"),
    ],
)
def test_a_bound_out_of_its_range_is_refused(given: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Gates(**given)  # type: ignore[arg-type]


def test_gates_that_came_later_change_no_hash_while_they_bound_nothing() -> None:
    assert set(canonical(Gates()).split('"')[1::2]) == {
        "max_drop_points",
        "max_size_bytes",
        "max_speed_ratio",
        "min_agreement",
    }


def test_a_gap_to_nobody_is_refused(tmp_path: Path) -> None:
    text = RECIPE.replace("gates: {", "gates: {max_gap_points: 3.0, ")
    lines = [line for line in text.splitlines() if not line.startswith("teacher:")]
    lines = ["loss: {name: ce}" if line.startswith("loss:") else line for line in lines]
    (tmp_path / "alone.yaml").write_text("\n".join(lines))
    with pytest.raises(RecipeError, match=r"alone\.yaml:\d+: gates: gates has max_gap_points"):
        recipe.read(tmp_path / "alone.yaml")


@pytest.mark.parametrize(
    ("n", "agreement", "points"), [(60, 1.0, 5.0), (5000, 0.99, 0.28), (60, 0.95, 5.7), (1, 0, 300)]
)
def test_what_a_held_out_set_shows_shrinks_with_its_size(
    n: int, agreement: float, points: float
) -> None:
    assert table.seen_from(n, agreement) == pytest.approx(points, abs=0.05)


def test_cells_stand_under_each_other() -> None:
    assert table.laid_out([("", "a", "bb"), ("long", "x", "")]) == ["      a  bb", "long  x"]


# --- whole builds --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def inside(lab: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(distil, "device", lambda: ("cpu", "as it is"))
    enter(monkeypatch, lab)
    return lab


def told(text: str, **how: bool) -> tuple[Path | GateError, list[str]]:
    """What a build of that recipe ends with, and what was said."""
    said: list[str] = []
    Path("student.yaml").write_text(text)
    try:
        done = build("student.yaml", work=Path("runs"), store=Path("store"), say=said.append, **how)
    except GateError as error:
        return error, said
    return done, said


@pytest.mark.train
@pytest.mark.usefixtures("inside")
def test_a_quick_build_times_nothing_publishes_nothing_and_says_so() -> None:
    done, said = told(RECIPE, quick=True)
    assert isinstance(done, Path) and done.name.startswith("compress-")
    assert not Path("store").exists() and not list(Path("runs").glob("*/measure-*"))
    text = "\n".join(said)
    rows = [
        line.split()[0] for line in said if line.startswith(("  teacher ", "  fp32 ", "  int8 "))
    ]
    assert rows == ["teacher", "fp32", "int8"]
    assert "on validation, n = 12, 95 % intervals" in text and "not timed" in text
    assert "not published: nothing was timed (quick); its files are runs" in said[-1]
    for path in said[-1].partition("files are ")[2].split(" and "):
        assert Path(path).is_file()


@pytest.mark.train
@pytest.mark.usefixtures("inside")
def test_a_student_far_below_its_bounds_is_refused_with_the_table() -> None:
    """It learned nothing worth the name from a teacher that is right."""
    weak = RECIPE.replace("epochs: 12", "epochs: 1").replace(
        "learning_rate: 0.05", "learning_rate: 0.0001"
    )
    text = weak.replace("gates: {", "gates: {min_accuracy: 0.95, max_gap_points: 3.0, ")
    error, said = told(text, quick=True)
    assert isinstance(error, GateError)
    assert "its fp32 file misses accuracy" in str(error) and "below the teacher's 100.00" in str(
        error
    )
    assert said[-1].startswith("  not published: its fp32 file misses accuracy")
    assert any(line.startswith("  teacher  100.00 %") for line in said)


@pytest.mark.train
@pytest.mark.usefixtures("inside")
def test_a_held_out_set_too_small_for_its_gate_is_named() -> None:
    text = RECIPE.replace("max_drop_points: 100", "max_drop_points: 0.3")
    _, said = told(text.replace("gates: {", "gates: {min_accuracy: 0.9, "), quick=True)
    notes = [line for line in said if line.startswith("  note: validation has n = 12")]
    assert len(notes) == 2
    assert "cannot be seen there" in notes[0] and "not sure" in notes[1]


@pytest.mark.train
@pytest.mark.usefixtures("inside")
def test_a_published_build_ends_with_figures_of_the_test_split() -> None:
    done, said = told(RECIPE)
    assert done == Path("store") / NAME
    assert any("on colours test, n = 12" in line for line in said)
    assert said[-1] == f"  published: {Path('store') / NAME}"
