"""Accuracy against cost as inline SVG, the Pareto front of each test set marked. Pure, no I/O.

Scores on two test sets cannot be compared, and neither can times on two machines: a front holds
points of one group only, and each group has its own shape of mark. That one of a few is not beaten
says little: a front stands where there are at least `LEAST` students. What others published is
hollow, and where it is shown there is no front: it was not measured here.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from textwrap import wrap

_LETTER = 7.8  # pixels that a letter of a label takes, about
_LINE = 17  # pixels from a line of text to the next
_AIR = 9  # pixels from the middle of a mark to the label of another, at least
_MARGIN = 8  # pixels between a mark and its label
_SCORE = "accuracy, %"  # title of its axis
_PUBLISHED = "published, not measured here"  # of hollow marks, in the legend
LEAST = 3  # students of one group that make a front
_SHAPES = ("circle", "square", "diamond", "up", "down")
_LABELS = 60  # at most; marks without one tell their names when they are pointed at
_TICKS = 8  # of the cost axis; where 1, 2, 5 would give more, decades do


@dataclass(frozen=True)
class Point:
    """One student, or a model that others published."""

    label: str
    href: str
    cost: float  # above 0, in the unit of the axis: less is better
    accuracy: float  # fraction in [0, 1]: more is better
    group: str  # test set (and machine) that it was measured on
    published: bool = False  # by others, and not measured here


@dataclass(frozen=True)
class Frame:
    """A picture's size in pixels, and what its axes leave free on each side."""

    width: int
    height: int
    left: int = 46
    right: int = 14
    top: int = 12
    bottom: int = 44


WIDE, NARROW = Frame(960, 420), Frame(340, 380)


def front(points: Sequence[Point]) -> list[Point]:
    """The points that no other of their group beats: in one of both better, in none worse.

    By group, then by cost, the cheapest first; none of a group of fewer than `LEAST`, or of one
    with a published point.
    """
    found: list[Point] = []
    best: dict[str, Point] = {}
    standing = _with_front(points)
    fit = [point for point in points if point.group in standing]
    for point in sorted(fit, key=lambda p: (p.group, p.cost, -p.accuracy, p.label)):
        last = best.get(point.group)
        twin = last and (last.cost, last.accuracy) == (point.cost, point.accuracy)
        if last is None or point.accuracy > last.accuracy or twin:
            best[point.group] = point
            found.append(point)
    return found


def _with_front(points: Sequence[Point]) -> set[str]:
    """The groups of which a front is told."""
    counted = Counter(point.group for point in points)
    return {name for name, n in counted.items() if n >= LEAST} - {
        point.group for point in points if point.published
    }


def groups(points: Iterable[Point]) -> list[str]:
    """The groups, sorted."""
    return sorted({point.group for point in points})


def draw(points: Sequence[Point], cost: str, frame: Frame = WIDE) -> str:
    """The picture, escaped; `cost` is the title of its axis. Empty where there is no point.

    It is `aria-hidden`: a table beside it must hold the same numbers, and the same links.
    """
    if not points:
        return ""
    names = groups(points)
    hollow = [_PUBLISHED] if any(point.published for point in points) else []
    legend = _legend_rows([*names, *hollow], frame)
    axes = _Axes.around(points, frame, _LINE * len(legend))
    svg = ET.Element(
        "svg", viewBox=f"0 0 {frame.width} {frame.height}", role="img", focusable="false"
    )
    svg.attrib |= {"aria-hidden": "true", "class": "plot"}
    _legend(svg, legend, names)
    _grid(svg, axes, cost)
    best = front(points)
    for name in names:
        _line(svg, axes, [p for p in best if p.group == name])
    _marks(svg, axes, points, best, names)
    return ET.tostring(svg, encoding="unicode")


# --- axes ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Axes:
    """From cost (by its logarithm) and accuracy in per cent to pixels."""

    frame: Frame
    low: float  # log10 of the cost at the left end
    high: float
    floor: float  # per cent at the lower end
    ceiling: float
    top: float  # pixels above the upper end

    @classmethod
    def around(cls, points: Sequence[Point], frame: Frame, above: float) -> _Axes:
        """Axes that hold all points with some air around them."""
        costs = [math.log10(p.cost) for p in points]
        scores = [100 * p.accuracy for p in points]
        air = max(0.22, 0.08 * (max(costs) - min(costs)))
        step = _step(max(scores) - min(scores))
        floor = max(0.0, step * math.floor(min(scores) / step - 0.25))
        ceiling = min(100.0, step * math.ceil(max(scores) / step + 0.25))
        return cls(frame, min(costs) - air, max(costs) + air, floor, ceiling, frame.top + above)

    def x(self, cost: float) -> float:
        share = (math.log10(cost) - self.low) / (self.high - self.low)
        return self.frame.left + share * (self.frame.width - self.frame.left - self.frame.right)

    def y(self, per_cent: float) -> float:
        share = (per_cent - self.floor) / (self.ceiling - self.floor)
        return self.bottom - share * (self.bottom - self.top)

    @property
    def bottom(self) -> float:
        return self.frame.height - self.frame.bottom

    @property
    def right(self) -> float:
        return self.frame.width - self.frame.right


