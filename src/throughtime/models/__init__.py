"""The topologies, built from nn and knowing nothing of any task: tensors in, tensors out, time first.

ManyToOne   a sequence in, one output
Aligned     an output at every step; streams where it has no backward direction
"""

from throughtime.models.aligned import Aligned
from throughtime.models.many_to_one import ManyToOne

__all__ = ["Aligned", "ManyToOne"]
