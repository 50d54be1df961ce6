"""Text that is made: tables of the pages, each student's page, ngrams.md's vectors, recipe.md.

    python docs/generate.py           write them
    python docs/generate.py --check   say what has drifted, and exit 1

Figures are checked here and drawn by `zoo card` and `zoo build`, which have matplotlib.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import ngram_vectors
import recipe_page

from zoo.card import latency, writing
from zoo.card import page as card_page
from zoo.card.markdown import between, millions, table
from zoo.card.words import words
from zoo.publish import shelf
from zoo.records import baselines, card
from zoo.records.baselines import Baseline, Baselines
from zoo.records.card import Card
from zoo.records.measures import Score
from zoo.registry import local
from zoo.stores import folders
from zoo.tasks.text_classification import peers

ROOT = Path(__file__).resolve().parent.parent
REGISTRY = ROOT / "registry.yaml"
STORE = folders.Folders(ROOT / "zoo" / "embedded")
README, FAST = ROOT / "README.md", ROOT / "docs" / "fast.md"
NGRAMS, RECIPE = ROOT / "docs" / "ngrams.md", ROOT / "docs" / "recipe.md"
HEAD = (
    "Student",
    "Accuracy int8 (fp32), %",
    "Test examples",
    "Teacher, %",
    "Parameters (MACs), M",
    "Size int8 (fp32)",
    "p50 int8, ms",
    "int8 over fp32",
    "int8 over plain fp32",
)


def main(check: bool) -> int:
    """0, or 1 where something has drifted."""
    drifted = registry_drift() if check else rewrite()
    for page, (fill, complaint) in pages().items():
        text = page.read_text(encoding="utf-8")
        fresh = fill(text)
        if check and text != fresh:
            drifted.append(f"{page.relative_to(ROOT)}: {complaint}")
        elif text != fresh:
            page.write_text(fresh, encoding="utf-8")
    for line in drifted:
        print(line, file=sys.stderr)
    if drifted:
        print("hint: make fix", file=sys.stderr)
    return 1 if drifted else 0


def pages() -> dict[Path, tuple[Callable[[str], str], str]]:
    """Pages with generated parts: what makes those anew, and what is wrong where they differ."""
    published = cards()

    def tables(text: str) -> str:
        return filled(text, published)

    said = "a table is not what the cards say"
    return {
        README: (tables, said),
        FAST: (tables, said),
        NGRAMS: (ngram_vectors.fill, "the vectors are not what the student computes"),
        RECIPE: (recipe_page.fill, "the keys are not those of the configs"),
    }


def filled(text: str, published: list[Card]) -> str:
    """A page with its tables made anew."""
    compared = [
        peers.tables(student, words(student).answers()) for student in published if student.peers
    ]
    tables = {"students": students(published), "peers": "".join(f"{t}\n" for t in compared[:1])}
    for name, content in tables.items():
        text = between(text, name, content)
    return text


def cards() -> list[Card]:
    """The cards of the students that the registry publishes, by name."""
    return [
        card.read(STORE.folder(entry.name)) for entry in local.load(REGISTRY, whole=True).values()
    ]


def registry_drift() -> list[str]:
    """Where a folder, its card and its row of the registry say different things."""
    found = []
    for entry in local.load(REGISTRY, whole=True).values():
        folder = STORE.folder(entry.name)
        found += writing.drift(folder)
        if shelf.row_of(card.read(folder), folder, entry) != entry:
            found.append(f"registry.yaml: the row of {entry.name} is not what its folder says")
    return found


def rewrite() -> list[str]:
    """Make every student's page anew, then its row; returns what that could not mend."""
    rows = []
    for entry in local.load(REGISTRY, whole=True).values():
        folder = STORE.folder(entry.name)
        student = card.read(folder)
        page = card_page.render(student, writing.figure_names(student, folder))
        (folder / card.PAGE).write_text(page, encoding="utf-8")
        rows.append(shelf.row_of(card.read(folder), folder, entry))
    if rows:
        local.write(rows, REGISTRY)
    return registry_drift()


def students(published: list[Card], known: Sequence[Baselines] | None = None) -> str:
    """The README's table; every number is a card's, or was published by others and is said to be.

    These come after the last student of their test set.
    """
    if not published:
        return "None is published yet.\n"
    known = baselines.packaged() if known is None else known
    last = {baselines.tested_on(_headline(student)): student.name for student in published}
    rows = []
    for student in published:
        score = _headline(student)
        rows.append(row(student))
        if last[baselines.tested_on(score)] == student.name:
            rows += [baseline_row(model, score.n) for model in baselines.on(known, score)]
    return table(HEAD, rows) + "\n"


def _headline(student: Card) -> Score:
    return student.variants["fp32"].accuracy


def baseline_row(model: Baseline, n: int) -> tuple[str, ...]:
    """The line of a model that others published; what they did not tell is "-"."""
    return (
        f"{model.name}: published, not measured here "
        f"([{model.source}]({model.url}), read {model.read})",
        _pair("-", f"{model.accuracy_percent:.2f}"),
        f"{n:,}",
        "-",
        _pair(millions(model.parameters), "-" if model.macs is None else millions(model.macs)),
        *["-"] * 4,
    )


def row(student: Card) -> tuple[str, ...]:
    """One line of the table."""
    fp32, int8 = student.variants["fp32"], student.variants.get("int8")
    timed = latency.single_latency(student.latency, "int8")
    over_plain = latency.over_plain(student.latency, "int8")
    return (
        f"[{student.name}](zoo/embedded/{student.name}/README.md)",
        _pair(_percent(int8.accuracy.value) if int8 else "-", _percent(fp32.accuracy.value)),
        f"{fp32.accuracy.n:,}",
        _percent(student.teacher.accuracy.value) if student.teacher else "-",
        _pair(millions(student.student.parameters), millions(student.student.macs)),
        _pair(_kilobytes(int8.size_bytes) if int8 else "-", _kilobytes(fp32.size_bytes)),
        f"{timed.p50_ms:.3g} ({timed.device_name})" if timed else "not measured",
        f"{timed.ratio_to_fp32:.2f}" if timed and timed.ratio_to_fp32 else "-",
        f"{over_plain:.2f}" if over_plain else "-",
    )


def _pair(int8: str, fp32: str) -> str:
    return f"{int8} ({fp32})"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}"


def _kilobytes(size_bytes: int) -> str:
    return f"{size_bytes / 1000:.0f} kB"


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
