"""The catalogue's routes: pages for people, the same as JSON, and the registry of this hub."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from zoo.card import markdown
from zoo.card.words import words
from zoo.errors import InputError, ZooError
from zoo.records import baselines
from zoo.said import JOINERS
from zoo.said import shown as clean
from zoo.serve import answers
from zoo.serve.catalogue import blocks, openapi, plot, registry
from zoo.serve.catalogue.beside import compared
from zoo.serve.catalogue.models import Shown, figures, look, rows, shown, told
from zoo.serve.catalogue.query import (
    AXES,
    SORTS,
    Query,
    as_json,
    on_front,
    parse,
    points,
    select,
)
from zoo.serve.routing import Route, base_url
from zoo.serve.sending import not_modified
from zoo.stores.store import Refs

if TYPE_CHECKING:
    import jinja2

    from zoo.serve.hub import Hub

Handler = Callable[..., Awaitable[Response]]
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_SAFE = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_COSTS = {"latency": "latency, ms (log scale)", "size": "size of the file, MB (log scale)"}
_FRAMES = (plot.WIDE, plot.NARROW)


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("zoo.serve.catalogue"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_seen,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "percent": markdown.percent,
        "duration": markdown.duration,
        "size": markdown.size,
        "millions": markdown.millions,
        "capital": markdown.capital,
        "plain": blocks.plain,
    }
    return made


def _seen(value: object) -> object:
    """Whatever a page shows of others' text, cleaned; what is HTML already was made of that."""
    is_text = isinstance(value, str) and not hasattr(value, "__html__")
    return clean(value, keep="\n\t" + JOINERS) if is_text else value


def _html(template: str, status: int = 200, /, **values: Any) -> Response:
    import zoo

    text = _environment().get_template(template).render(version=zoo.__version__, **values)
    return Response(text, status, _SAFE, "text/html; charset=utf-8")


def _page(handler: Handler) -> Handler:
    """A handler whose errors are pages as well; the status and X-Error-Code stay."""

    @wraps(handler)
    async def answer(request: Request, **segments: str) -> Response:
        try:
            return await handler(request, **segments)
        except ZooError as problem:
            told = answers.from_error(problem)
            page = _html("problem.html", told.status_code, problem=problem)
            page.headers["X-Error-Code"] = told.headers["X-Error-Code"]
            return page

    return answer


# --- the list ------------------------------------------------------------------------------------


@_page
async def index(request: Request) -> Response:
    """The list of students with its form and its plot."""
    found = await _shown(request)
    all_rows = rows(found)
    try:
        query, problem, status = parse(request.query_params), "", 200
    except InputError as wrong:
        query, problem, status = (
            Query(),
            f"{wrong}: {wrong.hint}" if wrong.hint else str(wrong),
            400,
        )
    selected = select(all_rows, query)
    dots = points(selected, query.axis)
    return _html(
        "list.html",
        status,
        query=query,
        problem=problem,
        rows=selected,
        total=len(all_rows),
        others=[one for one in found if one.problem],
        tasks=sorted({one.task for one in all_rows} | {query.task} - {""}),
        licences=sorted({one.licence for one in all_rows} | {query.licence} - {""}),
        sorts={name: told for name, (told, _) in SORTS.items()},
        axes=list(AXES),
        front=on_front(selected, query.axis),
        drawn=bool(dots),
        best=_by_group(plot.front(dots)),
        least=plot.LEAST,
        unlike=sum(not row.has_accuracy for row in selected),
        without=sum(row.has_accuracy for row in selected) - len(dots),
        pictures=[plot.draw(dots, _COSTS[query.axis], frame) for frame in _FRAMES],
        beside=compared(selected, baselines.packaged()),
        frames=_FRAMES,
    )


def _by_group(front: list[plot.Point]) -> dict[str, list[plot.Point]]:
    return {name: [p for p in front if p.group == name] for name in plot.groups(front)}


async def _shown(request: Request) -> list[Shown]:
    """What whoever asks may see."""
    hub: Hub = request.state.hub
    private = request.state.user is not None
    unknown = await hub.refresh_all()
    return await hub.call(lambda: list(shown(hub.store, private=private, without=unknown)))


async def listing(request: Request) -> Response:
    """The list for machines."""
    try:
        query = parse(request.query_params)
    except InputError as wrong:
        raise answers.bad_request(f"{wrong}: {wrong.hint}" if wrong.hint else str(wrong)) from None
    found = await _shown(request)
    selected = select(rows(found), query)
    others = [{"repo": one.repo, "reason": one.problem} for one in found if one.problem]
    body = {"total": len(selected), "models": as_json(selected, query.axis), "others": others}
    return answers.json(body, headers=_SAFE)


