"""The command line: a command is its arguments, one call and one output.

stdout is data, stderr is talk. Exit 0: done; 1: an error that is explained with a hint; 2: wrong
usage; 130: interrupted. Whatever is heavy is imported by the command that needs it.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from zoo import tables
from zoo.arguments import (
    Batch,
    Device,
    Files,
    Json,
    JsonLines,
    Name,
    NameOrPath,
    Precision,
    Recipe,
    Size,
    Texts,
    Top,
)
from zoo.errors import InputError, IntegrityError, ZooError, ZooWarning

if TYPE_CHECKING:
    from zoo.card import Card
    from zoo.runtime import PictureStudent

app = typer.Typer(
    name="zoo",
    help="Small, fast, honest students of large models: find, pull, run, measure, build.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: importing rich would double the time to start
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Entry point of `zoo`."""
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    try:
        app()
    except Exception as error:  # the one place: ours are explained, a bug keeps its traceback
        if not hasattr(error, "hint"):
            raise
        _fail(error)
    finally:
        _flush()


def _fail(error: Exception) -> NoReturn:
    typer.echo(f"error: {error}", err=True)
    hint = getattr(error, "hint", "")
    if hint:
        typer.echo(f"hint: {hint}", err=True)
    sys.exit(1)


def _show_warning(message: Warning | str, category: type[Warning], *where: Any) -> None:
    """Ours are a line for people; others look as Python prints them."""
    if issubclass(category, ZooWarning):
        text = f"warning: {message}"
    else:
        text = warnings.formatwarning(message, category, *where[:2])
    typer.echo(text.rstrip(), err=True)


def _flush() -> None:
    """Write what is left; a reader that has gone away, as in `zoo list | head`, is no error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        sys.stdout = None  # type: ignore[assignment]


# --- finding -------------------------------------------------------------------------------------


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        import zoo

        typer.echo(zoo.__version__)
        raise typer.Exit


@app.command("list")
def list_students(
    task: Annotated[str | None, typer.Option(help="Only students of this task.")] = None,
    max_size: Size = None,
    as_json: Json = False,
) -> None:
    """List the published students."""
    from zoo import records, registry

    entries = [
        e for e in registry.models(task) if max_size is None or tables.file_size(e) <= max_size
    ]
    if as_json:
        return _json([records.to_dict(entry) for entry in entries])
    if not entries:
        return _talk("no students match")
    return _text(tables.columns(map(tables.student, entries), tables.STUDENTS))


@app.command()
def info(name: Name, as_json: Json = False) -> None:
    """Show a student's row of the registry."""
    from zoo import records, registry

    entry = registry.find(name)
    if as_json:
        return _json(records.to_dict(entry))
    return _text(tables.columns(tables.info(entry)))


@app.command()
def pull(
    name: Name,
    cache: Annotated[Path | None, typer.Option(help="Folder in place of the Hub cache.")] = None,
) -> None:
    """Fetch a student, every byte checked.

    The golden outputs are compared on this processor. Prints the folder.
    """
    typer.echo(_pulled(name, cache))


def _pulled(name: str, cache: Path | None = None, verify: bool = True) -> Path:
    from zoo.pull import pull

    def progress(file: str, done: int, total: int) -> None:
        if done == total:
            typer.echo(f"{file}  {total} bytes", err=True)

    return pull(name, cache=cache, progress=progress, verify=verify)


# --- running -------------------------------------------------------------------------------------


@app.command()
def run(
    name: NameOrPath,
    files: Files = None,
    text: Texts = None,
    top: Top = None,
    batch: Batch = None,
    precision: Annotated[
        Precision, typer.Option(help="Which file; auto: 8 bits.")
    ] = Precision.auto,
    as_json: JsonLines = False,
) -> None:
    """Classify pictures or texts.

    Pictures: a line for each answer: file, probability and label, tabs between them.

    Texts: a line for each text: probability, label and text; the label is unknown where the
    probability is below what the student's card says. With --top, probability and label of each
    answer, whatever the threshold, and then the text. Without FILE and --text, stdin is read.
    """
    from zoo import lines, runtime

    student = runtime.load(name, precision=precision.value)
    if isinstance(student, runtime.TextStudent):
        if not files and not text and sys.stdin.isatty():
            raise typer.BadParameter("give --text, text files, or a pipe", param_hint="FILE")
        texts = lines.texts(text or [], files or [])
        for part in lines.rendered(student, texts, batch or lines.BATCH, top, as_json):
            typer.echo(part)
        return None
    assert isinstance(student, runtime.PictureStudent)  # there are two kinds
    if text:
        raise InputError(f"{student.name} classifies pictures, not texts", "give picture files")
    if not files:
        raise typer.BadParameter("give pictures, or folders of them", param_hint="FILE")
    return _run_pictures(student, files, batch or 16, top or 5, as_json)


def _run_pictures(
    student: PictureStudent, files: list[Path], batch: int, top: int, as_json: bool
) -> None:
    from zoo import bars, batches

    show = batches.as_json if as_json else batches.as_text
    pictures = batches.pictures(files)
    failed: list[ZooError] = []
    for path, answer in bars.watched(batches.answers(student, pictures, batch, top), len(pictures)):
        if isinstance(answer, ZooError):
            if len(pictures) == 1:
                raise answer
            failed.append(answer)
            typer.echo(f"error: {answer}", err=True)
        else:
            typer.echo(show(path, answer))
    if failed:
        hints = dict.fromkeys(error.hint for error in failed if error.hint)
        message = f"{len(failed)} of {len(pictures)} pictures could not be read"
        raise InputError(message, "; ".join(hints))


