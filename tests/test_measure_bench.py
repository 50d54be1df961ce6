import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import InputError, ZooError
from zoo.measure import bench, machine
from zoo.measure.devices import Runtime
from zoo.measure.loads import PictureLoad, TextLoad
from zoo.records.measures import Measurement

X86 = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu avx2 avx512f avx512_vnni\n"
LOAD = PictureLoad(batch=1, image_size=8)
ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n"


@pytest.fixture
def row(tiny):
    """One measured row of the tiny student."""
    return bench.measure({"fp32": tiny / "model.fp32.onnx"}, LOAD, rounds=3)[0]


def test_rows_come_in_the_order_of_the_files_with_ratio_and_control(tiny):
    files = {name: tiny / f"model.{name}.onnx" for name in ("int8", "fp32")}
    rows = bench.measure(files, PictureLoad(2, 8), rounds=5, seed=1)
    assert [row.precision for row in rows] == ["int8", "fp32"]
    for row in rows:
        assert 0 < row.p50_ms <= row.p95_ms
        assert (row.device, row.batch, row.threads, row.image_size) == ("cpu", 2, 1, 8)
        assert row.n >= 5 * 10
        assert row.ratio_low <= row.ratio_to_fp32 <= row.ratio_high
        assert row.control_low <= row.control_ratio <= row.control_high
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", row.date)
        assert row.runtime == "onnxruntime"
        assert row.device_name
        assert row.isa
    assert rows[1].ratio_to_fp32 == 1.0


def test_files_may_be_given_as_bytes_and_the_reference_may_be_missing(tiny):
    (row,) = bench.measure({"int8": (tiny / "model.int8.onnx").read_bytes()}, LOAD, rounds=2)
    assert row.ratio_to_fp32 is row.control_ratio is None


def test_progress_is_told_after_every_round(tiny):
    told = []
    bench.measure(
        {"fp32": tiny / "model.fp32.onnx"}, LOAD, rounds=3, progress=lambda *at: told.append(at)
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_every_round_runs_every_file_the_same_number_of_times():
    blocks = bench.interleave({"a": lambda: None, "b": lambda: sum(range(1000))}, rounds=4)
    sizes = {label: [len(block) for block in timed] for label, timed in blocks.items()}
    assert len(set(sizes["a"])) == 1
    assert sizes["a"] == sizes["b"]


def test_a_long_call_beside_another_is_timed_as_often_and_found_slower():
    said = []
    value, low, high = bench.beside(
        lambda: said.append("twenty") or [sum(range(20_000)) for _ in range(20)],
        lambda: said.append("one") or sum(range(20_000)),
    )
    assert said.count("twenty") == said.count("one")
    assert 1 < low <= value <= high


def test_order_within_rounds_is_random_but_repeatable():
    def order(seed):
        said = []
        calls = {name: (lambda name=name: said.append(name)) for name in "abc"}
        bench.interleave(calls, rounds=6, seed=seed)
        runs = [name for i, name in enumerate(said) if i == 0 or said[i - 1] != name]
        return runs[-12:]

    assert order(0) == order(0)
    assert order(0) != order(1)


def test_slower_file_is_found_slower_and_the_interval_holds_the_ratio():
    quiet = [np.full(20, 1e-3) for _ in range(30)]
    value, low, high = bench.ratio([2 * block for block in quiet], quiet)
    assert (value, low, high) == (2.0, 2.0, 2.0)


def test_interruptions_of_a_busy_machine_do_not_move_the_ratio():
    rng = np.random.default_rng(0)

    def block(milliseconds):
        seconds = rng.normal(milliseconds, 0.01, 40) / 1e3
        seconds[rng.random(40) < 0.5] += 0.004  # another program takes the processor
        return seconds

    value, low, high = bench.ratio([block(0.8) for _ in range(60)], [block(1.0) for _ in range(60)])
    assert value == pytest.approx(0.8, abs=0.02)
    assert low < 0.8 + 0.02
    assert high > 0.8 - 0.02


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=40), st.integers(0, 5))
def test_bootstrap_interval_lies_within_the_values_and_is_repeatable(values, seed):
    values = np.array(values)
    low, high = bench.bootstrap_median(values, seed)
    assert values.min() * 0.999 <= low <= high <= values.max() * 1.001
    assert (low, high) == bench.bootstrap_median(values, seed)