def _step(spread: float) -> float:
    """Of 1, 2, 5 times a power of ten, the one that cuts `spread` into at most five pieces."""
    wanted = max(spread / 5, 0.02)
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= wanted * 0.999)


def cost_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten between 10**low and 10**high; where many, powers alone."""
    low, high = max(low, -307.0), min(high, 308.0)  # what a float can hold
    exponents = range(math.floor(low), math.ceil(high) + 1)
    logs = [e + math.log10(factor) for e in exponents for factor in (1, 2, 5)]
    inside = [value for value in logs if low <= value <= high]
    if len(inside) > _TICKS:
        inside = [float(e) for e in exponents if low <= e <= high]
        inside = inside[:: math.ceil(len(inside) / _TICKS)]
    return [10**value for value in inside]


def _score_ticks(axes: _Axes) -> list[float]:
    step = _step(axes.ceiling - axes.floor)
    first = math.ceil(axes.floor / step - 1e-6)
    return [step * n for n in range(first, math.floor(axes.ceiling / step + 1e-6) + 1)]


# --- drawing -------------------------------------------------------------------------------------


def _add(parent: ET.Element, tag: str, text: str = "", **attributes: object) -> ET.Element:
    """A child; numbers with one decimal, `_` in names for `-`, `class_` for `class`."""
    told = {
        key.rstrip("_").replace("_", "-"): f"{v:.1f}" if isinstance(v, float) else str(v)
        for key, v in attributes.items()
    }
    child = ET.SubElement(parent, tag, told)
    child.text = text or None
    return child


def _grid(svg: ET.Element, axes: _Axes, cost: str) -> None:
    left, bottom = float(axes.frame.left), axes.bottom
    for per_cent in _score_ticks(axes):
        y = axes.y(per_cent)
        _add(svg, "path", d=f"M{left:.1f} {y:.1f}H{axes.right:.1f}", class_="grid")
        _add(svg, "text", f"{per_cent:.6g}", x=left - 7, y=y + 4, class_="tick end")
    for value in cost_ticks(axes.low, axes.high):
        x = axes.x(value)
        _add(svg, "path", d=f"M{x:.1f} {axes.top:.1f}V{bottom:.1f}", class_="grid")
        _add(svg, "text", f"{value:.3g}", x=x, y=bottom + 17, class_="tick middle")
    _add(svg, "path", d=f"M{left:.1f} {axes.top:.1f}V{bottom:.1f}H{axes.right:.1f}", class_="axis")
    _add(svg, "text", cost, x=axes.right, y=bottom + 36, class_="title end")
    _add(svg, "text", _SCORE, x=0.0, y=12.0, class_="title")


def _line(svg: ET.Element, axes: _Axes, best: Sequence[Point]) -> None:
    """The front of one group, as stairs: what is above and left of it nobody reaches."""
    if len(best) < 2:
        return
    path = f"M{axes.x(best[0].cost):.1f} {axes.y(100 * best[0].accuracy):.1f}"
    for _, point in pairwise(best):
        path += f"H{axes.x(point.cost):.1f}V{axes.y(100 * point.accuracy):.1f}"
    _add(svg, "path", d=path, class_="front")


def _marks(
    svg: ET.Element,
    axes: _Axes,
    points: Sequence[Point],
    best: Sequence[Point],
    names: Sequence[str],
) -> None:
    """Marks with links; labels where there is room, those of the front first."""
    on_front, standing = set(best), {point.group for point in best}
    places = {p: (axes.x(p.cost), axes.y(100 * p.accuracy)) for p in points}
    taken = _stairs(axes, best)
    for number, point in enumerate(sorted(points, key=lambda p: (p not in on_front, p.published))):
        x, y = places[point]
        kind = "best" if point in on_front else "rest" if point.group in standing else "alone"
        kind = "published" if point.published else kind
        link = _add(svg, "a", href=point.href, tabindex=-1, class_=f"point {kind}")
        _add(link, "title", _told(point))
        _add(link, "path", d=_shape(names.index(point.group), x, y, 6.0), class_="mark")
        width = _LETTER * len(point.label)
        if number >= _LABELS:
            continue
        marks = [_Box.around(*place, _AIR) for p, place in places.items() if p != point]
        if box := _free(axes, x, y, width, taken + marks):
            taken.append(box)
            _label(link, point.label, box, x)


def _told(point: Point) -> str:
    """What a mark says where it is pointed at."""
    whose = f"; {_PUBLISHED}" if point.published else ""
    return f"{point.label}: {100 * point.accuracy:.2f} %, {point.cost:.3g}; {point.group}{whose}"


def _label(link: ET.Element, text: str, box: _Box, x: float) -> None:
    """A label in its box; its end that is next to the mark is the one that stays in place."""
    if box.right < x:
        _add(link, "text", text, x=box.right, y=box.top + 11, class_="label end")
    else:
        _add(link, "text", text, x=box.left, y=box.top + 11, class_="label")


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def around(cls, x: float, y: float, air: float) -> _Box:
        return cls(x - air, y - air, x + air, y + air)

    def meets(self, other: _Box) -> bool:
        """Whether both share a pixel."""
        beside = self.right < other.left or other.right < self.left
        return not (beside or self.bottom < other.top or other.bottom < self.top)


def _stairs(axes: _Axes, best: Sequence[Point]) -> list[_Box]:
    """What the lines of all fronts take: labels keep off them."""
    found = []
    for one, other in pairwise(best):
        if one.group == other.group:
            x, right = axes.x(one.cost), axes.x(other.cost)
            y, top = axes.y(100 * one.accuracy), axes.y(100 * other.accuracy)
            found += [_Box(x, y - 1, right, y + 1), _Box(right - 1, top, right + 1, y)]
    return found


def _free(axes: _Axes, x: float, y: float, width: float, taken: Sequence[_Box]) -> _Box | None:
    """A place beside, above or below the mark that nothing else has; None: there is none."""
    inside = max(axes.frame.left + 4, min(x - width / 2, axes.right - width))
    starts = (
        (x + _MARGIN + 2, y - 7),
        (x - _MARGIN - 2 - width, y - 7),
        (inside, y - _MARGIN - 14),
        (inside, y + _MARGIN),
        (inside, y + _MARGIN + _LINE),
    )
    for left, top in starts:
        box = _Box(left, top, left + width, top + 14)
        fits = left >= axes.frame.left and box.right <= axes.right and top >= axes.top
        if fits and box.bottom <= axes.bottom and not any(box.meets(other) for other in taken):
            return box
    return None


def _shape(group: int, x: float, y: float, r: float) -> str:
    """The path of a mark of radius `r` pixels."""
    kind = _SHAPES[group % len(_SHAPES)]
    if kind == "circle":
        return f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z"
    if kind == "square":
        return f"M{x - r:.1f} {y - r:.1f}h{2 * r}v{2 * r}h{-2 * r}z"
    if kind == "diamond":
        return f"M{x:.1f} {y - r - 1:.1f}l{r + 1} {r + 1}l{-r - 1} {r + 1}l{-r - 1} {-r - 1}z"
    sign = 1 if kind == "up" else -1
    return f"M{x:.1f} {y - sign * r:.1f}l{r} {sign * 2 * r}h{-2 * r}z"


# --- legend --------------------------------------------------------------------------------------


def _legend_rows(names: Sequence[str], frame: Frame) -> list[list[tuple[float, str, str]]]:
    """(left end in pixels, group, text), in as many rows as they need.

    What is longer than a row goes on in the next, there without its group, and no further.
    """
    rows: list[list[tuple[float, str, str]]] = [[]]
    left = 20 + _LETTER * len(_SCORE)
    longest = int((frame.width - frame.right - 16) / _LETTER)
    told = {name: wrap(name, longest, max_lines=2, placeholder=" ...") for name in names}
    parts = [(name * (not n), text) for name in names for n, text in enumerate(told[name])]
    for group, text in parts:
        width = 36 + _LETTER * len(text)
        if left > 0 and (left + width - 20 > frame.width - frame.right or not group):
            rows.append([])
            left = 0.0
        rows[-1].append((left, group, text))
        left += width
    return rows


def _legend(
    svg: ET.Element, rows: Sequence[Sequence[tuple[float, str, str]]], names: Sequence[str]
) -> None:
    for number, row in enumerate(rows):
        y = 12.0 + _LINE * number
        for left, group, text in row:
            shape = names.index(group) if group in names else 0
            path = _shape(shape, left + 6, y - 4, 4.0)
            if group:
                kind = "mark hollow" if group == _PUBLISHED else "mark"
                _add(svg, "path", d=path, class_=kind)
            _add(svg, "text", text, x=left + 16, y=y, class_="tick")
