"""Networks, scores and tables of the script that compares `zoo compress` with other quantizers."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch):
    """A script of benchmarks/ by its name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def compare(module) -> ModuleType:
    return module("compare_compress")


def linear(path: Path, weight: np.ndarray) -> Path:
    """A file that multiplies the mean of each channel by `weight` (3, classes)."""
    helper = onnx.helper
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
    ]
    ends = [
        helper.make_tensor_value_info("input", 1, ["n", 3, 4, 4]),
        helper.make_tensor_value_info("logits", 1, ["n", weight.shape[1]]),
    ]
    kept = [onnx.numpy_helper.from_array(weight.astype(np.float32), "weight")]
    graph = helper.make_graph(nodes, "linear", ends[:1], ends[1:], kept)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), str(path))
    return path


@pytest.mark.parametrize(
    ("name", "millions", "stride"),
    [("shufflenet-v2-1x", 1.264, 32), ("mobilenet-v2", 2.237, 32), ("resnet-18", 11.182, 32)],
)
def test_the_networks_are_those_of_their_papers(module, name, millions, stride) -> None:
    """Parameters with ten classes: torchvision's counts less 990 rows of its classifier."""
    import torch

    net = module("compress_nets").NETS[name]().eval()
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, abs=5e-4)
    seen: list[int] = []
    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda _m, _i, out: seen.append(out.shape[-1]))
    with torch.no_grad():
        assert net(torch.zeros(1, 3, 64, 64)).shape == (1, 10)
    assert seen[-1] == 64 // stride


def test_a_training_that_was_stopped_sees_the_batches_it_would_have_seen(module) -> None:
    nets = module("compress_nets")
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (300, 32, 32, 3), dtype=np.uint8), np.arange(300)
    whole = [labels for _, (_, labels) in zip(range(5), nets.batches(data, 0), strict=False)]
    later = [labels for _, (_, labels) in zip(range(2), nets.batches(data, 3), strict=False)]
    assert np.array_equal(whole[3:], later)
    assert len(set(np.concatenate(whole[:2]))) == 256  # an epoch repeats nothing


def test_the_learning_rate_rises_to_its_peak_and_ends_at_zero(module) -> None:
    rate = module("compress_nets").rate
    assert rate(0.2, 0.1) == pytest.approx(0.1)
    assert rate(0.2, 0.2) == pytest.approx(0.2)
    assert rate(0.2, 1.0) == pytest.approx(0.0)


def test_agreement_is_with_the_float_file_and_accuracy_with_the_labels(compare) -> None:
    found, reference, labels = (
        np.array([0, 1, 2, 2]),
        np.array([0, 1, 2, 0]),
        np.array([0, 0, 0, 0]),
    )
    scores = compare.picture_scores(found, reference, labels)
    assert (scores["n"], scores["agreement"][0], scores["accuracy"][0]) == (4, 0.75, 0.25)
    assert scores["agreement"][1] < 0.75 < scores["agreement"][2]
    assert "accuracy" not in compare.picture_scores(found, reference, None)


def test_ranks_share_their_mean_where_values_are_equal(compare) -> None:
    assert compare.spearman(np.array([1, 5, 9]), np.array([2, 3, 8])) == pytest.approx(1)
    assert compare.spearman(np.array([1, 2, 3]), np.array([3, 2, 1])) == pytest.approx(-1)
    # ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4: covariance 4.5 over sqrt(4.5 * 5)
    tied = compare.spearman(np.array([0, 1, 1, 2]), np.array([0, 2, 1, 3]))
    assert tied == pytest.approx(4.5 / (4.5 * 5) ** 0.5)


def test_a_network_trained_at_64_px_sees_that_scale_at_224_too(module) -> None:
    cases = module("compress_cases")
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    small, large = (cases.shown(picture, cases.Case("n", "n", size)) for size in (64, 224))
    assert (small.shape, large.shape) == ((64, 64, 3), (224, 224, 3))
    assert np.array_equal(large[80:144, 80:144], small)
    assert np.array_equal(large[16:80, 80:144], small[::-1])  # mirrored above
    whole = cases.shown(picture, cases.Case("n", "n", 224, labelled=False))
    assert not np.array_equal(whole[80:144, 80:144], small)  # one picture, all of it


def test_embeddings_do_not_see_the_padding_behind_a_text(module) -> None:
    kept = {
        "input_ids": np.array([[7, 8, 0], [7, 8, 9]]),
        "attention_mask": np.array([[1, 1, 0], [1, 1, 1]]),
    }
    read = [feed["input_ids"].tolist() for feed in module("compress_cases").one_by_one(kept)]
    assert read == [[[7, 8]], [[7, 8, 9]]]