# --- measuring -----------------------------------------------------------------------------------


_BENCH_JSON = "Print what `zoo card NAME --add FILE` reads; with --compare, the comparison."


@app.command()
def bench(
    name: Name,
    device: Annotated[Device, typer.Option(help="What runs it.")] = Device.cpu,
    batch: Annotated[int, typer.Option(min=1, help="Pictures or texts a call.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Of the runtime.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="In each the files take turns.")] = 60,
    compare: Annotated[bool, typer.Option("--compare", help="Set the card beside it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help=_BENCH_JSON)] = False,
) -> None:
    """Measure latency on this machine.

    The files take turns within each round; the control is the fp32 file against itself. Text
    students are timed on words of 8 and sentences of 100 letters.
    """
    from zoo import bars, bench, records, remeasure
    from zoo.card import read

    folder = _pulled(name, verify=False)
    with bars.steps("rounds") as progress:
        found = remeasure.latency(
            folder,
            device=device.value,
            batch=batch,
            threads=threads,
            rounds=rounds,
            progress=progress,
        )
    beside = bench.compare(read(folder).latency, found.rows) if compare else None
    if as_json:
        return _json(records.to_dict(found if beside is None else beside))
    if beside is None:
        return _text(tables.columns(map(tables.measured, found.rows), tables.MEASURED))
    return _text(tables.columns(map(tables.beside, beside), tables.BESIDE))


@app.command()
def verify(
    name: Name,
    data: Annotated[
        Path | None, typer.Option(metavar="ROOT", help="Measure accuracy on the data in ROOT.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a student on this processor.

    Hashes and golden outputs always; accuracy on the test split where --data is given.
    """
    from zoo import bars, records, remeasure

    folder = _pulled(name, verify=False)  # every byte is hashed here
    golden = remeasure.golden(folder)
    with bars.steps("testing") as progress:
        scores = remeasure.accuracy(folder, data, progress) if data else {}
    if as_json:
        _json(records.to_dict(tables.verified(name, golden, scores)))
    else:
        _text(tables.columns(tables.verdicts(golden, scores), tables.VERDICTS))
    right = [one.ok for one in golden.values()] + [one.ok for one in scores.values()]
    if not all(score.same_data for score in scores.values()):
        raise IntegrityError(f"{data} holds other test data than the card's", hint=_DATA_HINT)
    if not all(right):
        raise IntegrityError(f"{name} is not here what its card says", hint=_VERIFY_HINT)


_VERIFY_HINT = (
    "int8 answers depend on processor and onnxruntime: see `zoo doctor`; fp32 should hold"
)
_DATA_HINT = (
    "names, labels and pixels or texts make the hash; `zoo card NAME` says where the data is from"
)


# --- making --------------------------------------------------------------------------------------


@app.command()
def build(
    recipe: Recipe,
    data: Annotated[
        Path | None, typer.Option(envvar="ZOO_DATA", help="Folder that holds the data.")
    ] = None,
    work: Annotated[Path, typer.Option(help="Folder for what the stages keep.")] = Path("runs"),
    store: Annotated[
        Path | None,
        typer.Option(envvar="ZOO_STORE", help="Store to publish to, its registry beside it."),
    ] = None,
) -> None:
    """Make a student from a recipe.

    Distil, export, quantize, measure, publish; a second build goes on where it stopped. Prints the
    folder.
    """
    try:
        from zoo.build import build

        folder = build(recipe, data=data, work=work, store=store, say=_talk)
    except ModuleNotFoundError as error:
        if error.name not in _TRAIN:
            raise
        hint = "pip install 'studentzoo[train]'"
        raise ZooError(f"`zoo build` needs {error.name}, which is not installed", hint) from None
    typer.echo(folder)


_TRAIN = ("torch", "onnx", "onnxscript", "matplotlib", "sklearn")  # what the extra brings


@app.command("card")
def show_card(
    name: Name,
    add: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Rows of `zoo bench NAME --json` to add.")
    ] = None,
) -> None:
    """Print a student's card, or add to it.

    --add merges measurements of another machine and publishes the card with them.
    """
    from zoo import publish, store
    from zoo.card import read

    if add is None:
        return _markdown(read(store.default().folder(name)))
    entry = publish.add_rows(name, add)
    return typer.echo(f"{entry.name}@{entry.revision}")


def _markdown(card: Card) -> None:
    """Text for a terminal, plain markdown elsewhere."""
    from zoo import card_page

    page = card_page.render(card)
    if not sys.stdout.isatty():
        return typer.echo(page, nl=False)
    from rich.console import Console
    from rich.markdown import Markdown

    body = page.split("\n---\n", 1)[1]
    return Console().print(Markdown(body))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Show what a bug report needs.

    Versions, processor, cache, and where students come from.
    """
    from zoo.doctor import examine

    facts = examine()
    return _json(facts) if as_json else _text(tables.columns(tables.facts(facts)))


# --- output --------------------------------------------------------------------------------------


def _talk(line: str) -> None:
    typer.echo(line, err=True)


def _text(text: str) -> None:
    typer.echo(text)


def _json(data: object) -> None:
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
