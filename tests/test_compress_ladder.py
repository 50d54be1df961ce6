import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compress import processor
from compress.calibrate import first_pictures
from compress.config import Attempt, Compress, Gates
from compress.errors import CompressError
from compress.ladder import Judgement, climb, misses
from compress.sensitivity import fake_quantized, rank, relative_error

GOOD = Judgement(0.9, 0.99, 0.1, 0.7, 0.69, 0.71)
BAD = Judgement(0.8, 0.90, 10.0, 1.2, 1.1, 1.3)
LADDER = (
    Attempt("fast"),
    Attempt("entropy", "entropy"),
    Attempt("safe", float_layers=1),
    Attempt("safest", float_layers=2),
)


@pytest.fixture
def float_path(tmp_path):
    """Three layers; "coarse" has weights that 8 bits hold badly."""
    rng = np.random.default_rng(0)
    fine = rng.choice([-1.0, 1.0], (8, 3, 3, 3)).astype("f4")  # one magnitude: no rounding at all
    coarse = rng.normal(size=(8, 8, 1, 1)).astype("f4")
    coarse[:, 0] *= 50
    weight = rng.choice([-1.0, 1.0], (4, 8)).astype("f4")
    arrays = {"s": np.float32(1 / 64), "z": np.uint8(128), "a": fine, "b": coarse, "c": weight}
    nodes = [
        helper.make_node("Transpose", ["image"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("DequantizeLinear", ["t", "s", "z"], ["x"]),
        helper.make_node("Conv", ["x", "a"], ["y"], name="fine"),
        helper.make_node("Relu", ["y"], ["r"]),
        helper.make_node("Conv", ["r", "b"], ["u"], name="coarse"),
        helper.make_node("GlobalAveragePool", ["u"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "c"], ["logits"], name="last", transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(tmp_path / "fp32.onnx"))
    return tmp_path / "fp32.onnx"


@pytest.fixture
def calibration():
    return [np.random.default_rng(1).integers(0, 256, (16, 6, 6, 3), dtype=np.uint8)]


def ladder(float_path, calibration, judge, gates=None, attempts=LADDER):
    config = Compress(ladder=attempts, calibration_images=8)
    out = float_path.parent / "attempts"
    return climb(float_path, out, calibration, config, gates or Gates(), judge)


def test_first_attempt_that_passes_wins_and_no_later_one_is_tried(float_path, calibration):
    answers = iter([BAD, GOOD])
    climbed = ladder(float_path, calibration, lambda path: next(answers))
    assert [(t.name, t.verdict) for t in climbed.attempts] == [
        ("fast", "fail"),
        ("entropy", "pass"),
    ]
    assert climbed.winner == float_path.parent / "attempts" / "entropy.onnx"
    assert climbed.winner.stat().st_size == climbed.attempts[1].size_bytes


def test_refused_attempt_keeps_its_file_figures_and_reason(float_path, calibration):
    answers = iter([BAD, GOOD])
    tried = ladder(float_path, calibration, lambda path: next(answers)).attempts[0]
    assert (float_path.parent / "attempts" / "fast.onnx").is_file()
    assert (tried.accuracy, tried.agreement, tried.speed_ratio) == (0.8, 0.9, 1.2)
    assert tried.settings["calibration_images"] == 8
    for gate in ("drop", "agreement", "speed"):
        assert gate in tried.reason


def test_no_attempt_passes_and_there_is_no_winner(float_path, calibration):
    climbed = ladder(float_path, calibration, lambda path: BAD)
    assert climbed.winner is None
    assert len(climbed.attempts) == len(LADDER)


def test_safer_attempts_leave_the_most_sensitive_layers_float(float_path, calibration):
    climbed = ladder(float_path, calibration, lambda path: BAD)
    kept = [tried.settings["float_nodes"] for tried in climbed.attempts]
    assert kept[:2] == [[], []]
    assert kept[2] == ["coarse"]
    assert len(kept[3]) == 2


def test_attempt_that_cannot_be_judged_is_an_error_and_the_next_is_tried(float_path, calibration):
    def judge(path):
        if path.stem == "fast":
            raise CompressError("cannot be run")
        return GOOD

    first, second = ladder(float_path, calibration, judge).attempts
    assert (first.verdict, first.reason, first.accuracy) == ("error", "cannot be run", None)
    assert second.verdict == "pass"


def test_size_gate_refuses(float_path, calibration):
    climbed = ladder(float_path, calibration, lambda p: GOOD, Gates(max_size_bytes=100))
    assert "size" in climbed.attempts[0].reason


@pytest.mark.parametrize("field", ["drop_points", "agreement", "speed_ratio"])
def test_a_measurement_that_is_not_a_number_passes_no_gate(field):
    values = {**vars(GOOD), field: float("nan")}
    assert len(misses(Judgement(**values), 0, Gates())) == 1


def test_calibration_takes_exactly_the_number_asked_for():
    batches = [np.zeros((50, 2, 2, 3), np.uint8)] * 3
    assert sum(map(len, first_pictures(batches, 70))) == 70
    assert sum(map(len, first_pictures(batches, 1000))) == 150


@pytest.mark.parametrize("sizes", [[1] * 200, [3, 90, 1, 40, 64, 7], [200], [64, 6, 64]])
def test_calibration_takes_that_number_from_batches_of_any_size(sizes):
    pictures = np.arange(sum(sizes), dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    batches = np.split(pictures, np.cumsum(sizes)[:-1])
    taken = first_pictures(batches, 70)
    assert np.array_equal(np.concatenate(taken), pictures[:70])


def test_sensitivity_ranks_the_badly_rounded_layer_first(float_path, calibration):
    ranked = rank(float_path, calibration)
    assert ranked[0][0] == "coarse"
    assert {name for name, _ in ranked} == {"fine", "coarse", "last"}
    assert ranked[0][1] > 10 * ranked[1][1]


def test_rounded_weights_are_within_half_a_step_of_each_channel():
    weight = np.random.default_rng(0).normal(size=(6, 4, 3, 3)).astype("f4")
    step = np.abs(weight).max((1, 2, 3), keepdims=True) / processor.largest_weight()
    assert (np.abs(fake_quantized(weight, 0) - weight) <= step * 0.5001).all()
    assert (fake_quantized(np.zeros((2, 2), "f4"), 0) == 0).all()


def test_relative_error_of_equal_logits_is_zero():
    assert relative_error(np.ones((2, 3)), np.ones((2, 3))) == 0


def unlike(path):
    """One layer whose inputs are so unlike that 8 bits hold the largest alone."""
    model = onnx.load(str(path))
    del model.graph.node[2:]
    arrays = {"d": np.array([1e4, 1, 1], "f4"), "e": np.array([[1e-4, 1, -1]] * 4, "f4")}
    model.graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in arrays.items())
    model.graph.node.extend(
        [
            helper.make_node("GlobalAveragePool", ["x"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("Mul", ["f", "d"], ["m"]),
            helper.make_node("Gemm", ["m", "e"], ["logits"], name="only", transB=1),
        ]
    )
    onnx.save(model, str(path))
    return path


def test_attempt_whose_file_is_off_is_an_error_and_every_attempt_is_tried(float_path, calibration):
    judged = []
    climbed = ladder(unlike(float_path), calibration, judged.append)
    assert climbed.winner is None
    assert not judged
    assert [t.verdict for t in climbed.attempts] == ["error"] * len(LADDER)
    assert all("only" in t.reason for t in climbed.attempts)
    assert not list((float_path.parent / "attempts").glob("*"))


def test_layers_that_were_off_stand_with_those_left_in_float(float_path, calibration):
    model = onnx.load(str(float_path))
    wide = model.graph.initializer[3]
    array = numpy_helper.to_array(wide).copy()
    array[:, 1:] *= np.float32(1e-2)  # 8 bits hold the first input alone, which is always 0
    wide.CopyFrom(numpy_helper.from_array(array, wide.name))
    fine = model.graph.initializer[2]
    rows = numpy_helper.to_array(fine).copy()
    rows[0] = 0
    fine.CopyFrom(numpy_helper.from_array(rows, fine.name))
    onnx.save(model, str(float_path))
    tried = ladder(float_path, calibration, lambda path: GOOD).attempts[0]
    assert tried.verdict == "pass"
    assert tried.settings["float_nodes"] == ["coarse"]


def test_file_that_cannot_be_ranked_is_an_error_of_the_attempts_that_need_it(
    float_path, calibration
):
    answers = iter([BAD, BAD])
    odd = [np.zeros((4, 6, 6, 3), np.uint8), np.zeros((4, 1, 1, 3), np.uint8)]
    climbed = ladder(float_path, odd, lambda path: next(answers))
    assert {t.verdict for t in climbed.attempts} <= {"error"}
    assert len(climbed.attempts) == len(LADDER)
    assert all(t.reason for t in climbed.attempts)
