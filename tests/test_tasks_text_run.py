"""`zoo run` and its neighbours with text students: lines in, lines out."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import zoo
from zoo import cli
from zoo.errors import InputError, NotFound
from zoo.inputs import lines

ROOT = Path(zoo.__file__ or "").parents[1]
NAME = "scripts-tiny.test"


def invoke(*arguments: object, stdin: bytes = b"") -> str:
    """stdout of a command that succeeds."""
    given = [str(one) for one in arguments]
    result = CliRunner().invoke(cli.app, given, input=stdin, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def shell(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """`zoo` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "zoo", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
    )


@pytest.fixture
def text_shelf(
    make_shelf: Any, tiny_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """The tiny text student published."""
    made = make_shelf(tmp_path / "shelf", tiny_text, NAME)
    monkeypatch.setenv("ZOO_REGISTRY", str(made.registry))
    monkeypatch.setenv("ZOO_STORE", str(made.store.root))
    monkeypatch.setenv("ZOO_CACHE", str(made.cache))
    return made


# --- what is printed -----------------------------------------------------------------------------


def test_a_text_is_a_line_of_probability_label_and_text(tiny_text: Path) -> None:
    out = invoke("run", tiny_text, "--text", "guten Morgen", "--text", "доброе утро")
    rows = [line.split("\t") for line in out.splitlines()]
    assert [(row[1], row[2]) for row in rows] == [("en", "guten Morgen"), ("ru", "доброе утро")]
    assert all(0.9 < float(row[0]) <= 1 for row in rows)


def test_a_label_below_the_threshold_is_unknown(tiny_text: Path) -> None:
    assert invoke("run", tiny_text, "--text", "12:30") == "0.3333\tunknown\t12:30\n"


def test_top_prints_pairs_whatever_the_threshold_and_the_text_last(tiny_text: Path) -> None:
    out = invoke("run", tiny_text, "--text", "12", "--text", "Ж", "--top", "2")
    rows = [line.split("\t") for line in out.splitlines()]
    assert rows[0] == ["0.3333", "el", "0.3333", "en", "12"]
    assert [len(row) for row in rows] == [5, 5]
    assert rows[1][1] == "ru"


def test_json_is_an_object_a_line(tiny_text: Path) -> None:
    out = invoke("run", tiny_text, "--json", "--top", "3", stdin="доброе\n12\n".encode())
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["text"], row["label"]) for row in rows] == [("доброе", "ru"), ("12", "unknown")]
    assert [one["label"] for one in rows[0]["answers"]] == ["ru", "el", "en"]
    assert sum(one["probability"] for one in rows[0]["answers"]) == pytest.approx(1)
    assert len(json.loads(invoke("run", tiny_text, "--json", "--text", "a"))["answers"]) == 1


def test_a_text_of_several_lines_stays_on_one(tiny_text: Path) -> None:
    assert invoke("run", tiny_text, "--text", "one\ntwo\r\nthree").endswith("\tone two three\n")
    assert json.loads(invoke("run", tiny_text, "--json", "--text", "a\nb"))["text"] == "a\nb"


def test_a_published_text_student_is_run_listed_and_shown(text_shelf: Any) -> None:
    assert invoke("run", NAME, "--text", "доброе").split("\t")[1] == "ru"
    assert NAME in invoke("list")
    assert NAME in invoke("info", NAME)
    assert "DIFFERENT" not in invoke("verify", NAME)


def test_bench_times_words_and_sentences(text_shelf: Any) -> None:
    found = json.loads(invoke("bench", NAME, "--json", "--rounds", "2"))
    rows = {(row["precision"], row["text_length"], row["image_size"]) for row in found["rows"]}
    assert rows == {(p, length, None) for p in ("fp32", "int8") for length in (8, 100)}
    head, *table = invoke("bench", NAME, "--rounds", "2").splitlines()
    assert "INPUT" in head
    assert ["8 letters" in line for line in table] == [True, True, False, False]
    assert "not on the card" in invoke("bench", NAME, "--compare", "--rounds", "2")


# --- where texts are from ------------------------------------------------------------------------


def test_files_and_standard_input_are_read_a_text_a_line(tiny_text: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("доброе\r\n\r\nguten Morgen".encode())
    out = invoke("run", tiny_text, "--text", "Ж", tmp_path / "a.txt", "-", stdin=b"stdin\n")
    texts = [line.split("\t")[2] for line in out.split("\n")[:-1]]
    assert texts == ["Ж", "доброе", "", "guten Morgen", "stdin"]


def test_without_files_and_texts_standard_input_is_read(tiny_text: Path) -> None:
    assert invoke("run", tiny_text, stdin="a\nЖ\n".encode()).count("\n") == 2
    assert shell("run", tiny_text, stdin=b"").stdout == b""


def test_answers_come_before_the_pipe_ends(tiny_text: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "zoo", "run", str(tiny_text)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"one\ntwo\n")
        process.stdin.flush()
        assert process.stdout.readline().endswith(b"\tone\n")
        assert process.stdout.readline().endswith(b"\ttwo\n")
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.mark.parametrize("batch", [1, 7, 5000])
def test_the_batch_does_not_change_what_is_printed(batch: int, tiny_text: Path) -> None:
    texts = "".join(f"{'word ' * (i % 40)}\n" for i in range(200)).encode()
    assert invoke("run", tiny_text, "--batch", batch, stdin=texts) == invoke(
        "run", tiny_text, stdin=texts
    )


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]))))
def test_lines_are_those_that_were_written(texts: list[str]) -> None:
    data = "".join(f"{text}\n" for text in texts).encode()
    texts = [texts[0].removeprefix("\ufeff"), *texts[1:]] if texts else []
    assert [text for block in lines.lines(io.BytesIO(data), "x") for text in block] == texts


