"""Runs the kernels of an instrumented build over every cell, dtype and instruction set; `make sanitize` calls it.

    python -m tests.kernels.sanitize_driver BUILD_FOLDER [--seconds N] [--provoke overrun|race]

No torch: its allocator and a sanitizer's runtime do not go together. A finding ends the process with an own status.
"""

import argparse
import importlib.util
import itertools
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np


def load_instrumented(folder: Path) -> None:
    """Puts the build's extension in the place of the installed one."""
    name = "throughtime.kernels._native"
    (path,) = folder.glob("_native.*")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module


def drive(seconds: float) -> int:
    """Fixed cases first, then random ones until the time is up; how many calls were made."""
    from tests.kernels.native_cases import CELLS, PLAIN, instruction_set, make
    from tests.kernels.native_raw import GRADIENTS, HEALTH, Buffers, RawCall, Varied
    from throughtime.kernels import native

    end = time.monotonic() + seconds
    rng = np.random.default_rng(0)
    calls = 0

    def run(isa: str, threads: int, **shape) -> None:
        nonlocal calls
        case = make(**shape)
        without = [name for name in GRADIENTS + HEALTH if rng.random() < 0.15]
        with instruction_set(isa):
            buffers = Buffers(rng, margin=0)
            varied = Varied(bool(rng.random() < 0.5), int(rng.integers(0, 3))) if rng.random() < 0.5 else None
            call = RawCall(case, buffers, threads, varied)
            forward = call.forward()
            if call.saves_gates:
                call.gates(forward)
            call.backward(forward, without=without)
            call.forward(training=False)
            buffers.check()
        calls += 4

    def step(isa: str, cell: str, dtype: type, B: int, I: int, H: int) -> None:
        nonlocal calls
        lower, upper = (make(cell, 1, B, n, H, dtype=dtype, resets=True) for n in (I, H))
        with instruction_set(isa):
            stepper = native.Stepper(cell, [lower.weights, upper.weights])
        h = np.stack([lower.h0, upper.h0])
        c = None if lower.c0 is None else np.stack([lower.c0, upper.c0])
        for rows in (B, 0, 1):
            state = h[:, :rows].copy(), None if c is None else c[:, :rows].copy()
            stepper.step(lower.x[0, :rows].copy(), *state, reset=lower.reset[0, :rows].copy())
            calls += 1

    def random_case(flags: tuple[bool, ...]) -> dict:
        ragged, resets, reverse, bias = flags
        wide = rng.random() < 0.15
        return {
            "T": int(rng.integers(0, 6 if wide else 30)),
            "B": int(rng.integers(0, 14)),
            "I": int(rng.integers(1, 40)),
            "H": int(rng.choice([64, 130, 260]) if wide else rng.integers(1, 40)),
            "seed": calls,
            "ragged": ragged,
            "resets": resets,
            "reverse": reverse,
            "bias": bias,
        }

    everything = list(itertools.product(native.instruction_sets(), CELLS, (np.float32, np.float64)))
    everything += itertools.product(native.instruction_sets(), PLAIN, (native.BFLOAT16,))
    for flags in itertools.product((True, False), repeat=3):
        for isa, cell, dtype in everything:
            ragged, resets, reverse = flags
            shape = {"ragged": ragged, "resets": resets, "reverse": reverse, "dtype": dtype}
            run(isa, 3, cell=cell, T=7, B=5, I=9, H=17, **shape)
    for isa, cell, dtype in everything:
        # Few rows and many units, so that the team divides the units; many rows; a stepper.
        run(isa, 2, cell=cell, T=4, B=2, I=5, H=260, ragged=True, resets=True, dtype=dtype)
        run(isa, 2, cell=cell, T=20, B=40, I=6, H=33, ragged=True, resets=True, reverse=True, dtype=dtype)
        step(isa, cell, dtype, 5, 9, 17)
    while time.monotonic() < end:
        for isa, cell, dtype in everything:
            flags = tuple(bool(flag) for flag in rng.random(4) < 0.5)
            run(isa, int(rng.integers(1, 4)), cell=cell, dtype=dtype, **random_case(flags))

    # Python threads at once: some get the pool, the others run alone; one stepper is shared by all.
    shared = make("lstm", 30, 12, 20, 64, ragged=True)
    stepper = native.Stepper("lstm", [shared.weights])

    def together(index: int) -> None:
        cell = CELLS[index % len(CELLS)]
        case = make(cell, 30, 12, 20, 64, ragged=True, seed=index)
        case.backward(case.forward(threads=3), threads=3, health_margin=0.1 if index % 2 else None)
        stepper.step(shared.x[0], shared.h0[None], shared.c0[None])

    with ThreadPoolExecutor(8) as pool:
        calls += 3 * len(list(pool.map(together, range(56))))
    return calls


def provoke(what: str) -> None:
    """Does what the sanitizer must report: reads past an input, or writes one output from two threads."""
    from tests.kernels.native_cases import make
    from tests.kernels.native_raw import Buffers, RawCall

    case = make("lstm", 60, 12, 20, 64)
    if what == "overrun":
        call = RawCall(case, Buffers(np.random.default_rng(0), margin=0), threads=1)
        short = np.ones(case.x.size - 1, np.float32)
        call.x = np.lib.stride_tricks.as_strided(short, case.x.shape, case.x.strides)
        call.forward()
    else:
        output = np.empty((60, 12, 64), np.float32)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: case.forward(output=output), range(20)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("build", type=Path, help="the folder of a build with THROUGHTIME_SANITIZE")
    parser.add_argument("--seconds", type=float, default=20, help="how long random cases run")
    parser.add_argument("--provoke", choices=["overrun", "race"], help="make a finding; the process must end with it")
    arguments = parser.parse_args()
    load_instrumented(arguments.build)
    if arguments.provoke:
        provoke(arguments.provoke)
        print(f"the sanitizer did not see the {arguments.provoke}")
        return
    begin = time.monotonic()
    calls = drive(arguments.seconds)
    assert "torch" not in sys.modules, "expected a run without torch, but something imported it"
    print(f"{calls} calls in {time.monotonic() - begin:.0f} s, no finding")


if __name__ == "__main__":
    main()
