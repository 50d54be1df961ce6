"""The plot of accuracy against cost: its fronts, its marks and its labels."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("starlette")

from zoo.serve.catalogue import plot
from zoo.serve.catalogue.plot import Point

POINTS = st.lists(
    st.builds(
        Point,
        label=st.text("ab<&>\"'é", min_size=1, max_size=40),
        href=st.just("/lab/x"),
        cost=st.floats(1e-300, 1e300),
        accuracy=st.floats(0, 1),
        group=st.sampled_from(["digits", "birds <b>"]),
    ),
    max_size=25,
)


def beats(one: Point, other: Point) -> bool:
    better = one.cost <= other.cost and one.accuracy >= other.accuracy
    same = (one.cost, one.accuracy) == (other.cost, other.accuracy)
    return one.group == other.group and better and not same


@given(POINTS)
def test_the_front_is_what_nothing_beats(points: list[Point]) -> None:
    enough = {name for name, n in Counter(p.group for p in points).items() if n >= plot.LEAST}
    unbeaten = {p for p in points if not any(beats(other, p) for other in points)}
    assert set(plot.front(points)) == {p for p in unbeaten if p.group in enough}


@given(POINTS, st.randoms(use_true_random=False))
def test_the_front_does_not_depend_on_the_order(points: list[Point], random: Any) -> None:
    front = plot.front(points)
    random.shuffle(points)
    assert plot.front(points) == front


@given(POINTS, st.sampled_from([plot.WIDE, plot.NARROW]))
def test_every_point_is_drawn_inside_the_frame(points: list[Point], frame: plot.Frame) -> None:
    text = plot.draw(points, "latency, ms", frame)
    if not points:
        assert text == ""
        return
    svg = ET.fromstring(text)
    marks = [mark for link in svg.iter("a") for mark in link.iter("path")]
    assert len(marks) == len(points)
    for mark in marks:
        x, y = map(float, re.findall(r"-?[\d.]+", mark.attrib["d"])[:2])
        assert frame.left - 8 <= x <= frame.width and 0 <= y <= frame.height
    lefts = [float(text.attrib["x"]) for text in svg.iter("text")]
    assert all(0 <= x <= frame.width for x in lefts)


def test_the_axis_of_cost_has_round_ticks() -> None:
    assert plot.cost_ticks(-1.75, -0.5) == pytest.approx([0.02, 0.05, 0.1, 0.2])
    assert plot.cost_ticks(-4, 4) == pytest.approx([10.0**e for e in range(-4, 5, 2)])


def test_labels_and_links_are_escaped() -> None:
    point = Point("<script>", '/lab/x"onload="y', 1, 0.5, "<b>")
    text = plot.draw([point], "cost", plot.WIDE)
    assert "<script>" not in text and "<b>" not in text and 'onload="y' not in text


def point(name: str, cost: float, accuracy: float, **changed: Any) -> Point:
    return Point(name, f"/lab/{name}", cost, accuracy, **{"group": "digits", **changed})


def classes(svg: str) -> list[str]:
    return [element.attrib.get("class", "") for element in ET.fromstring(svg).iter()]


FEW = [point("small", 1, 0.8), point("large", 10, 0.9)]
BEATEN = point("beaten", 10, 0.7)


def test_two_students_have_neither_a_line_nor_a_mark_of_a_front() -> None:
    drawn = classes(plot.draw(FEW, "size, MB"))
    assert not {"front", "point best", "point rest"} & set(drawn)
    assert drawn.count("point alone") == 2


def test_three_students_have_a_line_and_marks_of_those_on_it_and_of_the_beaten() -> None:
    drawn = classes(plot.draw([*FEW, BEATEN], "size, MB"))
    assert drawn.count("front") == 1
    assert (drawn.count("point best"), drawn.count("point rest")) == (2, 1)


def test_a_front_of_one_test_set_says_nothing_of_another_with_too_few() -> None:
    birds = point("bird", 5, 0.1, group="birds")
    assert birds not in plot.front([*FEW, BEATEN, birds])
    assert classes(plot.draw([*FEW, BEATEN, birds], "size, MB")).count("point alone") == 1


def test_what_others_published_is_hollow_in_plot_and_legend_and_makes_no_front() -> None:
    theirs = [point(f"net {n}", n, 0.9, published=True) for n in (2, 3, 4)]
    assert plot.front([*FEW, BEATEN, *theirs]) == plot.front(theirs) == []
    drawn = plot.draw([*FEW, BEATEN, *theirs], "parameters")
    assert classes(drawn).count("point published") == 3 and "front" not in classes(drawn)
    assert classes(drawn).count("mark hollow") == 1
    assert "published, not measured here" in drawn
    assert "published" not in plot.draw([*FEW, BEATEN], "parameters")


def test_a_legend_that_is_longer_than_the_picture_goes_on_below() -> None:
    group = "CIFAR-10, n = 10,000 (a board with a very long name, onnxruntime 1.31.1)"
    svg = ET.fromstring(plot.draw([point("net", 1, 0.5, group=group)], "latency", plot.NARROW))
    texts = svg.findall("text[@x='16.0']")
    assert " ".join(str(x.text) for x in texts) == group and len(texts) > 1
    for text in texts:
        assert float(text.attrib["x"]) + 7.8 * len(str(text.text)) <= plot.NARROW.width
    rows = [float(x.attrib["y"]) for x in texts]
    assert rows == sorted(set(rows))
    assert len(svg.findall("path[@class='mark']")) == 1


@given(POINTS, st.sampled_from([plot.WIDE, plot.NARROW]))
def test_no_label_lies_over_another(points: list[Point], frame: plot.Frame) -> None:
    text = plot.draw(points, "latency, ms", frame)
    boxes = []
    for label in (x for x in ET.fromstring(text or "<svg/>").iter("text")):
        kind = label.attrib["class"].split()
        if kind[0] == "label":
            x, y, width = (
                float(label.attrib["x"]),
                float(label.attrib["y"]),
                7.8 * len(str(label.text)),
            )
            left = x - width if "end" in kind else x
            boxes.append((left, y - 11, left + width, y + 3))
    for one, other in combinations(boxes, 2):
        beside = one[2] <= other[0] + 0.2 or other[2] <= one[0] + 0.2
        assert beside or one[3] <= other[1] + 0.2 or other[3] <= one[1] + 0.2
