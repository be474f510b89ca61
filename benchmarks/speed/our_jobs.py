"""throughtime's answers to a case, on the same functions that time torch's layers."""

import time

import torch
from torch import nn

from benchmarks.speed import torch_jobs
from benchmarks.speed.cases import Case
from benchmarks.speed.job import Arrays, Job, Jobs, Unavailable
from throughtime import __version__
from throughtime.kernels import native, openmp
from throughtime.nn.layers import LAYERS

NAP_SECONDS = 0.003


def versions() -> dict[str, str]:
    return {"throughtime": __version__, "instruction set": native.instruction_set()}


def jobs(case: Case, arrays: Arrays) -> Jobs:
    """Our jobs: "ours", and what else the figures of this mode are made of."""
    if case.mode in ("train", "memory"):
        return {"ours": torch_jobs.training_job(layer(case, arrays), arrays)}
    if case.mode == "pair":
        base = torch_jobs.load(LAYERS[case.base](case.I, case.H, case.L, backend="native"), arrays, "base.")
        return {
            "ours": torch_jobs.training_job(layer(case, arrays), arrays),
            case.base: torch_jobs.training_job(base, arrays),
        }
    if case.mode == "bfloat16":
        return {
            "ours": torch_jobs.training_job(layer(case, arrays).to(torch.bfloat16), arrays),
            "float32": torch_jobs.training_job(layer(case, arrays), arrays),
        }
    if case.mode == "inference":
        return {"ours": torch_jobs.inference_job(layer(case, arrays), arrays)}
    if case.mode == "ragged":
        return _ragged_jobs(case, arrays)
    if case.mode == "step":
        made = layer(case, arrays)
        if not hasattr(made, "stepper"):
            raise Unavailable(f"{type(made).__name__} has no stepper() yet")
        return {"ours": torch_jobs.step_job(made.stepper(), arrays)}
    if case.mode == "epoch":
        return {
            "ours": torch_jobs.epoch_job(case, arrays, lambda: layer(case, arrays)),
            "second epoch": torch_jobs.epoch_job(case, arrays, lambda: layer(case, arrays), epoch=2),
            "constant": torch_jobs.epoch_job(case, arrays, lambda: torch_jobs.constant(case)),
        }
    if case.mode == "pool":
        return _pool_jobs(case, arrays)
    raise Unavailable(f"throughtime has nothing for {case.mode}")


def layer(case: Case, arrays: Arrays) -> nn.Module:
    return torch_jobs.load(LAYERS[case.cell](case.I, case.H, case.L, backend="native"), arrays)


def _ragged_jobs(case: Case, arrays: Arrays) -> Jobs:
    """Rows as they come, the same rows the longest first, and every row of full length."""
    made = layer(case, arrays)
    lengths = torch.from_numpy(arrays["lengths"])
    longest_first = lengths.sort(descending=True).values
    return {
        "ours": torch_jobs.training_job(made, arrays, lengths=lengths),
        "sorted": torch_jobs.training_job(made, arrays, lengths=longest_first),
        "dense": torch_jobs.training_job(made, arrays),
    }


def _pool_jobs(case: Case, arrays: Arrays) -> Jobs:
    """Our work and torch's by turns, each alone, and what threads use of the processor once a call has ended: ours, and
    torch's, which are lent to us, after a call of ours and after one of torch's."""
    ours = torch_jobs.training_job(layer(case, arrays), arrays)
    # 64 k elements: twice what torch needs to spread an elementwise operation over its threads.
    a = torch.rand(256, 256)

    def product() -> None:
        torch.mm(a.exp(), a)

    def turns() -> None:
        ours.run()
        product()

    def after_a_call() -> float:
        openmp.own_threads()
        ours.run()
        used = _processor_time_of_a_nap()
        openmp.borrow_threads()
        return used

    def after_a_borrowed_call() -> float:
        ours.run()
        return _processor_time_of_a_nap()

    def after_a_product() -> float:
        product()
        return _processor_time_of_a_nap()

    return {
        "ours": ours,
        "product": Job(product),
        "taking turns": Job(turns),
        "after a call": Job(after_a_call),
        "after a borrowed call": Job(after_a_borrowed_call),
        "after a product": Job(after_a_product),
        "nap": Job(_processor_time_of_a_nap),
    }


def _processor_time_of_a_nap() -> float:
    began = time.process_time()
    time.sleep(NAP_SECONDS)
    return time.process_time() - began
