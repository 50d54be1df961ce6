"""The OpenAPI 3.1 document of this server: openapi.yaml, with what only the server knows."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any


def document(url: str) -> dict[str, Any]:
    """The document; `url` is where the server was reached, without a slash at the end.

    Calls share what is in it: it is to be read, not to be changed.
    """
    import zoo

    found = _packaged()
    info = {**found["info"], "version": zoo.__version__}
    return {**found, "info": info, "servers": [{"url": url}]}


@cache
def _packaged() -> dict[str, Any]:
    import yaml

    text = (resources.files(__package__) / "openapi.yaml").read_text("utf-8")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the first is the faster
    found: dict[str, Any] = yaml.load(text, loader)
    return found
