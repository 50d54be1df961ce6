"""store: the folder into the store, its row into the registry."""

from __future__ import annotations

from pathlib import Path

from zoo.card import beside
from zoo.card.beside import Side
from zoo.chain.job import Job
from zoo.chain.made import Carded, Steps, Stored
from zoo.errors import CardError, GateError, NotFound
from zoo.publish import shelf
from zoo.records import card as cards
from zoo.records.card import Card
from zoo.records.measures import Score
from zoo.stores.folders import Folders, default


def run(carded: Carded, job: Job) -> Steps[Stored]:
    """Refused where page, figures or files are not those of the card, and where a better student
    of the name is published, unless `job.agree` says yes.
    """
    yield from ()
    target = Folders(job.store) if job.store else default()
    _compare(carded, target, job)
    shelf.publish(carded.folder, target)
    return Stored(carded, target.folder(job.name))


def _compare(carded: Carded, target: Folders, job: Job) -> None:
    """Say what the published student of the name was, and ask where this one is worse."""
    try:
        old = _side(target.folder(job.name))
    except NotFound:
        return
    except CardError as error:
        why, now = f"what is published cannot be compared: {error}", ""
    else:
        new = _side(carded.folder)
        if _made(old) == _made(new):
            return
        before, after = _score(old.card), _score(new.card)
        why = _unlike(old, new) or worse(before, after)
        now = f"takes the place of one with {_shown(before)}; it has {_shown(after)}"
    if why and not job.agree(f"{job.name}: {why}"):
        raise GateError(
            f"{job.name} is not published: {why}",
            f"--replace publishes it all the same, from {carded.folder}; or give it another name",
        )
    if now:
        job.tell(now)


def _side(folder: Path) -> Side:
    return Side("", cards.read(folder), cards.read_run(folder))


def _made(side: Side) -> tuple[str, str, Score]:
    """By what, how, and what came of it: equal for one that was only built again."""
    return side.card.recipe_sha256, side.card.run_sha256, _score(side.card)


def _unlike(old: Side, new: Side) -> str:
    why = beside.unlike(old, new)
    return f"it cannot be compared with the published one: {why}" if why else ""


def worse(old: Score, new: Score) -> str:
    """In words, why a score must not take the place of one of the same kind; "" where it may.

    Worse is what lies beyond the 95 % interval of the old one.
    """
    highest = old.scale.best == "highest"
    if new.value < old.low if highest else new.value > old.high:
        return f"it has {_shown(new)}, surely worse than {_shown(old)} of the published one"
    return ""


def _score(card: Card) -> Score:
    return card.variants[card.best].accuracy


def _shown(score: Score) -> str:
    show, unit = score.scale.shown, f" {score.scale.unit}" if score.scale.unit else ""
    value = f"{show(score.value)}{unit} ({show(score.low)} to {show(score.high)})"
    return f"{score.name} {value} on {score.dataset}, n = {score.n:,}"
