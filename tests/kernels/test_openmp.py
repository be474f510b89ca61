"""The kernels on torch's OpenMP threads: found, used, given back, and left alone where they cannot be had."""

import ctypes
import os
import subprocess
import sys

import pytest
import torch

from throughtime.kernels import openmp

pytestmark = pytest.mark.skipif(openmp.addresses() is None, reason="torch has no OpenMP runtime to lend")

# Two layers' results and gradients, on the reference backend and on the kernels; threads() counts those of the process.
PROBLEM = """
import os, signal
import torch
from throughtime import nn
from throughtime.kernels import openmp
torch.set_num_threads(2)
torch.manual_seed(0)
layer = nn.GRU(24, 40, 2)
x = torch.randn(30, 16, 24)
def answer():
    layer.zero_grad()
    y, h = layer(x)
    (y.square().sum() + h.sum()).backward()
    return [y, h, *(p.grad.clone() for p in layer.parameters())]
def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
def threads():
    return len(os.listdir("/proc/self/task"))
"""


def run(code: str, **environment: str) -> str:
    """What the code printed, in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROBLEM + code],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "2", **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_kernels_start_no_threads_beside_torchs():
    assert run("torch.randn(1 << 20).exp(); before = threads(); answer(); print(threads() - before)") == "0"


def test_threads_of_our_own_come_back_on_request():
    code = "torch.randn(1 << 20).exp(); openmp.own_threads(); before = threads(); answer(); print(threads() - before)"
    assert run(code) == "1"


def test_whose_threads_changes_no_bit():
    assert run("borrowed = answer(); openmp.own_threads(); print(same(borrowed, answer()))") == "True"


def test_another_number_of_threads_than_torchs():
    """A NumPy caller may ask for more threads than OpenMP would give: they are ours."""
    code = """
from throughtime.kernels import native
import numpy as np
weights = native.Weights(*(p.detach().numpy() for p in (layer.weight_ih_l0, layer.weight_hh_l0)))
one, five = (native.sequence_forward("gru", x.numpy(), weights, threads=n).output for n in (1, 5))
print(np.array_equal(one, five))
"""
    assert run(code) == "True"


@pytest.mark.parametrize("where", ["at its thread limit", "in a region"])
def test_alone_where_openmp_grants_fewer(where):
    if where == "in a region":
        code = """
alone = answer()
import ctypes
region, member, *_ = openmp.addresses()
found = []
@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def body(_):
    if ctypes.CFUNCTYPE(ctypes.c_int)(member)() == 0:
        found.append(answer())
ctypes.CFUNCTYPE(None, type(body), ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)(region)(body, None, 2, 0)
print(same(alone, found[0]))
"""
        assert run(code) == "True"
    else:
        code = "limited = answer(); torch.set_num_threads(1); print(same(limited, answer()))"
        assert run(code, OMP_THREAD_LIMIT="1") == "True"


def test_a_forked_child_has_threads_of_its_own():
    """OpenMP's workers are not in the child, and the runtime does not know: nothing may wait for them."""
    code = """
wanted = answer()
child = os.fork()
if child == 0:
    signal.alarm(60)
    status = 1
    try:
        with torch.no_grad():
            y, h = layer(x)
        assert torch.equal(y, wanted[0]) and torch.equal(h, wanted[1])
        assert threads() == 2
        status = 0
    finally:
        os._exit(status)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), same(wanted, answer()))
"""
    assert run("import warnings; warnings.simplefilter('ignore')" + code) == "0 True"


def test_eight_python_threads_give_identical_bits():
    code = """
from concurrent.futures import ThreadPoolExecutor
def outputs(_):
    with torch.no_grad():
        return [t for t in layer(x)]
wanted = outputs(0)
with ThreadPoolExecutor(8) as pool:
    print(all(same(wanted, found) for found in pool.map(outputs, range(200))))
"""
    assert run(code) == "True"


def test_a_runtime_without_one_of_the_functions_is_none(monkeypatch):
    """As if one had no address; and its negative control."""
    missing = ""
    monkeypatch.setattr(
        openmp.ctypes, "cast", lambda function, _: ctypes.c_void_p(None if function.__name__ == missing else 1)
    )
    assert openmp.addresses() == (1, 1, 1, 1)
    missing = "omp_get_num_threads"
    assert openmp.addresses() is None


def test_nothing_is_found_without_the_library(monkeypatch, tmp_path):
    monkeypatch.setattr(torch, "__file__", str(tmp_path / "torch" / "__init__.py"))
    assert openmp.addresses() is None
    assert not openmp.borrow_threads()
