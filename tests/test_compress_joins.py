"""Tensors that are joined have one range, so that 8 bits join their bytes as they are."""

import numpy as np
import pytest
from foreign_nets import SIDE, Net, photos, planes, saved

from compress import calibrate, graph, int8
from compress.config import Attempt
from compress.joins import APART, shared

PICTURES = planes(photos(24))


class Joined(Net):
    """Convolutions of 8 channels and what joins them, each named as it is wanted."""

    def conv8(self, name, x, i=8, **how):
        return self.named(name, self.conv(x, i, 8, **how))

    def concat(self, name, *pieces):
        return self.named(name, self.node("Concat", pieces, axis=1))

    def halves(self, x):
        out = [f"{x}.{k}" for k in (0, 1)]
        self.node("Split", [x, self.constant(np.array([4, 4]))], axis=1)
        self.nodes[-1].output[:] = out
        return out

    def named(self, name, _):
        self.nodes[-1].output[:] = [name]
        return name

    def done(self, x, channels):
        return self.model(self.classify(x, channels, 4), ["n", 3, SIDE, SIDE])


def two():
    net = Joined()
    net.conv8("a", "input", 3), net.conv8("b", "a"), net.conv8("c", "a")
    return net, net.concat("whole", "b", "c")


def test_what_is_joined_takes_the_range_of_the_whole():
    net, whole = two()
    model = net.done(whole, 16)
    found = shared(model, {"a": (0, 9), "b": (0, 1), "c": (-0.5, 2), "whole": (-0.5, 2)})
    assert found == {"a": (0, 9), "b": (-0.5, 2), "c": (-0.5, 2), "whole": (-0.5, 2)}


def test_one_that_something_else_reads_too_keeps_its_own():
    net, whole = two()
    x = net.concat("both", whole, net.conv8("d", "b"))
    found = shared(net.done(x, 24), {"b": (0, 1), "c": (0, 2), "whole": (0, 2), "both": (0, 2)})
    assert found == {"b": (0, 1), "c": (0, 2), "whole": (0, 2), "both": (0, 2)}


def test_an_output_of_the_graph_keeps_its_own():
    net, whole = two()
    model = net.done(whole, 16)
    model.graph.output.add().name = "b"
    assert shared(model, {"b": (0, 1), "c": (0, 2), "whole": (0, 2)})["b"] == (0, 1)


def pieces():
    """The halves of two convolutions, in two Concats."""
    net = Joined()
    net.conv8("a", "input", 3), net.conv8("b", "input", 3)
    (a0, a1), (b0, b1) = net.halves("a"), net.halves("b")
    x = net.conv8("c", net.concat("left", a0, b0))
    return net.done(net.concat("right", a1, b1, x), 16)


def test_pieces_of_a_split_take_one_range_in_all_that_they_go_to():
    known = {name: (0.0, 1.0) for name in ("a", "a.0", "a.1", "b", "b.0", "b.1", "left")}
    known |= {"c": (0.0, 1.9), "right": (0.0, 1.9)}
    assert set(shared(pieces(), known).values()) == {(0.0, 1.9)}


def test_wholes_whose_ranges_are_far_apart_keep_their_own():
    known = {name: (0.0, 1.0) for name in ("a", "a.0", "a.1", "b", "b.0", "b.1", "left")}
    known |= {"c": (0.0, 1.1 * APART), "right": (0.0, 1.1 * APART)}
    assert shared(pieces(), known) == known


@pytest.mark.parametrize("make", [lambda: two()[0].done("whole", 16), pieces])
def test_the_bytes_are_joined_as_they_are_and_no_answer_is_worse(tmp_path, make):
    path = saved(make(), tmp_path / "m.onnx")
    wanted = calibrate.run(calibrate.session(path), {"input": PICTURES})[0]
    off = {}
    for join in (False, True):
        out = tmp_path / f"{join}.onnx"
        int8.make(path, out, [PICTURES], Attempt("minmax"), join=join)
        model = graph.read(out)
        assert scales_agree(model) == join
        got = calibrate.run(calibrate.session(out), {"input": PICTURES})[0]
        off[join] = float(np.abs(got - wanted).mean())
    assert off[True] < 1.1 * off[False] + 0.01 * np.abs(wanted).mean()


def scales_agree(model):
    """Whether each Concat reads and gives bytes of one scale and zero point."""
    writer, readers = graph.producers(model), graph.consumers(model)
    concats = [node for node in model.graph.node if node.op_type == "Concat"]
    assert concats
    return all(
        len({tuple(n.input[1:]) for n in (*(writer[i] for i in c.input), *readers[c.output[0]])})
        == 1
        for c in concats
    )
