"""Labelled texts: how places are read, what is held out, and what is wrong named in one error."""

import hashlib
import io
import os
import tarfile
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.config import TextData
from distill.data import archives, texts
from distill.data.texts import Texts, load_tests, load_texts
from distill.errors import DistillError

few = settings(max_examples=40, deadline=None)
SHARE = 0.25
GOOD = {
    "de.txt": "".join(f"Satz Nummer {i}.\n" for i in range(20)),
    "en.txt": "".join(f"Sentence number {i}.\n" for i in range(12)),
}


def to_folder(path: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def to_tar(path: Path, files: dict[str, str | bytes], *special: tarfile.TarInfo) -> Path:
    suffix = path.suffix.removeprefix(".")
    with tarfile.open(path, "w:" + (suffix if suffix != "tar" else "")) as archive:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in special:
            archive.addfile(info)
    return path


def inside(folder: str, files: dict[str, str | bytes]) -> dict[str, str | bytes]:
    return {f"{folder}/{name}": content for name, content in files.items()}


def config(source: Path | str, test: Path | str = "nowhere", **changes: object) -> TextData:
    given = {"validation": SHARE, **changes}
    return TextData(str(source), "CC0-1.0", {"exam": str(test)}, **given)  # type: ignore[arg-type]


def load(source: Path | str, split: str = "train", **changes: object) -> Texts:
    return load_texts(config(source, **changes), split)  # type: ignore[arg-type]


def error_of(call: Callable[[], object]) -> DistillError:
    with pytest.raises(DistillError) as caught:
        call()
    assert caught.value.hint
    return caught.value


def of_class(data: Texts, name: str) -> list[str]:
    label = data.classes.index(name)
    return [text for text, at in zip(data.texts, data.labels, strict=True) if at == label]


# What is read


def test_texts_labels_and_classes_belong_together(tmp_path: Path) -> None:
    data = load(to_folder(tmp_path / "talk", GOOD))
    assert data.classes == ("de", "en") and data.split == "train" and len(data) == 15 + 9
    assert data.labels.dtype == np.int64 and not data.words.any() and data.words.dtype == bool
    assert all(("Satz" in t) == (c == 0) for t, c in zip(data.texts, data.labels, strict=True))


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.xz", "tar.bz2"])
@pytest.mark.parametrize("folder", ["", "./", "talk/", "a/b/"])
def test_an_archive_gives_what_its_folder_gives(tmp_path: Path, suffix: str, folder: str) -> None:
    there = {folder + name: content for name, content in GOOD.items()}
    others = {"README.md": "x", folder + "SOURCES.md": "x", folder + "._de.txt": b"\xff"}
    archive = to_tar(tmp_path / f"talk.{suffix}", {**there, **others})
    for split in ("train", "validation"):
        assert load(archive, split).sha256 == load(to_folder(tmp_path / "t", GOOD), split).sha256


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_a_name_in_capitals_is_read_like_any_other(tmp_path: Path, kind: str) -> None:
    there = {"de.TXT": GOOD["de.txt"], "en.Txt": GOOD["en.txt"], "README": "x", "notes.md": "x"}
    place = (
        to_folder(tmp_path / "t", there) if kind == "folder" else to_tar(tmp_path / "t.tar", there)
    )
    assert load(place).sha256 == load(to_folder(tmp_path / "plain", GOOD)).sha256


MEANT = ["fr.txt.gz", "fr.text", "fr.txt~", "fr.txt ", "fr.TXT.bak", "fr.txt.zip"]


@pytest.mark.parametrize("kind", ["folder", "tar"])
@pytest.mark.parametrize("name", MEANT)
def test_a_class_is_not_lost_to_the_name_of_its_file(tmp_path: Path, kind: str, name: str) -> None:
    there = {**GOOD, name: "phrase"}
    place = (
        to_folder(tmp_path / "t", there) if kind == "folder" else to_tar(tmp_path / "t.tar", there)
    )
    assert repr(name) in str(error_of(lambda: load(place)))


def test_two_files_of_one_class_are_named(tmp_path: Path) -> None:
    place = to_folder(tmp_path / "case", {**GOOD, "DE.txt": "noch einer"})
    assert "DE.txt and de.txt differ in upper and lower case only" in str(
        error_of(lambda: load(place))
    )
    place = to_folder(tmp_path / "suffix", {**GOOD, "de.TXT": "noch einer"})
    assert "is in it twice" in str(error_of(lambda: load(place)))


def test_a_test_of_another_spelling_says_in_what_it_differs(tmp_path: Path) -> None:
    source = to_folder(tmp_path / "source", GOOD)
    test = to_folder(tmp_path / "test", {"DE.txt": "neu", "en.txt": "new"})
    error = error_of(lambda: load_tests(config(source, test)))
    assert "DE.txt is of no class" in str(error) and "upper and lower case" in str(error)


def test_texts_with_two_answers_are_said_with_their_count(tmp_path: Path) -> None:
    same = "".join(f"OK {i}\n" for i in range(3))
    place = to_folder(tmp_path / "t", {name: text + same for name, text in GOOD.items()})
    (doubt,) = load(place).doubts
    assert doubt.startswith("3 texts have two answers or more, as 'OK 0' in de.txt and en.txt")
    assert load(to_folder(tmp_path / "plain", GOOD)).doubts == ()


@pytest.mark.parametrize("name", ["de.txt", "fr.txt"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    place = to_folder(tmp_path / "t", {"en.txt": GOOD["en.txt"]})
    os.mkfifo(place / name)
    assert "named pipe" in str(error_of(lambda: load(place)))


def test_a_folder_of_an_archive_is_named_after_it(tmp_path: Path) -> None:
    other = {name: content.upper() for name, content in GOOD.items()}
    archive = to_tar(tmp_path / "x.tar.xz", {**inside("low", GOOD), **inside("up", other)})
    assert load(f"{archive}/up").texts == load(to_folder(tmp_path / "up", other)).texts
    assert load(f"{archive}/low").texts == load(to_folder(tmp_path / "low", GOOD)).texts


def test_a_folder_may_be_named_like_an_archive(tmp_path: Path) -> None:
    folder = to_folder(tmp_path / "v1.tar", inside("talk", GOOD))
    assert len(load(f"{folder}/talk")) == 24


def test_places_are_below_the_root_or_zoo_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to_tar(tmp_path / "talk.tar", GOOD)
    below = load_texts(config("talk.tar"), "train", tmp_path)
    monkeypatch.setenv("ZOO_DATA", str(tmp_path))
    assert load("talk.tar").sha256 == below.sha256


def test_texts_are_composed_stripped_and_each_once(tmp_path: Path) -> None:
    content = "\ufeff  A\u0308pfel \r\n\n\u00a0\nÄpfel\nBirne\x0bNuss\u2028Kern\nBirne"
    files = {"de.txt": content, "en.txt": "Äpfel"}
    data = load(to_folder(tmp_path / "talk", files), validation=0.01)
    assert sorted(of_class(data, "de")) == ["Birne", "Birne\x0bNuss\u2028Kern", "Äpfel"]
    assert of_class(data, "en") == ["Äpfel"]  # of another class


@few
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=8))
def test_any_lines_become_their_composed_texts(lines: list[str]) -> None:
    content = "\n".join(lines)
    composed = [unicodedata.normalize("NFC", line).strip() for line in content.split("\n")]
    composed = [line for line in composed if line]
    if content.startswith("\ufeff"):
        return
    if composed:
        assert texts._lines(content.encode(), "x") == list(dict.fromkeys(composed))
    else:
        with pytest.raises(DistillError, match="x holds no text"):
            texts._lines(content.encode(), "x")


@few
@given(st.binary(max_size=40))
def test_any_bytes_are_texts_or_one_error(content: bytes) -> None:
    try:
        found = texts._lines(content, "de.txt")
    except DistillError as error:
        assert "de.txt" in str(error)
    else:
        assert found and all(text == text.strip() != "" for text in found)


def test_the_hash_is_of_everything_read(tmp_path: Path) -> None:
    folder = to_folder(tmp_path / "talk", GOOD)
    changed = {
        load(folder).sha256,
        load(folder, "validation").sha256,
        load(to_folder(tmp_path / "b", {**GOOD, "en.txt": "One.\nTwo.\nThree."})).sha256,
        load(to_folder(tmp_path / "c", {**GOOD, "fr.txt": "Une.\nDeux."}), validation=0.3).sha256,
        load(folder, words=str(folder)).sha256,
    }
    assert len(changed) == 5 and all(len(sha) == 64 for sha in changed)
    assert load(folder).sha256 in changed


# What is held out


def test_the_smallest_hashes_of_each_class_are_held_out(tmp_path: Path) -> None:
    folder = to_folder(tmp_path / "talk", GOOD)
    held, rest = load(folder, "validation"), load(folder)
    for name, count in (("de", 5), ("en", 3)):
        lines = GOOD[f"{name}.txt"].splitlines()
        lines.sort(key=lambda line: hashlib.sha256(f"{name}/{line}".encode()).hexdigest())
        assert of_class(held, name) == lines[:count]
        assert of_class(rest, name) == lines[count:]


def test_the_order_of_lines_decides_nothing(tmp_path: Path) -> None:
    turned = {n: "\n".join(reversed(c.splitlines())) for n, c in GOOD.items()}
    for split in ("train", "validation"):
        assert (
            load(to_folder(tmp_path / "a", GOOD), split).sha256
            == load(to_folder(tmp_path / "b", turned), split).sha256
        )


def test_a_share_that_rounds_to_nothing_is_named(tmp_path: Path) -> None:
    folder = to_folder(tmp_path / "talk", {**GOOD, "fr.txt": "Une."})
    assert "class 'fr'" in str(error_of(lambda: load(folder, "validation")))
    assert of_class(load(folder), "fr") == ["Une."]


# Words and tests


def test_words_are_trained_on_and_marked(tmp_path: Path) -> None:
    folder = to_folder(tmp_path / "talk", GOOD)
    words = to_tar(tmp_path / "words.tar.xz", inside("w", {"en.txt": "the\nof\n"}))
    data = load(folder, words=str(words))
    assert data.texts[-2:] == ("the", "of") and data.labels[-2:].tolist() == [1, 1]
    assert data.words.tolist() == [False] * 24 + [True] * 2
    assert load(folder, "validation", words=str(words)).texts == load(folder, "validation").texts


def test_a_held_out_text_is_not_trained_on_as_a_word(tmp_path: Path) -> None:
    folder = to_folder(tmp_path / "talk", GOOD)
    data = load(folder, words=str(folder))
    assert len(data) == 2 * 24 and not set(data.texts) & set(load(folder, "validation").texts)


def test_a_test_has_the_classes_of_the_source(tmp_path: Path) -> None:
    folder = to_folder(tmp_path / "talk", GOOD)
    exam = to_folder(tmp_path / "exam", {"en.txt": "Well?\nYes.", "de.txt": "Nun?"})
    data = load_tests(config(folder, exam))["exam"]
    assert data.split == "exam" and data.classes == ("de", "en") and not data.words.any()
    assert data.texts == ("Nun?", "Well?", "Yes.") and data.labels.tolist() == [0, 1, 1]


def test_a_test_text_that_stands_in_the_source_is_left_out(tmp_path: Path) -> None:
    folder = to_folder(tmp_path / "talk", GOOD | {"de.txt": "Caf\u00e9.\nNun?\nJa."})
    exam = {"en.txt": "Well?\nSentence number 3.\nCafe\u0301.", "de.txt": "Gut."}
    data = load_tests(config(folder, to_folder(tmp_path / "exam", exam)))["exam"]
    assert data.texts == ("Gut.", "Well?") and data.dropped == 2
    alone = load_tests(config(folder, to_folder(tmp_path / "exam", {"en.txt": "Well?"})))["exam"]
    assert alone.sha256 == data.sha256 and alone.dropped == 0


def test_a_test_whose_class_stands_in_the_source_whole_is_named(tmp_path: Path) -> None:
    folder = to_folder(tmp_path / "talk", GOOD)
    exam = to_folder(tmp_path / "exam", {"en.txt": "Sentence number 3.", "de.txt": "Gut."})
    error = error_of(lambda: load_tests(config(folder, exam))["exam"])
    assert "every text of en.txt stands in" in str(error) and error.hint


def test_a_test_without_a_class_is_named(tmp_path: Path) -> None:
    folder = to_folder(tmp_path / "talk", GOOD)
    exam = to_folder(tmp_path / "exam", {"en.txt": "Well?"})
    assert "de.txt is missing" in str(error_of(lambda: load_tests(config(folder, exam))["exam"]))


@pytest.mark.parametrize("kind", ["test", "words"])
def test_a_class_that_the_source_lacks_is_named(tmp_path: Path, kind: str) -> None:
    folder = to_folder(tmp_path / "talk", GOOD)
    more = to_folder(tmp_path / "more", {**GOOD, "xx.txt": "Hm."})
    data = config(folder, more, words=str(more))
    call = {"test": lambda: load_tests(data), "words": lambda: load_texts(data, "train")}
    assert "xx.txt is of no class" in str(error_of(call[kind]))


# What is wrong


def test_bytes_that_are_not_utf_8_name_file_and_line(tmp_path: Path) -> None:
    files = {**GOOD, "fr.txt": "Une.\nDeux.\nFran\xe7ais.\n".encode("latin-1")}
    for place in (to_folder(tmp_path / "talk", files), to_tar(tmp_path / "talk.tar", files)):
        assert "fr.txt, line 3: not UTF-8" in str(error_of(lambda at=place: load(at)))


@pytest.mark.parametrize("content", ["", "\n \n\t\n", "\ufeff"])
def test_a_file_without_text_is_named(tmp_path: Path, content: str) -> None:
    folder = to_folder(tmp_path / "talk", {**GOOD, "fr.txt": content})
    assert "fr.txt holds no text" in str(error_of(lambda: load(folder)))


@pytest.mark.parametrize("name", [" .txt", "a b.txt", "-en.txt", "$HOME.txt"])
def test_a_file_that_is_not_named_like_a_class_is_refused(tmp_path: Path, name: str) -> None:
    folder = to_folder(tmp_path / "talk", {**GOOD, name: "x"})
    assert "not named like a class" in str(error_of(lambda: load(folder)))


def test_several_folders_of_an_archive_are_named(tmp_path: Path) -> None:
    archive = to_tar(tmp_path / "x.tar", {**inside("a", GOOD), **inside("b/c", GOOD)})
    error = error_of(lambda: load(archive))
    assert "a, b/c" in str(error) and "x.tar/FOLDER" in error.hint
    error = error_of(lambda: load(f"{archive}/b"))
    assert "no folder b of texts" in str(error) and "a, b/c" in error.hint


def test_a_place_without_texts_or_that_is_nowhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "talk.zip").write_bytes(b"PK")
    for place, message in (
        (tmp_path / "empty", "holds no texts"),
        (to_tar(tmp_path / "empty.tar", {"README": "x"}), "holds no texts"),
        (tmp_path / "talk.zip", "not a place of texts"),
        ("no-such.tar.xz/talk", "no-such.tar.xz was not found"),
        (tmp_path / "gone", "was not found"),
    ):
        assert message in str(error_of(lambda at=place: load(at)))


