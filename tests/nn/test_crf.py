"""The CRF against brute force: every tag sequence of every row, enumerated."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.nn import CRF, TagConstraints, crf_sums

K, LENGTHS = 3, (4, 0, 1, 3)
T, B = 5, len(LENGTHS)


def bio() -> TagConstraints:
    """O, B, I: I follows B or I and begins nothing."""
    return TagConstraints([[True, True, False], [True] * 3, [True] * 3], [True, True, False], [True] * 3)


@pytest.fixture(params=[False, True], ids=["free", "constrained"])
def crf(request: pytest.FixtureRequest) -> CRF:
    torch.manual_seed(3)
    crf = CRF(K, constraints=bio() if request.param else None, dtype=torch.float64)
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.normal_()
    return crf


@pytest.fixture
def emissions() -> Tensor:
    made = torch.randn(T, B, K, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    for row, length in enumerate(LENGTHS):
        made[length:, row] = math.nan  # padding reaches nothing
    return made


def every_path(crf: CRF, x_TK: Tensor) -> dict[tuple[int, ...], Tensor]:
    """Each possible tag sequence of one row with its score, equation (1) term by term."""
    allowed = crf.constraints
    found = {}
    for tags in itertools.product(range(K), repeat=len(x_TK)):
        pairs = list(itertools.pairwise(tags))
        if allowed is not None and not (
            all(allowed.begins[k] for k in tags[:1])
            and all(allowed.follows[p] for p in pairs)
            and all(allowed.ends[k] for k in tags[-1:])
        ):
            continue
        score = x_TK.new_zeros(())
        if tags:
            score = crf.start[tags[0]] + crf.end[tags[-1]] + sum(x_TK[t, k] for t, k in enumerate(tags))
            score = score + sum(crf.transitions[p] for p in pairs)
        found[tags] = score
    return found


def probabilities(crf: CRF, x_TK: Tensor) -> dict[tuple[int, ...], Tensor]:
    scores = every_path(crf, x_TK)
    log_Z = torch.stack(list(scores.values())).logsumexp(0)
    return {tags: score - log_Z for tags, score in scores.items()}


def rows(emissions: Tensor) -> list[Tensor]:
    return [emissions[:length, row] for row, length in enumerate(LENGTHS)]


def test_log_partition_and_its_gradients(crf: CRF, emissions: Tensor) -> None:
    emissions.requires_grad_()
    wanted = torch.stack([torch.stack(list(every_path(crf, x).values())).logsumexp(0) for x in rows(emissions)])
    got = crf.log_partition(emissions, lengths=LENGTHS)
    torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)
    inputs = (emissions, *crf.parameters())
    weigh = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    for g, w in zip(torch.autograd.grad(got @ weigh, inputs), torch.autograd.grad(wanted @ weigh, inputs), strict=True):
        torch.testing.assert_close(g, w, rtol=1e-10, atol=1e-12)


def test_the_loss_is_minus_the_log_probability_of_the_tags(crf: CRF, emissions: Tensor) -> None:
    best = [min(probabilities(crf, x)) for x in rows(emissions)]  # any possible sequence will do
    tags = torch.full((T, B), 77)  # past a length stands anything
    for row, path in enumerate(best):
        tags[: len(path), row] = torch.tensor(path, dtype=torch.int64)
    wanted = torch.stack([-probabilities(crf, x)[path] for x, path in zip(rows(emissions), best, strict=True)])
    torch.testing.assert_close(crf(emissions, tags, lengths=LENGTHS), wanted, rtol=1e-12, atol=1e-12)


def test_marginals(crf: CRF, emissions: Tensor) -> None:
    wanted = torch.zeros(T, B, K, dtype=torch.float64)
    for row, x in enumerate(rows(emissions)):
        for tags, log_p in probabilities(crf, x).items():
            for t, k in enumerate(tags):
                wanted[t, row, k] += log_p.detach().exp()
    torch.testing.assert_close(crf.marginals(emissions, lengths=LENGTHS), wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("n_best", [1, 2, 7, 200])
def test_n_best(crf: CRF, emissions: Tensor, n_best: int) -> None:
    paths = crf.decode(emissions, lengths=LENGTHS, n_best=n_best)
    assert crf.best(emissions, lengths=LENGTHS).equal(paths.tags[:, :, 0])
    for row, x in enumerate(rows(emissions)):
        wanted = sorted(probabilities(crf, x).items(), key=lambda item: -item[1].item())[:n_best]
        for place, (tags, log_p) in enumerate(wanted):
            assert tuple(paths.tags[: len(tags), row, place].tolist()) == tags
            assert bool((paths.tags[len(tags) :, row, place] == -1).all())
            torch.testing.assert_close(paths.scores[row, place], log_p.detach(), rtol=1e-10, atol=1e-12)
        assert bool((paths.scores[row, len(wanted) :] == -math.inf).all())
        assert bool((paths.tags[:, row, len(wanted) :] == -1).all())


@pytest.mark.parametrize("ending", [False, True], ids=["anything after", "ending there"])
def test_segments(crf: CRF, emissions: Tensor, ending: bool) -> None:
    """The probability of B I in the middle, whatever stands around it, or with no further I."""
    continues = torch.tensor([-1, 2, 2]) if ending else None
    tags = crf.decode(emissions, lengths=LENGTHS).tags[:, :, 0].clamp(min=0)
    segments = [(0, 1, 3), (0, 2, 4), (0, 0, 1), (2, 0, 1), (3, 0, 3), (3, 1, 2)]
    wanted = []
    for row, begin, end in segments:
        path = tuple(tags[begin:end, row].tolist())
        total = [
            log_p
            for found, log_p in probabilities(crf, rows(emissions)[row]).items()
            if found[begin:end] == path
            and not (continues is not None and end < LENGTHS[row] and found[end] == continues[path[-1]])
        ]
        wanted.append(torch.stack(total).logsumexp(0))
    got = crf.segment_log_probability(emissions, tags, torch.tensor(segments), continues=continues, lengths=LENGTHS)
    torch.testing.assert_close(got, torch.stack(wanted), rtol=1e-10, atol=1e-12)
    cooled = CRF(K, constraints=crf.constraints, dtype=torch.float64)
    cooled.load_state_dict({name: value / 1.7 for name, value in crf.state_dict().items()})
    options = {"continues": continues, "lengths": LENGTHS}
    torch.testing.assert_close(
        crf.segment_log_probability(emissions, tags, torch.tensor(segments), temperature=1.7, **options),
        cooled.segment_log_probability(emissions / 1.7, tags, torch.tensor(segments), **options),
    )


def test_batch_first_is_the_same(crf: CRF, emissions: Tensor) -> None:
    turned = CRF(K, constraints=crf.constraints, batch_first=True, dtype=torch.float64)
    turned.load_state_dict(crf.state_dict())
    tags, valid = torch.zeros(T, B, dtype=torch.int64), torch.tensor(LENGTHS)
    assert turned(emissions.transpose(0, 1), tags.T, lengths=valid).equal(crf(emissions, tags, lengths=valid))
    assert (
        turned.decode(emissions.transpose(0, 1), lengths=valid)
        .tags.transpose(0, 1)
        .equal(crf.decode(emissions, lengths=valid).tags)
    )
    assert (
        turned.marginals(emissions.transpose(0, 1), lengths=valid)
        .transpose(0, 1)
        .equal(crf.marginals(emissions, lengths=valid))
    )


def test_a_row_alone_is_the_row_in_the_batch(crf: CRF, emissions: Tensor) -> None:
    together = crf.log_partition(emissions, lengths=LENGTHS)
    alone = [crf.log_partition(emissions[:length, row : row + 1]) for row, length in enumerate(LENGTHS)]
    torch.testing.assert_close(torch.cat(alone), together, rtol=1e-14, atol=1e-14)


def test_gradients(crf: CRF) -> None:
    x = torch.randn(3, 2, K, dtype=torch.float64, requires_grad=True)
    tags = torch.tensor([[1, 0], [2, 1], [0, 2]])
    torch.autograd.gradcheck(lambda e: crf(e, tags, lengths=[3, 2]), x)
    torch.autograd.gradgradcheck(lambda e: crf(e, tags, lengths=[3, 2]), x)


def test_what_is_forbidden_has_no_gradient() -> None:
    crf = CRF(K, constraints=bio())
    crf(torch.randn(4, 2, K), torch.tensor([[1, 0], [2, 1], [0, 2], [0, 2]])).sum().backward()
    assert crf.transitions.grad is not None
    assert crf.start.grad is not None
    assert crf.start.grad[2] == 0.0
    assert crf.transitions.grad.isfinite().all()
    assert (crf.transitions.grad == 0.0).nonzero().tolist() == [[0, 2]]


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e3])
def test_both_ways_to_sum_agree(crf: CRF, scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """In probabilities and in their logarithms; far apart, the first is not taken."""
    x = scale * torch.randn(9, 4, K, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    tags, lengths = torch.ones(9, 4, dtype=torch.int64), [9, 3, 0, 1]
    asked = []

    def fits(*args: object) -> bool:
        asked.append(crf_sums_fits(*args))
        return asked[-1]

    def both() -> list[Tensor]:
        emissions = x.clone().requires_grad_()
        loss = crf(emissions, tags, lengths=lengths)
        gradients = torch.autograd.grad(loss @ torch.tensor([1.0, -2, 5, 3]).double(), [emissions, *crf.parameters()])
        with torch.no_grad():
            pieces = torch.tensor([(0, 0, 9), (0, 4, 6), (1, 2, 3)])
            sure = crf.segment_log_probability(x, tags, pieces, lengths=lengths).exp()
            return [loss.detach(), *gradients, crf.marginals(x, lengths=lengths), sure]

    crf_sums_fits = crf_sums.fits
    monkeypatch.setattr(crf_sums, "fits", fits)
    fast = both()
    assert set(asked) == {scale < 100}
    monkeypatch.setattr(crf_sums, "fits", lambda *_: False)
    for got, wanted in zip(fast, both(), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-9, atol=1e-11)


def test_half_precision_is_summed_in_float32() -> None:
    crf = CRF(K)
    x = torch.randn(6, 2, K).bfloat16()
    assert crf.log_partition(x).equal(crf.log_partition(x.float()))


@pytest.mark.parametrize("lengths", [None, [4, 0]])
def test_nothing_to_tag(lengths: list[int] | None) -> None:
    crf = CRF(K)
    empty = torch.zeros(0, 2, K)
    assert crf(empty, torch.zeros(0, 2, dtype=torch.int64)).tolist() == [0.0, 0.0]
    assert crf.decode(empty).scores.tolist() == [[0.0], [0.0]]
    assert crf.best(empty).shape == (0, 2)
    assert crf.marginals(empty).shape == (0, 2, K)


def test_greedy_is_the_best_from_left_to_right_that_can_still_end() -> None:
    """O, B, I, E: what B opens E must close, so a B at the last step is impossible, however it scores."""
    follows = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0]]).bool()
    outer = torch.tensor([1, 1, 0, 0]).bool()
    constraints = TagConstraints(follows, outer, torch.tensor([1, 0, 0, 1]).bool())
    scores = torch.tensor([[0.0, 9, 0, 0], [0, 9, 1, 0], [0, 9, 9, 0]]).unsqueeze(1).expand(3, 3, 4)
    got = constraints.greedy(scores, [3, 2, 1])
    assert got.T.tolist() == [[1, 2, 3], [1, 3, -1], [0, -1, -1]]
    assert constraints.possible(got, [3, 2, 1]).tolist() == [True, True, True]
    assert constraints.possible(torch.tensor([[1, 0], [2, 1]]), [2, 2]).tolist() == [False, False]


def test_bad_arguments() -> None:
    crf = CRF(K, constraints=bio())
    x, tags = torch.zeros(2, 1, K), torch.zeros(2, 1, dtype=torch.int64)
    with pytest.raises(ArgumentError, match=r"emissions of shape \(T, B, 3\), got \(2, 1, 4\)"):
        crf(torch.zeros(2, 1, 4), tags)
    with pytest.raises(ArgumentError, match=r"tags of shape \(2, 1\), got \(1, 2\)"):
        crf(x, tags.T)
    with pytest.raises(ArgumentError, match=r"tags in \[0, 3\), got 3"):
        crf(x, tags + 3)
    with pytest.raises(ArgumentTypeError, match=r"integer dtype, got torch.float32"):
        crf(x, tags.float())
    with pytest.raises(ArgumentError, match=r"constraints allow, got \[0, 2\] in row 0"):
        crf(x, torch.tensor([[0], [2]]))
    with pytest.raises(ArgumentError, match=r"segments .* got \(0, 1, 1\)"):
        crf.segment_log_probability(x, tags, torch.tensor([[0, 0, 1], [0, 1, 1]]))
    with pytest.raises(ArgumentError, match=r"n_best > 0, got 0"):
        crf.decode(x, n_best=0)
    with pytest.raises(ArgumentError, match=r"num_tags > 0, got 0"):
        CRF(0)
    with pytest.raises(ArgumentError, match=r"constraints of 4 tags, got 3"):
        CRF(4, constraints=bio())
    with pytest.raises(ArgumentTypeError, match=r"TagConstraints, got 'bio'"):
        CRF(4, constraints="bio")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"follows of shape \(2, 2\), got \(2, 3\)"):
        TagConstraints(torch.ones(2, 3).bool(), torch.ones(2).bool(), torch.ones(2).bool())
    with pytest.raises(ArgumentError, match=r"every length, got none of 2 tags"):
        TagConstraints(torch.zeros(2, 2).bool(), torch.ones(2).bool(), torch.ones(2).bool())
    with pytest.raises(ArgumentTypeError, match=r"begins of dtype torch.bool, got torch.float32"):
        TagConstraints(torch.ones(2, 2).bool(), torch.ones(2), torch.ones(2).bool())


def test_in_how_many_steps_every_tag_leads_to_every_other() -> None:
    assert bio().mixing == 2
    ring = torch.eye(3).roll(1, 1).bool()  # one tag after another, round and round: never all of them at once
    assert TagConstraints(ring, torch.ones(3).bool(), torch.ones(3).bool()).mixing == math.inf
