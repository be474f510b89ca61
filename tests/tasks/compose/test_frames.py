"""The frames view: probabilities that respect time, both averagings by hand, windows, voices."""

import numpy as np
import pytest
import torch

from throughtime.tasks.compose.delays import Delays
from throughtime.tasks.compose.evaluation import KeyCounts, frame_nats, per_step, per_window, windows_of
from throughtime.tasks.compose.frames import FrameDesign, FramesNet, FrameSource, below, highest


def rolls(*lengths: int, low: int = 30, high: int = 60) -> list[np.ndarray]:
    rng = np.random.Generator(np.random.PCG64(sum(lengths)))
    found = []
    for T in lengths:
        roll = np.zeros((T, 88), dtype=np.uint8)
        roll[:, low:high] = rng.random((T, high - low)) < 0.1
        found.append(roll)
    return found


def net(**options: object) -> FramesNet:
    torch.manual_seed(0)
    return FramesNet(FrameDesign(hidden_size=6, **options)).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("head", ["independent", "joint"])
def test_nats_are_those_of_a_loop_over_frames_and_know_no_future(head: str) -> None:
    model, pieces = net(head=head, shifts=2, num_layers=2), rolls(9, 4, 1, 30)
    found = frame_nats(model, pieces)
    assert [len(part) for part in found] == [8, 3, 0, 29]
    with torch.no_grad():
        before, state = torch.zeros(1, 1, 88), None
        for t, frame in enumerate(pieces[0]):
            features, state = model.run(model.inputs(before, None, torch.zeros(1, dtype=torch.long), None), state)
            now = torch.from_numpy(frame)[None]
            if t:
                assert found[0][t - 1] == pytest.approx(-model.head.log_probs(features[0], now).item(), rel=1e-5)
            before = now[None].float()
    changed = pieces[0].copy()
    changed[6] ^= 1
    again = frame_nats(model, [changed])[0]
    assert np.allclose(again[:5], found[0][:5], rtol=1e-6)
    assert not np.allclose(again[5:], found[0][5:], rtol=1e-3)


def test_frames_far_back_are_read_and_steps_are_the_whole() -> None:
    model, (piece,) = net(lags=(2, 5, 9), num_layers=2), rolls(30)
    found = frame_nats(model, [piece])[0]
    with torch.no_grad():
        before, state = torch.zeros(1, 1, 88), None
        for t, frame in enumerate(piece):
            features, state = model.run(model.inputs(before, None, torch.zeros(1, dtype=torch.long), None), state)
            now = torch.from_numpy(frame)[None]
            if t:
                assert found[t - 1] == pytest.approx(-model.head.log_probs(features[0], now).item(), rel=1e-5)
            before = now[None].float()
    assert net(lags=(2, 5, 9)).head.linear.in_features == net().head.linear.in_features + 3 * 88


def test_delays_are_the_inputs_so_far_back() -> None:
    layer, x = Delays(3, 2, [1, 4]), torch.randn(7, 2, 3)
    found, after = layer(x, lengths=torch.tensor([7, 2]))
    assert torch.equal(found[5], torch.cat((x[5], x[4, :, :2], x[1, :, :2]), -1))
    assert torch.equal(found[0], torch.cat((x[0], torch.zeros(2, 4)), -1))
    assert torch.equal(after[0, 0].view(4, 2), x[3:, 0, :2])
    assert torch.equal(after[0, 1].view(4, 2), torch.cat((torch.zeros(2, 2), x[:2, 1, :2])))
    first, middle = layer(x[:3])
    assert torch.equal(torch.cat((first, layer(x[3:], middle)[0])), found)


def test_the_two_averagings_are_what_they_say() -> None:
    model, pieces = net(), rolls(450, 201, 30)
    pieces[0][100] = 0
    parts = frame_nats(model, pieces)
    assert per_step(parts) == pytest.approx(np.concatenate(parts).mean())
    windows, owners = windows_of(pieces)
    # 450 frames without the silent ones: two windows of 200 steps, and what is left; 201 frames are 200 steps.
    kept = pieces[0][pieces[0].any(1)]
    lengths = [len(window) for window in windows]
    silent = sum(int((~piece.any(1)).sum()) for piece in pieces)
    assert lengths[:3] == [201, 201, len(kept) - 400]
    assert sum(lengths) - len(lengths) == 681 - silent - 3
    assert owners == [0, 0, 0, 1, 2]
    assert np.array_equal(windows[1], kept[200:401])
    by_hand = [frame_nats(model, [window])[0].mean() for window in windows]
    assert per_window(model, pieces) == pytest.approx(np.mean(by_hand), rel=1e-6)


def test_every_frame_is_in_one_window_of_an_epoch_and_notes_move_together() -> None:
    pieces = rolls(23, 70, 5)
    source = FrameSource(pieces, [1, 0, 1], window=20, batch_size=2, transpose=3)
    assert len(source) == 7
    shifts = set()
    for seed in range(4):
        covered = [np.zeros(len(piece), dtype=int) for piece in pieces]
        for i, begin, end, shift in source.read(torch.Generator().manual_seed(seed)):
            assert 0 < end - begin <= 20
            covered[i][begin:end] += 1
            shifts.add(shift)
            batch = source.collate([(i, begin, end, shift)])
            assert np.array_equal(np.roll(batch.frames[:, 0].numpy(), -shift, 1), pieces[i][begin:end])
            assert (bool(batch.begins[0]), int(batch.styles[0])) == (begin == 0, [1, 0, 1][i])  # type: ignore[index]
        assert all((part == 1).all() for part in covered)
    assert shifts <= set(range(-3, 4))
    assert len(shifts) > 3
    whole = FrameSource(rolls(9, low=0, high=88), None, window=None, batch_size=1, transpose=5)
    assert {shift for *_, shift in whole.read(torch.Generator().manual_seed(0))} == {0}


def test_the_highest_key_and_those_below_it() -> None:
    keys = torch.zeros(3, 88)
    keys[0, [3, 40, 41]], keys[1, 0] = 1, 1
    assert highest(keys).nonzero().tolist() == [[0, 41], [1, 0]]
    assert below(keys).sum(1).tolist() == [41, 0, 88]


def test_a_given_voice_is_read_ahead_and_costs_nothing() -> None:
    model, (piece,) = net(given=True), rolls(12)
    found = frame_nats(model, [piece])[0]
    later = piece.copy()
    top = np.flatnonzero(later[9])[-1]
    later[9, top], later[9, top + 5] = 0, 1
    assert not np.allclose(frame_nats(model, [later])[0][:6], found[:6], rtol=1e-6)
    alone = np.zeros((4, 88), dtype=np.uint8)
    alone[:, 0] = 1
    assert np.allclose(frame_nats(model, [alone])[0], 0.0)


def test_the_counts_beside_the_model_are_exact() -> None:
    roll = np.zeros((4, 88), dtype=np.uint8)
    roll[[1, 2], 5] = 1
    counts = KeyCounts.count([roll])
    assert counts.counts[:, :, 5].tolist() == [[0, 1], [1, 1]]
    after, alone = counts.nats([roll])
    # Key 5: off, on, on, off; 87 keys are silent three times each, of which the same counts know.
    silent = -87 * 3 * np.log(3.5 / 4)
    assert after == pytest.approx(silent - np.log(1.5 / 2) - np.log(1.5 / 3) * 2)
    assert alone == pytest.approx(-87 * 3 * np.log(4 / 5) - np.log(3 / 5) * 2 - np.log(2 / 5))
