"""Parquet as the Hub keeps it, from files and from a hub on loopback."""

import hashlib
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from distill.config import Data
from distill.data import Dataset, load
from distill.data.parquet import hub_address, split_of
from distill.errors import DistillError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

SIZE = 8  # pixels
few = settings(max_examples=40, deadline=None)
NAMES = ("zebra", "ant")  # not in the order of the alphabet
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write(
    path: Path,
    labels: list[int | None],
    names: tuple[str, ...] = NAMES,
    columns: tuple[str, str] = ("image", "label"),
    first: int = 0,
    plain: bool = False,
) -> Path:
    """A file like those of the `datasets` library; pictures are png(first), png(first + 1) ..."""
    content = [png(first + i) for i in range(len(labels))]
    images = pa.array(content if plain else [{"bytes": c, "path": None} for c in content])
    features = {
        columns[0]: {"_type": "Image"},
        columns[1]: {"names": list(names), "_type": "ClassLabel"},
    }
    table = pa.table({columns[0]: images, columns[1]: pa.array(labels, pa.int64())})
    if names:
        info = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": info})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def data_set(folder: Path) -> Path:
    write(folder / "train-00000-of-00002.parquet", [0, 1] * 10)
    write(folder / "train-00001-of-00002.parquet", [1, 0] * 10, first=20)
    write(folder / "test-00000-of-00001.parquet", [1, 0, 0], first=40)
    return folder


def read(source: Path | str, split: str = "train", **settings: object) -> Dataset:
    settings = {"image_size": SIZE, "validation": 0.25, **settings}
    return load(Data(str(source), "CC0-1.0", **settings), split)  # type: ignore[arg-type]


def error_of(source: Path | str, split: str = "train") -> DistillError:
    with pytest.raises(DistillError) as caught:
        read(source, split)
    return caught.value


def test_labels_and_pictures_stay_together_and_classes_keep_their_numbers(tmp_path: Path) -> None:
    data = read(data_set(tmp_path), "test")
    assert data.classes == NAMES and data.labels.tolist() == [1, 0, 0]
    for image, seed in zip(data.images, (40, 41, 42), strict=True):
        assert np.array_equal(image, np.asarray(Image.open(io.BytesIO(png(seed)))))


def test_validation_is_drawn_by_the_hash_of_class_and_row(tmp_path: Path) -> None:
    folder = data_set(tmp_path)
    train, held = read(folder), read(folder, "validation")
    labels = [0, 1] * 10 + [1, 0] * 10
    expected = []
    for label, name in ((1, "ant"), (0, "zebra")):
        rows = [i for i, c in enumerate(labels) if c == label]
        rows.sort(key=lambda i: hashlib.sha256(f"{name}/{i:08d}".encode()).digest())
        expected += sorted(rows[:5])
    pixels = [np.asarray(Image.open(io.BytesIO(png(i)))) for i in expected]
    assert np.array_equal(held.images, np.stack(pixels))
    assert (len(train), len(held)) == (30, 10)
    assert not {i.tobytes() for i in train.images} & {i.tobytes() for i in held.images}


@pytest.mark.parametrize(
    ("columns", "plain", "names"),
    [
        (("img", "label"), False, NAMES),
        (("picture", "fine_label"), False, NAMES),
        (("image", "label"), True, NAMES),
        (("img", "label"), True, ()),
    ],
)
def test_columns_are_found_by_kind_or_by_name(
    tmp_path: Path, columns: tuple[str, str], plain: bool, names: tuple[str, ...]
) -> None:
    usual = read(data_set(tmp_path / "usual"), "test")
    for split, labels in (("train", [0, 1] * 4), ("test", [1, 0, 0])):
        write(tmp_path / f"x/{split}.parquet", labels, names, columns, 40, plain)
    other = read(tmp_path / "x", "test")
    assert sorted(i.tobytes() for i in other.images) == sorted(i.tobytes() for i in usual.images)


def test_classes_without_names_are_numbers_in_their_order(tmp_path: Path) -> None:
    labels: list[int | None] = list(range(12)) * 5
    data = read(write(tmp_path / "all.parquet", labels, ()))
    assert data.classes == tuple(str(i) for i in range(12))


