"""`zoo publish` to what is no hub, is busy, or asks for a token: the hint names that."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from no_hubs import PAGES

from zoo.errors import PublishError, ZooWarning
from zoo.publish import remote
from zoo.registry import faults

pytest.importorskip("huggingface_hub")
pytestmark = pytest.mark.hub


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for variable in ("HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "ZOO_TOKEN"):
        monkeypatch.delenv(variable, raising=False)


def refused(lab: Any, url: str) -> PublishError:
    with pytest.raises(PublishError) as caught:
        remote.publish(lab.row.name, repo="lab/x", endpoint=url, store=lab.store)
    return caught.value


def model_info(answer: Callable[[Any], None], site: Any) -> None:
    site.answers["/api/models/lab/x?blobs=True"] = answer
    site.answers["/api/models/lab/x"] = answer
    site.answers["/api/models/lab/x?blobs=true"] = answer


@pytest.mark.parametrize("page", PAGES)
def test_what_is_no_hub_is_asked_whether_it_is_one(page: str, lab: Any, site: Any) -> None:
    body, kind = PAGES[page]
    model_info(lambda request: site.reply(request, body, **{"Content-Type": kind}), site)
    problem = refused(lab, site.url)
    assert faults.HUB in problem.hint
    assert "\n" not in str(problem)


def test_who_is_sent_on_to_no_hub_is_asked_whether_it_is_one(lab: Any, site: Any) -> None:
    def answer(request: Any) -> None:
        site.reply(request, b"", status=302, Location="file:///etc/hostname")

    model_info(answer, site)
    assert faults.HUB in refused(lab, site.url).hint


def test_a_hub_that_asks_to_wait_is_waited_for(lab: Any, site: Any) -> None:
    left = [2]

    def answer(request: Any) -> None:
        left[0] -= 1
        busy = {"status": 429, "Retry-After": "1"} if left[0] >= 0 else {"status": 400}
        site.reply(request, json.dumps({"error": "x"}).encode(), **busy)

    model_info(answer, site)
    with pytest.warns(ZooWarning, match="429.*asked to wait 1 s"):
        problem = refused(lab, site.url)
    assert "400" in str(problem)
    left[0] = 1
    model_info(
        lambda request: site.reply(request, b"", status=503, **{"Retry-After": "1000000000"}), site
    )
    assert "the hub asks for 1000000000 s" in refused(lab, site.url).hint


def test_nobody_there_and_no_tls_there_are_told_as_that(lab: Any, site: Any) -> None:
    assert "is a hub running at that address" in refused(lab, "http://127.0.0.1:9").hint
    assert "http:// in place" in refused(lab, site.url.replace("http:", "https:")).hint
