"""Labels while samples or frames come.

Axes in names: C channels, E features of a step, F features of the stack, S steps, K labels.
"""

import math
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from throughtime.errors import ArgumentError, ArgumentTypeError, DataError
from throughtime.kernels import dispatch
from throughtime.models.residual import ResidualStack
from throughtime.tasks.recognize.network import ActivityNet
from throughtime.tasks.recognize.segments import Segment, Smoother

if TYPE_CHECKING:
    from throughtime.tasks.recognize.recognizer import Recognizer

__all__ = ["ActivityStream", "Moment"]

_CONTEXT = 300  # steps that a model that reads both ways goes back, where it has no window
_HOPS = 16  # answers while a window passes, of a model of whole recordings
_LONGEST_GAP = 60.0  # seconds; after a longer one everything begins anew


class Moment(NamedTuple):
    """What is happening at a time."""

    time: float
    """Seconds, of the step that this is about."""
    label: Any
    probability: float
    """Of the label, smoothed."""


class ActivityStream:
    """Samples or frames in as they come, moments out; made by `Recognizer.stream`.

    Nothing looks ahead of what has been fed: a one-way model answers each step at once, a model of whole recordings
    for the window that ends there, and a model of samples that reads both ways after `delay` seconds.

    Samples with times are gathered into the model's steps, so that a step is known when the first sample after it
    comes; samples without times are a step each.

    Attributes:
        segments: those that have ended; `close` ends the last one.
    """

    def __init__(self, recognizer: "Recognizer", delay: float | None, window: int) -> None:
        self._reader, self._names = recognizer.reader_, recognizer.labels_.names
        self._net: ActivityNet = recognizer.model_
        self._smoothing, self._shortest = recognizer.smoothing_, recognizer.shortest_
        self._mean = np.array(self._reader.mean, np.float32)
        # An encoder's vectors are read as they are.
        scale = (1.0,) if self._reader.is_frames else self._reader.deviation
        self._deviation = np.array(scale, np.float32)
        design = self._net.design
        self._wait = 0 if delay is None else max(1, round(delay * self._reader.rate))
        self._window = window
        self._hop = max(1, self._wait // 2) if design.aligned else max(1, window // _HOPS)
        self._channels = design.channels
        self._fast = design.aligned and not design.bidirectional
        self.segments: list[Segment] = []
        self._steps = 0
        self._begin()

    def _begin(self) -> None:
        self._smoother = Smoother(self._smoothing, self._shortest)
        self._one = OneStep(self._net, self._deviation) if self._fast else None
        self._held: deque[torch.Tensor] = deque(maxlen=self._window)
        self._told = 0  # steps of this stretch that were answered
        self._count = 0  # steps of it
        self._last = np.zeros(self._channels, np.float32)
        self._first_time: float | None = None
        self._before: float | None = None
        self._bin = 0
        self._sum = np.zeros(self._channels)
        self._there = np.zeros(self._channels)
        self._image: NDArray[np.uint8] | None = None
        self._open: tuple[float, Any, float, int] | None = None

    def feed(self, values: Any, times: Any = None) -> list[Moment]:
        """What is known now.

        Args:
            values: a sample (C,) or several (T, C), NaN where a number is missing; a frame (H, W, K) or several, uint8.
            times: seconds of each; None: a step each.

        Raises:
            ArgumentError: another shape.
            ArgumentTypeError: frames that are not uint8, or times for some of the samples only.
            DataError: times that go back or are missing.
        """
        array = np.asarray(values)
        if times is None and self._one is not None and array.ndim == 1:
            return self._sample(array)
        rows = self._rows(array)
        if times is None:
            return [moment for row in rows for moment in self._step(self._read(row))]
        stamps = np.atleast_1d(np.asarray(times, np.float64))
        if stamps.shape != (len(rows),):
            raise ArgumentTypeError(
                f"ActivityStream.feed: expected {len(rows)} times, got {stamps.shape}; pass one for each sample"
            )
        return [moment for row, time in zip(rows, stamps.tolist(), strict=True) for moment in self._timed(row, time)]

    def close(self) -> list[Moment]:
        """What was still held back, and the last segment; the next `feed` begins anew."""
        found = self._flush() if self._first_time is not None else []
        if self._count > self._told:
            found += self._answer(last=True)
        if self._open is not None:
            self._end(self._now(self._count - 1))
        self._begin()
        return found

    def _rows(self, array: NDArray[Any]) -> NDArray[Any]:
        if self._reader.is_frames:
            if array.ndim == 3:
                array = array[None]
            if array.dtype != np.uint8 or array.shape[1:] != self._reader.size:
                raise ArgumentTypeError(
                    f"ActivityStream.feed: expected frames of uint8 and shape {self._reader.size}, got {array.dtype} "
                    f"of {array.shape[1:]}; read them with throughtime.data.video.frames_of"
                )
            return array
        if array.ndim == 1:
            array = array[None]
        if array.ndim != 2 or array.shape[1] != self._channels:
            raise ArgumentError(
                f"ActivityStream.feed: expected samples of {self._channels} channels, got shape {array.shape}; pass "
                f"{', '.join(self._reader.channels)}"
            )
        return array

    def _timed(self, row: NDArray[Any], time: float) -> list[Moment]:
        """A sample joins its step, after the steps before it were answered."""
        if not np.isfinite(time) or (self._before is not None and time < self._before):
            raise DataError(
                f"ActivityStream.feed: expected times that do not go back, got {time:g} after {self._before}; "
                "sort the samples"
            )
        found: list[Moment] = []
        if self._before is not None and time - self._before > _LONGEST_GAP:
            found = self.close()
        if self._first_time is None:
            self._first_time = time
        self._before = time
        place = int((time - self._first_time) * self._reader.rate + 0.5)
        while self._bin < place:
            found += self._flush()
        if self._reader.is_frames:
            self._image = row
        else:
            there = np.isfinite(row)
            self._sum += np.where(there, row, 0.0)
            self._there += there
        return found

    def _flush(self) -> list[Moment]:
        """The step that is being gathered."""
        self._bin += 1
        if self._reader.is_frames:
            assert self._image is not None
            return self._step(self._read(self._image))
        mean = np.full(self._channels, np.nan)
        np.divide(self._sum, self._there, out=mean, where=self._there > 0)
        self._sum[:], self._there[:] = 0.0, 0.0
        return self._step(self._read(mean))

    @torch.inference_mode()
    def _read(self, row: NDArray[Any]) -> torch.Tensor:
        """A sample or frame as a step (E,)."""
        if self._reader.is_frames:
            image = torch.from_numpy(np.ascontiguousarray(row.transpose(2, 0, 1)))
            return self._net.encode(image[None, None])[0, 0]
        return torch.from_numpy(self._centred(row) / self._deviation)

    def _centred(self, row: NDArray[Any]) -> NDArray[np.float32]:
        """A sample less the mean; what is missing as it was last, at first zero."""
        x_C: NDArray[np.float32] = np.subtract(row, self._mean, dtype=np.float32)
        if not math.isfinite(x_C.dot(x_C)):  # a tenth of the time of looking at each; squares may overflow, too
            x_C = np.where(np.isfinite(x_C), x_C, self._last)
        self._last = x_C
        return x_C

    def _sample(self, row: NDArray[Any]) -> list[Moment]:
        """The way of one sample through a one-way model."""
        if row.shape != (self._channels,):
            self._rows(row)
        assert self._one is not None
        p_K = self._one(self._centred(row))
        self._count += 1
        self._told = self._count
        return [self._moment(p_K, self._now(self._count - 1))]

    def _step(self, e_E: torch.Tensor) -> list[Moment]:
        self._count += 1
        if self._one is not None:
            self._told = self._count
            return [self._moment(self._one(e_E.numpy() * self._deviation), self._now(self._count - 1))]
        self._held.append(e_E)
        waiting = self._count - self._told
        ready = waiting >= self._wait + self._hop if self._net.design.aligned else waiting >= self._hop
        return self._answer(last=False) if ready else []

    @torch.inference_mode()
    def _answer(self, *, last: bool) -> list[Moment]:
        e_SE = torch.stack(list(self._held))
        net = self._net
        p = net.probability(net.scored(e_SE[:, None], torch.tensor([len(e_SE)]))).double().numpy()
        if not net.design.aligned:
            self._told = self._count
            return [self._moment(p[0], self._now(self._count - 1))]
        until = self._count - (0 if last else self._wait)
        first = self._count - len(e_SE)
        found = [self._moment(p[k - first, 0], self._now(k)) for k in range(max(self._told, first), until)]
        self._told = until
        return found

    def _now(self, step: int) -> float:
        begin = 0.0 if self._first_time is None else self._first_time
        return begin + step / self._reader.rate

    def _moment(self, p_K: NDArray[np.float64], time: float) -> Moment:
        number, probability = self._smoother.feed(p_K, time)
        label = self._names[number]
        if self._open is None:
            self._open = (time, label, probability, 1)
        else:
            start, before, total, count = self._open
            if label != before:
                self._end(time)
                self._open = (time, label, probability, 1)
            else:
                self._open = (start, before, total + probability, count + 1)
        return Moment(time, label, probability)

    def _end(self, time: float) -> None:
        assert self._open is not None
        start, label, total, count = self._open
        self.segments.append(Segment(start, time, label, total / count))
        self._open = None


class OneStep:
    """One step of a one-way model of samples, weights packed once: x (C,) less its mean to probabilities (K,).

    The sums around the recurrent layers are NumPy's: of so few numbers a call into torch takes longer than the work.
    """

    def __init__(self, net: ActivityNet, deviation_C: NDArray[np.float32]) -> None:
        stack: ResidualStack = net.recurrent
        self._residual = stack.residual
        weight, bias = _weights(stack.project)
        self._project = weight / deviation_C, bias
        self._size = size = stack.output_size
        self._share = np.full(size, 1 / size, np.float32)
        self._norms = [_weights(norm) for norm in stack.norms]
        self._eps = float(getattr(stack.norms[0], "eps", 1e-5)) if self._residual else 0.0
        self._layers: list[tuple[Any, NDArray[np.float32], torch.Tensor]] = []
        self._states: list[tuple[torch.Tensor, ...]] = []
        for module in stack.layers:
            layer: Any = module
            read_F = np.zeros(size, np.float32)
            # What `Layer.stepper` asks at every call is known here, and would take as long as the step itself.
            step = dispatch.step_function(layer.cell, [layer.layer_params(0)], layer.backend)
            self._layers.append((step, read_F, torch.from_numpy(read_F[None])))
            self._states.append(tuple(torch.zeros(1, 1, layer.hidden_size) for _ in layer.cell.state_fields))
        head, bias = _weights(net.head)
        t = float(net.temperature)
        self._head = head / t, bias / t
        self._last_F = np.zeros(size, np.float32)

    def __call__(self, x_C: NDArray[np.float32]) -> NDArray[np.float64]:
        """p_K, with the state moved on."""
        # `dot` where `@` would be, since it starts in half the time.
        W, b = self._project
        u_F: NDArray[Any] = W.dot(x_C)
        u_F += b
        states = self._states
        for i, (step, read_F, read_1F) in enumerate(self._layers):
            if self._residual:
                self._normed(u_F, i, read_F)
            else:
                read_F[:] = u_F
            state = states[i] = step(read_1F, states[i], None)
            h_F = state[0].numpy()[0, 0]
            u_F = u_F + h_F if self._residual else h_F
        if self._residual:
            self._normed(u_F, -1, self._last_F)
            u_F = self._last_F
        W, b = self._head
        z_K = W.dot(u_F)
        z_K += b
        p_K: NDArray[np.float64] = np.exp(np.subtract(z_K, np.maximum.reduce(z_K), dtype=np.float64))
        p_K /= np.add.reduce(p_K)
        return p_K

    def _normed(self, u_F: NDArray[Any], i: int, out_F: NDArray[np.float32]) -> None:
        gain, shift = self._norms[i]
        np.subtract(u_F, self._share.dot(u_F), out_F)
        out_F *= (float(out_F.dot(out_F)) / self._size + self._eps) ** -0.5
        out_F *= gain
        out_F += shift


def _weights(module: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    weight, bias = (getattr(module, name).detach().numpy().copy() for name in ("weight", "bias"))
    return weight, bias


def check_delay(delay: float | None, *, aligned: bool, bidirectional: bool) -> None:
    """Whether a stream of such a model needs a delay.

    Raises:
        ArgumentError: none where it does, one where it does not, or one that is not above 0.
    """
    needs = aligned and bidirectional
    if needs and delay is None:
        raise ArgumentError(
            "Recognizer.stream: expected a one-way model, or a delay after which samples are answered, got one that "
            "reads both ways and no delay; pass delay=1.0 (seconds), or train with bidirectional=False"
        )
    if delay is not None and (not needs or not 0 < delay < 3600):
        why = "of seconds above 0" if needs else "None, since this model answers at once"
        raise ArgumentError(f"Recognizer.stream: expected delay to be {why}, got {delay!r}; pass that")


def window_of(lengths: Sequence[int], window: int | None) -> int:
    """Steps that are held: the window, or the median length of the training recordings."""
    return window if window is not None else max(1, min(int(np.median(lengths)), _CONTEXT))