def test_files_are_scored_and_timed_beside_the_float_file(compare, module, tmp_path) -> None:
    """Two files on made-up pictures: one the same, one that swaps two classes."""
    cases = module("compress_cases")
    case = cases.Case("tiny", "tiny", 4, 6, (0.5,) * 3, (0.25,) * 3)
    folder = case.folder(tmp_path)
    folder.mkdir(parents=True)
    pictures = np.zeros((6, 4, 4, 3), np.uint8)
    pictures[np.arange(6), :, :, np.arange(6) % 3] = 255  # picture k is of channel k % 3
    np.savez(folder / "test.npz", pictures=pictures, labels=np.arange(6) % 3)
    linear(folder / "fp32.onnx", np.eye(3))
    linear(folder / "ours.onnx", np.eye(3))
    linear(folder / "nncf.onnx", np.eye(3)[[1, 0, 2]])
    files = compare.files_of(case, tmp_path, ["ours", "olive", "nncf"])
    assert list(files) == ["fp32", "ours", "nncf"]
    scored = dict(compare.score(case, files, tmp_path))
    assert scored["ours"]["agreement"][0] == scored["ours"]["accuracy"][0] == 1
    assert scored["nncf"]["agreement"][0] == pytest.approx(1 / 3, abs=1e-4)
    ((label, feed),) = cases.timed_feeds(case, tmp_path).items()
    timed = compare.measure(files, feed, seconds=0.0)
    assert label == "4 px"
    assert timed["fp32"]["ratio"] == [1, 1, 1]
    assert set(timed) == {*files, " control"}
    assert timed["ours"]["rounds"] == 15


def test_the_tables_name_the_fastest_and_say_why_a_file_is_missing(module) -> None:
    found = {
        "net": {
            "fp32": {
                "64 px": {"ratio": [1, 1, 1], "p50_ms": 2.0},
                "n": 10,
                "agreement": [1],
                "bytes": 4000,
            },
            " control": {"64 px": {"ratio": [1.001, 0.99, 1.01], "p50_ms": 2.0}},
            "ours": {
                "64 px": {"ratio": [0.4, 0.39, 0.41], "p50_ms": 0.8},
                "n": 10,
                "agreement": [0.9, 0.8, 0.95],
                "bytes": 1000,
            },
            "ort-static": {"64 px": {"ratio": [0.5, 0.49, 0.51], "p50_ms": 1}, "version": "9"},
            "olive": {"version": "1.2"},
            "nncf": {"failed": "no such operator"},
        }
    }
    text = module("compress_tables").tables(found, "a machine")
    ours = "**0.400 (0.390 to 0.410)** | 90.0 (80.0 to 95.0)"
    assert f"| net | 2.000 | 1.001 (0.990 to 1.010) | {ours} | onnxruntime static | 0.500" in text
    assert "| net | **0.400** | 0.500 | ? | none |" in text
    assert "reaches further than 0.010 from its value" in text
    assert "| net | 10 | 100.0 | 90.0 | ? | ? | none |" in text
    assert "- NNCF, net: no such operator" in text
    assert "(a machine; Olive 1.2)" in text


def test_a_page_gets_the_tables_and_keeps_what_is_around_them(compare, tmp_path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{compare.START}old\n{compare.END}after\n")
    compare.write_page(page, "new")
    assert page.read_text() == f"before\n{compare.START}new\n{compare.END}after\n"


def test_a_peer_that_is_not_known_is_refused(module, monkeypatch, capsys) -> None:
    peers = module("compress_peers")
    monkeypatch.setattr("sys.argv", ["compress_peers.py", "nobody", "a", "b", "c"])
    assert peers.main() == 2
    assert "ort-static" in capsys.readouterr().err


def test_a_peer_reads_pictures_as_the_model_is_used_to(module, tmp_path) -> None:
    peers = module("compress_peers")
    model = linear(tmp_path / "model.onnx", np.eye(3))
    kept = tmp_path / "calibration.npz"
    pictures = np.full((2, 4, 4, 3), 255, np.uint8)
    np.savez(kept, pictures=pictures, mean=(0.5, 0.5, 0.5), std=(0.25, 0.5, 1.0))
    read = [feed["input"] for feed in peers.feeds(model, kept)]
    assert [planes.shape for planes in read] == [(1, 3, 4, 4)] * 2
    assert np.allclose(read[0].mean((0, 2, 3)), (2, 1, 0.5))
    assert not peers.is_text(kept)
