"""What a training frees is kept by the process, and not asked of the system again."""

import platform
import subprocess
import sys

import pytest

pytest.importorskip("torch")

FAULTS = """
import resource
import torch
from distill.memory import hold
{hold}
for _ in range(20):  # of 64 MiB, until their places are known
    torch.empty(2**24)[:: 2**10].zero_()
began = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.empty(2**24)[:: 2**10].zero_()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - began)
"""


def faults(hold: str) -> int:
    """Pages asked of the system for ten tensors of 64 MiB, one after the other."""
    code = [sys.executable, "-c", FAULTS.format(hold=hold)]
    return int(subprocess.run(code, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc only")
def test_large_tensors_are_not_asked_of_the_system_again() -> None:
    assert faults("") > 10 * faults("hold()")
