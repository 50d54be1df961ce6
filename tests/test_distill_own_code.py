"""Code of a recipe's author: found or named, known by its source, its faults told with the line."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from distill import own_code
from distill.errors import DistillError

NAMES = ("mine", "mine_blocks", "mine_pack", "mine_pack.net", "mine_pack.parts", "mine_other")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory; its modules are gone from Python before and afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def forget() -> None:
    """As a new Python would begin."""
    for name in NAMES:
        sys.modules.pop(name, None)


def digest(address: str = "mine:build") -> str:
    forget()
    own_code.find(address, "")
    return own_code.sha256(address)


def test_the_source_and_what_it_imports_from_beside_it_make_the_hash(here: Path) -> None:
    write(here / "mine.py", "import json\nfrom mine_blocks import block\ndef build(): pass\n")
    write(here / "mine_blocks.py", "block = 1\n")
    write(here / "mine_other.py", "nothing = 1\n")
    first = digest()
    write(here / "mine_other.py", "nothing = 2\n")
    assert digest() == first
    write(here / "mine_blocks.py", "block = 2\n")
    second = digest()
    write(here / "mine.py", "from mine_blocks import block\ndef build(): return 1\n")
    assert len({first, second, digest()}) == 3


def test_relative_imports_of_a_package_are_followed(here: Path) -> None:
    write(here / "mine_pack" / "__init__.py", "")
    write(
        here / "mine_pack" / "net.py", "from . import parts\nfrom .parts import a\nbuild = dict\n"
    )
    write(here / "mine_pack" / "parts.py", "a = 1\n")
    first = digest("mine_pack.net:build")
    write(here / "mine_pack" / "parts.py", "a = 2\n")
    assert digest("mine_pack.net:build") != first


def test_code_that_changed_after_its_import_is_not_hashed(here: Path) -> None:
    write(here / "mine.py", "def build(): return 1\n")
    digest()
    write(here / "mine.py", "def build(): return 2\n")
    own_code.find("mine:build", "")
    with pytest.raises(DistillError, match="changed after it was imported"):
        own_code.sha256("mine:build")


def test_two_modules_of_one_name_are_not_mistaken(here: Path) -> None:
    write(here / "mine.py", "def build(): return 1\n")
    write(here / "elsewhere" / "mine.py", "def build(): return 2\n")
    own_code.find("mine:build", "")
    sys.path.append(str(here / "elsewhere"))
    with pytest.raises(DistillError, match="two modules are called mine") as caught:
        own_code.find("mine:build", "")
    assert "another name" in caught.value.hint


def test_a_module_that_hides_behind_an_installed_one_is_named(here: Path) -> None:
    write(here / "json.py", "def build(): return 1\n")
    with pytest.raises(DistillError, match="two modules are called json"):
        own_code.find("json:loads", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\ndef build(: pass\n", r"SyntaxError: .* \(.*mine\.py, line 2\)"),
        ("x = 1\n\nraise OSError('w.pt is gone')\n", r"OSError: w.pt is gone \(.*mine\.py, line 3"),
        ("import no_such_package_at_all\n", "cannot be imported: No module named 'no_such"),
        ("from mine_blocks import nothing\n", r"ImportError: .*\(.*mine\.py, line 1\)"),
        ("class Odd(Exception): pass\nraise Odd\n", r"fails: Odd \(.*mine\.py, line 2\)"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_line(here: Path, text: str, said: str) -> None:
    write(here / "mine_blocks.py", "")
    write(here / "mine.py", text)
    with pytest.raises(DistillError) as caught:
        own_code.find("mine:build", "")
    assert re.search(said, str(caught.value)) and "\n" not in str(caught.value)


def test_code_that_ends_the_process_is_a_fault(here: Path) -> None:
    write(here / "mine.py", "def build():\n    raise SystemExit(0)\n")
    function = own_code.find("mine:build", "")
    with pytest.raises(DistillError, match=r"SystemExit: 0 \(.*mine\.py, line 2\)$"):
        own_code.call("mine:build", function, {}, {})


def test_a_fault_is_placed_in_the_user_s_code_not_in_what_that_calls(here: Path) -> None:
    write(here / "mine.py", "import json\n\ndef build():\n    return json.loads('{')\n")
    function = own_code.find("mine:build", "")
    with pytest.raises(DistillError, match=r"mine:build fails: JSON.*\(.*mine\.py, line 4\)$"):
        own_code.call("mine:build", function, {}, {})


@pytest.mark.parametrize(
    ("signature", "options", "said"),
    [
        ("classes, depth", {}, "missing a required argument: 'depth'"),
        ("classes", {"dept": 3}, "unexpected keyword argument 'dept'"),
        ("", {"depth": 3}, "unexpected keyword argument 'depth'"),
        ("classes", {"classes": 3}, "classes is not an option"),
    ],
)
def test_arguments_that_do_not_fit_are_named(
    here: Path, signature: str, options: dict[str, int], said: str
) -> None:
    write(here / "mine.py", f"def build({signature}): return 1\n")
    function = own_code.find("mine:build", "")
    with pytest.raises(DistillError, match=said) as caught:
        own_code.call("mine:build", function, {"classes": 3, "image_size": 8}, options)
    assert "mine:build takes" in caught.value.hint


def test_nothing_is_offered_to_what_says_nothing_of_its_arguments(here: Path) -> None:
    write(here / "mine.py", "def build(*args, **kwargs): return args, kwargs\n")
    function = own_code.find("mine:build", "")
    offered = {"classes": 3}
    assert own_code.call("mine:build", function, offered, {}) == ((), {})
    assert own_code.call("mine:build", function, offered, {"width": 2}) == ((), {"width": 2})


@pytest.mark.parametrize("signature", ["**given", "classes, image_size", "*, image_size, classes"])
def test_what_is_offered_is_given_where_it_is_taken(here: Path, signature: str) -> None:
    write(here / "mine.py", f"def build({signature}): return dict(locals())\n")
    function = own_code.find("mine:build", "")
    given = own_code.call("mine:build", function, {"classes": 3, "image_size": 8}, {})
    assert given.get("given", given) == {"classes": 3, "image_size": 8}