# --- one student ---------------------------------------------------------------------------------


async def _one(request: Request, org: str, name: str, revision: str = "main") -> tuple[Shown, Refs]:
    hub: Hub = request.state.hub
    commit = await hub.read(org, name, revision, request.state.user)
    repo = f"{org}/{name}"
    one = await hub.call(look, repo, commit, hub.store)
    return one, await hub.call(hub.store.refs, repo)


@_page
async def student(request: Request, org: str, name: str, revision: str = "main") -> Response:
    """Everything about one repository, as it is or as it was."""
    one, refs = await _one(request, org, name, revision)
    hub: Hub = request.state.hub
    card, said = await hub.call(told, one, hub.store) or (None, "")
    there = figures(one.commit)
    return _html(
        "model.html",
        one=one,
        card=card,
        said=words(card) if card else None,
        row=one.row,
        listed=refs.heads.get("main") == one.commit.id and registry.entry(one) is not None,
        files=sorted(one.commit.files.values(), key=lambda file: file.path),
        tags=sorted(tag for tag, commit in refs.tags.items() if commit == one.commit.id),
        beside=compared([one.row] if one.row else [], baselines.packaged()),
        frames=_FRAMES,
        parts=[part for part in blocks.parse(said) if _there(part, there)],
        url=base_url(request),
    )


def _there(part: blocks.Block, pictures: list[str]) -> bool:
    """Whether a block can be shown: of pictures those that stand in the repository."""
    return not isinstance(part, blocks.Picture) or part.name in pictures


async def student_json(request: Request, org: str, name: str) -> Response:
    """One student for machines: the row, the files and the whole card."""
    from zoo.records import plain

    one, refs = await _one(request, org, name)
    hub: Hub = request.state.hub
    card, _ = await hub.call(told, one, hub.store) or (None, "")
    body = {
        "repo": one.repo,
        "revision": one.commit.id,
        "tags": dict(refs.tags),
        "files": [_file(one, path) for path in sorted(one.commit.files)],
        "row": asdict(one.row) if one.row else None,
        "card": plain.essentials(card),
        "problem": one.problem,
    }
    return answers.json(body, headers=_SAFE)


def _file(one: Shown, path: str) -> dict[str, Any]:
    file = one.commit.files[path]
    return {"path": path, "size": file.size, "sha256": file.sha256}


# --- the rest ------------------------------------------------------------------------------------


async def registry_yaml(request: Request) -> Response:
    """The registry of what anybody may pull from here."""
    hub: Hub = request.state.hub
    unknown = await hub.refresh_all()
    found = shown(hub.store, private=False, without=unknown)
    text = await hub.call(lambda: registry.text(found))
    etag = f'"{hashlib.sha256(text.encode()).hexdigest()}"'
    headers = {**_SAFE, "ETag": etag}
    if not_modified(request.headers, etag):
        return Response(status_code=304, headers=headers)
    return Response(text, 200, headers, "application/yaml")


async def document(request: Request) -> Response:
    """The OpenAPI document of every route."""
    return answers.json(openapi.document(base_url(request)), headers=_SAFE)


@_page
async def api(request: Request) -> Response:
    """The same document as a page."""
    return _html("api.html", document=openapi.document(base_url(request)))


def _packaged(name: str, kind: str) -> Handler:
    """A handler that sends a file of this package."""

    async def send(request: Request) -> Response:
        source = _environment().get_template(name)
        headers = {**_SAFE, "Cache-Control": "max-age=300"}
        return Response(source.render(), 200, headers, kind)

    return send


ROUTES = [
    Route("GET", "/", index, query=None),
    Route("GET", "/{org}/{name}", student, query=None),
    Route("GET", "/{org}/{name}/commit/{revision}", student, query=None),
    Route("GET", "/api/zoo/models", listing, "", tuple(Query.__dataclass_fields__)),
    Route("GET", "/api/zoo/models/{org}/{name}", student_json),
    Route("GET", "/registry.yaml", registry_yaml, tagged=True),
    Route("GET", "/openapi.json", document),
    Route("GET", "/api", api, query=None),
    Route("GET", "/style.css", _packaged("style.css", "text/css; charset=utf-8"), query=None),
    Route("GET", "/icon.svg", _packaged("icon.svg", "image/svg+xml"), query=None),
]
