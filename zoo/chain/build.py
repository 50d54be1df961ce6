"""recipe -> distil -> export -> compress -> measure -> card -> store.

    zoo.chain.build.build("digits-shufflenet-v2-x0.5.kd")

Every stage is kept under `work` by the hash of what it reads (`stage`), so a second build skips
what has not changed and a killed one goes on. Nothing is published unless every gate is passed.
"""

from __future__ import annotations

import datetime
import shutil
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import tasks
from zoo.card import writing
from zoo.chain import learn, stage
from zoo.chain.learn import FP32, Learned, Place
from zoo.errors import GateError, StoreError
from zoo.files import sha256, write_text
from zoo.records import card as cards
from zoo.records import plain as records_plain
from zoo.records import recipe as recipes
from zoo.records.measures import Measurement, Score
from zoo.records.recipe import Recipe
from zoo.records.run import Run, commit, to_json, versions
from zoo.stores.folders import Folders

if TYPE_CHECKING:
    import numpy as np

    from compress.ladder import Judgement
    from zoo.chain.learn import Data
    from zoo.measure.devices import Load

INT8 = "model.int8.onnx"
FILES = {"fp32": FP32, "int8": INT8}
JUDGE_ROUNDS, CARD_ROUNDS = 30, 120  # of interleaved timing
CONTROL = 0.02  # how far from 1 the control of a good measurement may be


def build(
    recipe: str,
    *,
    data: Path | None = None,
    work: Path = Path("runs"),
    store: Path | None = None,
    say: learn.Say = lambda line: None,
) -> Path:
    """Make the student of a recipe (a name or a file) and publish it; returns its folder.

    A recipe without `compress` is a teacher's: it is trained and exported, and stays in `work`.
    Raises `GateError`, with every attempt's reason, when no attempt passes.
    """
    from filelock import FileLock, Timeout

    wanted = recipes.find(recipe)
    place = Place(data, Path(work), say)
    place.work.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(place.work / ".lock", timeout=0):
            return _build(wanted, place, store)
    except Timeout:
        hint = "wait for it, or give this one a folder of its own: --work"
        raise StoreError(f"{place.work}: another build is at work here", hint) from None


def _build(wanted: Recipe, place: Place, store: Path | None) -> Path:
    from zoo.publish import shelf
    from zoo.stores.folders import default

    learned = learn.learn(wanted, place)
    if wanted.compress is None:
        place.say(f"{wanted.name}: no compress section, so nothing is published")
        return learned.folder
    folder = place.work / wanted.name / "card"
    _compress(learned, place, folder)
    target = Folders(store) if store else default()
    shelf.publish(folder, target)
    return target.folder(wanted.name)


# --- compress ------------------------------------------------------------------------------------


def _compress(learned: Learned, place: Place, folder: Path) -> None:
    """The ladder, and after it the card of the winner in `folder`."""
    recipe = learned.recipe
    place.say(f"{recipe.name}: quantizing")
    done = stage.run(
        place.work / recipe.name,
        "compress",
        {
            "exported": _exported(learned),
            "compress": records_plain.to_dict(recipe.compress),
            "gates": records_plain.to_dict(recipe.gates),
            "data": [learned.train.sha256, learned.validation.sha256],
            "load": tasks.of(recipe).loads(learned.validation)[0].facts(),
            "code": stage.code("compress"),
        },
        lambda out: _climb(learned, out, place),
    )
    for tried in done.result["attempts"]:
        place.say(f"  {tried['name']}: {tried['verdict']} {tried['reason']}".rstrip())
    if not done.result["winner"]:
        raise _refusal(recipe, done.result["attempts"])
    _card(learned, done, place, folder)


def _exported(learned: Learned) -> dict[str, str]:
    """sha256 of every file that the export wrote."""
    return {path.name: sha256(path) for path in sorted(learned.folder.glob("*.onnx"))}


def _climb(learned: Learned, out: Path, place: Place) -> dict[str, Any]:
    judge = Judge(learned, place.say)
    task = tasks.of(learned.recipe)
    climb = task.climb(learned.recipe, learned.folder, learned.train, out, judge)
    winner = climb.winner.name if climb.winner else ""
    return {"attempts": records_plain.to_dict(climb.attempts), "winner": winner}


