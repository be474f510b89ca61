"""Whole sequences of a cell, forward and backward.

dispatch    which kernel runs a layer
reference   the loop over the cell's step: slow and right
torch_ops   the native kernels as torch sees them
openmp      the threads they run on: torch's
native      the native kernels for NumPy, without torch
_native     the extension module, built from csrc
"""

__all__: list[str] = []
