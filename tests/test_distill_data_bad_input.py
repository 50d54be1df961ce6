"""What is wrong with a data set is one error that names the file."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from distill.config import Data
from distill.data import archives, image, load
from distill.data.pictures import decode
from distill.data.record import Picture
from distill.data.tree import member_name, parse
from distill.errors import DistillError

SIZE = 8  # pixels
few = settings(max_examples=40, deadline=None)


def png(value: int = 0, size: int = SIZE) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (size, size), (value, 7, 9)).save(file, "PNG")
    return file.getvalue()


GOOD = {
    f"{split}/{label}/{i}.png": png(i)
    for split in ("train", "test")
    for label in ("cat", "dog")
    for i in range(3)
}


def to_folder(path: Path, members: dict[str, bytes]) -> Path:
    for name, content in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            (path / name).write_bytes(content)
        else:
            (path / name).mkdir(exist_ok=True)
    return path


def to_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def to_tar(path: Path, members: dict[str, bytes], *special: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w:") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name.rstrip("/"))
            info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in special:
            archive.addfile(info)
    return path


def packed(place: Path, kind: str, members: dict[str, bytes]) -> Path:
    to = {"folder": to_folder, "zip": to_zip, "tar": to_tar}[kind]
    return to(place / ("data" if kind == "folder" else f"data.{kind}"), members)


def error_of(path: Path | str, split: str = "train", **settings: object) -> DistillError:
    data = Data(str(path), "CC0-1.0", **{"image_size": SIZE, **settings})  # type: ignore[arg-type]
    with pytest.raises(DistillError) as caught:
        load(data, split)  # type: ignore[arg-type]
    return caught.value


EVERYWHERE = pytest.mark.parametrize("kind", ["folder", "zip", "tar"])


@EVERYWHERE
@pytest.mark.parametrize(
    "content",
    [b"", b"no picture", png(size=64)[:-40], png()[:20], b"\x89PNG\r\n\x1a\n" + bytes(64)],
)
def test_a_damaged_picture_is_named(tmp_path: Path, kind: str, content: bytes) -> None:
    members = GOOD | {f"train/cat/{i}.png": content for i in range(3)}
    assert "train/cat/" in str(error_of(packed(tmp_path, kind, members)))


@few
@given(st.binary(max_size=300), st.integers(0, 200), st.integers(0, 255))
def test_bytes_that_are_no_picture_are_an_error_or_a_picture(
    junk: bytes, place: int, value: int
) -> None:
    flipped = bytearray(png())
    flipped[place % len(flipped)] = value
    for content in (junk, png()[:50] + junk, bytes(flipped)):
        try:
            assert decode(Picture(0, "junk.png", content), SIZE).shape == (SIZE, SIZE, 3)
        except DistillError as error:
            assert "junk.png" in str(error)


def test_a_huge_picture_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "MAX_PIXELS", 100)
    with pytest.raises(DistillError, match=r"big\.png: 11 x 11 pixels; the limit"):
        decode(Picture(0, "big.png", png(size=11)), SIZE)


def test_pixels_without_a_range_are_refused() -> None:
    file = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.float32)).save(file, "TIFF")
    with pytest.raises(DistillError, match='mode "F"'):
        decode(Picture(0, "depth.tif", file.getvalue()), SIZE)


@EVERYWHERE
@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("read", ["train", "test"])
def test_a_class_missing_in_one_split_is_named(
    tmp_path: Path, kind: str, split: str, read: str
) -> None:
    members = {n: c for n, c in GOOD.items() if not n.startswith(f"{split}/dog/")}
    assert f"{split}/dog is missing" in str(error_of(packed(tmp_path, kind, members), read))


@EVERYWHERE
@pytest.mark.parametrize("wrapper", ["", "cats-main/"])
def test_an_empty_class_folder_is_named(tmp_path: Path, kind: str, wrapper: str) -> None:
    members = {wrapper + n: c for n, c in GOOD.items()} | {f"{wrapper}train/emu/": b""}
    assert f"{wrapper}train/emu is empty" in str(error_of(packed(tmp_path, kind, members)))


@EVERYWHERE
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_missing_split_is_named(tmp_path: Path, kind: str, split: str) -> None:
    members = {n: c for n, c in GOOD.items() if not n.startswith(split)}
    assert f"no {split} split" in str(error_of(packed(tmp_path, kind, members)))


@EVERYWHERE
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train/9.png", "not in a class folder"),
        ("train/cat/young/9.png", "not in a class folder"),
        ("train/cat/labels.csv", "does not have the name of a picture"),
        ("train/cat/noextension", "does not have the name of a picture"),
        ("other/cat/9.png", "neither train nor test"),
    ],
)
def test_a_file_out_of_place_is_named(tmp_path: Path, kind: str, name: str, message: str) -> None:
    error = error_of(packed(tmp_path, kind, GOOD | {name: png()}))
    assert name in str(error) and message in str(error) and error.hint


@EVERYWHERE
@pytest.mark.parametrize("top", ["train", "Val", "test"])
def test_a_class_that_is_called_like_a_split_is_told_in_the_hint(
    tmp_path: Path, kind: str, top: str
) -> None:
    """Vehicles: car, train."""
    members = {f"{label}/{i}.png": png() for label in ("car", top) for i in range(5)}
    hint = error_of(packed(tmp_path, kind, members)).hint
    assert f"{top}/ was read as a split: name it otherwise if it is a class" in hint


def test_a_validation_share_that_rounds_to_nothing_is_an_error(tmp_path: Path) -> None:
    error = error_of(to_zip(tmp_path / "d.zip", GOOD), "validation", validation=0.1)
    assert "validation split" in str(error) and "0.1" in error.hint


OUTSIDE = ["../train/cat/9.png", "train/../../9.png", "/train/cat/9.png", "C:/train/cat/9.png"]
OUTSIDE += ["train\\cat\\9.png", "train/cat/..\\..\\9.png"]


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", OUTSIDE)
def test_a_member_that_points_out_of_the_archive_is_named(
    tmp_path: Path, kind: str, name: str
) -> None:
    error = error_of(packed(tmp_path, kind, GOOD | {name: png()}))
    assert repr(name) in str(error) and "points out" in str(error)


@few
@given(st.text(min_size=1, max_size=30))
def test_no_member_name_leads_out(name: str) -> None:
    try:
        tidied = member_name(name, "x.zip")
    except DistillError:
        return
    place = Path("/somewhere/deep")
    assert (place / tidied).is_relative_to(place) and ".." not in tidied.split("/")


@few
@given(st.lists(st.from_regex(r"[a-z./]{1,20}|(train|test)/[ab]/\d\.png", fullmatch=True)))
def test_any_listing_is_examples_or_one_error(names: list[str]) -> None:
    try:
        examples, *_ = parse(names, [], "x.zip")
    except DistillError as error:
        assert "x.zip" in str(error)
    else:
        assert {e.key for e in examples} <= set(names)


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE],
)
@pytest.mark.parametrize("suffix", ["tar", "tar.gz"])
def test_a_tar_with_links_or_devices_is_refused(tmp_path: Path, kind: bytes, suffix: str) -> None:
    info = tarfile.TarInfo("train/cat/9.png")
    info.type, info.linkname = kind, "/etc/passwd"
    error = error_of(to_tar(tmp_path / f"data.{suffix}", GOOD, info))
    assert "'train/cat/9.png'" in str(error) and "link" in str(error)


def test_a_zip_with_a_link_is_refused(tmp_path: Path) -> None:
    path = to_zip(tmp_path / "data.zip", GOOD)
    info = zipfile.ZipInfo("train/cat/9.png")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, "/etc/passwd")
    assert "'train/cat/9.png' is a link" in str(error_of(path))


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    content = bytearray(to_zip(tmp_path / "data.zip", GOOD).read_bytes())
    content[content.find(b"PK\x01\x02") + 8] |= 1  # the flag in the directory's first entry
    (tmp_path / "data.zip").write_bytes(content)
    assert "train/cat/0.png is encrypted" in str(error_of(tmp_path / "data.zip"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_member_that_is_there_twice_is_named(tmp_path: Path, kind: str) -> None:
    twice = GOOD | {"./train/cat/0.png": png(200)}
    assert "train/cat/0.png is in it twice" in str(error_of(packed(tmp_path, kind, twice)))


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_member_that_unpacks_to_too_much_is_named(tmp_path: Path, kind: str) -> None:
    bomb = GOOD | {"train/cat/9.png": bytes(archives.MAX_MEMBER_BYTES + 1)}
    path = (to_zip if kind == "zip" else to_tar)(tmp_path / f"data.{kind}", bomb)
    assert path.stat().st_size < 2**20
    assert "train/cat/9.png unpacks to too much" in str(error_of(path))


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_members_that_together_unpack_to_too_much_are_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 2**20)
    bomb = GOOD | {f"train/cat/{i}.png": bytes(2**20) for i in range(10, 14)}
    path = (to_zip if kind == "zip" else to_tar)(tmp_path / f"data.{kind}", bomb)
    assert "unpacks to too much" in str(error_of(path))


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_header_that_unpacks_to_too_much_is_refused(tmp_path: Path, form: int) -> None:
    path = tmp_path / "data.tar.gz"
    with tarfile.open(path, "w:gz", format=form) as archive:
        archive.addfile(tarfile.TarInfo("train/cat/" + "9" * 3 * archives.MAX_HEADER_BYTES))
    assert path.stat().st_size < 2**16
    assert "a header, or all together, unpacks to too much" in str(error_of(path))


def test_headers_count_like_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 2**18)
    monkeypatch.setattr(archives, "MAX_RATIO", 1)
    path = to_tar(tmp_path / "data.tar.gz", {f"train/cat/{i:099}.png": b"" for i in range(600)})
    assert "unpacks to too much" in str(error_of(path))


def test_a_zip_with_a_name_that_is_not_utf8_is_one_error(tmp_path: Path) -> None:
    path = to_zip(tmp_path / "data.zip", GOOD | {"train/cat/é.png": png()})
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xff"))
    assert "data.zip is damaged or not an archive" in str(error_of(path))


@pytest.mark.parametrize(
    "headers",
    [
        {"GNU.sparse.size": "many", "GNU.sparse.map": "0,1"},
        {"GNU.sparse.map": "0,one", "GNU.sparse.size": "1"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "many"},
    ],
)
def test_a_tar_with_a_broken_sparse_header_is_one_error(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    info = tarfile.TarInfo("train/cat/9.png")
    info.pax_headers = headers
    path = to_tar(tmp_path / "data.tar", GOOD, info)
    assert "data.tar is damaged or not an archive" in str(error_of(path))


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.xz", "tar.bz2"])
def test_a_file_that_is_no_archive_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"data.{suffix}"
    path.write_bytes(b"<html>404</html>" * 100)
    assert f"data.{suffix} is damaged or not an archive" in str(error_of(path))


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_an_archive_cut_off_is_one_error(tmp_path: Path, suffix: str, part: float) -> None:
    path = (to_zip if suffix == "zip" else to_tar)(tmp_path / f"data.{suffix}", GOOD)
    content = path.read_bytes().rstrip(b"\0") if suffix == "tar" else path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    assert f"data.{suffix}" in str(error_of(path))


def test_a_flipped_bit_in_a_zip_is_found(tmp_path: Path) -> None:
    path = to_zip(tmp_path / "data.zip", GOOD)
    content = bytearray(path.read_bytes())
    content[60] ^= 1  # in the compressed bytes of the first member
    path.write_bytes(content)
    assert "train/cat/0.png: it is damaged" in str(error_of(path, validation=0.01))


def test_data_that_is_not_there_says_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_DATA", str(tmp_path))
    error = error_of("cats.zip", home="https://example.org/cats")
    assert "cats.zip" in str(error) and str(tmp_path) in str(error)
    assert "https://example.org/cats" in error.hint and "ZOO_DATA" in error.hint


def test_a_file_of_an_unknown_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.rar").write_bytes(b"")
    error = error_of(tmp_path / "data.rar")
    assert "data.rar" in str(error) and ".tar.gz" in error.hint


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    to_folder(tmp_path / "data", GOOD)
    (tmp_path / "data/train/cat/loop.png").symlink_to("loop.png")
    assert "loop.png cannot be read" in str(error_of(tmp_path / "data", validation=0.01))
