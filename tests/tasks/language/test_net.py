"""The net: borders between texts, labels, masks, and a step at a time."""

import pytest
import torch
from torch.testing import assert_close

from throughtime.errors import ArgumentError
from throughtime.nn.layers import LAYERS
from throughtime.tasks.language.chunks import IGNORED, Chunk
from throughtime.tasks.language.net import Dropouts, LanguageNet, TextEncoder
from throughtime.tasks.language.trainee import Trainee


def encoder(cell: str = "lstm", **options) -> TextEncoder:
    torch.manual_seed(1)
    return TextEncoder(11, cell, (4, 6, 5), **options)


def ids(T: int, B: int) -> torch.Tensor:
    return torch.randint(0, 11, (T, B), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("condition", ["every", "first"])
def test_texts_in_a_row_are_read_as_if_apart(cell: str, condition: str) -> None:
    net = encoder(cell, classes=3, condition=condition).eval()
    row = ids(12, 1)
    begins = torch.zeros(12, 1, dtype=torch.bool)
    begins[[0, 5, 6]] = True
    classes = torch.tensor([2] * 5 + [0] + [1] * 6).unsqueeze(1)
    together, _ = net(row, begins=begins, classes=classes)
    for begin, end in ((0, 5), (5, 6), (6, 12)):
        first = torch.zeros(end - begin, 1, dtype=torch.bool)
        first[0] = True
        other = row[begin:end].clone()
        other[0] = 7  # what stands where a text begins is not read
        apart, _ = net(other, begins=first, classes=classes[begin:end])
        assert_close(apart, together[begin:end], rtol=0, atol=1e-6)
        another, _ = net(other, begins=first, classes=(classes[begin:end] + 1) % 3)
        assert not torch.allclose(another, apart, atol=1e-3)


def test_a_label_is_seen_at_the_first_step_alone_with_first() -> None:
    row, first = ids(6, 2), torch.zeros(6, 2, dtype=torch.bool)
    first[0] = True
    classes = torch.tensor([0, 1])
    for condition, same in (("first", True), ("every", False)):
        net = encoder(classes=2, condition=condition).eval()
        _, state = net(row, begins=first, classes=classes)
        after, _ = net(row, state, classes=classes)
        other, _ = net(row, state, classes=1 - classes)
        assert torch.equal(after, other) is same


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("classes", [None, torch.tensor([1, 0, 1])])
def test_steps_are_the_whole(cell: str, classes: torch.Tensor | None) -> None:
    net = encoder(cell, classes=None if classes is None else 2).eval()
    row, first = ids(7, 3), torch.zeros(7, 3, dtype=torch.bool)
    first[0] = True
    with torch.no_grad():
        whole, _ = net(row, begins=first, classes=classes)
        _, state = net(row[:1], begins=first[:1], classes=classes)
        step = net.steps(classes)
        for t in range(1, 7):
            out, state = step(row[t], state)
            assert_close(out, whole[t], rtol=0, atol=1e-6)


def test_variational_masks_stay_and_others_change() -> None:
    for variational in (True, False):
        net = encoder(dropouts=Dropouts(output=0.5, variational=variational))
        out, _ = net(ids(40, 30))
        dropped = out == 0
        assert 0.2 < dropped.float().mean() < 0.8
        assert bool((dropped == dropped[:1]).all()) is variational
        assert not (net.eval()(ids(40, 30))[0] == 0).any()


def test_embedding_dropout_drops_a_symbol_everywhere_and_keeps_the_mean() -> None:
    net = encoder(dropouts=Dropouts(embedding=0.4))
    row = torch.arange(11).repeat(50).unsqueeze(1)
    total = torch.zeros(11, 4)
    for _ in range(400):
        x = net._inputs(row, None, None).reshape(50, 11, 4)
        assert bool((x == x[:1]).all())
        assert ((x[0] == 0).all(-1) == (x[0] == 0).any(-1)).all()
        total += x[0].detach() / 400
    assert_close(total, net.embedding.weight.detach(), rtol=0.35, atol=0.05)


def test_classes_are_asked_for_where_the_encoder_has_them() -> None:
    with pytest.raises(ArgumentError, match="expected classes, as it was built, got none"):
        encoder(classes=2)(ids(3, 1))
    with pytest.raises(ArgumentError, match="expected no classes, as it was built, got some"):
        encoder()(ids(3, 1), classes=torch.tensor([0]))


@pytest.mark.parametrize("options", [{}, {"tied": True}, {"cutoffs": [3, 7]}])
def test_log_probs_are_those_of_the_logits(options) -> None:
    torch.manual_seed(0)
    net = LanguageNet(TextEncoder(11, "gru", (16, 16)), **options)
    hidden, targets = torch.randn(50, 16), torch.randint(0, 11, (50,))
    every = net.logits(hidden).log_softmax(-1)
    assert_close(net.log_probs(hidden, targets), every.gather(1, targets.unsqueeze(1)).squeeze(1))
    assert_close(every.exp().sum(-1), torch.ones(50))


@pytest.mark.parametrize("options", [{}, {"tied": True}, {"cutoffs": [3, 7]}])
def test_log_probs_stay_wide_under_autocast(options) -> None:
    torch.manual_seed(0)
    net = LanguageNet(TextEncoder(11, "gru", (16, 16)), **options)
    hidden, targets = torch.randn(50, 16), torch.randint(0, 11, (50,))
    want = net.log_probs(hidden, targets)
    with torch.autocast("cpu", torch.bfloat16):
        found = net.log_probs(hidden.bfloat16(), targets)
    assert found.dtype == torch.float32
    assert_close(found, want, rtol=0, atol=0.05)


def test_a_tied_matrix_is_one_parameter() -> None:
    net = LanguageNet(TextEncoder(11, "gru", (6, 6)), tied=True)
    assert sorted(name for name, _ in net.named_parameters() if "layers" not in name) == [
        "bias", "encoder.beginning.weight", "encoder.embedding.weight",
    ]  # fmt: skip


def chunked(steps: int, T: int = 24) -> list[Chunk]:
    """One text of 25 symbols in two rows, chunk by chunk; the second row ends a step earlier."""
    row = ids(T + 1, 2)
    targets = row[1:].clone()
    targets[-1, 1] = IGNORED
    first = torch.zeros(T, 2, dtype=torch.bool)
    first[0] = True
    return [
        Chunk(row[t:T][:steps], targets[t : t + steps], first[:steps] if t == 0 else None, None, t == 0)
        for t in range(0, T, steps)
    ]  # fmt: skip


@pytest.mark.parametrize("cell", LAYERS)
def test_the_loss_of_a_text_is_the_same_in_any_chunks(cell: str) -> None:
    """In validation and, without dropout, in training; the last target counts and an ignored one does not."""
    found = {}
    for training in (False, True):
        for steps in (1, 5, 24):
            torch.manual_seed(3)
            trainee = Trainee(LanguageNet(TextEncoder(11, cell, (4, 6, 5))), 2).train(training)
            losses = [trainee(chunk) for chunk in chunked(steps)]
            total = sum(float(loss.mean.detach()) * loss.weight for loss in losses)
            assert sum(loss.weight for loss in losses) == 47
            found[training, steps] = total
    assert max(found.values()) - min(found.values()) < 1e-4


def test_no_gradient_goes_back_further_than_a_chunk() -> None:
    """The gradient of the second chunk's loss is that of the chunk alone, begun from the state as a constant."""
    trainee = Trainee(LanguageNet(encoder()), 2)
    first, second = chunked(12)
    trainee(first)
    state = tuple(type(s)(*(t.clone() for t in s)) for s in trainee._carried())
    trainee(second).mean.backward()
    mine = [p.grad.clone() for p in trainee.net.encoder.layers.parameters()]
    trainee.zero_grad()
    hidden, _ = trainee.net.encoder(second.inputs, state)
    valid = second.targets != IGNORED
    (-trainee.net.log_probs(hidden[valid], second.targets[valid]).mean()).backward()
    for got, want in zip(mine, trainee.net.encoder.layers.parameters(), strict=True):
        assert_close(got, want.grad)


def test_the_penalties_are_what_they_say() -> None:
    (chunk,) = chunked(24)
    plain = Trainee(LanguageNet(encoder()), 2)
    hidden, _ = plain.net.encoder(chunk.inputs, begins=chunk.begins)
    both = Trainee(plain.net, 2, activation_penalty=2.0, change_penalty=3.0)
    extra = 2 * hidden.square().mean() + 3 * (hidden[1:] - hidden[:-1]).square().mean()
    assert_close(both(chunk).mean, plain(chunk).mean + extra)
    assert_close(both.eval()(chunk).mean, plain.eval()(chunk).mean)
