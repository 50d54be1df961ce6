"""Small files for the quantizer: pictures of 16 by 16, one Conv, a vector of 8, and then a tail."""

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from compress import int8, processor
from compress.config import Attempt

PICTURES = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3), dtype=np.uint8)
OTHERS = np.random.default_rng(1).integers(0, 256, (32, 16, 16, 3), dtype=np.uint8)
COARSER = 2 ** (8 - processor.weight_bits())  # steps of a weight, over those of 8 bits
NOISE = 0.02 * COARSER  # of a few layers, relative
node = helper.make_node


def weights(*shape, seed=0):
    return (np.random.default_rng([seed, *shape]).standard_normal(shape) * 0.3).astype(np.float32)


def net(path, tail, out="logits", opset=20, batch="n", outputs=None, **constants):
    """A file with the nodes of `tail`, from `fl` (n, 8) to `out`; constants beside gw, gb."""
    constants = {
        "inv": np.float32(1 / 255),
        "w": weights(8, 3, 3, 3),
        "b": weights(8),
        "gw": weights(10, 8),
        "gb": weights(10),
    } | constants
    head = [
        node("Cast", ["image"], ["f"], to=1),
        node("Mul", ["f", "inv"], ["g"]),
        node("Transpose", ["g"], ["x"], perm=[0, 3, 1, 2]),
        node("Conv", ["x", "w", "b"], ["c"]),
        node("Relu", ["c"], ["z"]),
        node("GlobalAveragePool", ["z"], ["p"]),
        node("Flatten", ["p"], ["fl"]),
    ]
    graph = helper.make_graph(
        [*head, *tail],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [batch, 16, 16, 3])],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs or [out]],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return path


def answers(path, pictures=OTHERS, reads="image"):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options).run(None, {reads: pictures})


def both(path, pictures=PICTURES, attempt=None):
    """The answers of a file and of its 8-bit twin to other pictures than it was calibrated on."""
    twin = int8.quantize(
        path, path.with_suffix(".int8.onnx"), [pictures], attempt or Attempt("minmax")
    )
    return answers(path)[0], answers(twin)[0]


def off(a, b):
    """Relative difference."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(a))


def kinds(path):
    """The operators of a file."""
    return [n.op_type for n in onnx.load(str(path)).graph.node]
