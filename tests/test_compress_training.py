"""The rung of the ladder that learns: when it is tried, what is written, what is refused."""

import numpy as np
import onnx
import pytest
from small_net import PICTURES, net, node, weights

from compress import calibrate
from compress.config import Attempt, Compress, Gates
from compress.errors import CompressError
from compress.ladder import Judgement, climb
from compress.training import Trained

GOOD = Judgement(0.9, 0.99, 0.1, 0.7, 0.69, 0.71)
WRONG = Judgement(0.8, 0.90, 10.0, 0.7, 0.69, 0.71)
SLOW = Judgement(0.9, 0.99, 0.1, 1.2, 1.1, 1.3)
STATIC = (Attempt("minmax"), Attempt("entropy", "entropy"))
LEARNS = Attempt("learns", epochs=1)


@pytest.fixture
def float_path(tmp_path):
    return net(tmp_path / "m.onnx", [node("Gemm", ["fl", "gw", "gb"], ["logits"], transB=1)])


def train(attempt, rounded, folder):
    """Moves the last layer's bias, and answers as the file that comes of that."""
    folder.mkdir(parents=True, exist_ok=True)
    gemm = next(n for n in rounded.plain.graph.node if n.op_type == "Gemm")
    bias = gemm.input[2]
    moved = {bias: weights(10) + np.float32(1)}
    opened = calibrate.session(rounded.small)
    feed = rounded.small.graph.input[0].name
    return Trained(moved, lambda batch: opened.run(None, {feed: batch})[0] + 1, {"loss": [0.5]})


def tried(path, judge, trainer, ladder=STATIC, **more):
    config = Compress(ladder=ladder, calibration_images=16, **more)
    out = path.parent / "attempts"
    return climb(path, out, [PICTURES], config, Gates(max_speed_ratio=1.1), judge, trainer)


def names(climbed):
    return [(one.name, one.verdict) for one in climbed.attempts]


def by_name(**found):
    return lambda path: found[path.stem]


def test_it_is_tried_last_where_every_static_attempt_lost_answers(float_path):
    judge = by_name(minmax=WRONG, entropy=SLOW, trained=GOOD)
    climbed = tried(float_path, judge, train)
    assert names(climbed) == [("minmax", "fail"), ("entropy", "fail"), ("trained", "pass")]
    assert climbed.winner.name == "trained.onnx"
    said = climbed.attempts[-1].settings
    assert (said["epochs"], said["learning_rate"], said["loss"]) == (2, LEARNS.learning_rate, [0.5])
    assert "epochs" not in climbed.attempts[0].settings


def test_its_file_has_the_trained_weights_in_the_static_ranges(float_path):
    climbed = tried(float_path, lambda path: GOOD, train, (LEARNS,))
    before, after = (
        calibrate.session(path).run(None, {"image": PICTURES})[0]
        for path in (float_path, climbed.winner)
    )
    assert np.abs(after - before - 1).mean() < 0.1
    static = tried(float_path, lambda path: GOOD, None, (Attempt("static"),)).winner
    assert scales(climbed.winner) == scales(static)


def scales(path):
    model = onnx.load(str(path))
    values = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    nodes = [n for n in model.graph.node if n.op_type == "QuantizeLinear"]
    return sorted(float(values[n.input[1]]) for n in nodes)


def test_what_is_only_slow_is_not_trained(float_path):
    assert names(tried(float_path, lambda path: SLOW, train)) == [
        ("minmax", "fail"),
        ("entropy", "fail"),
    ]


def test_an_attempt_that_passes_is_not_trained(float_path):
    assert names(tried(float_path, lambda path: GOOD, train)) == [("minmax", "pass")]


def test_a_recipe_may_list_it_first_or_have_none(float_path):
    first = tried(float_path, lambda path: WRONG, train, (LEARNS, *STATIC))
    assert [name for name, _ in names(first)] == ["learns", "minmax", "entropy"]
    assert len(tried(float_path, lambda path: WRONG, train, last=None).attempts) == 2


def test_gates_decide_of_it_too(float_path):
    climbed = tried(float_path, lambda path: WRONG, train)
    assert climbed.winner is None
    assert names(climbed)[-1] == ("trained", "fail")
    assert "drop" in climbed.attempts[-1].reason


def test_where_nobody_trains_there_is_no_last_rung_and_a_listed_one_is_an_error(float_path):
    assert len(tried(float_path, lambda path: WRONG, None).attempts) == 2
    listed = tried(float_path, lambda path: WRONG, None, (LEARNS, Attempt("minmax")))
    assert names(listed) == [("learns", "error"), ("minmax", "fail")]
    assert "nothing to train with" in listed.attempts[0].reason


def test_a_trainer_that_fails_is_an_error_of_its_rung_and_the_next_follows(float_path):
    def diverges(attempt, rounded, folder):
        raise CompressError("the loss is nan")

    climbed = tried(float_path, lambda path: GOOD, diverges, (LEARNS, Attempt("minmax")))
    assert names(climbed) == [("learns", "error"), ("minmax", "pass")]
    assert climbed.attempts[0].reason == "the loss is nan"
    assert not (float_path.parent / "attempts" / "learns.onnx").exists()


def test_a_file_that_answers_otherwise_than_what_was_trained_is_not_written(float_path):
    def other(attempt, rounded, folder):
        made = train(attempt, rounded, folder)
        return Trained(made.weights, lambda batch: made.answers(batch) + 1, made.settings)

    climbed = tried(float_path, lambda path: GOOD, other, (LEARNS,))
    assert names(climbed) == [("learns", "error")]
    assert "off those that were trained" in climbed.attempts[0].reason
    assert not (float_path.parent / "attempts" / "learns.onnx").exists()


@pytest.mark.parametrize("values", [{"epochs": -1}, {"learning_rate": 0.0}])
def test_values_out_of_range_are_refused(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        Attempt("a", **values)
