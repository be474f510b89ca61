"""How long to wait for a better loss."""

import math


class Patience:
    """Counts epochs in a row without an improvement by more than `min_delta` over the last improvement."""

    def __init__(self, epochs: int, min_delta: float) -> None:
        self.epochs = epochs
        self.min_delta = min_delta
        self.reference = math.inf
        self.waited = 0

    def runs_out(self, loss: float) -> bool:
        """Take the loss of an epoch; True where it is the last one to wait for. Counting starts anew then."""
        if loss < self.reference - self.min_delta:
            self.reference = loss
            self.waited = 0
            return False
        self.waited += 1
        if self.waited < self.epochs:
            return False
        self.waited = 0
        return True