def test_a_file_alone_gives_a_fifth_to_test(tmp_path: Path) -> None:
    path = write(tmp_path / "all.parquet", [0, 1] * 50)
    parts = [read(path, split) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [60, 20, 20]
    assert len({image.tobytes() for part in parts for image in part.images}) == 100


def test_other_splits_are_passed_over(tmp_path: Path) -> None:
    before = read(data_set(tmp_path)).sha256
    write(tmp_path / "unsupervised-00000-of-00001.parquet", [-1, -1])
    assert read(tmp_path).sha256 == before


def test_the_pictures_of_test_are_not_opened_for_training(tmp_path: Path) -> None:
    folder = data_set(tmp_path)
    table = pq.read_table(folder / "test-00000-of-00001.parquet")
    empty = pa.array([{"bytes": b"damaged", "path": None}] * 3)
    damaged = table.set_column(0, "image", empty).replace_schema_metadata(table.schema.metadata)
    pq.write_table(damaged, folder / "test-00000-of-00001.parquet")
    assert len(read(folder)) == 30
    assert "test-00000-of-00001.parquet: row 0: not a picture" in str(error_of(folder, "test"))


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train-00000-of-00001.parquet", "train"),
        ("data/test-00000-of-00001.parquet", "test"),
        ("test.parquet", "test"),
        ("default/train/0000.parquet", "train"),
        ("validation-00000-of-00001.parquet", None),
        ("training.parquet", None),
        ("a/b.parquet", None),
    ],
)
def test_the_path_names_the_split(path: str, split: str | None) -> None:
    assert split_of(PurePosixPath(path)) == split


@pytest.mark.parametrize("label", [-1, 2, None])
def test_a_row_without_a_class_is_named(tmp_path: Path, label: int | None) -> None:
    folder = data_set(tmp_path)
    path = write(folder / "test-00000-of-00001.parquet", [0, 1, label])
    assert f"{path}: row 2 has the label {label}" in str(error_of(folder))


def test_a_row_without_a_picture_is_named(tmp_path: Path) -> None:
    images = pa.array([{"bytes": None, "path": "x.png"}] * 20)
    table = pa.table({"image": images, "label": [0, 1] * 10})
    pq.write_table(table, tmp_path / "all.parquet")
    assert "holds no picture" in str(error_of(tmp_path / "all.parquet"))


@pytest.mark.parametrize("values", [[0.0, 1.0] * 5, ["ant", "bee"] * 5])
def test_labels_that_are_not_whole_numbers_are_refused(
    tmp_path: Path, values: list[object]
) -> None:
    pq.write_table(pa.table({"image": [b""] * 10, "label": values}), tmp_path / "all.parquet")
    assert "whole numbers" in str(error_of(tmp_path / "all.parquet"))


@pytest.mark.parametrize("columns", [{"image": [b""]}, {"label": [0]}, {"pixels": [0]}])
def test_missing_columns_are_named(tmp_path: Path, columns: dict[str, list[object]]) -> None:
    pq.write_table(pa.table(columns), tmp_path / "all.parquet")
    assert f"Columns: {next(iter(columns))}" in str(error_of(tmp_path / "all.parquet"))


def test_files_that_disagree_on_the_classes_are_refused(tmp_path: Path) -> None:
    folder = data_set(tmp_path)
    write(folder / "test-00000-of-00001.parquet", [0, 1], ("ant", "zebra"))
    assert "other class names" in str(error_of(folder))


def test_two_data_sets_in_one_folder_are_refused(tmp_path: Path) -> None:
    data_set(tmp_path / "large")
    data_set(tmp_path / "small")
    assert "large, small" in str(error_of(tmp_path))


def test_a_class_without_a_row_in_test_is_named(tmp_path: Path) -> None:
    folder = data_set(tmp_path)
    write(folder / "test-00000-of-00001.parquet", [1, 1])
    assert "test/zebra is missing" in str(error_of(folder))


@pytest.mark.parametrize("part", [0, 0.5, 0.99])
def test_a_cut_file_is_named(tmp_path: Path, part: float) -> None:
    path = data_set(tmp_path) / "train-00001-of-00002.parquet"
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    assert "train-00001-of-00002.parquet is damaged" in str(error_of(tmp_path))


@pytest.mark.parametrize(
    "address", ["hub:a/b", "hub:b@main", "hub:a/b@", "hub:/b@1", "hub:a/b/../c@1", "hub:@1"]
)
def test_an_address_without_all_its_parts_is_refused(address: str) -> None:
    assert "hub:ORG/NAME@REVISION" in error_of(address).hint


PART = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,9}", fullmatch=True)