class Judge:
    """Measures an int8 file against the fp32 file on the validation split."""

    def __init__(self, learned: Learned, say: learn.Say) -> None:
        self.fp32, self.say = learned.folder / FP32, say
        self.task = tasks.of(learned.recipe)
        self.validation = self.task.held_out(learned.recipe, learned.validation)
        self.expected = self.task.logits(self.fp32, self.validation)

    def __call__(self, path: Path) -> Judgement:
        from compress.ladder import Judgement
        from zoo.measure import bench

        self.say(f"  {path.stem}: accuracy and speed on validation")
        found = self.task.logits(path, self.validation)
        right, before = (
            self.task.score(logits, self.validation, "", "validation").value
            for logits in (found, self.expected)
        )
        load = self.task.loads(self.validation)[0]
        rows = bench.measure({"fp32": self.fp32, "int8": path}, load, rounds=JUDGE_ROUNDS)
        row = rows[-1]
        return Judgement(
            accuracy=right,
            agreement=_same(found, self.expected) or 0.0,
            drop_points=100 * (before - right),
            speed_ratio=row.ratio_to_fp32 or float("nan"),
            speed_ratio_low=row.ratio_low or float("nan"),
            speed_ratio_high=row.ratio_high or float("nan"),
        )


def _refusal(recipe: Recipe, attempts: list[dict[str, Any]]) -> GateError:
    reasons = "; ".join(f"{a['name']}: {a['reason']}" for a in attempts)
    return GateError(
        f"{recipe.name} is not published, no attempt passed every gate ({reasons})",
        "add an attempt with more float_layers, train longer, or think again about the gates",
    )


# --- card ----------------------------------------------------------------------------------------


def _card(learned: Learned, compressed: stage.Stage, place: Place, folder: Path) -> None:
    """Everything of the student into a fresh `folder`: files, golden vectors, run and card."""
    from export import golden

    recipe, task = learned.recipe, tasks.of(learned.recipe)
    place.say(f"{recipe.name}: measuring on the test split")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copyfile(learned.folder / FP32, folder / FP32)
    shutil.copyfile(compressed.folder / compressed.result["winner"], folder / INT8)
    chosen = task.golden_inputs(recipe, learned.validation)
    golden.write(folder / "golden.npz", chosen, folder / FP32, folder / INT8)
    measured = stage.run(
        place.work / recipe.name,
        "measure",
        {
            "files": [sha256(folder / FP32), sha256(folder / INT8)],
            "exported": _exported(learned),
            "teacher": learned.teacher.sha256 if learned.teacher else "",
            "seeds": {str(seed): t.weights_sha256 for seed, t in learned.seeds.items()},
            "data": records_plain.to_dict(recipe.data),
        },
        lambda out: _measure(learned, folder, place),
    ).result
    write_text(folder / cards.RUN, to_json(_run(learned, measured)))
    writing.write(_filled(learned, compressed, measured, folder), folder)


def _measure(learned: Learned, folder: Path, place: Place) -> dict[str, Any]:
    """The only reading of the test split; and latency, memory."""
    task = tasks.of(learned.recipe)
    tests = task.tests(learned.recipe, place.data)
    first = next(iter(tests.values()))
    place.say(f"{learned.recipe.name}: latency in {CARD_ROUNDS} interleaved rounds")
    files = {k: folder / f for k, f in FILES.items()}
    rows: list[Measurement] = []
    for load in task.loads(first):
        plain = task.plain(learned.folder) if load.batch == 1 else {}
        rows += _quiet(plain | files, load)
    return {
        "test": {"test": first.sha256} | {k: v.sha256 for k, v in tests.items() if v is not first},
        "n": len(first),
        "dropped": {name: task.dropped(data) for name, data in tests.items()},
        "created": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit(),
        "versions": versions(),
        "scores": _scores(learned, folder, tests),
        "latency": records_plain.to_dict(rows),
    }


def _quiet(files: dict[str, Path], load: Load) -> list[Measurement]:
    """Latency rows; measured again, three times at most, while the control shows a busy machine."""
    from zoo.measure import bench

    tried = []
    for seed in range(3):
        rows = bench.measure(files, load, rounds=CARD_ROUNDS, seed=seed)
        control = rows[0].control_ratio or float("inf")
        tried.append((abs(control - 1), rows))
        if abs(control - 1) <= CONTROL:
            break
    return min(tried, key=lambda one: one[0])[1]


def _scores(learned: Learned, folder: Path, tests: dict[str, Data]) -> dict[str, Any]:
    """What each file, the teacher and every seed score."""
    from zoo.measure import verify

    task = tasks.of(learned.recipe)
    (name, test), *others = tests.items()
    answers = {k: task.logits(folder / f, test) for k, f in FILES.items()}
    teacher = learned.teacher(task.examples(test)) if learned.teacher else None
    found: dict[str, Any] = {}
    for precision, logits in answers.items():
        path = folder / FILES[precision]
        found[precision] = {
            "accuracy": task.score(logits, test, name, "test"),
            "agreement_teacher": _same(logits, teacher),
            "agreement_fp32": None if precision == "fp32" else _same(logits, answers["fp32"]),
            "ece": verify.calibration_error(logits, test.labels),
            "peak_memory_mb": round(task.peak_memory_mb(path, test), 1),
            "also": [task.score(task.logits(path, data), data, n, "test") for n, data in others],
        }
    if teacher is not None:
        found["teacher"] = {"accuracy": task.score(teacher, test, name, "test")}
    found["seeds"] = _seed_values(learned, test, found["fp32"]["accuracy"].value)
    found["more"] = task.more(
        learned.recipe, learned.validation, test, answers["int8"], folder / INT8
    )
    return found


