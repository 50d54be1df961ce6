"""zoo run: what comes from standard input, tables, and folders whose classes are known."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from command_line import invoke, picture, shell
from typer.testing import CliRunner, Result

from zoo import cli
from zoo.inputs.classes import classes
from zoo.measure.tally import Tally

RED, GREEN, BLUE = (250, 5, 5), (5, 250, 5), (5, 5, 250)


def run(*arguments: object, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(cli.app, ["run", *map(str, arguments)], input=stdin)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def red(tmp_path: Path) -> Path:
    return picture(tmp_path / "red.png", RED)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Seven pictures in folders of classes; one of the greens is blue."""
    folder = tmp_path / "labelled"
    for label, colors in {"red": [RED] * 3, "green": [GREEN, BLUE], "blue": [BLUE] * 2}.items():
        (folder / label / "deeper").mkdir(parents=True)
        for number, color in enumerate(colors):
            picture(folder / label / "deeper" / f"{number}.png", color)
    return folder


# --- standard input ------------------------------------------------------------------------------


def test_a_picture_is_read_from_standard_input(tiny: Path, red: Path) -> None:
    done = run(tiny, "-", "--top", 1, stdin=red.read_bytes())
    assert done.stdout == invoke("run", tiny, red, "--top", "1").replace(str(red), "-")


def test_standard_input_stands_among_files_and_is_tried_again_with_them(
    tiny: Path, red: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    blue = picture(tmp_path / "blue.png", BLUE)
    files = (red, tmp_path / "broken.png", "-")
    done = run(tiny, *files, "--top", 1, "--json", stdin=blue.read_bytes())
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["file"], row["answers"][0]["label"]) for row in rows] == [
        (str(red), "red"),
        ("-", "blue"),
    ]
    assert "1 of 3 pictures could not be read" in str(done.exception)


@pytest.mark.parametrize(
    ("given", "said"), [(b"", "is empty"), (b"no picture", "not a picture that can be read")]
)
def test_what_is_no_picture_on_standard_input_is_one_error(
    given: bytes, said: str, tiny: Path
) -> None:
    done = run(tiny, "-", stdin=given)
    assert str(done.exception).startswith("standard input: ")
    assert said in str(done.exception)


# --- tables --------------------------------------------------------------------------------------


def test_a_table_has_a_row_a_picture_under_a_line_of_names(tiny: Path, tmp_path: Path) -> None:
    odd = picture(tmp_path / 'odd, "quoted".png', BLUE)
    red = picture(tmp_path / "red.png", RED)
    out = invoke("run", tiny, odd, red, "--csv", "--top", 2)
    assert out.splitlines()[0] == "file,label,probability,label_2,probability_2"
    rows = table(out)
    assert [(row["file"], row["label"]) for row in rows] == [(str(odd), "blue"), (str(red), "red")]
    assert float(rows[0]["probability"]) > float(rows[0]["probability_2"]) > 0


def test_a_table_has_no_more_columns_than_there_are_labels(tiny: Path, red: Path) -> None:
    assert list(table(invoke("run", tiny, red, "--csv"))[0])[-1] == "probability_3"


def test_what_cannot_be_seen_is_escaped_in_a_table_and_ends_no_row(
    tiny: Path, tmp_path: Path
) -> None:
    names = ["new\nline.png", "esc\x1b[31m.png", "return\r.png", "bad\udcff.png"]
    for name in names:
        picture(tmp_path / name, RED)
    rows = table(shell("run", tiny, tmp_path, "--csv", "--top", 1).stdout)
    assert {Path(row["file"]).name for row in rows} == {
        "new\nline.png",
        r"esc\u001b[31m.png",
        r"return\r.png",
        r"bad\udcff.png",
    }


