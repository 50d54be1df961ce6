"""The Hub, or any server that speaks its HTTP interface: the one module for huggingface_hub.

A publication is one commit on the head that was read before it, then the hub's own sizes and hashes
of that commit compared with ours, then a tag. Each step first looks whether it was done already, so
a run that was cut off anywhere is finished by the next one.

Xet is for the public Hub alone: other hubs do not have it, and its library writes wherever a server
tells it to.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import zoo
from zoo.errors import PublishError, require
from zoo.publish.release import Blob, Plan, Published, Release, Snapshot, differences, plan
from zoo.records.names import check_endpoint, check_repo
from zoo.registry import endpoints, faults
from zoo.said import one_line

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TIMEOUT_S = 10  # for the first answer of a hub
_AGAIN = "run it again: nothing is sent twice"


class _Later(PublishError):  # noqa: N818
    """The hub asks to come back after `wait_s` seconds."""

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message, faults.later(wait_s))
        self.wait_s = wait_s


def publish(release: Release, endpoint: str, repo: str, *, dry_run: bool = False) -> Published:
    """Make `repo` at `endpoint` hold the release, proved and tagged.

    Nothing is committed where the newest commit holds it already. A dry run only reads. A
    PublishError says which hub, what it answered and what to do. Where the hub asks to wait, it is
    begun anew after that: what is done is found done.
    """
    patience = faults.Patience()
    while True:
        try:
            return _publish(release, endpoint, repo, dry_run)
        except _Later as problem:
            if not patience.waited(problem):
                raise


def _publish(release: Release, endpoint: str, repo: str, dry_run: bool) -> Published:
    hub = Hub(endpoint, repo)
    head = hub.look()
    todo = plan(release, endpoint, repo, head)
    if dry_run:
        return Published(todo, "", new=not todo.empty)
    if head is None:
        hub.create()
        head = hub.look()
        if head is None:
            raise PublishError(f"{endpoint} made {repo} and does not have it", faults.HUB)
        todo = plan(release, endpoint, repo, head)
    commit = head.commit if todo.empty else hub.send(release, todo)
    hub.prove(release, commit)
    return Published(todo, hub.tagged(release, commit), new=not todo.empty)


class Hub:
    """One repository on one hub, talked to with the token that belongs there."""

    def __init__(self, endpoint: str, repo: str) -> None:
        require(check_endpoint, endpoint, PublishError)
        require(check_repo, repo, PublishError)
        self.endpoint, self.repo = endpoint, repo
        self._api = _api(endpoint)

    def look(self, revision: str | None = None) -> Snapshot | None:
        """The commit that `revision` names (None: the newest); None if there is no such repo."""
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

        with self._told():
            try:
                info = self._api.model_info(
                    self.repo, revision=revision, files_metadata=True, timeout=TIMEOUT_S
                )
            except GatedRepoError:
                raise
            except RepositoryNotFoundError:
                return None
            files = {file.rfilename: _blob(file) for file in info.siblings or ()}
            return Snapshot(_commit_id(info.sha), files)

    def create(self) -> None:
        """Make the repository; one that is there is left as it is."""
        with self._told():
            self._api.create_repo(self.repo, exist_ok=True)

    def send(self, release: Release, todo: Plan) -> str:
        """Commit what is to do on the plan's parent, in one request; returns the commit.

        Where that fails, but the newest commit holds the release, an answer was lost, or somebody
        published the same: that commit is returned.
        """
        try:
            with self._told():
                return _commit_id(self._commit(release, todo))
        except PublishError:
            with contextlib.suppress(PublishError):
                now = self.look()
                if now and now.commit != todo.parent and not differences(release.files, now.files):
                    return now.commit
            raise

    def _commit(self, release: Release, todo: Plan) -> str:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        card = release.card
        with _xet_only_there(self.endpoint):
            done = self._api.create_commit(
                self.repo,
                [
                    *(CommitOperationAdd(name, release.folder / name) for name in todo.send),
                    *(CommitOperationDelete(name, is_folder=False) for name in todo.delete),
                ],
                commit_message=f"{card.name} {release.tag}",
                commit_description=f"recipe {card.recipe_sha256}\nrun {card.run_sha256}\n"
                f"card {release.files['card.json'].sha256}\ncode {card.code_commit}",
                parent_commit=todo.parent,
            )
        return done.oid

    def prove(self, release: Release, commit: str) -> None:
        """A PublishError unless the hub tells our sizes and hashes of that commit's files."""
        found = self.look(commit)
        if found is None or found.commit != commit:
            told = found.commit[:12] if found else "nothing"
            message = f"{self.endpoint}: asked for {self.repo}@{commit[:12]}, it has {told}"
            raise PublishError(message, "the registry is as it was; run it again")
        wrong = differences(release.files, found.files)
        if wrong:
            said = "; ".join(f"{name} {reason}" for name, reason in wrong.items())
            message = f"{self.endpoint}: {self.repo}@{commit[:12]} is not what was sent: {said}"
            raise PublishError(message, "the registry is as it was; do not trust that commit")

    def tagged(self, release: Release, commit: str) -> str:
        """The commit that the release's tag is on: the one it had, else `commit`."""
        if not (known := self._tags().get(release.tag)):
            try:
                with self._told():
                    self._api.create_tag(self.repo, tag=release.tag, revision=commit)
            except PublishError:
                if not (known := self._tags().get(release.tag)):  # nobody was faster: it failed
                    raise
        if known and known != commit:
            self.prove(release, known)
        return known or commit

    def _tags(self) -> dict[str, str]:
        with self._told():
            refs = self._api.list_repo_refs(self.repo)
            return {tag.name: _commit_id(tag.target_commit) for tag in refs.tags}

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what the client raises into one error with a way out."""
        from huggingface_hub.errors import HfHubHTTPError
        from huggingface_hub.utils import httpx

        try:
            yield
        except RuntimeError as problem:  # from one of the client's threads
            raise self._error(problem.__cause__ or problem) from None
        except (httpx.HTTPError, OSError, HfHubHTTPError) as problem:
            raise self._error(problem) from None
        except (AttributeError, KeyError, TypeError, ValueError) as problem:  # no JSON of a hub's
            message = f"{self.endpoint}: no answer of a hub ({one_line(repr(problem))})"
            raise PublishError(message, faults.HUB) from None

    def _error(self, problem: BaseException) -> PublishError:
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
        from huggingface_hub.utils import httpx

        if isinstance(problem, OfflineModeIsEnabled):
            hint = "unset HF_HUB_OFFLINE to publish"
            return PublishError(f"{self.endpoint}: HF_HUB_OFFLINE is set", hint)
        if isinstance(problem, HfHubHTTPError):
            return self._refused(problem)
        hint = _AGAIN
        if isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            hint = faults.hint(problem)
        elif isinstance(problem, httpx.UnsupportedProtocol | httpx.TooManyRedirects):
            hint = faults.HUB
        elif isinstance(problem, httpx.RemoteProtocolError):  # perhaps in the midst of it
            hint = f"{_AGAIN}; or {faults.hint(problem)}"
        return PublishError(f"{self.endpoint}: {one_line(problem)}", hint)

    def _refused(self, problem: Any) -> PublishError:
        """What the hub answered in place of doing it."""
        status = problem.response.status_code
        said = getattr(problem, "server_message", None) or problem.response.reason_phrase
        message = f"{self.endpoint}: {self.repo}: {status}: {one_line(said)}"
        if status in (429, 503) and (wait_s := faults.wait_s(problem.response.headers)):
            return _Later(message, wait_s)
        return PublishError(message, _HINTS.get(status, "").format(token=_login(self.endpoint)))


_HINTS = {
    400: "the hub does not take it; is it of another version?",
    401: "{token}",
    403: "{token}; it needs the right to write to that organisation",
    404: faults.HUB,
    412: "somebody has committed there meanwhile; look at it, and run it again to publish on top",
    413: "the hub takes no files of that size",
    429: "wait, and run it again: nothing is sent twice",
    507: "the hub's disk is full",
    **dict.fromkeys((500, 502, 503, 504), _AGAIN),
}


def _login(endpoint: str) -> str:
    """How to get the token that belongs to a hub."""
    if endpoints.is_public(endpoint):
        return "log in: hf auth login, or set HF_TOKEN"
    return "set ZOO_TOKEN to a token of that hub; `zoo token add` there makes one"


def token(endpoint: str) -> str | None:
    """The token that belongs to a hub: the user's own, or $ZOO_TOKEN where it is not the public."""
    own = endpoints.token(endpoint)
    if own or endpoints.is_public(endpoint):
        return own
    return endpoints.header_safe(os.environ.get("ZOO_TOKEN", ""))


