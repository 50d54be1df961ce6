import dataclasses

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export import golden, parity
from export.errors import ExportError
from export.files import Runner, save
from export.ngram import Parts, to_onnx

CLASSES, DIM, HIDDEN, ROWS = 5, 6, 8, 64
METADATA = {"studentzoo.format": "1", "studentzoo.task": "text-classification"}
LIMIT = 0x10000
NO_LETTER = -0x40000


def made_parts(seed=0, orders=(1, 2, 3, 4, 5)):
    """Letters are a-z, A-Z (lowered), U+0430.. and the last page; anything else is a boundary."""
    rng = np.random.default_rng(seed)
    pages = np.zeros((4, 256), np.int32)
    pages[1, ord("a") : ord("z") + 1], pages[1, ord("A") : ord("Z") + 1] = 1, 2
    pages[2, 0x30:0x60], pages[3] = 1, 1
    top = np.zeros(LIMIT // 256, np.int32)
    top[0], top[4], top[-1] = 256, 512, 768
    orders = np.array(orders, np.int64)
    inside = np.arange(orders.max(initial=0)) < orders[:, None]
    return Parts(
        top=top,
        entries=pages.reshape(-1),
        delta=np.array([NO_LETTER, 0, 32], np.int32),
        orders=orders,
        multipliers=rng.integers(1, 2**11, (*inside.shape, 2)) * inside[..., None],
        table=rng.normal(size=(ROWS, DIM)).astype(np.float32),
        hidden_weight=rng.normal(size=(HIDDEN, len(orders) * DIM)).astype(np.float32),
        output_weight=rng.normal(size=(CLASSES, HIDDEN)).astype(np.float32),
    )


def windows(parts, text):
    """The rows of each order, by the definition: one window after the other, Python's integers."""
    codes = [min(max(int(code), 0), LIMIT - 1) for code in text]
    entries = [int(parts.entries[parts.top[c // 256] + c % 256]) for c in codes]
    letters = [max(c + int(parts.delta[e]), 0) for c, e in zip(codes, entries, strict=True)]
    groups = []
    sequence = [0, *letters, 0, 0, 0, 0]
    for n, multipliers in zip(parts.orders.tolist(), parts.multipliers.tolist(), strict=True):
        found = []
        for start in range(len(letters) + 1):
            window = sequence[start : start + n]
            if all({1: window, 2: window[1:]}.get(n, window[1:-1])):
                pairs = zip(multipliers, window, strict=False)
                total = sum(a * (w // 256) + b * (w % 256) for (a, b), w in pairs)
                found.append(total % len(parts.table))
        groups.append(found)
    return groups


def logits(parts, text):
    """float64 (classes,) of one text."""
    sums = [
        parts.table[group].astype(np.float64).sum(0) / max(1, len(group)) ** 0.5
        for group in windows(parts, text)
    ]
    hidden = np.concatenate(sums) @ parts.hidden_weight.T
    return np.maximum(hidden, 0) @ parts.output_weight.T


@pytest.fixture(scope="module")
def parts():
    return made_parts()


@pytest.fixture(scope="module")
def path(parts, tmp_path_factory):
    return save(to_onnx(parts, METADATA), tmp_path_factory.mktemp("text") / "m.onnx")


@pytest.fixture(scope="module")
def run(path):
    return Runner(path)


def codes(text):
    return np.array([ord(c) for c in text], np.int32)


def padded(texts):
    batch = np.zeros((len(texts), max(map(len, texts))), np.int32)
    for row, text in zip(batch, texts, strict=True):
        row[: len(text)] = text
    return batch


def close(got, wanted):
    return np.abs(got - wanted).max() <= 2e-5 * max(1, np.abs(wanted).max())


@pytest.mark.parametrize(
    "text",
    [
        *("a", "ab", "a b", "hello", "Hello World", "  a  ", "1234", "", "мир", "a\0b", "aмb"),
        *("x" * 300, "the quick brown fox. " * 5),
    ],
)
def test_logits_are_those_of_the_definition(parts, run, text):
    assert close(run(codes(text)[None])[0], logits(parts, codes(text)))


@given(st.lists(st.sampled_from([*range(0x20, 0x80), *range(0x42E, 0x462), 0xFFFF]), max_size=30))
def test_logits_of_any_letters_and_blanks_are_those_of_the_definition(parts, run, text):
    batch = np.array(text, np.int32)[None]
    assert close(run(batch)[0], logits(parts, batch[0]))


@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=30))
def test_no_number_is_too_large_or_too_small(parts, run, text):
    batch = np.array(text, np.int32)[None]
    assert close(run(batch)[0], logits(parts, batch[0]))


@given(st.lists(st.text("abXYZ жя.", max_size=12), min_size=1, max_size=6))
def test_texts_of_many_lengths_in_one_batch_give_what_each_gives_alone(run, texts):
    batch = run(padded([codes(text) for text in texts]))
    alone = np.concatenate([run(codes(text)[None]) for text in texts])
    assert np.abs(batch - alone).max() < 2e-5


def test_capitals_are_lowered_and_marks_of_words_matter(run):
    upper, lower, joined = (run(codes(t)[None]) for t in ("HELLO you", "hello YOU", "helloyou"))
    assert np.array_equal(upper, lower)
    assert np.abs(upper - joined).max() > 1e-3


def test_a_word_of_one_letter_has_one_window_of_up_to_three_letters(parts):
    groups = windows(parts, codes("a"))
    assert [len(group) for group in groups] == [1, 1, 1, 0, 0]


def test_no_letters_at_all_are_the_layers_alone(parts, run):
    empty = np.zeros(CLASSES)
    for text in (np.zeros((2, 0), np.int32), np.zeros((2, 9), np.int32), codes("12 3!")[None]):
        assert np.abs(run(text) - empty).max() < 1e-5


def test_the_hash_is_exact_at_its_largest(parts):
    """Letters next to 0x10000 and the largest multipliers: sums next to 2**23."""
    inside = np.arange(5) < np.arange(1, 6)[:, None]
    largest = dataclasses.replace(
        parts, multipliers=np.repeat(inside[..., None], 2, 2) * (2**11 - 1)
    )
    model = to_onnx(largest, {})
    model.graph.output.append(onnx.helper.make_tensor_value_info("hash", 6, None))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    text = np.arange(LIMIT - 40, LIMIT, dtype=np.int32)
    (found,) = session.run(["hash"], {"codepoints": text[None]})
    sums = (text // 256 + text % 256).astype(np.int64) * (2**11 - 1)
    assert found[0, 0].tolist() == [0, *sums.tolist()]
    five = np.lib.stride_tricks.sliding_window_view(sums, 5).sum(1)
    assert found[0, 4, 1:37].tolist() == five.tolist()
    assert five.max() > 2**22


def test_the_convolution_multiplies_numbers_of_11_bits(parts):
    """As a GPU does that takes TF32 or float16 for float32: its sums are in float32 then."""
    kernel = next(c for c in to_onnx(parts, {}).graph.initializer if c.name == "kernel")
    weights = onnx.numpy_helper.to_array(kernel)
    assert np.array_equal(weights.astype(np.float16), weights)
    assert weights.max() > 2**10


def test_the_graph_is_small_and_standard_and_its_letters_are_folded_at_load(path, tmp_path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert {opset.domain for opset in model.opset_import} == {""}
    assert len(model.graph.node) <= 40
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "fast.onnx")
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    assert len(onnx.load(tmp_path / "fast.onnx").graph.node) <= 15


def test_the_contract_stands_in_the_file(path):
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    (text,), (out,) = session.get_inputs(), session.get_outputs()
    assert (text.name, text.type, text.shape) == ("codepoints", "tensor(int32)", ["n", "length"])
    assert (out.name, out.type, out.shape) == ("logits", "tensor(float)", ["n", CLASSES])
    assert session.get_modelmeta().custom_metadata_map == METADATA


def test_equal_parts_make_equal_bytes(parts, path):
    assert to_onnx(parts, METADATA).SerializeToString() == path.read_bytes()


def changed(parts, name, change):
    array = getattr(parts, name).copy()
    made = change(array)
    return dataclasses.replace(parts, **{name: array if made is None else made})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("table", lambda a: a.__setitem__((3, 1), np.nan)),
        ("table", lambda a: a[:-1]),
        ("table", lambda a: a[:1]),
        ("multipliers", lambda a: a.__setitem__((0, 1), 1)),
        ("multipliers", lambda a: a * 64),
        ("multipliers", lambda a: -a),
        ("multipliers", lambda a: a[:, :4]),
        ("multipliers", lambda a: a[..., :1]),
        ("delta", lambda a: a[:2]),
        ("delta", lambda a: a + 9),
        ("top", lambda a: a + 1),
        ("entries", lambda a: a[:256]),
        ("entries", lambda a: a - 1),
        ("hidden_weight", lambda a: a[:, 1:]),
        ("output_weight", lambda a: a[:, 1:]),
    ],
)
def test_parts_that_do_not_fit_are_one_error(parts, name, change):
    with pytest.raises(ExportError):
        to_onnx(changed(parts, name, change), {})


def test_parity_pads_texts_into_batches(parts, path):
    texts = [codes(t) for t in ("one", "two words", "", "дом", "five", "sixsixsix", "7")]
    seen = []

    def reference(batch):
        seen.append(batch.shape)
        return np.stack([logits(parts, row) for row in batch])

    assert parity.check(reference, path, texts, 1e-3) < 1e-3
    assert seen[:2] == [(1, 3), (1, 9)]
    assert {shape[0] for shape in seen} == {1, 2, 5}
    with pytest.raises(ExportError, match="off the module"):
        parity.check(lambda batch: np.zeros((len(batch), CLASSES)), path, texts, 1e-3)


def test_parity_takes_no_texts_of_other_types(path):
    for text in (np.zeros(3), np.zeros((1, 3), np.int32)):
        with pytest.raises(ExportError):
            parity.check(lambda batch: batch, path, [text], 1e-3)


def test_golden_vectors_of_texts(path, run, tmp_path):
    batch = padded([codes(t) for t in ("one", "two words", "три")])
    golden.write(tmp_path / "golden.npz", batch, path, None)
    with np.load(tmp_path / "golden.npz") as kept:
        assert np.array_equal(kept["inputs"], batch)
        assert np.array_equal(kept["fp32"], run(batch))
    with pytest.raises(ExportError, match="golden texts"):
        golden.write(tmp_path / "none.npz", batch.astype(np.int64), path, None)


@pytest.mark.parametrize("orders", [(1,), (2, 3), (1, 3, 4), (5,), (1, 2, 3, 4)])
def test_any_of_the_orders_may_be_left_out(orders, tmp_path):
    some = made_parts(3, orders)
    fewer = Runner(save(to_onnx(some, METADATA), tmp_path / "m.onnx"))
    for text in ("a", "Hello World", "мир hello", "", "12"):
        assert close(fewer(padded([codes(text) if text else [0]]))[0], logits(some, codes(text)))


@pytest.mark.parametrize("orders", [(3, 2), (2, 2), (0, 1), (1, 6), ()])
def test_orders_that_are_none_are_refused(parts, orders):
    wrong = dataclasses.replace(parts, orders=np.array(orders, np.int64))
    with pytest.raises(ExportError):
        to_onnx(wrong, METADATA)
