"""store: the folder into the store, its row into the registry."""

from __future__ import annotations

from zoo.chain.job import Job
from zoo.chain.made import Carded, Steps, Stored
from zoo.publish import shelf
from zoo.stores.folders import Folders, default


def run(carded: Carded, job: Job) -> Steps[Stored]:
    """Refused where page, figures or files are not those of the card."""
    yield from ()
    target = Folders(job.store) if job.store else default()
    shelf.publish(carded.folder, target)
    return Stored(carded, target.folder(job.name))