@contextlib.contextmanager
def without_bars() -> Iterator[None]:
    """No bars of the client's own, where another one is drawn."""
    _client()
    from huggingface_hub import utils  # no attribute of the package before it is imported

    if utils.are_progress_bars_disabled():
        yield
        return
    utils.disable_progress_bars()
    try:
        yield
    finally:
        utils.enable_progress_bars()


def _client() -> ModuleType:
    try:
        import huggingface_hub
    except ModuleNotFoundError as problem:
        hint = "pip install 'huggingface_hub>=1.0'"
        raise PublishError(f"`zoo publish` needs {problem.name}", hint) from None
    return huggingface_hub


def _api(endpoint: str) -> HfApi:
    # False, not None: with None the client would send the user's own token to whatever hub this is
    return _client().HfApi(
        endpoint=endpoint,
        token=token(endpoint) or False,
        library_name="studentzoo",
        library_version=zoo.__version__,
    )


@contextlib.contextmanager
def _xet_only_there(endpoint: str) -> Iterator[None]:
    """Switch the client's Xet off unless `endpoint` is the public Hub."""
    from huggingface_hub import constants

    before = constants.HF_HUB_DISABLE_XET
    constants.HF_HUB_DISABLE_XET = before or endpoint != endpoints.PUBLIC
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_XET = before


def _blob(file: Any) -> Blob:
    """What a hub tells of a file; what is no hash is left out."""
    return Blob(file.size, _hex(file.lfs.sha256, 64) if file.lfs else "", _hex(file.blob_id, 40))


def _hex(value: object, digits: int) -> str:
    return value if isinstance(value, str) and re.fullmatch(f"[0-9a-f]{{{digits}}}", value) else ""


def _commit_id(value: object) -> str:
    if not (commit := _hex(value, 40)):
        raise ValueError(f"{ascii(value)[:100]} is no commit")
    return commit