def test_a_broken_picture_leaves_a_table_whole(tiny: Path, red: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    done = run(tiny, red, tmp_path / "broken.png", "--csv", "--top", 1)
    assert [row["label"] for row in table(done.stdout)] == ["red"]
    assert done.exit_code == 1


def test_texts_are_a_table_too(tiny_text: Path) -> None:
    given = ("--text", 'say "guten, Morgen"', "--text", "two\nlines", "--text", "12:30")
    rows = table(invoke("run", tiny_text, *given, "--csv"))
    assert [row["text"] for row in rows] == list(given[1::2])
    assert [row["label"] for row in rows] == ["en", "en", "unknown"]
    ranked = table(invoke("run", tiny_text, *given, "--csv", "--top", 9))
    assert len(ranked[0]) == 1 + 2 * 3
    assert ranked[2]["label"] != "unknown"


def test_a_table_of_nothing_has_its_names(tiny_text: Path) -> None:
    assert run(tiny_text, "--csv").stdout == "text,label,probability\n"


def test_json_and_a_table_at_once_are_wrong_usage(tiny: Path, red: Path) -> None:
    assert run(tiny, red, "--csv", "--json").exit_code == 2


# --- folders of classes --------------------------------------------------------------------------


def test_folders_of_classes_give_accuracy_and_confusions(tiny: Path, labelled: Path) -> None:
    done = run(tiny, labelled, "--top", 1)
    assert len(done.stdout.splitlines()) == 7
    accuracy, confusion = done.stderr.splitlines()
    assert accuracy == "accuracy 85.71 % (48.69 to 97.43, 95 %): 6 of 7 pictures"
    assert confusion == "  green taken for blue: 1 of 2"


def test_json_ends_in_all_that_was_counted(tiny: Path, labelled: Path) -> None:
    *rows, counted = map(json.loads, invoke("run", tiny, labelled, "--json").splitlines())
    assert [row["class"] for row in rows] == ["blue"] * 2 + ["green"] * 2 + ["red"] * 3
    assert (counted["accuracy"]["n"], counted["accuracy"]["right"]) == (7, 6)
    assert counted["accuracy"]["low"] < counted["accuracy"]["value"] < counted["accuracy"]["high"]
    assert counted["confusions"] == [{"class": "green", "answer": "blue", "n": 1}]
    assert counted["classes"][1] == {"class": "green", "n": 2, "right": 1}
    assert counted["not_counted"] == 0


def test_a_table_has_the_class_and_nothing_but_rows(tiny: Path, labelled: Path) -> None:
    done = run(tiny, labelled, "--csv", "--top", 1)
    rows = table(done.stdout)
    assert len(rows) == 7
    assert [row["class"] == row["label"] for row in rows].count(False) == 1
    assert "accuracy 85.71 %" in done.stderr


def test_pictures_outside_the_classes_are_said_and_not_counted(tiny: Path, labelled: Path) -> None:
    (labelled / "misc").mkdir()
    for name in ("misc/a.png", "misc/b.png", "top.png"):
        picture(labelled / name, RED)
    done = run(tiny, labelled, "--top", 1)
    assert "6 of 7 pictures" in done.stderr
    assert "3 pictures in no class folder are not counted" in done.stderr
    assert "no classes of the student: misc" in done.stderr
    *rows, counted = map(json.loads, invoke("run", tiny, labelled, "--json").splitlines())
    assert {row["file"]: row["class"] for row in rows}[str(labelled / "top.png")] is None
    assert counted["not_counted"] == 3


def test_a_broken_picture_is_not_counted(tiny: Path, labelled: Path) -> None:
    (labelled / "red" / "broken.png").write_bytes(b"")
    done = run(tiny, labelled)
    assert "6 of 7 pictures" in done.stderr
    assert "1 of 8 pictures could not be read" in str(done.exception)


@pytest.mark.parametrize(
    "names", [["a.png"], ["holiday/red/a.png"], ["red/a.png", "x/a.png", "y/a.png"]]
)
def test_folders_that_are_no_classes_are_not_counted(
    names: list[str], tiny: Path, tmp_path: Path
) -> None:
    for name in names:
        (tmp_path / "some" / name).parent.mkdir(parents=True, exist_ok=True)
        picture(tmp_path / "some" / name, RED)
    done = run(tiny, tmp_path / "some", "--json")
    assert done.stderr == ""
    assert [set(json.loads(line)) for line in done.stdout.splitlines()] == [
        {"file", "answers"}
    ] * len(names)


def test_a_class_is_known_however_its_folder_is_written() -> None:
    files = [Path("in") / name for name in ("Cat/1.png", "cafe\u0301/2.png", "DOG /3.png")]
    found = classes([Path("in")], files, ["cat", "caf\u00e9", "dog", "Dog"])
    assert found
    assert [found.of(file) for file in files] == ["cat", "caf\u00e9", None]
    assert found.others == ("DOG ",)


def test_the_innermost_root_that_was_given_does_not_hide_the_class() -> None:
    files = [Path("in/cat/1.png"), Path("in/dog/2.png"), Path("2.png")]
    found = classes([Path("in/cat"), Path("in")], files, ["cat", "dog"])
    assert found
    assert [found.of(file) for file in files] == ["cat", "dog", None]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Four texts and an empty line in files of their labels; one of the English ones is Russian."""
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "en.txt").write_text("good\n\nmorning\nдобро\n", encoding="utf-8")
    (tmp_path / "texts" / "ru.txt").write_text("доброе утро\n", encoding="utf-8")
    return tmp_path / "texts"


def test_texts_in_files_of_their_labels_give_accuracy_too(tiny_text: Path, written: Path) -> None:
    done = run(tiny_text, written)
    assert [line.split("\t")[2] for line in done.stdout.splitlines()] == [
        *("good", "", "morning", "добро"),
        "доброе утро",
    ]
    assert done.stderr.splitlines() == [
        "accuracy 75.00 % (30.06 to 95.44, 95 %): 3 of 4 texts",
        "  en taken for ru: 1 of 3",
    ]
    *rows, counted = map(json.loads, invoke("run", tiny_text, written, "--json").splitlines())
    assert [row["class"] for row in rows] == ["en"] * 4 + ["ru"]
    assert counted["accuracy"]["right"] == 3
    assert [row["class"] for row in table(invoke("run", tiny_text, written, "--csv"))] == [
        row["class"] for row in rows
    ]


def test_texts_of_no_known_label_stand_beside_them_uncounted(
    tiny_text: Path, written: Path, tmp_path: Path
) -> None:
    (tmp_path / "more.txt").write_text("more\n")
    given = (written, tmp_path / "more.txt", "-", "--text", "one", "--json")
    done = run(tiny_text, *given, stdin=b"piped\n")
    *rows, counted = map(json.loads, done.stdout.splitlines())
    assert {row["text"]: row["class"] for row in rows}["one"] is None
    assert [row["class"] for row in rows][-2:] == [None, None]
    assert counted["accuracy"]["n"] == 4


@pytest.mark.parametrize(
    ("root", "file"), [(".", "cat/1.png"), ("/", "/cat/1.png"), ("a/b/", "a/b/cat/x/1.png")]
)
def test_a_root_is_a_folder_however_it_is_written(root: str, file: str) -> None:
    found = classes([Path(root)], [Path(file)], ["cat"])
    assert found
    assert found.of(Path(file)) == "cat"
    assert found.of(Path(f"{root.rstrip('/')}beside/cat/1.png")) is None


def test_only_the_largest_confusions_are_shown_and_the_rest_summed() -> None:
    tally = Tally()
    for wanted in "abcdefg":
        for _ in range(ord("h") - ord(wanted)):
            tally.add(wanted, "h")
    accuracy, *wrong, rest = tally.lines("texts")
    assert accuracy.startswith("accuracy 0.00 % (0.00 to ")
    assert wrong[0] == "  a taken for h: 7 of 7"
    assert len(wrong) == 5
    assert rest == "  2 other confusions, 3 times: --json has them all"


def test_nothing_answered_has_no_accuracy() -> None:
    tally = Tally()
    assert list(tally.lines()) == ["accuracy: none of the pictures of a class was answered"]
    found: dict[str, Any] = tally.as_data()["accuracy"]
    assert found == {"n": 0, "right": 0, "value": None, "low": None, "high": None}
