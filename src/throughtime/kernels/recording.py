"""Whether torch is recording a graph."""

import torch

__all__ = ["traced"]


def traced() -> bool:
    """Whether a call is being recorded, compiled or run on tensors without data: it must go through the operators."""
    return torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0
