"""Text from strangers does nothing to a terminal, whatever the command and wherever it stands.

One property, over every place: stdout and stderr hold no character that is not plainly seen, but
for ends of lines and tabs, and markup of rich is shown as it was written.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import unicodedata
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import picture, shell
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from zoo import cli
from zoo.cli import progress, tables
from zoo.errors import NotFound, ZooError, ZooWarning
from zoo.inputs.asked import Asked
from zoo.records import entry as records_entry
from zoo.records import reader

app: Any = importlib.import_module("zoo.cli.app")  # not the application of that name
EVIL = (
    "\x1b]0;pwn\a\x1b[31m\x9b31m\u202e\u200b\ud800\r\n\terror: forged\x00\x7f\udcff\U000e0041[red]"
)
TEXTS = (st.text(st.characters()) | st.binary(max_size=40).map(os.fsdecode)).map(
    lambda text: text + EVIL
)
FORBIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def unclean(said: str, keep: str = "\n\t") -> str:
    return "".join(c for c in said if unicodedata.category(c) in FORBIDDEN and c not in keep)


def run(*words: str) -> str:
    """stdout and stderr of a command in this process, as `main` would show its end."""
    shown = io.StringIO()
    before = sys.stderr
    result = CliRunner().invoke(cli.app, words, standalone_mode=False)
    sys.stderr = shown
    try:
        if isinstance(result.exception, Exception):
            app._failed(result.exception)
    finally:
        sys.stderr = before
    return result.output + shown.getvalue()


# --- the one way out -----------------------------------------------------------------------------

SHOWN: dict[str, Callable[[str], object]] = {
    "talk": app.talk,
    "an error": lambda text: app.tell(ZooError(text, text), text),
    "a stage's error": lambda text: app.tell(_StageError(text)),
    "a bug": lambda text: app._failed(IndexError(text)),
    "a warning": lambda text: app._show_warning(ZooWarning(text), ZooWarning, "f", 1),
    "another's warning": lambda text: app._show_warning(text, UserWarning, "f", 1),  # type: ignore[arg-type]
    "data": app.text,
    "JSON": lambda text: app.json_out({text: [text]}),
    "a table": lambda text: app.text(tables.columns([(text, text)], ("A", "B"))),
    "progress": lambda text: progress._line(text, 1, 1),
}


class _StageError(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.hint = text


@pytest.mark.parametrize("way", SHOWN)
@settings(max_examples=8)
@given(text=TEXTS)
def test_no_way_out_lets_a_command_through(way: str, text: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, err
    try:
        SHOWN[way](text)
    finally:
        sys.stdout, sys.stderr = before
    said = out.getvalue() + err.getvalue()
    assert "[red]" in said or len(said) >= 4000  # shown as it was written, unless cut
    assert unclean(said, "\n\t\u200c\u200d\ufe0f") == ""
    if way in ("talk", "a table", "progress", "a warning"):
        assert said.count("\n") <= 2
    if way == "JSON":
        assert list(json.loads(out.getvalue())) == [text]


# --- through the commands ------------------------------------------------------------------------


def hostile(row: Any, evil: str) -> str:
    """A registry whose row is full of it."""
    data = records_entry.plain({row.name: row})
    told = data["students"][row.name]
    told["summary"] = told["task"] = told["licence"] = evil
    told["headline"]["accuracy_dataset"] = evil
    return json.dumps(data)


@pytest.mark.parametrize("command", [["list"], ["info", "NAME"], ["search", "forged"]])
def test_tables_of_a_strangers_registry(command: list[str], shelf: Any) -> None:
    shelf.registry.write_text(
        hostile(shelf.entry, EVIL.replace("\ud800", "").replace("\udcff", ""))
    )
    words = [shelf.entry.name if word == "NAME" else word for word in command]
    said = run(*words)
    assert "pwn" in said
    assert unclean(said) == ""
    (row, *_) = [json.loads(run(*words, "--json"))]
    found = row[0] if isinstance(row, list) else row
    assert found["summary"].startswith("\x1b]0;pwn\a")  # JSON holds the text itself


@pytest.mark.parametrize(
    "text",
    [
        '{"format": 1, "students": {"a": {"EVIL": 1}}}',
        '{"format": 1, "students": {"EVIL": {}}}',
        '{"format": "EVIL", "students": {}}',
        '{"format": 1, "students": {"a": {"task": "EVIL"}}}',
        '{"EVIL": 1, "EVIL": 2}',
        '{"format": 1, "students": {"EVIL": {"format": 2}}}',
        "EVIL: [",
        "!EVIL x",
    ],
)
def test_errors_about_a_strangers_registry(text: str, shelf: Any) -> None:
    escaped = json.dumps(EVIL.replace("\ud800", "").replace("\udcff", ""))[1:-1]
    shelf.registry.write_text(text.replace("EVIL", escaped))
    with warnings.catch_warnings():
        warnings.showwarning = app._show_warning  # type: ignore[assignment]
        warnings.simplefilter("always")
        assert unclean(run("list")) == ""


@settings(max_examples=3)
@given(text=TEXTS)
def test_what_is_typed_is_shown_clean(text: str, tmp_path_factory: Any) -> None:
    words = text.replace("\0", "")
    for command in (
        ["info", words],
        ["pull", words],
        ["list", "--registry", words],
        ["list", "--max-size", words],
        [words],
        ["run", words, "x"],
        ["bench", words],
        ["list", f"--{words}"],
    ):
        assert unclean(run(*command)) == "", command


def test_a_student_with_hostile_labels_and_files(tiny: Path, tmp_path: Path) -> None:
    from zoo.students.load import load

    student = load(tiny)
    student.labels = tuple(f"{EVIL}{i}" for i in range(len(student.labels)))
    files = [picture(tmp_path / f"a\x1b[31m\n{i}.png", (255, 0, 0)) for i in range(2)]
    for as_json in (False, True):
        asked = Asked((*files, tmp_path / f"none{chr(27)}.png"), (), None, None, as_json, None)
        asked = replace(asked, watched=lambda items, total: items)
        lines: list[Any] = []
        with pytest.raises(ZooError):
            lines.extend(student.told(asked))
        said = "\n".join(map(str, lines[:2]))
        assert unclean(said) == ""
        assert said.count("\n") == (1 if as_json else 2 * len(student.labels) - 1)


def test_a_name_in_a_bundle_or_an_archive_is_shown_clean(tmp_path: Path, shelf: Any) -> None:
    import tarfile

    path = tmp_path / "x.zoo"
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("\x1b[31m\n"))
    assert unclean(run("pull", "--all", "--from", str(path))) == ""


def test_a_servers_words_are_shown_clean(shelf: Any, site: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    name = shelf.entry.name
    site.answers["/registry.yaml"] = lambda request: site.reply(
        request, b"", status=404, **{"X-Error-Message": "\x1b[31m\x9b\x7f pwn"}
    )
    assert unclean(run("list", "--registry", site.url)) == ""
    shelf.store.folder(name).rename(shelf.root / "moved")
    path = f"/{shelf.entry.repo}/resolve/{shelf.entry.revision}/card.json"
    site.answers[path] = lambda request: site.reply(
        request, b"", status=403, **{"X-Error-Message": "\x1b[31m\x9b\x7f pwn"}
    )
    said = run("pull", name, "--from", site.url)
    assert "pwn" in said
    assert unclean(said) == ""


def test_a_bug_in_a_process_of_its_own_is_shown_clean() -> None:
    code = f"""
from zoo import cli
@cli.app.command()
def break_it():
    raise IndexError({EVIL!r} + " http://user:pw@host/?token=S3CRET")
cli.main()
"""
    done = shell("break-it", code=code)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "Traceback" in done.stderr
    assert "error: forged" in last and "***" in last
    assert unclean(done.stderr.replace("raise IndexError", "")) == ""


def test_near_names_of_a_stranger_are_shown_clean() -> None:
    error = NotFound("no", reader.near("pwn", ["pwn\x1b[31m", "pwn\u202e"]))
    assert "\x1b" in error.hint and "\u202e" in error.hint
    shown = io.StringIO()
    with contextlib.redirect_stderr(shown):
        app.tell(error)
    assert "\\u001b[31m" in shown.getvalue() and "\\u202e" in shown.getvalue()
    assert unclean(shown.getvalue()) == ""


def test_a_card_is_shown_clean(tiny: Path, shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    card = shelf.file("card.json")
    data = json.loads(card.read_text())
    data["summary"] = "x \x1b[31m \u202e [link=http://evil]y[/link] [z](javascript:alert(1))"
    card.write_text(json.dumps(data))
    said = run("card", shelf.entry.name)
    assert "javascript" in said
    assert unclean(said) == ""
