"""`unrolled_plot`: the graph of any model along time."""

from pathlib import Path

import pytest
from torch import nn

from throughtime.errors import ArgumentError
from throughtime.models import Aligned, EncoderDecoder, ManyToOne, OneToMany, OneToOne
from throughtime.nn import GRU, LSTM, RNN, AdditiveAttention
from throughtime.report import unrolled_plot
from throughtime.report.unrolled import UnrolledGraph, unrolled_graph


def texts(graph: UnrolledGraph, kind: str) -> list[str]:
    return [node.text for node in graph.nodes if node.kind == kind]


def arrows(graph: UnrolledGraph, kind: str = "flow") -> set[tuple[str, str]]:
    return {(graph.nodes[e.start].text, graph.nodes[e.end].text) for e in graph.edges if e.kind == kind}


def test_a_layer_reads_answers_and_sums_its_losses() -> None:
    graph = unrolled_graph(RNN(2, 3), steps=3, letters="notes")
    assert arrows(graph) == {
        *((f"x{i}", f"a{i}") for i in "₁₂₃"), ("a₁", "a₂"), ("a₂", "a₃"),
        *((f"a{i}", f"ŷ{i}") for i in "₁₂₃"), *((f"ŷ{i}", f"L{i}") for i in "₁₂₃"),
        *((f"L{i}", "L = Σ Lₜ") for i in "₁₂₃"),
    }  # fmt: skip


def test_both_ways_the_second_row_runs_from_the_right() -> None:
    graph = unrolled_graph(GRU(2, 3, bidirectional=True), steps=2)
    forward, reverse = [[i for i, n in enumerate(graph.nodes) if n.kind == "state" and n.y == y] for y in (1.0, 1.85)]
    pairs = {(e.start, e.end) for e in graph.edges}
    assert (forward[0], forward[1]) in pairs
    assert (reverse[1], reverse[0]) in pairs
    assert (reverse[0], reverse[1]) not in pairs


def test_many_to_one_answers_once_from_both_ends() -> None:
    graph = unrolled_graph(ManyToOne(LSTM(2, 3, bidirectional=True), nn.Linear(6, 1)), steps=3)
    assert {start for start, end in arrows(graph) if end == "ŷ"} == {"h₃, c₃", "h₁, c₁"}
    assert texts(graph, "loss") == ["L"]


def test_one_to_many_has_one_input_and_feeds_back_what_it_writes() -> None:
    graph = unrolled_graph(OneToMany(nn.Embedding(7, 4), GRU(4, 8), nn.Linear(8, 7)), steps=3, letters="notes")
    assert texts(graph, "input") == ["x₁"]
    assert arrows(graph, "fed") == {("ŷ₁", "c₂"), ("ŷ₂", "c₃")}


def test_depth_pooling_and_a_single_step() -> None:
    assert len(texts(unrolled_graph(Aligned(LSTM(2, 3, num_layers=3), nn.Linear(3, 1)), steps=4), "state")) == 12
    pooled = unrolled_graph(ManyToOne(GRU(2, 3), nn.Linear(3, 1), pooling="mean"), steps=2)
    assert texts(pooled, "vector") == ["mean over t"]
    assert texts(unrolled_graph(OneToOne(RNN(2, 3), nn.Linear(3, 1)), steps=4), "state") == ["h₁"]


def test_an_encoder_hands_its_state_to_the_decoder_and_is_looked_at() -> None:
    parts = nn.Embedding(9, 4), GRU(4, 6), nn.Embedding(7, 4), GRU(4, 6), nn.Linear(6, 7)
    graph = unrolled_graph(EncoderDecoder(*parts, attention=AdditiveAttention(6, 6, 5)), steps=2)
    states = [i for i, node in enumerate(graph.nodes) if node.kind == "state"]
    assert (states[1], states[2]) in {(e.start, e.end) for e in graph.edges}
    assert texts(graph, "input") == ["x₁", "x₂", "bos", "y₁"]
    assert ("m = all its outputs", "Σ α m") in arrows(graph)


def test_a_model_of_ones_own_is_drawn(tmp_path: Path) -> None:
    model = nn.ModuleDict({"first": GRU(2, 3), "second": LSTM(3, 4)})
    assert len(texts(unrolled_graph(model, steps=2), "state")) == 4
    assert unrolled_plot(tmp_path / "m.png", model, steps=2).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: unrolled_graph(nn.Linear(2, 2)), "got Linear without one"),
        (lambda: unrolled_graph(RNN(2, 3), steps=0), "steps from 1 to 12, got 0"),
        (lambda: unrolled_graph(RNN(2, 3), letters="greek"), "ours or notes, got 'greek'"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_drawn_is_refused(call, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
