"""A hub of one's own: the Hub's HTTP interface over a store (extra: serve).

In: requests. Out: files, commits, pages for people, the same as JSON. Uses the rooms from `records`
to `publish`.

run        the process             routing, bodies, answers   requests in, answers out
connections  how many, how long    forwarded                  what a named proxy says
hub        what handlers are given tokens, settings           who may do what, and the limits
models, listing, trees  questions about repositories     files, sending  their bytes
repos, commits, drafts  changes of repositories          lfs             uploads
upstream, remote, receiving, flight  another hub behind  local           this machine's students
catalogue  pages, the list as JSON, registry.yaml, OpenAPI
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from zoo.serve.routing import Route
    from zoo.serve.settings import Settings
    from zoo.stores.store import Store


def create_app(store: Store, settings: Settings) -> ASGIApp:
    """The ASGI application over one store."""
    from zoo.serve.app import App
    from zoo.serve.hub import Hub
    from zoo.serve.tokens import Tokens
    from zoo.serve.upstream import Upstream

    mirror = Upstream(store, settings.upstream) if settings.upstream else None
    return App(Hub(store, settings, Tokens(store.root), mirror), all_routes())


def all_routes() -> list[Route]:
    """The table, joined; modules of this list hold `ROUTES`."""
    from zoo.serve import commits, files, lfs, models, repos, trees
    from zoo.serve.catalogue import pages

    modules: list[Any] = [models, trees, files, repos, commits, lfs, pages]
    return [route for module in modules for route in module.ROUTES]
