"""Two processes train what one trains: the same numbers, one writer, and no work lost when one of them dies."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.problems import LastOutput, fresh, squared_error, waves
from tests.training.team import CASES, cases, double, one, together
from throughtime.cli import main
from throughtime.datasets import load
from throughtime.training import TrainingConfig, train
from throughtime.training.distributed import ALONE, Team, joined, pack, team, unpack

# float64: gradients are sums over at most 38 examples in another order, and three epochs carry that on.
TOLERANCE = 1e-12


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory):
    """What one process finds, and what each of two does."""
    return cases(0), together(cases, tmp_path_factory.mktemp("team"))


@pytest.mark.parametrize("name", CASES)
def test_two_processes_find_what_one_does(both, name):
    alone, (first, second) = both
    assert first[name] == second[name], "the processes hold the same bits"
    assert first[name]["steps"] == alone[name]["steps"]
    assert first[name]["padding"] == alone[name]["padding"]
    for what in ("validation", "train", "weights"):
        np.testing.assert_allclose(first[name][what], alone[name][what], rtol=TOLERANCE, atol=TOLERANCE)


def test_parts_averaged_as_equals_would_be_seen(both):
    """Parts of 3 and 2 examples, and a gradient that is the plain mean of theirs."""

    def equals(model, batch):
        parts = [squared_error(model, [tensor[rank::2] for tensor in batch]) for rank in range(2)]
        return sum(parts) / 2 if model.training else squared_error(model, batch)

    alone, _ = both
    model = fresh(0, LastOutput).double()
    config = TrainingConfig(epochs=3, learning_rate=0.01, seed=5, batch_size=5)
    result = train(model, equals, double(waves(38)), double(waves(9)), config)
    off = np.subtract([epoch.validation_loss for epoch in result.history], alone["last batch of 3"]["validation"])
    assert np.abs(off).max() > 1e5 * TOLERANCE


def test_three_processes_and_batches_of_two(tmp_path):
    alone = one(0, dropout=0.0, batch_size=2, epochs=1)
    for found in together(one, tmp_path, 3, dropout=0.0, batch_size=2, epochs=1):
        np.testing.assert_allclose(found["weights"], alone["weights"], rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory):
    """Two processes that nobody kills, with dropout."""
    folder = tmp_path_factory.mktemp("whole")
    return together(one, folder, run=str(folder / "run")), folder / "run"


def test_only_the_first_process_writes_and_is_heard(whole):
    (first, second), run = whole
    assert (first["heard"], second["heard"]) == (24, 0)
    assert first["weights"] == second["weights"]
    events = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    steps = [event["global_step"] for event in events if event["event"] == "step"]
    assert steps == [10, 20]
    assert [event["event"] for event in events].count("epoch") == 3
    (identity,) = (event for event in events if event["event"] == "identity")
    assert identity["processes"] == 2


def test_processes_drop_other_units(whole, tmp_path):
    """One process with the same seed draws other masks; two that drew the same masks would differ from these two."""
    (first, _), _ = whole
    assert first["weights"] != one(0, dropout=0.3)["weights"]
    assert Team(0, 2).seed(7) == 7
    seeds = {Team(rank, 4).seed(seed) for rank in range(4) for seed in range(100)}
    assert len(seeds) == 400
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize(("kill_rank", "kill_at"), [(0, 3), (0, 8), (1, 12)])
def test_after_a_kill_they_go_on_to_the_same_bits(whole, tmp_path, kill_rank, kill_at):
    (uninterrupted, _), _ = whole
    run = str(tmp_path / "run")
    killed = together(one, tmp_path / "a", run=run, kill_at=kill_at, kill_rank=kill_rank)
    assert killed == [None, None], "the other one cannot go on alone"
    first, second = together(one, tmp_path / "b", run=run)
    assert first["resumed_at"] == second["resumed_at"] == kill_at - 1
    assert first["weights"] == second["weights"] == uninterrupted["weights"]
    assert first["validation"] == uninterrupted["validation"]


def test_another_number_of_processes_is_refused(whole):
    _, run = whole
    found = one(0, run=str(run))
    assert found["kind"] == "DataError"
    assert "processes was 2, is not there" in found["error"]


def test_a_refusal_of_the_first_is_every_processs(whole, tmp_path):
    _, run = whole
    first, second = together(one, tmp_path, run=str(run), resume=False)
    assert first == second
    assert "expected a folder without a training, got step-" in first["error"]


def test_other_data_on_one_of_them_are_refused(tmp_path):
    first, second = together(one, tmp_path, examples=(38, 37))
    assert first == second
    assert first["kind"] == "DataError"
    assert "process 1 beside process 0: expected the training that wrote it" in first["error"]
    assert "training data was 38 examples, " in first["error"]
    assert ", is 37 examples, " in first["error"]


@pytest.mark.parametrize("policy", ["skip", "stop", "rollback"])
def test_what_one_finds_not_finite_all_leave_out(tmp_path, policy):
    alone = one(0, dropout=0.0, nan=True, on_nonfinite=policy)
    first, second = together(one, tmp_path, dropout=0.0, nan=True, on_nonfinite=policy)
    assert first["weights"] == second["weights"]
    for found in (first, second):
        assert (found["skipped"], found["stopped"]) == (alone["skipped"], alone["stopped"])
    if policy == "stop":
        assert "the loss became nan" in first["message"]
        assert "the loss became nan" in second["message"]
    else:
        assert sum(first["skipped"]) >= 3
        np.testing.assert_allclose(first["weights"], alone["weights"], rtol=1e-4, atol=1e-5)


def test_a_budget_ends_all_after_the_same_step(tmp_path):
    first, second = together(one, tmp_path, epochs=100_000, max_seconds=0.3, run=str(tmp_path / "run"))
    assert first["stopped"] == second["stopped"] == "budget"
    assert first["steps"] == second["steps"] > 0
    assert first["weights"] == second["weights"]


def test_alone_nothing_is_sent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.distributed, "all_reduce", None)
    monkeypatch.setattr(torch.distributed, "broadcast", None)
    assert team() is ALONE
    assert ALONE.first
    assert ALONE.agree(True)
    assert not ALONE.agree(False)
    assert ALONE.sum(1.5, 2.0) == [1.5, 2.0]
    assert ALONE.tell(b"x") == b"x"
    assert ALONE.collect(b"x") == [b"x"]
    assert ALONE.seed(3) == 3
    ALONE.share_model(torch.nn.BatchNorm1d(2))
    ALONE.share_buffers(torch.nn.BatchNorm1d(2))


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    with joined() as found:
        assert found is ALONE
        assert not torch.distributed.is_initialized()


def test_packed_and_unpacked():
    weight = torch.randn(3, 2, dtype=torch.float64)
    tensors, fields = unpack(pack({"a": weight, "tied": weight, "n": torch.tensor(4)}, {"x": [1, None, "ü"]}))
    assert fields == {"x": [1, None, "ü"]}
    assert torch.equal(tensors["a"], weight)
    assert torch.equal(tensors["tied"], weight)
    assert tensors["n"].item() == 4
    assert unpack(pack({}, {})) == ({}, {})


COMMAND = ["--horizon", "6", "--hidden-size", "8", "--layers", "1", "--batch-size", "33", "--threads", "1", "--quiet"]


def torchrun(*words: str, namespace: str | None = None, **environment: str) -> subprocess.Popen[str]:
    """torchrun of this environment, on loopback."""
    inside = [] if namespace is None else ["ip", "netns", "exec", namespace]
    return subprocess.Popen(
        [*inside, sys.executable, "-m", "torch.distributed.run", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"} | environment,
    )


def ended(process: subprocess.Popen[str], seconds: float = 120) -> str:
    """What it said on stdout, once it has ended well."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(err) from None
    assert process.returncode == 0, err
    return out


