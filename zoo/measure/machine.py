"""What this computer is: processor, 8-bit instructions, operating system. Nothing heavy."""

from __future__ import annotations

import platform
import re
import subprocess
from pathlib import Path

# Instruction sets that change the speed or the sums of 8-bit kernels, as Linux spells them.
X86 = ("ssse3", "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8")
ARM = ("asimd", "asimddp", "i8mm", "sve")  # asimddp is the dot product
INSTRUCTIONS = (*X86, *ARM)
CPUINFO = Path("/proc/cpuinfo")


def isa(cpuinfo: str | None = None) -> str:
    """The 8-bit instruction sets of this processor, such as "ssse3 avx2 avx512f avx512_vnni"."""
    text = _cpuinfo() if cpuinfo is None else cpuinfo
    flags = (_field(text, "flags") or _field(text, "Features")).split()
    found = " ".join(name for name in INSTRUCTIONS if name in flags)
    return found or _apple_isa() or platform.machine()


def cpu_name(cpuinfo: str | None = None) -> str:
    """The processor's model name, or its architecture where the system does not tell."""
    text = _cpuinfo() if cpuinfo is None else cpuinfo
    name = _field(text, "model name") or _sysctl("machdep.cpu.brand_string")
    return name or platform.processor() or platform.machine()


def os_name() -> str:
    """Such as "Linux 6.8.0 x86_64": the release without what a vendor appends."""
    release = re.match(r"[\d.]*\d|", platform.release())
    return f"{platform.system()} {release[0] if release else ''} {platform.machine()}"


def _cpuinfo() -> str:
    return CPUINFO.read_text(errors="replace") if CPUINFO.exists() else ""


def _field(text: str, key: str) -> str:
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def _apple_isa() -> str:
    names = {"FEAT_DotProd": "asimddp", "FEAT_I8MM": "i8mm"}
    return " ".join(v for k, v in names.items() if _sysctl(f"hw.optional.arm.{k}") == "1")


def _sysctl(key: str) -> str:
    if platform.system() != "Darwin":
        return ""
    done = subprocess.run(["sysctl", "-n", key], capture_output=True, text=True, check=False)
    return done.stdout.strip()
