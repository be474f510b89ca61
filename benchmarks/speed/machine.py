"""What the benchmarks run on: its class, the most that it can compute, and whether it is quiet. Names no host."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PROCESSORS = Path("/proc/cpuinfo")
PROCESSOR_TIME = Path("/proc/stat")
# (vendor, family): generation by model number, the last model of each.
GENERATIONS = {
    ("AuthenticAMD", 23): ((0x2F, "Zen"), (0xFF, "Zen 2")),
    ("AuthenticAMD", 25): ((0x0F, "Zen 3"), (0x1F, "Zen 4"), (0x5F, "Zen 3"), (0xFF, "Zen 4")),
    ("AuthenticAMD", 26): ((0xFF, "Zen 5"),),
    ("GenuineIntel", 6): (
        (0x54, "Intel"),
        (0x55, "Skylake-SP"),
        (0x69, "Intel"),
        (0x6C, "Ice Lake-SP"),
        (0x8E, "Intel"),
        (0x8F, "Sapphire Rapids"),
        (0xCE, "Intel"),
        (0xCF, "Emerald Rapids"),
        (0xFF, "Intel"),
    ),
}


def describe() -> str:
    """For instance "2-core x86-64, Zen 4 class, AVX-512"; as much of it as the system tells."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    fields = dict(
        (part.strip() for part in line.split(":", 1))
        for line in (PROCESSORS.read_text() if PROCESSORS.exists() else "").splitlines()
        if ":" in line
    )
    words = [f"{cores}-core {platform.machine().replace('x86_64', 'x86-64')}"]
    generation = _generation(fields)
    if generation:
        words.append(f"{generation} class")
    flags = fields.get("flags", "").split()
    for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("sse4_2", "SSE4.2")):
        if flag in flags:
            words.append(name)
            break
    return ", ".join(words)


def _generation(fields: dict[str, str]) -> str:
    family = fields.get("cpu family", "")
    steps = GENERATIONS.get((fields.get("vendor_id", ""), int(family) if family.isdigit() else -1), ())
    model = int(fields.get("model", "0") or 0)
    return next((name for last, name in steps if model <= last), "")


def fma_peak(threads: int) -> tuple[float, str]:
    """GFLOP/s of float32 fused multiply-adds, and how that was found; NaN where there is no compiler.

    The loop is built for this very processor each time: libraries' products stay below the peak.
    """
    compiler = next((found for name in ("c++", "g++", "clang++") if (found := shutil.which(name))), None)
    if compiler is None:
        return float("nan"), "not measured: no C++ compiler"
    source = Path(__file__).with_name("fma_peak.cpp")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "fma_peak"
        options = ["-std=c++20", "-O3", "-march=native", "-ffp-contract=fast", "-pthread"]
        built = subprocess.run([compiler, *options, str(source), "-o", str(program)], capture_output=True, text=True)
        if built.returncode != 0:
            return float("nan"), f"not measured: {source.name} was not compiled: {built.stderr.strip()[:200]}"
        runs = [float(subprocess.check_output([program, str(threads)], text=True)) for _ in range(3)]
    return max(runs), f"the best slice of {source.name}, {threads} threads"


def loop_seconds() -> float:
    """A fixed loop on one processor, about 2 ms: its spread tells whether the machine is quiet."""
    began = time.perf_counter()
    total = 0
    for number in range(40_000):
        total += number
    return time.perf_counter() - began


def busy_seconds() -> float | None:
    """Processor time that anything on the machine has used since it started; None where the system does not tell.

    Time stolen by other virtual machines counts as used.
    """
    if not PROCESSOR_TIME.exists():
        return None
    words = PROCESSOR_TIME.read_text().split("\n", 1)[0].split()
    user, nice, system, _idle, _waiting, irq, soft_irq, stolen = (int(word) for word in words[1:9])
    return (user + nice + system + irq + soft_irq + stolen) / os.sysconf("SC_CLK_TCK")


def cores() -> int:
    return os.cpu_count() or 1


def python_version() -> dict[str, Any]:
    return {"python": ".".join(map(str, sys.version_info[:3]))}
