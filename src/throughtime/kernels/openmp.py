"""The threads of torch's OpenMP runtime, which the kernels run on where there are any: see docs/adr/0005."""

import ctypes
import os
from pathlib import Path

import torch

from throughtime.kernels import _native

_FUNCTIONS = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads", "omp_get_max_threads")


def addresses() -> tuple[int, ...] | None:
    """Where the runtime that torch computes with has `_FUNCTIONS`; None where torch has no such runtime."""
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        # Not loaded again: looked up through the torch that this process runs, and so in its OpenMP.
        torchs = ctypes.CDLL(str(library), mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
        found = [ctypes.cast(getattr(torchs, name), ctypes.c_void_p).value for name in _FUNCTIONS]
    except (OSError, AttributeError):
        return None
    addresses = tuple(address for address in found if address)
    return addresses if len(addresses) == len(found) else None


def borrow_threads() -> bool:
    """Run the kernels on torch's own threads from now on; False, and nothing changed, where it has none to lend."""
    found = addresses()
    if found is None:
        return False
    _native.borrow_threads(*found)
    return True


def own_threads() -> None:
    """Run the kernels on threads of their own again."""
    _native.borrow_threads(0, 0, 0, 0)
