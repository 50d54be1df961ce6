"""Makes tests/files/tiny-text: a whole published text student that tells three scripts apart.

    python tests/files/make_tiny_text.py

The graph is that of every text student (export/ngram.py), its weights are made by hand: a row of
the table for each of three scripts, zeros for all others, so that the logits are 4 times the root
of the number of Greek, Latin and Cyrillic letters. A text without letters has equal ones, and no
confidence. Code points above U+04FF are no letters here. The files are kept in the repository, so
that the tests of the runtime need no onnx.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from distill.students.letters import letters
from distill.students.ngram import MULTIPLIERS
from export.ngram import ORDERS, Parts, to_onnx
from zoo.files import sha256
from zoo.inputs.text import codepoints, pad
from zoo.records.card import Card, DataFacts, Input, StudentFacts, Variant, to_json
from zoo.records.measures import Score

FOLDER = Path(__file__).parent / "tiny-text"
LABELS = ["el", "en", "ru"]
TEXTS = ("guten Morgen", "доброе утро", "καλημέρα", "", "Aß Ж", "12:30 \U0001f642")
PAGES = 6  # of 256 code points: up to U+05FF
ROWS = np.array([5, 7, 11, 13, 17], np.int64)  # of each order's table, all zeros
METADATA = {
    "studentzoo.format": "1",
    "studentzoo.name": "scripts-tiny.test",
    "studentzoo.task": "text-classification",
    "studentzoo.labels": json.dumps(LABELS),
    "studentzoo.input": json.dumps({"name": "codepoints", "dtype": "int32", "layout": "NL"}),
    "studentzoo.unknown_below": "0.4",
    "studentzoo.licence": "Apache-2.0",
    "studentzoo.recipe": "0" * 64,
}


def parts() -> Parts:
    """The letters' tables, cut; rows 1, 2 and 3 of the table are the scripts of the labels."""
    found = letters()
    top = found.top[:PAGES]
    pages = np.unique(top)
    examples = np.array([ord(letter) for letter in "ΣAЯ"])
    scripts = np.zeros(256, np.int64)
    for row, script in enumerate(found.script[found.entry(examples)], 1):
        scripts[found.script == script] = row
    offsets = 4 + np.cumsum([0, *ROWS[:-1]])
    table = np.zeros((4 + ROWS.sum(), 3), np.float32)
    table[1:4] = np.eye(3)
    hidden = np.zeros((3, (1 + ORDERS) * 3), np.float32)
    hidden[:, :3] = np.eye(3)
    return Parts(
        top=(np.searchsorted(pages, top) * 256).astype(np.int32),
        entries=np.concatenate([found.entries[page : page + 256] for page in pages]),
        delta=found.delta,
        scripts=scripts,
        orders=np.arange(1, ORDERS + 1),
        multipliers=np.array(MULTIPLIERS, np.int64),
        rows=ROWS,
        offsets=offsets.astype(np.int64),
        table=table,
        hidden_weight=hidden,
        output_weight=4 * np.eye(3, dtype=np.float32),
    )


def int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same with the table in bytes, scaled after they are gathered."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    (table,) = (one for one in graph.initializer if one.name == "table")
    rows = numpy_helper.to_array(table)
    table.CopyFrom(numpy_helper.from_array(np.round(rows * 255).astype(np.uint8), "table"))
    graph.initializer.append(numpy_helper.from_array(np.float32(1 / 255), "table.scale"))
    place, gather = next((i, n) for i, n in enumerate(graph.node) if "table" in n.input)
    (rows_name,) = gather.output
    gather.output[0] = "row.bytes"
    graph.node.insert(place + 1, helper.make_node("Cast", ["row.bytes"], ["row.float"], to=1))
    scaled = helper.make_node("Mul", ["row.float", "table.scale"], [rows_name])
    graph.node.insert(place + 2, scaled)
    return made


def logits(path: Path, batch: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"codepoints": batch})[0]


def card(files: dict[str, Path]) -> Card:
    """A card of a student that was never trained; its scores are made up."""
    sure = Score("macro-averaged accuracy", "made texts", "test", 6, 1.0, 0.61, 1.0)
    return Card(
        format=1,
        name=METADATA["studentzoo.name"],
        task=METADATA["studentzoo.task"],
        summary="Tells Greek, Latin and Cyrillic texts apart; made by hand for the tests.",
        licence=METADATA["studentzoo.licence"],
        created="2025-01-01",
        code_commit="0" * 40,
        labels=tuple(LABELS),
        input=Input(**json.loads(METADATA["studentzoo.input"])),
        student=StudentFacts("ngram", {}, 0, 0),
        teacher=None,
        data=DataFacts("made", "", "CC0-1.0", "0" * 64, 0, 0, 6),
        recipe_sha256=METADATA["studentzoo.recipe"],
        run_sha256="0" * 64,
        variants={
            name: Variant(path.name, sha256(path), path.stat().st_size, sure, None, 1.0, None, None)
            for name, path in files.items()
        },
        seeds=None,
        attempts=(),
        gates={},
        latency=(),
    )


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    files = {"fp32": FOLDER / "model.fp32.onnx", "int8": FOLDER / "model.int8.onnx"}
    fp32 = to_onnx(parts(), METADATA)
    onnx.checker.check_model(fp32, full_check=True)
    onnx.save(fp32, files["fp32"])
    onnx.save(int8(fp32), files["int8"])
    inputs = pad([codepoints(text) for text in TEXTS])
    np.savez_compressed(
        FOLDER / "golden.npz",
        inputs=inputs,
        fp32=logits(files["fp32"], inputs),
        int8=logits(files["int8"], inputs),
        tolerance_fp32=np.float32(1e-3),
        tolerance_int8=np.float32(0.1),
    )
    (FOLDER / "card.json").write_text(to_json(card(files)), encoding="utf-8")


if __name__ == "__main__":
    main()
