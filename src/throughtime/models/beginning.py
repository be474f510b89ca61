"""What a sequence begins with: a class, a vector, both, or nothing.

Axes in names: B batch, I input features of the recurrent layer, C length of the vector.
"""

from typing import Any

import torch
from torch import Tensor, nn

from throughtime.errors import ArgumentError
from throughtime.models.ids import read_ids
from throughtime.nn.arguments import check_size


class Beginning(nn.Module):
    """Makes the first input of a recurrent layer.

    (1) c = E[class] + (W v + b), each where it was asked for, and zeros where neither was

    **Shapes** class_ids (B,), context (B, C), output (B, I).

    **Raises** ArgumentError: a count below 1. ArgumentTypeError: one that is no whole number.
    """

    def __init__(
        self,
        input_size: int,
        classes: int | None = None,
        context_size: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for name, count in (("classes", classes), ("context_size", context_size)):
            if count is not None:
                check_size("OneToMany", name, count)
        self.input_size = input_size
        self.class_embedding: nn.Embedding | None = None
        self.context_projection: nn.Linear | None = None
        if classes is not None:
            self.class_embedding = nn.Embedding(classes, input_size, device=device, dtype=dtype)
        if context_size is not None:
            self.context_projection = nn.Linear(context_size, input_size, device=device, dtype=dtype)

    def forward(self, who: str, like: Tensor, B: int, class_ids: Any, context: Tensor | None) -> Tensor:
        """c of (1) for B rows, of the device and dtype of `like`; `who` speaks in error messages.

        Raises:
            ArgumentError: a part is missing, or given and not asked for; a class outside the range; another shape.
            ArgumentTypeError: classes that are not whole numbers.
        """
        _check_presence(who, "class_ids", class_ids, "classes", self.class_embedding)
        _check_presence(who, "context", context, "context_size", self.context_projection)
        total_BI = like.new_zeros((B, self.input_size))
        if self.class_embedding is not None:
            ids_B = read_ids(who, "class_ids", class_ids, "B", self.class_embedding.num_embeddings, like.device)
            check_rows(who, "class_ids", len(ids_B), B)
            total_BI = total_BI + self.class_embedding(ids_B)
        if self.context_projection is not None:
            assert context is not None
            if context.dim() != 2 or context.shape[1] != self.context_projection.in_features:
                raise ArgumentError(
                    f"{who}: expected context of shape (B, {self.context_projection.in_features}), got "
                    f"{tuple(context.shape)}; pass one vector for each row"
                )
            check_rows(who, "context", len(context), B)
            total_BI = total_BI + self.context_projection(context)
        return total_BI


def _check_presence(who: str, name: str, given: Any, count: str, module: nn.Module | None) -> None:
    """Refuse what the model was not built for, and what it was built for and did not get."""
    if module is None and given is not None:
        raise ArgumentError(
            f"{who}: expected no {name}, since the model was built without {count}, got {type(given).__name__}; "
            f"leave it out, or build with {count}"
        )
    if module is not None and given is None:
        raise ArgumentError(
            f"{who}: expected {name}, since the model was built with {count}, got None; pass one for each row"
        )


def check_rows(who: str, name: str, got: int, B: int) -> None:
    """Refuse an argument for another number of rows."""
    if got != B:
        raise ArgumentError(f"{who}: expected {name} for {B} rows, got {got}; pass one for each row")
