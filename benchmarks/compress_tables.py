"""The markdown of what `compare_compress.py` found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
OURS, REFERENCE, CONTROL = "ours", "fp32", " control"


def tables(results: dict[str, dict[str, Found]], machine: str) -> str:
    """Ours beside the best of the others; then latency, likeness and size by every tool."""
    tools = [t for t in NAMES if any(t in found for found in results.values())]
    head = ["Network", "fp32, ms", "control", "`zoo compress`", "alike, %", "the fastest other"]
    parts = [
        f"Latency over the float file, batch 1, one thread, 95 % intervals ({machine}; "
        f"{versions(results)}):",
        table([*head, "its latency", "alike, %"], summary(results, tools)),
        "Latency over the float file by every tool; no 95 % interval reaches further than "
        f"{widest(results, tools):.3f} from its value:",
        table(["Network", *titles(tools)], latencies(results, tools)),
        "Top-1 agreement with the float file, % (accuracy, %); of the encoder, mean cosine to the "
        "float file's embeddings (rank correlation with people's scores of STS-B):",
        table(["Network", "n", "fp32", *titles(tools)], by_case(results, tools, faithful)),
        "Size, kB:",
        table(["Network", "fp32", *titles(tools)], by_case(results, tools, kilobytes, n=False)),
        "\n".join(reasons(results, tools)),
    ]
    return "\n\n".join(filter(None, parts))


def titles(tools: list[str]) -> list[str]:
    return [NAMES[tool] for tool in tools]


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def timed(
    results: dict[str, dict[str, Found]], tools: list[str]
) -> Iterator[tuple[str, str, dict[str, Found], dict[str, list[float]]]]:
    """(case, load, its files, ratio and interval by tool) of every input that was timed."""
    for case, files in results.items():
        for load in [k for k, v in files.get(REFERENCE, {}).items() if is_timing(v)]:
            found = {t: files[t][load]["ratio"] for t in tools if load in files.get(t, {})}
            yield case, load, files, found


def is_timing(value: Any) -> bool:
    return isinstance(value, dict) and "ratio" in value


def summary(results: dict[str, dict[str, Found]], tools: list[str]) -> list[list[str]]:
    """A row for each input: ours beside the fastest of the others; the faster one is bold."""
    rows = []
    for case, load, files, found in timed(results, tools):
        others = [t for t in found if t != OURS]
        best = min(others, key=lambda t: found[t][0], default="")
        first = OURS in found and (not best or found[OURS][0] <= found[best][0])
        row = [named(case, load), f"{files[REFERENCE][load]['p50_ms']:.3f}"]
        row.append(ratio(files[CONTROL][load]["ratio"]))
        row += [
            ratio(found[OURS], first) if OURS in found else why(files, OURS),
            alike(files, OURS),
        ]
        row += [NAMES.get(best, "-"), ratio(found[best], not first) if best else "-"]
        rows.append([*row, alike(files, best)])
    return rows


def named(case: str, load: str) -> str:
    """A case and what it was timed at: its pixels stand in its name already."""
    return case if load.endswith(" px") else f"{case}, {load}"


def latencies(results: dict[str, dict[str, Found]], tools: list[str]) -> list[list[str]]:
    """A row for each input; the smallest is bold."""
    rows = []
    for case, load, files, found in timed(results, tools):
        least = min((values[0] for values in found.values()), default=0)
        cells = [
            (f"**{found[t][0]:.3f}**" if found[t][0] == least else f"{found[t][0]:.3f}")
            if t in found
            else why(files, t)
            for t in tools
        ]
        rows.append([named(case, load), *cells])
    return rows


def widest(results: dict[str, dict[str, Found]], tools: list[str]) -> float:
    """How far the worst interval reaches from its ratio."""
    every = [values for *_, found in timed(results, tools) for values in found.values()]
    return max((max(high - value, value - low) for value, low, high in every), default=0.0)


def ratio(values: list[float], bold: bool = False) -> str:
    """Value and 95 % interval."""
    text = "{:.3f} ({:.3f} to {:.3f})".format(*values)
    return f"**{text}**" if bold else text


def by_case(
    results: dict[str, dict[str, Found]],
    tools: list[str],
    cell: Callable[[Found], str],
    n: bool = True,
) -> list[list[str]]:
    """A row for each case that was scored."""
    return [
        [case, *([str(files[REFERENCE]["n"])] if n else []), cell(files[REFERENCE])]
        + [cell(files[t]) if "n" in files.get(t, {}) else why(files, t) for t in tools]
        for case, files in results.items()
        if "n" in files.get(REFERENCE, {})
    ]


def alike(files: dict[str, Found], tool: str) -> str:
    """Agreement and its interval, or the mean cosine."""
    found = files.get(tool, {})
    if "cosine" in found:
        return f"cosine {found['cosine']:.4f}"
    if "agreement" not in found:
        return "-"
    return "{:.1f} ({:.1f} to {:.1f})".format(*(100 * value for value in found["agreement"]))


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
    """Of the tools in environments of their own, each once."""
    found = {
        f"{NAMES[tool].split(' ')[0].strip(',')} {values['version']}"
        for files in results.values()
        for tool, values in files.items()
        if "version" in values and not tool.startswith("ort")
    }
    return ", ".join(sorted(found))