def _same(logits: np.ndarray, other: np.ndarray | None) -> float | None:
    """Fraction of pictures with the same first class."""
    return None if other is None else float((logits.argmax(1) == other.argmax(1)).mean())


def _seed_values(learned: Learned, test: Data, first: float) -> list[float]:
    """Accuracy of every seed's float weights; the first one's is that of its file."""
    from distill.train import predict

    task = tasks.of(learned.recipe)
    values = [first]
    for seed in learned.recipe.train.seeds[1:]:
        net = task.network(learned.recipe, len(test.classes), learned.weights[seed])
        logits = predict(net, task.examples(test))
        values.append(task.score(logits, test, "", "test").value)
    return values


def _filled(
    learned: Learned, compressed: stage.Stage, measured: dict[str, Any], folder: Path
) -> cards.Card:
    recipe, classes = learned.recipe, learned.train.classes
    task = tasks.of(recipe)
    gates = records_plain.to_dict(recipe.gates)
    return cards.Card(
        format=1,
        name=recipe.name,
        task=recipe.task,
        summary=recipe.summary,
        licence=recipe.licence,
        created=measured["created"],
        code_commit=measured["commit"],
        labels=classes,
        input=task.card_input(recipe),
        student=_student_facts(learned),
        teacher=_teacher_facts(learned, measured),
        data=_data_facts(learned, measured),
        recipe_sha256=recipes.digest(recipe),
        run_sha256=sha256(folder / cards.RUN),
        variants={precision: _variant(precision, measured, folder) for precision in FILES},
        seeds=_spread(measured["scores"]["seeds"]),
        attempts=tuple(cards.Attempt(**row) for row in compressed.result["attempts"]),
        gates={name: float(value) for name, value in gates.items()},
        latency=tuple(Measurement(**row) for row in measured["latency"]),
        **task.card_facts(recipe, measured["scores"]["more"]),
    )


def _student_facts(learned: Learned) -> cards.StudentFacts:
    from distill.students import counts

    task, facts = tasks.of(learned.recipe), learned.recipe.student
    net = task.network(learned.recipe, len(learned.train.classes))
    macs = task.macs(learned.recipe, net)
    return cards.StudentFacts(facts.architecture, dict(facts.options), counts.parameters(net), macs)


def _teacher_facts(learned: Learned, measured: dict[str, Any]) -> cards.TeacherFacts | None:
    teacher = learned.teacher
    if teacher is None:
        return None
    score = Score(**measured["scores"]["teacher"]["accuracy"])
    return cards.TeacherFacts(teacher.name, teacher.source, teacher.sha256, teacher.licence, score)


def _data_facts(learned: Learned, measured: dict[str, Any]) -> cards.DataFacts:
    data = learned.recipe.data
    return cards.DataFacts(
        source=data.source,
        home=data.home,
        licence=data.licence,
        sha256=learned.train.sha256,
        train=len(learned.train),
        validation=len(learned.validation),
        test=measured["n"],
        **tasks.of(learned.recipe).data_facts(learned.train, measured["dropped"]),
    )


def _variant(precision: str, measured: dict[str, Any], folder: Path) -> cards.Variant:
    path = folder / FILES[precision]
    facts = dict(measured["scores"][precision])
    score = Score(**facts.pop("accuracy"))
    also = tuple(Score(**other) for other in facts.pop("also"))
    return cards.Variant(path.name, sha256(path), path.stat().st_size, score, **facts, also=also)


def _spread(values: list[float]) -> cards.Spread | None:
    if len(values) < 2:
        return None
    return cards.Spread(tuple(values), statistics.fmean(values), statistics.stdev(values))


def _run(learned: Learned, measured: dict[str, Any]) -> Run:
    return Run(
        format=1,
        name=learned.recipe.name,
        recipe=records_plain.to_dict(learned.recipe),
        recipe_sha256=recipes.digest(learned.recipe),
        data={
            "train": learned.train.sha256,
            "validation": learned.validation.sha256,
            **measured["test"],
        },
        teacher=learned.teacher_run,
        versions=measured["versions"],
        parity={"max_difference": learned.parity, "tolerance": tasks.of(learned.recipe).TOLERANCE},
        seeds={str(seed): training for seed, training in learned.seeds.items()},
        words=_words(learned, measured),
    )


def _words(learned: Learned, measured: dict[str, Any]) -> dict[str, Any] | None:
    """What the card says of words, as plain data; None where there is nothing to say."""
    facts = tasks.of(learned.recipe).data_facts(learned.train, measured["dropped"])
    return {key: records_plain.to_dict(value) for key, value in facts.items() if value} or None
