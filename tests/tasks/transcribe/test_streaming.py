"""In pieces as in the whole: texts, times and probabilities."""

import gc
import tracemalloc

import numpy as np
import pytest
import torch

from tests.tasks.transcribe.tones import RATE, both_ways, one_way, say
from throughtime.errors import ArgumentError
from throughtime.tasks.transcribe import Decoding
from throughtime.tasks.transcribe.network import NORMALISATIONS, Design, SpeechNet

SOUND = np.concatenate([
    say(["low", "mid", "high"], 1), np.zeros(RATE, dtype=np.float32), say(["high"], 2), np.zeros(900, dtype=np.float32),
])  # fmt: skip


def heard(sound, cut, decoding=None, rate=RATE):
    stream = one_way().stream(rate, decoding)
    found = []
    for begin in range(0, len(sound), cut):
        found += stream.feed(sound[begin : begin + cut])
    return found + stream.finish()


@pytest.mark.parametrize("decoding", [Decoding(), Decoding(width=1), Decoding(n_best=4, hot_words=["mid"])])
@pytest.mark.parametrize("cut", [160, 777, len(SOUND)])
def test_the_final_result_is_that_of_the_whole(cut, decoding):
    (whole,) = one_way().transcribe([(SOUND, RATE)], decoding)
    found = heard(SOUND, cut, decoding)
    assert len(found) == 2
    for a, b in zip(found, whole.utterances, strict=True):
        assert (a.text, a.start, a.end) == (b.text, b.start, b.end)
        assert [(w.text, w.start, w.end) for w in a.words] == [(w.text, w.start, w.end) for w in b.words]
        assert [w.confidence for w in a.words] == pytest.approx([w.confidence for w in b.words], abs=1e-5)
        assert [one.text for one in a.alternatives] == [one.text for one in b.alternatives]


def test_another_rate_is_the_same_in_pieces_and_whole():
    wide = np.repeat(SOUND, 2)
    (whole,) = one_way().transcribe([(wide, 2 * RATE)])
    assert [one.text for one in heard(wide, 333, rate=2 * RATE)] == [one.text for one in whole.utterances]


@pytest.mark.parametrize("normalise", NORMALISATIONS[1:])
@pytest.mark.parametrize(
    ("subsampling", "lookahead", "mel"), [(1, 0, True), (2, 3, True), (3, 1, False), (4, 0, False), (7, 2, True)]
)
@pytest.mark.parametrize("cut", [1, 2, 5, 100])
def test_probabilities_in_pieces_are_those_of_the_whole(normalise, subsampling, lookahead, mel, cut):
    torch.manual_seed(0)
    net = SpeechNet(
        Design(12, 5, mel, "lstm", 7, 2, False, subsampling, 4, lookahead, normalise, 0.3, 0.5, 10.0)
    ).eval()
    x_TBM = torch.randn(31, 2, 12)
    lengths = torch.tensor([31, 17])
    with torch.no_grad():
        whole = net(x_TBM, lengths).exp()
        for b, frames in enumerate(lengths.tolist()):
            state, row = net.start(), x_TBM[:frames, b]
            found = [net.feed(row[begin : begin + cut], state) for begin in range(0, frames, cut)]
            found.append(net.feed(x_TBM[:0, b], state, last=True))
            told = torch.cat(found).exp()
            assert len(told) == int(net.steps(lengths[b]))
            assert float((told - whole[: len(told), b]).abs().max()) < 1e-6


@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_reaches_nothing(bidirectional):
    torch.manual_seed(0)
    normalise = "utterance" if bidirectional else "running"
    net = SpeechNet(Design(12, 5, True, "gru", 7, 2, bidirectional, 2, 4, 0, normalise, 0.0, 0.5, 10.0)).eval()
    x_TBM, lengths = torch.randn(20, 2, 12), torch.tensor([20, 9])
    odd = x_TBM.clone()
    odd[9:, 1] = 1e6
    with torch.no_grad():
        steps = net.steps(lengths)
        torch.testing.assert_close(net(odd, lengths)[: steps[1], 1], net(x_TBM, lengths)[: steps[1], 1], rtol=0, atol=0)
        alone = net(x_TBM[:9, 1:], lengths[1:])
        torch.testing.assert_close(net(x_TBM, lengths)[: steps[1], 1:], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("normalise", "changes"), [("utterance", False), ("running", False), ("global", True)])
def test_a_gain_changes_nothing_and_silence_hardly_counts(normalise, changes):
    torch.manual_seed(0)
    design = Design(12, 5, True, "gru", 7, 1, normalise == "utterance", 2, 4, 0, normalise, 0.0, 0.5, 10.0)
    net = SpeechNet(design).eval()
    net.scale.fill_(2.5)
    x_TBM, lengths = torch.randn(20, 1, 12) * 2 + 10, torch.tensor([20])
    with torch.no_grad():
        told = net(x_TBM, lengths).exp()
        assert (float((net(x_TBM - 4.6, lengths).exp() - told).abs().max()) > 1e-3) == changes  # 20 dB quieter
        quiet = torch.cat((x_TBM, torch.full((30, 1, 12), 0.0)))  # 43 dB below
        first, later = (net.normalised(net.standardised(x), torch.tensor([len(x)]))[:20] for x in (x_TBM, quiet))
        torch.testing.assert_close(first, later, rtol=0, atol=0.05)


def test_partial_results_grow_into_the_final_one():
    stream, seen = one_way().stream(), []
    for begin in range(0, len(SOUND), 400):
        if stream.feed(SOUND[begin : begin + 400]):
            break
        seen.append(stream.partial)
    assert "" in seen
    assert "low mid" in seen
    assert stream.partial == ""


def test_lookahead_delays_and_a_model_without_future_does_not():
    design = one_way().model_.design
    assert design.lookahead == 2, "60 ms in steps of 30 ms"
    assert "60 ms ahead" in one_way().summary()


def test_both_ways_refuses_and_names_the_option():
    with pytest.raises(ArgumentError, match=r"got bidirectional=True.*bidirectional=False \(--one-way\).*lookahead_ms"):
        both_ways().stream()


def test_nothing_after_the_end_and_wrong_pieces():
    stream = one_way().stream()
    assert stream.feed([]) == []
    with pytest.raises(ArgumentError, match=r"got \(2, 5\); turn them"):
        stream.feed(np.zeros((2, 5)))
    assert stream.finish() == []
    with pytest.raises(ArgumentError, match="expected nothing after finish, got more"):
        stream.feed(SOUND)


def test_memory_does_not_grow():
    stream = one_way().stream()

    def hear(times):
        for _ in range(times):
            stream.feed(SOUND)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    before = hear(4)
    after = hear(12)
    tracemalloc.stop()
    assert after - before < 20_000, "a second of sound is 32,000 bytes"