def test_bootstrap_interval_covers_the_true_median_about_95_times_in_100():
    rng = np.random.default_rng(0)
    inside = 0
    for seed in range(100):
        low, high = bench.bootstrap_median(rng.normal(1.0, 0.1, 40), seed)
        inside += low <= 1.0 <= high
    assert inside >= 88


@pytest.mark.parametrize(
    "arguments",
    [
        {"files": {}},
        {"load": PictureLoad(1, 0)},
        {"load": PictureLoad(0, 8)},
        {"load": TextLoad(1, 0)},
        {"load": TextLoad(1, 8)},
        {"threads": 0},
        {"rounds": 0},
        {"device": "tpu"},
        {"files": {"fp32": "no/such.onnx"}},
        {"files": {"fp32": b"not an ONNX file"}},
    ],
)
def test_what_cannot_be_measured_is_one_error_with_a_hint(tiny, arguments):
    plain = {"files": {"fp32": tiny / "model.fp32.onnx"}, "load": LOAD, "rounds": 1}
    with pytest.raises(InputError) as error:
        bench.measure(**(plain | arguments))
    assert error.value.hint


def test_cuda_that_is_not_there_is_one_error_with_a_hint(tiny):
    with_provider = "CUDAExecutionProvider" in devices_available()
    if with_provider or _torch_sees_cuda():
        pytest.skip("this machine has CUDA")
    with pytest.raises(ZooError, match="CUDA") as error:
        bench.measure({"fp32": tiny / "model.fp32.onnx"}, LOAD, device="cuda", rounds=1)
    assert "onnxruntime-gpu" in error.value.hint


def devices_available():
    return pytest.importorskip("onnxruntime").get_available_providers()


def _torch_sees_cuda():
    try:
        import torch
    except ImportError:
        return False
    return torch.cuda.is_available()


@pytest.mark.gpu
def test_cuda_measures_fp32(tiny):
    if not _torch_sees_cuda():
        pytest.skip("needs PyTorch with a CUDA device")
    (row,) = bench.measure({"fp32": tiny / "model.fp32.onnx"}, LOAD, device="cuda", rounds=2)
    assert (row.device, row.p50_ms > 0) == ("cuda", True)


def test_instruction_sets_are_read_in_a_fixed_order():
    assert machine.isa(X86) == "avx2 avx512f avx512_vnni"
    assert machine.isa(ARM) == "asimd asimddp i8mm"


def test_processor_is_named_as_the_system_names_it():
    assert machine.cpu_name(X86) == "Some CPU @ 2 GHz"
    assert machine.cpu_name("")


def test_peak_memory_is_of_a_fresh_process(tiny):
    pytest.importorskip("resource")
    ballast = np.ones(200_000_000, np.uint8)  # ours, not the child's
    images = [np.zeros((1, 8, 8, 3), np.uint8)]
    peak = bench.peak_memory_mb(tiny / "model.fp32.onnx", images)
    assert 5 < peak < 200
    assert ballast[0]


def test_peak_memory_of_a_broken_file_is_one_error(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"x\.onnx"):
        bench.peak_memory_mb(tmp_path / "x.onnx", [np.zeros((1, 8, 8, 3), np.uint8)])


def test_comparison_on_the_same_device_gives_the_ratio_of_medians(row):
    (found,) = bench.compare([replace(row, p50_ms=row.p50_ms * 2)], [row])
    assert found.p50_ratio == pytest.approx(0.5)
    assert found.note == ""


def test_comparison_across_devices_says_so_and_keeps_the_ratio_to_fp32(row):
    (found,) = bench.compare([replace(row, device_name="Other CPU", ratio_to_fp32=0.7)], [row])
    assert found.p50_ratio is None
    assert found.card_ratio_to_fp32 == 0.7
    assert "Other CPU" in found.note


def test_comparison_prefers_the_row_of_this_device(row):
    (found,) = bench.compare([replace(row, device_name="Other CPU"), row], [row])
    assert found.p50_ratio == 1.0


def test_comparison_tells_another_version_of_the_runtime(row):
    (found,) = bench.compare([replace(row, runtime_version="1.0")], [row])
    assert found.p50_ratio == 1.0
    assert "1.0" in found.note