@few
@given(PART, PART, st.lists(PART, max_size=2), st.from_regex(r"[a-z0-9/]{1,9}", fullmatch=True))
def test_an_address_is_taken_apart(org: str, name: str, folder: list[str], revision: str) -> None:
    address = "/".join(["hub:" + org, name, *folder]) + "@" + revision
    assert hub_address(address) == (f"{org}/{name}", "/".join(folder), revision)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    """A hub on loopback with the data set studentzoo/animals at one commit, and nothing else."""
    data_set(tmp_path / "hub/data")
    (tmp_path / "hub/README.md").write_text("Animals")
    handler = type("Handler", (Hub,), {"root": tmp_path / "hub"})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Hub(BaseHTTPRequestHandler):
    """The three requests that a snapshot of a data set needs."""

    root: Path

    def do_GET(self) -> None:
        api, files = "/api/datasets/studentzoo/animals", "/datasets/studentzoo/animals/resolve/"
        path = self.path.partition("?")[0]
        if self.headers.get("Authorization"):
            self.answer(b"", 401)
        elif path == f"{api}/revision/{COMMIT}":
            siblings = [{"rfilename": name} for name in self.names()]
            self.answer(
                json.dumps({"id": "studentzoo/animals", "sha": COMMIT, "siblings": siblings})
            )
        elif path.startswith(f"{api}/tree/{COMMIT}"):
            self.answer(json.dumps([self.entry(name) for name in self.names()]))
        elif path.startswith(f"{files}{COMMIT}/"):
            self.answer((self.root / path.removeprefix(f"{files}{COMMIT}/")).read_bytes())
        else:
            self.answer(b"", 404)

    def do_HEAD(self) -> None:
        self.do_GET()

    def names(self) -> list[str]:
        found = (p.relative_to(self.root) for p in self.root.rglob("*") if p.is_file())
        return sorted(p.as_posix() for p in found)

    def entry(self, name: str) -> dict[str, object]:
        content = (self.root / name).read_bytes()
        oid = hashlib.sha1(content).hexdigest()
        return {"type": "file", "path": name, "size": len(content), "oid": oid}

    def answer(self, body: str | bytes, status: int = 200) -> None:
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


def from_hub(address: str, endpoint: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Load in a process of its own: the client reads its settings when it is imported."""
    code = (
        "import sys; from distill.config import Data; from distill.data import load\n"
        "from distill.errors import DistillError\n"
        f"try: print(load(Data({address!r}, 'x', image_size=8, validation=0.25), 'train').sha256)\n"
        "except DistillError as error: sys.exit(f'{error} | {error.hint}')"
    )
    settings = {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_TOKEN": "hf_of_another_place"}
    settings |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    command = [sys.executable, "-c", code]
    env = os.environ | settings | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_a_data_set_comes_from_a_hub_and_then_from_the_cache(hub: str, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    local = read(tmp_path / "hub/data").sha256
    address = f"hub:studentzoo/animals@{COMMIT}"
    first = from_hub(address, hub, tmp_path / "home")
    assert first.stdout.strip() == local, first.stderr
    again = from_hub(address, "http://127.0.0.1:9", tmp_path / "home")
    assert again.stdout.strip() == local, again.stderr


def test_a_data_set_that_the_hub_does_not_have_is_named(hub: str, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    done = from_hub(f"hub:studentzoo/plants@{COMMIT}", hub, tmp_path / "home")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"hub:studentzoo/plants@{COMMIT} cannot be fetched" in done.stderr


@pytest.mark.parametrize(
    ("files", "sizes"),
    [
        (("all.parquet",), [12, 4, 4]),
        (("train-0.parquet", "train-1.parquet", "test-0.parquet"), [30, 10, 20]),
    ],
)
def test_without_labels_the_column_may_be_missing(
    tmp_path: Path, files: tuple[str, ...], sizes: list[int]
) -> None:
    for name in files:
        pixels = [{"bytes": png(i), "path": None} for i in range(20)]
        pq.write_table(pa.table({"image": pixels}), tmp_path / name)
    source = tmp_path if files[1:] else tmp_path / files[0]
    data = Data(str(source), "CC0-1.0", image_size=8, validation=0.25, labelled=False)
    parts = [load(data, split) for split in ("train", "validation", "test")]  # type: ignore[arg-type]
    assert [len(part) for part in parts] == sizes
    assert parts[0].classes == () and not parts[0].labels.any()
