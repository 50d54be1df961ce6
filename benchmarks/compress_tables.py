"""The markdown of what `compare_compress.py` found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Found = dict[str, Any]  # of one file
NAMES = {
    "ours": "`zoo compress`",
    "ort-static": "onnxruntime static",
    "ort-dynamic": "onnxruntime dynamic",
    "ort-transformer": "onnxruntime transformer optimizer, dynamic",
    "olive": "Olive",
    "olive-tuned": "Olive, u8, per channel",
    "nncf": "NNCF",
    "nncf-mixed": "NNCF, mixed",
}
REFERENCE, CONTROL = "fp32", " control"


def tables(results: dict[str, dict[str, Found]], machine: str) -> str:
    """Latency, faithfulness, size and cost: a row for each case, a column for each tool."""
    tools = [t for t in NAMES if any(t in found for found in results.values())]
    quality = by_case(results, tools, faithful)
    size = by_case(results, tools, kilobytes)
    parts = [
        f"Latency over the float file, batch 1, one thread ({machine}; {versions(results)})",
        table(["Network", "fp32, ms", "control", *titles(tools)], latency_rows(results, tools)),
        "Top-1 agreement with the float file, % (accuracy, %); of the encoder, cosine (Spearman)",
        table(["Network", "n", "fp32", *titles(tools)], quality),
        "Size, kB",
        table(["Network", "n", "fp32", *titles(tools)], size),
        *reasons(results, tools),
    ]
    return "\n\n".join(parts)


def titles(tools: list[str]) -> list[str]:
    return [NAMES[tool] for tool in tools]


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def latency_rows(results: dict[str, dict[str, Found]], tools: list[str]) -> list[list[str]]:
    """A row for each input that was timed; the fastest file is bold."""
    rows = []
    for case, files in results.items():
        floats = files.get(REFERENCE, {})
        for load in [key for key in floats if is_timing(floats[key])]:
            timed = {t: files[t][load]["ratio"] for t in tools if load in files.get(t, {})}
            best = min(timed, key=lambda t: timed[t][0], default="")
            cells = [ratio(timed[t], t == best) if t in timed else why(files, t) for t in tools]
            control = ratio(files[CONTROL][load]["ratio"])
            rows.append([f"{case}, {load}", f"{floats[load]['p50_ms']:.3f}", control, *cells])
    return rows


def is_timing(value: Any) -> bool:
    return isinstance(value, dict) and "ratio" in value


def ratio(values: list[float], bold: bool = False) -> str:
    """Value and 95 % interval."""
    text = "{:.3f} ({:.3f} to {:.3f})".format(*values)
    return f"**{text}**" if bold else text


def by_case(
    results: dict[str, dict[str, Found]], tools: list[str], cell: Callable[[Found], str]
) -> list[list[str]]:
    """A row for each case that was scored."""
    return [
        [case, str(files[REFERENCE]["n"]), cell(files[REFERENCE])]
        + [cell(files[t]) if "n" in files.get(t, {}) else why(files, t) for t in tools]
        for case, files in results.items()
        if "n" in files.get(REFERENCE, {})
    ]


def faithful(found: Found) -> str:
    """Agreement (accuracy), or mean cosine (rank correlation)."""
    if "cosine" in found:
        return f"{found['cosine']:.4f} ({found['spearman']:.3f})"
    accuracy = f" ({found['accuracy'][0]:.1%})" if "accuracy" in found else ""
    return f"{found['agreement'][0]:.1%}{accuracy}".replace("%", "")


def kilobytes(found: Found) -> str:
    return f"{found['bytes'] / 1000:.0f}"


def why(files: dict[str, Found], tool: str) -> str:
    """What stands for a file that there is not."""
    if tool not in files:
        return "-"
    return "none" if "failed" in files[tool] else "?"


def reasons(results: dict[str, dict[str, Found]], tools: list[str]) -> list[str]:
    """A line for each tool that made no file."""
    return [
        f"- {NAMES[tool]}, {case}: {files[tool]['failed']}"
        for case, files in results.items()
        for tool in tools
        if "failed" in files.get(tool, {})
    ]


def versions(results: dict[str, dict[str, Found]]) -> str:
    """Of the tools, each once."""
    found = {
        f"{NAMES[tool].split(' ')[0].strip(',')} {values['version']}"
        for files in results.values()
        for tool, values in files.items()
        if "version" in values
    }
    return ", ".join(sorted(found))
