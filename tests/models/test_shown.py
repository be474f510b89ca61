"""What a printed model tells beside its modules: a checkpoint compares it."""

from torch import nn

from throughtime.models import EncoderDecoder, OneToMany
from throughtime.nn import GRU


def test_one_to_many():
    model = OneToMany(nn.Embedding(4, 3), GRU(3, 5), nn.Linear(5, 4), classes=2, condition="every")
    assert model.extra_repr() == "feedback=output, condition=every, writes=ids"
    assert model.extra_repr() in str(model)


def test_encoder_decoder():
    model = EncoderDecoder(nn.Embedding(4, 3), GRU(3, 5), nn.Embedding(6, 3), GRU(3, 5), nn.Linear(5, 6), eos=3)
    assert model.extra_repr() == "input_feeding=False, bos=1, eos=3, pad=0"
    assert model.extra_repr() in str(model)