@given(st.binary(max_size=200))
def test_any_bytes_are_lines_or_one_error(data: bytes) -> None:
    found: list[str] = []
    try:
        for block in lines.lines(io.BytesIO(data), "x"):
            found += block
    except InputError as error:
        assert f"x, line {len(found) + 1}: not UTF-8" in str(error)
        assert error.hint
    else:
        assert (
            found
            == data.decode()
            .removeprefix("\ufeff")
            .replace("\r\n", "\n")
            .removesuffix("\n")
            .split("\n")
            or not data
            or data.endswith(b"\r")
        )


def test_lines_that_come_in_pieces_are_put_together() -> None:
    class Slow(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return super().read1(3)

    data = "guten Morgen\nдоброе утро\n\nend".encode()
    found = [text for block in lines.lines(Slow(data), "x") for text in block]
    assert found == ["guten Morgen", "доброе утро", "", "end"]


# --- bad input -----------------------------------------------------------------------------------


def test_bytes_that_are_not_utf8_are_one_error_that_names_the_line(tiny_text: Path) -> None:
    done = shell("run", tiny_text, stdin=b"one\ntwo\nthr\xffee\nfour\n")
    assert done.returncode == 1
    assert [line.split(b"\t")[2] for line in done.stdout.splitlines()] == [b"one", b"two"]
    error, hint = done.stderr.decode().splitlines()
    assert error.startswith("error: standard input, line 3: not UTF-8")
    assert "byte 0xff at place 4" in error
    assert "iconv" in hint


def test_a_text_argument_that_is_not_utf8_is_answered(tiny_text: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("arguments are bytes on Linux")
    for more in ((), ("--json",)):
        done = subprocess.run(
            [sys.executable, "-m", "zoo", "run", str(tiny_text), "--text", b"w\xe9", *more],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert b"w\\udce9" in done.stdout
    assert json.loads(done.stdout)["text"] == "w\udce9"


def test_a_megabyte_in_one_line_nul_and_marks_are_texts(tiny_text: Path) -> None:
    given = b"x" * 1_000_000 + b"\na\0b\n\xe2\x80\x8f\xd0\x96\n"
    rows = [line.split("\t") for line in invoke("run", tiny_text, stdin=given).split("\n")[:-1]]
    assert [row[1] for row in rows] == ["en", "en", "ru"]
    assert [len(rows[0][2]), rows[1][2], rows[2][2]] == [1_000_000, r"a\u0000b", r"\u200fЖ"]


def test_a_missing_file_a_folder_and_a_picture_are_errors(tiny_text: Path, tmp_path: Path) -> None:
    def error(*files: Path) -> Exception | None:
        return CliRunner().invoke(cli.app, ["run", str(tiny_text), *map(str, files)]).exception  # type: ignore[return-value]

    missing = error(tmp_path / "guten Morgen")
    assert isinstance(missing, NotFound)
    assert "--text" in missing.hint
    assert isinstance(error(tmp_path), InputError)
    picture = error(tmp_path / "cat.JPG")
    assert isinstance(picture, InputError)
    assert "a picture, and this student classifies texts" in str(picture)


def test_a_text_for_a_picture_student_is_an_error(tiny: Path) -> None:
    done = shell("run", tiny, "--text", "guten Morgen")
    assert done.returncode == 1
    assert b"classifies pictures, not texts" in done.stderr
    assert shell("run", tiny, stdin=b"guten Morgen\n").returncode == 2


def test_many_lines_take_bounded_memory(tiny_text: Path) -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("needs Linux's /proc")
    code = """
import sys
from zoo import cli
try:
    cli.app(standalone_mode=False)
finally:
    lines = open("/proc/self/status").read().splitlines()
    print(next(line.split()[1] for line in lines if line.startswith("VmHWM")), file=sys.stderr)
"""

    def peak_mb(count: int) -> float:
        done = subprocess.run(
            [sys.executable, "-c", code, "run", str(tiny_text)],
            input=b"guten Morgen\n" * count,
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert done.stdout.count(b"\n") == count
        return int(done.stderr) * 1024 / 1e6

    assert peak_mb(200_000) - peak_mb(20_000) < 10


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
def test_a_reader_that_goes_away_is_no_error(tiny_text: Path) -> None:
    command = f'yes | head -n 100000 | "{sys.executable}" -m zoo run {tiny_text} | head -n 1'
    done = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout == b"0.9647\ten\ty\n"
    assert done.stderr == b""