def test_a_class_that_is_there_twice_is_named(tmp_path: Path) -> None:
    archive = to_tar(tmp_path / "x.tar", {"talk/en.txt": "One.", "talk/./en.txt": "Two."})
    assert "en.txt is in it twice" in str(error_of(lambda: load(archive)))


@pytest.mark.parametrize("name", ["/etc/en.txt", "../en.txt", "talk/../../en.txt", "C:en.txt"])
def test_a_member_that_points_out_of_the_archive_is_refused(tmp_path: Path, name: str) -> None:
    archive = to_tar(tmp_path / "x.tar", {**inside("talk", GOOD), name: "x"})
    assert "points out of the archive" in str(error_of(lambda: load(archive)))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_or_device_in_an_archive_is_refused(tmp_path: Path, kind: bytes) -> None:
    link = tarfile.TarInfo("talk/fr.txt")
    link.type, link.linkname = kind, "/etc/passwd"
    archive = to_tar(tmp_path / "x.tar", inside("talk", GOOD), link)
    assert "special file" in str(error_of(lambda: load(archive)))


def test_what_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 2**16)
    monkeypatch.setattr(texts, "MAX_FILE_BYTES", 2**16)
    files = {**GOOD, "fr.txt": "a" * 2**17}
    archive = to_tar(tmp_path / "x.tar.xz", files)
    assert "to too much" in str(error_of(lambda: load(archive)))
    assert "larger than" in str(error_of(lambda: load(to_folder(tmp_path / "x", files))))


