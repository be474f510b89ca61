"""Why a text got its label: what each token adds to the score that decided.

Axes in names: T tokens, S steps of the net, B points on the path, E features of an id, K labels.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from throughtime.tasks.classify.labels import Label
from throughtime.tasks.classify.network import ClassNet

_AT_ONCE = 8192  # steps of time × points that are read together
_BLUE, _ORANGE = (0, 114, 178), (213, 94, 0)  # of the house's palette: they differ for every eye


@dataclass(frozen=True)
class Contribution:
    """What one token adds."""

    token: str
    start: int
    """`text[start:end]` is the token."""
    end: int
    value: float
    """Above 0 it speaks for the label."""


@dataclass(frozen=True)
class Explanation:
    """Why a text got a label, or might have got it.

    Attributes:
        text: as it was given.
        label: what is explained.
        probability: of the label, calibrated.
        against: the label that it is set against: the likeliest other one; None where a text may have several labels.
        score: by how much the label's score is above that of `against`, or above 0.
        bias: the same of a text in which nothing is known: of no n-gram and of ids without meaning.
        contributions: of each token, in order; score = bias + their sum + `remainder`.
        remainder: what the sum misses by: the path is walked in steps.
    """

    text: str
    label: Label
    probability: float
    against: Label | None
    score: float
    bias: float
    contributions: tuple[Contribution, ...]

    @property
    def remainder(self) -> float:
        """What the sum misses by."""
        return self.score - self.bias - sum(part.value for part in self.contributions)

    def strongest(self, n: int = 5) -> list[Contribution]:
        """The tokens that matter most, for or against."""
        return sorted(self.contributions, key=lambda part: -abs(part.value))[:n]

    def headline(self) -> str:
        """The outcome in words."""
        against = "" if self.against is None else f" against {self.against}"
        return f"{self.label}{against}: probability {self.probability:.2f}"

    def to_ansi(self) -> str:
        """The text for a terminal of 256 colours: blue for the label, orange against it, the stronger the deeper."""
        parts = []
        for piece, share in self._pieces():
            depth = min(int(abs(share) * 5 + 0.5), 4)
            if not depth:
                parts.append(piece)
                continue
            shade = (195, 153, 111, 33) if share > 0 else (230, 223, 215, 208)
            parts.append(f"\x1b[48;5;{shade[depth - 1]}m\x1b[38;5;16m{piece}\x1b[0m")
        return "".join(parts)

    def to_html(self) -> str:
        """A `<p>` with the tokens on coloured ground, each with its contribution as a title."""
        places = {part.start: part for part in self.contributions}
        at, parts = 0, []
        for piece, share in self._pieces():
            shown = html.escape(piece)
            if at in places and piece:
                red, green, blue = _BLUE if share > 0 else _ORANGE
                parts.append(
                    f'<span style="background:rgba({red},{green},{blue},{min(abs(share), 1) * 0.8:.2f})" '
                    f'title="{places[at].value:+.3f}">{shown}</span>'
                )
            else:
                parts.append(shown)
            at += len(piece)
        return f'<p style="white-space:pre-wrap">{"".join(parts)}</p>'

    def to_page(self) -> str:
        """A page that refers to nothing outside of itself."""
        head, verdict = html.escape(self.text[:60]), html.escape(self.headline())
        rows = "".join(
            f"<tr><td>{html.escape(part.token)}</td><td>{part.value:+.3f}</td></tr>" for part in self.strongest(20)
        )
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{head}</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            "<style>:root{color-scheme:light dark}body{font:16px/1.6 system-ui,sans-serif;max-width:44rem;"
            "margin:2rem auto;padding:0 1rem}td{padding:0 1.5rem 0 0}td+td{text-align:right;"
            "font-variant-numeric:tabular-nums}</style></head><body>"
            f"<h1>{verdict}</h1>{self.to_html()}"
            f"<p>Blue speaks for {html.escape(str(self.label))}, orange against it. Score {self.score:+.3f} = "
            f"{self.bias:+.3f} without any token {self.score - self.bias:+.3f} from the tokens.</p>"
            f"<table>{rows}</table></body></html>\n"
        )

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "text": self.text,
            "label": self.label,
            "probability": self.probability,
            "against": self.against,
            "score": self.score,
            "bias": self.bias,
            "contributions": [vars(part) for part in self.contributions],
        }

    def _pieces(self) -> list[tuple[str, float]]:
        """The text in pieces, each with its contribution as a share of the largest; what is no token has 0."""
        largest = max((abs(part.value) for part in self.contributions), default=0.0) or 1.0
        found, at = [], 0
        for part in self.contributions:
            found += [(self.text[at : part.start], 0.0), (self.text[part.start : part.end], part.value / largest)]
            at = part.end
        return [(piece, share) for piece, share in [*found, (self.text[at:], 0.0)] if piece]


def integrated_gradients(
    nets: Sequence[ClassNet], ids_S: Tensor, direction_K: Tensor, steps: int
) -> tuple[Tensor, float, float]:
    """How much each id of a text moves direction · z, z the mean over nets.

    (1) g_s = Σ_e x_se ∫ ∂(d · z)(α x) / ∂x_se dα over α in [0, 1], by the midpoint rule at `steps` points
    (2) Σ_s g_s = d · z(x) − d · z(0), as far as the points go

    The ids' features shrink to zeros together; what stands before the first id of a language model's text stays.

    **Source** [Sundararajan2017].

    Returns:
        g (S,), d · z(x), d · z(0).
    """
    values, wholes, nothings = zip(*(_one(net, ids_S, direction_K, steps) for net in nets), strict=True)
    return torch.stack(values).mean(0), sum(wholes) / len(wholes), sum(nothings) / len(nothings)


@torch.enable_grad()
def _one(net: ClassNet, ids_S: Tensor, direction_K: Tensor, steps: int) -> tuple[Tensor, float, float]:
    lengths_B = torch.tensor([len(ids_S)])
    with torch.no_grad():
        x_S1E = net.reader.embed(ids_S.unsqueeze(1))
        began = len(x_S1E) - len(ids_S)  # steps before the first id
        whole = float(net.scored(x_S1E, lengths_B)[0] @ direction_K)
        empty_S1E = x_S1E.clone()
        empty_S1E[began:] = 0
        nothing = float(net.scored(empty_S1E, lengths_B)[0] @ direction_K)
    if not len(ids_S):
        return torch.zeros(0), whole, nothing
    total_SE = torch.zeros_like(x_S1E[:, 0])
    points = (torch.arange(steps) + 0.5) / steps
    for part in torch.tensor_split(points, -(-steps * len(x_S1E) // _AT_ONCE)):
        scale_SB1 = part.view(1, -1, 1).repeat(len(x_S1E), 1, 1).to(x_S1E.dtype)
        scale_SB1[:began] = 1
        x_SBE = (x_S1E * scale_SB1).requires_grad_(True)
        z_BK = net.scored(x_SBE, lengths_B.expand(len(part)))
        (gradient_SBE,) = torch.autograd.grad((z_BK @ direction_K).sum(), x_SBE)
        total_SE += gradient_SBE.sum(1)
    return (total_SE * x_S1E[:, 0] / steps).sum(1)[began:], whole, nothing


def to_tokens(values_S: Tensor, spans: Sequence[tuple[int, int]], tokens: Sequence[tuple[int, int]]) -> list[float]:
    """What each token gets of the values of ids: that of the ids that begin in it, blanks before it counted with it."""
    found, at = [0.0] * len(tokens), 0
    for (start, _), value in zip(spans, values_S.tolist(), strict=True):
        while at < len(tokens) - 1 and tokens[at][1] <= start:
            at += 1
        if tokens:
            found[at] += value
    return found