@pytest.mark.parametrize(
    "field", ["precision", "batch", "threads", "image_size", "text_length", "device"]
)
def test_row_of_another_set_up_is_not_compared(row, field):
    other = "cuda" if field == "device" else "int8" if field == "precision" else 99
    (found,) = bench.compare([replace(row, **{field: other})], [row])
    assert (found.card_p50_ms, found.note) == (None, "not on the card")


def test_importing_the_module_loads_nothing_heavy():
    code = (
        "import sys, zoo.measure.bench, zoo.measure.verify, zoo.records.measures\n"
        "heavy = {'numpy', 'onnxruntime', 'torch', 'onnx'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_measurement_can_be_compared_and_hashed(row):
    assert {row: 1}[Measurement(**vars(row))] == 1


def test_plain_export_with_float_planes_is_timed_beside_the_students():
    onnx = pytest.importorskip("onnx")
    shape = ["n", 3, 8, 8]
    x, y = (onnx.helper.make_tensor_value_info(name, 1, shape) for name in "xy")
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [x], [y])
    opset = [onnx.helper.make_opsetid("", 18)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)
    (row,) = bench.measure({"fp32": model.SerializeToString()}, LOAD, rounds=2)
    assert row.ratio_to_fp32 == 1.0


def test_load_is_the_same_pictures_in_both_forms():
    load = PictureLoad(batch=2, image_size=4)
    assert load.bytes().shape == (2, 4, 4, 3)
    assert np.array_equal(load.planes()[:, :, 1, 2] * 64 + 128, load.bytes()[:, 1, 2])


def test_a_provider_that_does_not_start_is_an_error_not_the_processor(tiny):
    import onnxruntime

    from zoo.errors import ZooError
    from zoo.students.session import open_session

    wanted = "CUDAExecutionProvider"
    if wanted in onnxruntime.get_available_providers():
        pytest.skip("there is a CUDA provider here")
    with pytest.warns(UserWarning, match=wanted), pytest.raises(ZooError, match="did not start"):
        open_session(tiny / "model.fp32.onnx", provider=wanted)


# --- texts ---------------------------------------------------------------------------------------


def test_text_students_are_timed_on_texts_of_a_length(tiny_text):
    files = {name: tiny_text / f"model.{name}.onnx" for name in ("fp32", "int8")}
    for row in bench.measure(files, TextLoad(3, 8), rounds=2):
        assert (row.batch, row.text_length, row.image_size) == (3, 8, None)
        assert row.p50_ms > 0


def test_a_load_of_texts_is_words_of_latin_letters_and_always_the_same():
    codes = TextLoad(batch=50, text_length=100).codepoints()
    assert codes.shape == (50, 100)
    assert codes.dtype == np.int32
    texts = ["".join(map(chr, row)) for row in codes]
    assert all(re.fullmatch(r"[a-z ]+", text) for text in texts)
    assert min(len(word) for text in texts for word in text.split(" ")[:-1]) >= 3
    assert 4 < np.mean([len(word) for text in texts for word in text.split()]) < 12
    assert np.array_equal(codes, TextLoad(50, 100).codepoints())
    assert not np.array_equal(codes, TextLoad(50, 100, seed=1).codepoints())


@pytest.mark.parametrize(("load", "message"), [(TextLoad(1, 8), "no texts"), (LOAD, "no pictures")])
def test_a_load_that_a_file_cannot_read_is_one_error(tiny, tiny_text, load, message):
    folder = tiny if isinstance(load, TextLoad) else tiny_text
    with pytest.raises(InputError, match=message):
        bench.measure({"fp32": folder / "model.fp32.onnx"}, load, rounds=1)


def test_texts_in_pytorch_are_one_error_that_says_not_yet():
    torch = Runtime("torch", "2.13", "a GPU", "sm_90", lambda source, load: lambda: None)
    bench.check_load(torch, LOAD)
    with pytest.raises(ZooError, match="do not run in PyTorch yet") as error:
        bench.check_load(torch, TextLoad(1, 8))
    assert error.value.hint


def test_peak_memory_of_a_text_student(tiny_text):
    pytest.importorskip("resource")
    peak = bench.peak_memory_mb(tiny_text / "model.int8.onnx", [np.full((1, 9), 97, np.int32)])
    assert 5 < peak < 200
