"""Columns brought near one before a net reads them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Standard(NamedTuple):
    """Mean and deviation of each column, so that covariates reach the net near one."""

    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()

    @classmethod
    def of(cls, values_NF: Array) -> "Standard":
        """From what was observed; a constant column keeps its size."""
        if not values_NF.size:
            return cls((0.0,) * values_NF.shape[1], (1.0,) * values_NF.shape[1])
        known = np.isfinite(values_NF)
        count = np.maximum(known.sum(0), 1)
        mean = np.where(known, values_NF, 0.0).sum(0) / count
        deviation = np.sqrt(np.where(known, (values_NF - mean) ** 2, 0.0).sum(0) / count)
        deviation = np.where(deviation > 1e-12 * np.abs(mean) + 1e-300, deviation, 1.0)
        return cls(tuple(mean.tolist()), tuple(deviation.tolist()))

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], name: str, many: int) -> "Standard":
        """What stood in JSON; ValueError where it cannot scale so many columns."""
        scale = cls(*(tuple(fields[part]) for part in cls._fields))
        numbers = (*scale.mean, *scale.deviation)
        if not all(isinstance(n, float) and np.isfinite(n) for n in numbers) or min(scale.deviation, default=1) <= 0:
            raise ValueError(f"inputs: {name} scaled by {numbers!r}")
        if not len(scale.mean) == len(scale.deviation) == many:
            raise ValueError(f"inputs: {len(scale.mean)} scales for {many} columns of {name}")
        return scale

    def apply(self, values: Array) -> NDArray[np.float32]:
        """Standardised, 0 (the mean) where missing."""
        scaled = (values - np.array(self.mean)) / np.array(self.deviation)
        return np.asarray(np.nan_to_num(scaled, nan=0.0), dtype=np.float32)
