"""What an encoder-decoder is built from and given, checked where it enters."""

from typing import Any

from torch import nn

from throughtime.errors import ArgumentError, ArgumentTypeError
from throughtime.models.ids import vocabulary_of
from throughtime.nn import Recurrent
from throughtime.nn.attention import Attention


def check_ids(target_embedding: nn.Module, **ids: Any) -> None:
    """Special ids; `bos` is one that the target embedding knows.

    Raises:
        ArgumentTypeError: not an int.
        ArgumentError: negative, or a `bos` that cannot be embedded.
    """
    for name, value in ids.items():
        if isinstance(value, bool) or not isinstance(value, int):
            raise ArgumentTypeError(f"EncoderDecoder: expected {name} to be an int, got {value!r}; pass an id")
        if value < 0:
            raise ArgumentError(f"EncoderDecoder: expected {name} >= 0, got {value}; pass an id of the vocabulary")
    known = vocabulary_of(target_embedding)
    if known is not None and ids["bos"] >= known:
        raise ArgumentError(
            f"EncoderDecoder: expected bos in [0, {known}), the target embedding's, got {ids['bos']}; "
            "pass another, or embed one id more"
        )


def check_layers(encoder: Any, decoder: Any) -> None:
    """Layers of throughtime.nn, time first, the decoder one-way.

    Raises:
        ArgumentTypeError: another kind of module.
        ArgumentError: `batch_first`, or a bidirectional decoder.
    """
    for name, layer in (("encoder", encoder), ("decoder", decoder)):
        if not isinstance(layer, Recurrent):
            raise ArgumentTypeError(
                f"EncoderDecoder: expected {name} to be a layer of throughtime.nn, got {type(layer).__name__}; "
                "build it from there: names and parameters are torch.nn's"
            )
        if layer.batch_first:
            raise ArgumentError(
                f"EncoderDecoder: expected a time-first {name}, got batch_first=True; leave it out and pass (T, B, ...)"
            )
    if decoder.bidirectional:
        raise ArgumentError(
            "EncoderDecoder: expected a one-way decoder, got bidirectional=True, whose backward direction needs "
            "outputs that are not written yet; build the decoder with bidirectional=False, the encoder may stay"
        )


def check_attention(attention: Any, encoder: Recurrent, decoder: Recurrent, input_feeding: bool) -> None:
    """None, or an attention whose sizes are the layers'.

    Raises:
        ArgumentTypeError: something else.
        ArgumentError: another size, or none where its vector is to be fed.
    """
    if attention is None:
        if input_feeding:
            raise ArgumentError(
                "EncoderDecoder: expected an attention with input_feeding=True, got None; what is fed is the "
                "attentional vector, so pass an attention, or input_feeding=False"
            )
        return
    if not isinstance(attention, Attention):
        raise ArgumentTypeError(
            f"EncoderDecoder: expected attention to be an Attention of throughtime.nn, got {type(attention).__name__}; "
            "pass AdditiveAttention or MultiplicativeAttention, or subclass Attention"
        )
    for name, got, layer in (("query_size", attention.query_size, decoder), ("key_size", attention.key_size, encoder)):
        if got != layer.output_size:
            whose = "decoder" if layer is decoder else "encoder"
            raise ArgumentError(
                f"EncoderDecoder: expected an attention of {name} {layer.output_size}, the {whose}'s output, got "
                f"{got}; build it with {name}={layer.output_size}"
            )


def check_upper(upper: Any, attention: Any, decoder: Recurrent) -> None:
    """None, or a one-way layer over [context; h] whose output has the decoder's size.

    Raises:
        ArgumentTypeError: another kind of module.
        ArgumentError: `batch_first`, both ways, another size, or no attention below it.
    """
    if upper is None:
        return
    if attention is None:
        raise ArgumentError(
            "EncoderDecoder: expected an attention below upper, got None; add a layer to the decoder instead"
        )
    if not isinstance(upper, Recurrent):
        raise ArgumentTypeError(
            f"EncoderDecoder: expected upper to be a layer of throughtime.nn, got {type(upper).__name__}; "
            "build it from there"
        )
    if upper.batch_first or upper.bidirectional:
        which = "batch_first" if upper.batch_first else "bidirectional"
        raise ArgumentError(f"EncoderDecoder: expected a one-way, time-first upper, got {which}=True; leave it out")
    wanted = attention.key_size + decoder.output_size
    if (upper.input_size, upper.output_size) != (wanted, decoder.output_size):
        raise ArgumentError(
            f"EncoderDecoder: expected upper to map {wanted} features, of context and decoder, to "
            f"{decoder.output_size}, got {upper.input_size} to {upper.output_size}; build it so"
        )