def model_json(model: Path) -> dict[str, Any]:
    return json.loads((model / "model.json").read_text())


@pytest.fixture(scope="module")
def co2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "co2.csv"
    load("co2").write_csv(path)
    return path


@pytest.fixture(scope="module")
def alone(co2: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The model that the command trains in one process."""
    out = tmp_path_factory.mktemp("alone") / "m"
    assert main(["train", "forecast", str(co2), "--out", str(out), "--epochs", "4", *COMMAND]) == 0
    return model_json(out)


def same_loss(model: Path, alone: dict[str, Any]) -> None:
    """float32, four epochs: 1e-4 of the loss."""
    found = model_json(model)["metrics"]["validation_loss"]
    assert found == pytest.approx(alone["metrics"]["validation_loss"], rel=1e-4)


@pytest.mark.slow
def test_the_command_under_torchrun(co2, alone, tmp_path):
    out = tmp_path / "m"
    words = ["-m", "throughtime", "train", "forecast", str(co2), "--out", str(out), "--epochs", "4", *COMMAND[:-1]]
    said = ended(torchrun("--nproc-per-node", "2", "--master-port", str(free_port()), *words))
    assert said.count("Saved") == 1
    same_loss(out, alone)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


KILLING = """
import os, signal, sys
from pathlib import Path
from throughtime.cli import main
from throughtime.training import loop
step, rank, sign = loop.Training._step, os.environ["RANK"], Path(sys.argv.pop(1))
def deadly(self, group):
    record = step(self, group)
    if record.global_step == 30 and rank == "1" and not sign.exists():
        sign.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return record
loop.Training._step = deadly
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_torchrun_starts_again_what_was_killed(co2, alone, tmp_path):
    program = tmp_path / "deadly.py"
    program.write_text(KILLING)
    sign, out, run = tmp_path / "killed", tmp_path / "m", tmp_path / "run"
    words = ["train", "forecast", str(co2), "--out", str(out), "--epochs", "4", *COMMAND[:-1]]
    words += ["--checkpoint", str(run), "--resume", "--checkpoint-steps", "7"]
    options = ["--nproc-per-node", "2", "--max-restarts", "1", "--master-port", str(free_port())]
    said = ended(torchrun(*options, str(program), str(sign), *words))
    assert sign.exists()
    assert f"resumed     {run}, after step 28" in said
    same_loss(out, alone)


@pytest.fixture
def two_hosts() -> Iterator[list[str]]:
    """Two network namespaces with an address each, joined by a cable."""
    names = [f"tt{os.getpid()}{side}" for side in "ab"]

    def ip(*words: str) -> bool:
        return subprocess.run(["ip", *words], capture_output=True, check=False).returncode == 0

    made = shutil.which("ip") is not None and all(ip("netns", "add", name) for name in names)
    try:
        made = made and ip("link", "add", names[0], "type", "veth", "peer", "name", names[1])
        for i, name in enumerate(names):
            made = made and ip("link", "set", name, "netns", name)
            made = made and ip("-n", name, "addr", "add", f"10.77.0.{i + 1}/24", "dev", name)
            made = made and all(ip("-n", name, "link", "set", device, "up") for device in (name, "lo"))
        if not made:
            pytest.skip("network namespaces are not permitted here")
        yield names
    finally:
        for name in names:
            if shutil.which("ip") is not None:
                ip("netns", "del", name)


@pytest.mark.slow
def test_two_hosts(co2, alone, tmp_path, two_hosts):
    processes = []
    for i, name in enumerate(two_hosts):
        (tmp_path / name).mkdir()
        out = tmp_path / name / "m"
        words = ["--nnodes", "2", "--nproc-per-node", "1", "--node-rank", str(i), "--master-addr", "10.77.0.1"]
        words += ["--master-port", "29400", "-m", "throughtime", "train", "forecast", str(co2), "--out", str(out)]
        words += ["--epochs", "4", *COMMAND]
        processes.append(torchrun(*words, namespace=name, GLOO_SOCKET_IFNAME=name))
    for process in processes:
        ended(process)
    same_loss(tmp_path / two_hosts[0] / "m", alone)
    assert not (tmp_path / two_hosts[1] / "m").exists()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
