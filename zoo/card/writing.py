"""A card into its folder, and whether a folder still is what its card says."""

from __future__ import annotations

from pathlib import Path

from zoo.files import sha256, write_bytes
from zoo.records import task
from zoo.records.card import FILE, PAGE, RUN, Card, Variant, read, read_run, to_json


def write(card: Card, folder: Path) -> None:
    """card.json, README.md and the figures of `card` into `folder`, each in one step."""
    from zoo.card import figures, page

    task.find(card.task)  # in words that fit any, it would not be its page
    made = {PAGE: page.render(card, figure_names(card, folder)).encode()}
    made |= figures.draw(card, read_run(folder))
    made[FILE] = to_json(card).encode()  # last: the source stands only beside its page
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in made.items():
        write_bytes(folder / name, content)


def figure_names(card: Card, folder: Path) -> tuple[str, ...]:
    """The figures that stand beside `card` in `folder`: curves only where run.json has some."""
    from zoo.card import figures

    return figures.names(card, read_run(folder))


def drift(folder: Path) -> list[str]:
    """What in `folder` does not follow from its card.json and run.json; empty when all does."""
    from zoo.card import figures, page

    card = read(folder)
    task.find(card.task)
    found = [f"{folder / v.file}: not the file of the card" for v in _strangers(card, folder)]
    if _text(folder / PAGE) != page.render(card, figure_names(card, folder)):
        found.append(f"{folder / PAGE}: not what card.json says")
    if (folder / RUN).is_file() and sha256(folder / RUN) != card.run_sha256:
        found.append(f"{folder / RUN}: not the run of the card")
    for name, digest in figures.sources(card, read_run(folder)).items():
        if digest not in _text(folder / name):
            found.append(f"{folder / name}: drawn from other numbers")
    return found


def _strangers(card: Card, folder: Path) -> list[Variant]:
    paths = [(v, folder / v.file) for v in card.variants.values()]
    return [v for v, path in paths if not path.is_file() or sha256(path) != v.sha256]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
