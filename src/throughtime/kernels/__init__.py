"""Whole sequences of a cell, forward and backward.

dispatch          which kernel runs a layer
reference         the loop over the cell's step: slow and right
traced            every value of every step, without a loop where the states are known
compiled          the loop with each step through torch.compile, where no kernel runs
cudnn             the cells that cuDNN computes
torch_ops         the native kernels as torch sees them
normalized_ops    the same for the cells with layer normalisation
recording         whether torch is recording a graph
stack             layers upon each other by one call of the native kernels
stack_ops         the same as torch sees it
torch_arguments   tensors as these kernels take them
saved_gates       what their forward pass keeps for the backward pass
variation         dropout and zoneout in the recurrence
masks             the random masks of these, a function of counters
health            what a backward pass tells beside its gradients
openmp            the threads they run on: torch's
native            the native kernels for NumPy, without torch
native_arguments  what they take, and its checks
_native           the extension module, built from csrc
"""

__all__: list[str] = []
