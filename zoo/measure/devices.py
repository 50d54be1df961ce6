"""What runs a file for timing.

onnxruntime on the processor, its CUDA provider, or PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import InputError, ZooError
from zoo.measure import machine
from zoo.measure.loads import Load

Call = Callable[[], object]  # one inference, finished when it returns


@dataclass(frozen=True)
class Runtime:
    """What runs the files."""

    name: str  # "onnxruntime" or "torch"
    version: str
    device_name: str
    isa: str
    open: Callable[[Path | bytes, Load], Call]  # the file with its input at hand


def runtime_for(device: str, threads: int = 1) -> Runtime:
    """onnxruntime on the processor; on "cuda" its CUDA provider, or else PyTorch."""
    if device == "cpu":
        return _onnxruntime(threads, "CPUExecutionProvider", machine.cpu_name(), machine.isa())
    if device != "cuda":
        raise InputError(f"no device is called {device!r}", "the devices are cpu and cuda")
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        name, capability = _nvidia()
        return _onnxruntime(threads, "CUDAExecutionProvider", name, capability)
    return _torch_cuda()


def _onnxruntime(threads: int, provider: str, name: str, instructions: str) -> Runtime:
    import onnxruntime

    from zoo.students.session import open_session

    def open_file(source: Path | bytes, load: Load) -> Call:
        session = open_session(source, threads, provider)
        (wanted,) = session.get_inputs()
        feed = {wanted.name: load.feed(wanted.type)}
        return lambda: session.run(None, feed)

    return Runtime("onnxruntime", onnxruntime.__version__, name, instructions, open_file)


def _torch_cuda() -> Runtime:
    missing = ZooError(
        "no CUDA device can be used: onnxruntime has no CUDA provider here and PyTorch sees none",
        "install onnxruntime-gpu, or studentzoo[train] with a CUDA build of PyTorch",
    )
    try:
        import torch
    except ImportError:
        raise missing from None
    if not torch.cuda.is_available():
        raise missing
    try:
        from zoo.measure.torch_graph import TorchGraph
    except ModuleNotFoundError as error:
        hint = "pip install 'studentzoo[train]'"
        raise ZooError(f"timing with PyTorch needs {error.name}", hint) from None

    def open_file(source: Path | bytes, load: Load) -> Call:
        graph = TorchGraph(source, "cuda")
        batch = torch.from_numpy(load.feed(f"tensor({'uint8' if graph.reads_bytes else 'float'})"))
        return lambda: graph(batch).cpu()  # the copy waits for the GPU

    capability = "sm_{}{}".format(*torch.cuda.get_device_capability())
    return Runtime("torch", torch.__version__, torch.cuda.get_device_name(), capability, open_file)


def _nvidia() -> tuple[str, str]:
    """(name, compute capability) of the first GPU as its driver tells them."""
    import subprocess

    command = ["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        hint = "check that the NVIDIA driver is installed and `nvidia-smi` runs"
        raise ZooError(f"the GPU's name cannot be read: {error}", hint) from error
    name, _, capability = done.stdout.splitlines()[0].partition(", ")
    return name, "sm_" + capability.replace(".", "")
