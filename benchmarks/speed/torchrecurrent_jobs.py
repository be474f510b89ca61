"""torchrecurrent's answers: its peephole LSTM, a loop over cells in Python. Its gates stand in torch's order."""

from importlib.metadata import version

import torchrecurrent

from benchmarks.speed import torch_jobs
from benchmarks.speed.cases import Case
from benchmarks.speed.job import Arrays, Jobs, Unavailable

PEEPHOLES = {"weight_ch_l0": "weight_ph"}


def versions() -> dict[str, str]:
    return {"torchrecurrent": version("torchrecurrent")}


def jobs(case: Case, arrays: Arrays) -> Jobs:
    if case.mode != "pair" or case.cell != "peephole-lstm":
        raise Unavailable(f"torchrecurrent has nothing for {case.mode} {case.cell}")
    module = torchrecurrent.PeepholeLSTM(case.I, case.H)
    theirs = {
        name: f"cells.0.{PEEPHOLES.get(name, name.removesuffix('_l0'))}"
        for name in arrays
        if name.endswith("_l0") and "." not in name
    }
    torch_jobs.load(module, {theirs[name]: arrays[name] for name in theirs})
    job = torch_jobs.training_job(module, arrays)
    back = {f"d{their_name}": f"d{name}" for name, their_name in theirs.items()}
    results = job.results
    return {
        "torchrecurrent": type(job)(
            job.run, lambda: {back.get(name, name): value for name, value in results().items()}, job.setup
        )
    }
