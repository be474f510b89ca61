"""Threads of the native kernels: from many Python threads, after a fork, with the processor's flags left alone."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.kernels.native_cases import CELLS, assert_same_bits, make, of_all, values
from throughtime.errors import ArgumentError
from throughtime.kernels import native

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


def in_a_fresh_process(code: str) -> str:
    """Runs code in an interpreter of its own; what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_eight_python_threads_at_once_give_identical_bits():
    cases = {cell: make(cell, 60, 8, 20, 64, ragged=True) for cell in CELLS}

    def answer(cell: str, threads: int) -> dict[str, np.ndarray]:
        forward = cases[cell].forward(threads=threads)
        return {**values(forward), **of_all(cases[cell].backward(forward, threads=threads))}

    alone = {cell: answer(cell, 1) for cell in CELLS}
    jobs = [(cell, threads) for _ in range(4) for cell in CELLS for threads in (1, 2, 3)]
    with ThreadPoolExecutor(8) as pool:
        for (cell, threads), found in zip(jobs, pool.map(lambda job: answer(*job), jobs), strict=True):
            assert_same_bits(found, alone[cell], f"{cell} with {threads} threads")


def test_one_stepper_in_eight_python_threads():
    case = make("lstm", 1, 5, 20, 64)
    stepper = native.Stepper("lstm", [case.weights])
    wanted = stepper.step(case.x[0], case.h0[None], case.c0[None])

    def steps(_):
        return [stepper.step(case.x[0], case.h0[None], case.c0[None]) for _ in range(200)]

    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(steps, range(8)):
            for h, c in found:
                assert_same_bits(h, wanted[0])
                assert_same_bits(c, wanted[1])


def test_the_gil_is_released():
    """Another Python thread goes on while a call runs."""
    case = make("lstm", 4000, 4, 64, 128)
    span = {}

    def call():
        span["begin"] = time.perf_counter()
        case.forward()
        span["end"] = time.perf_counter()

    worker = threading.Thread(target=call)
    ticks = []
    worker.start()
    while worker.is_alive():
        ticks.append(time.perf_counter())
        time.sleep(0.001)
    worker.join()
    inside = [t for t in ticks if span["begin"] < t < span["end"]]
    assert len(inside) >= 5, f"{len(inside)} ticks in {span['end'] - span['begin']:.3f} s"


USED = """
import os
import numpy as np
from tests.kernels.native_cases import assert_same_bits, make, of_all, values
case = make("gru", 40, 16, 20, 64)
def answer():
    forward = case.forward(threads=3)
    return {**values(forward), **of_all(case.backward(forward, threads=3))}
def threads():
    return len(os.listdir("/proc/self/task"))
before = threads()
wanted = answer()
assert threads() == before + 2, "three threads are the caller's and two more"
"""


@linux_only
def test_works_after_fork():
    """In the child, in its child, and still in the parent; each has threads of its own."""
    out = in_a_fresh_process(
        USED
        + """
import signal, sys, warnings
warnings.simplefilter("ignore")
def fork_and_answer(depth):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        status = 1
        try:
            before = threads()
            assert before == 1
            assert_same_bits(answer(), wanted)
            assert threads() == before + 2
            status = 0 if depth == 0 else fork_and_answer(depth - 1)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert fork_and_answer(1) == 0
assert_same_bits(answer(), wanted)
print("done")
"""
    )
    assert out == "done\n"


@linux_only
def test_the_threads_asked_for_are_there_and_sleep():
    """50 ms after a call the workers have used no more processor time."""
    in_a_fresh_process(
        USED
        + """
import time
time.sleep(0.05)
def worker_time():
    total = 0
    for task in os.listdir("/proc/self/task"):
        if int(task) != os.getpid():
            fields = open(f"/proc/self/task/{task}/stat").read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
    return total
first = worker_time()
time.sleep(0.3)
assert worker_time() - first <= 1, "a worker that spun for 0.3 s would have used 30 ticks"
"""
    )


def test_many_more_threads_than_rows_and_units():
    case = make("gru", 50, 3, 20, 64)
    assert_same_bits(values(case.forward(threads=1_000_000)), values(case.forward()))


def subnormals_count() -> bool:
    """Whether this thread computes with subnormal numbers now."""
    tiny = np.full(4, 1e-40, np.float32)
    return bool((tiny * np.float32(1.0) != 0).all()) and bool(
        (np.full(4, 1e-30, np.float32) * tiny.dtype.type(1e-10) != 0).all()
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_the_processor_s_flags_are_left_alone(threads):
    """Subnormal numbers count as zero inside the kernels, and only there."""
    assert subnormals_count()
    case = make("rnn_relu", 40, 16, 20, 64)
    forward = case.forward(threads=threads)
    assert subnormals_count()
    case.backward(forward, threads=threads)
    assert subnormals_count()
    with pytest.raises(ArgumentError):
        case.forward(threads=threads, lengths=np.full(16, 41))
    assert subnormals_count()
    stepper = native.Stepper("rnn_relu", [case.weights])
    stepper.step(case.x[0], case.h0[None])
    assert subnormals_count()

    tiny = native.Weights(
        np.zeros((64, 20), np.float32), np.zeros((64, 64), np.float32), np.full(64, 1e-40, np.float32)
    )
    assert not native.sequence_forward("rnn_relu", case.x, tiny, threads=threads).output.any()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["falls", "stays"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_vanishing_gradient_costs_no_more(cell, way):
    """T = 1000, ‖dh‖ falls under 1e-38, or arrives there at every step: at most 1.5 times the usual time."""

    def problem(shrink: bool):
        case = make(cell, 1000, 8, 16, 64)
        if shrink and way == "falls":
            case.weights.weight_hh[...] *= 0.5
        for gradient in (case.dy, case.dh_n, case.dc_n, case.dc_sequence):
            if shrink and gradient is not None:
                gradient[...] = 0 if way == "falls" and gradient is not case.dh_n else gradient * 1e-39
        if shrink and way == "falls":
            case.dh_n[...] = 1
        return case, case.forward()

    def seconds(case, forward) -> float:
        begin = time.process_time()
        case.backward(forward)
        return time.process_time() - begin

    vanishing, usual = problem(True), problem(False)
    health = vanishing[0].backward(vanishing[1], health_margin=0.1).health
    assert np.sqrt(health.dh_square[0]).max() < 1e-38
    # In turns, and the best of each: other work on the machine falls on both.
    times = [(seconds(*vanishing), seconds(*usual)) for _ in range(15)]
    slow, fast = (min(column) for column in zip(*times, strict=True))
    assert slow <= 1.5 * fast, f"{slow * 1e3:.2f} ms against {fast * 1e3:.2f} ms"


def test_no_environment_variable_is_set():
    out = in_a_fresh_process(
        "import os; a = dict(os.environ); import throughtime.kernels.native; print(a == dict(os.environ))"
    )
    assert out == "True\n"