@few
@given(cut=st.floats(0, 0.999), suffix=st.sampled_from(["tar", "tar.gz", "tar.xz"]))
def test_an_archive_that_is_cut_is_one_error(
    tmp_path_factory: pytest.TempPathFactory, cut: float, suffix: str
) -> None:
    archive = to_tar(tmp_path_factory.mktemp("cut") / f"x.{suffix}", inside("talk", GOOD))
    content = archive.read_bytes()
    if suffix == "tar":
        content = content[: -tarfile.RECORDSIZE + 4 * tarfile.BLOCKSIZE]  # before its end's mark
    archive.write_bytes(content[: int(cut * len(content))])
    assert "x.tar" in str(error_of(lambda: load(archive)))


# The real data


def test_the_real_data_is_read_whole() -> None:
    root = Path(os.environ.get("ZOO_DATA", "/nonexistent"))
    if not (root / "langid-train.tar.xz").is_file() or not (root / "langid-test.tar.xz").is_file():
        pytest.skip("ZOO_DATA names no directory with langid-train.tar.xz and langid-test.tar.xz")
    data = TextData(
        "langid-train.tar.xz", "various", {"flores": "langid-test.tar.xz/langid-heldout2"}
    )
    held, rest = load_texts(data, "validation", root), load_texts(data, "train", root)
    assert len(held) == 16751 and len(held) + len(rest) == 335024
    assert len(load_tests(data, root)["flores"]) == 75955  # no line of it repeats in its class
