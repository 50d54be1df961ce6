"""A file's latency beside the one it came from: in turns, with a control."""

import numpy as np
import pytest
from foreign_nets import Net, saved
from onnx import TensorProto

from zoo.errors import InputError
from zoo.foreign.timing import Beside

SIDE = 48
ROW = {"input": np.zeros((1, 3, SIDE, SIDE), np.float32)}


def convs(path, count, kind=TensorProto.FLOAT):
    net, x = Net(), "input"
    for k in range(count):
        x = net.conv(x, 24 if k else 3, 24)
    return saved(net.model(net.classify(x, 24, 2), ["n", 3, SIDE, SIDE], kind), path)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("timing")
    return convs(folder / "small.onnx", 1), convs(folder / "large.onnx", 24)


def test_a_slower_file_is_seen_to_be_slower_and_a_faster_one_faster(files):
    small, large = files
    slower = Beside(small, ROW, ROW, 1, 5)(large)
    faster = Beside(large, ROW, ROW, 1, 5)(small)
    assert slower.low <= slower.ratio <= slower.high and slower.low > 1
    assert faster.high < 1
    assert slower.after_ms > slower.before_ms > 0
    for timed in (slower, faster):  # the control is the same file, in the same rounds
        assert timed.control_low <= timed.control <= timed.control_high
        assert timed.high < timed.control_low or timed.low > timed.control_high


def test_a_file_that_reads_something_else_is_one_error(files):
    with pytest.raises(InputError, match="reads input"):
        Beside(files[0], {"pixels": ROW["input"]}, ROW, 1, 5)(files[0])
