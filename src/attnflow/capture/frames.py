"""When the positions of a model of sound are.

A model hears samples, or the columns of a spectrogram, and its convolutions make positions of them. A position's
time is the middle of what its convolutions reach, and its stretch is one step long, so that the stretches of all
positions tile the clip. What reaches beyond a clip is the padding that a feature extractor put there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.capture.patches import around
from attnflow.capture.sound import Wave, envelope, read_sound, resampled
from attnflow.capture.stem import Convolution, Sampling, sampling
from attnflow.errors import InputError
from attnflow.media import ENVELOPE, Medium, time_name
from attnflow.trace import Token

#: Window of a Kaldi-style spectrogram, whose frames begin where their windows do; seconds.
_WINDOW = 0.025
_HOP = 0.01


@dataclass(frozen=True, eq=False)
class Ruler:
    """How the steps of an input of sound lie in time.

    Attributes:
        step: seconds from one step of the input to the next; None if that is not known.
        first: where step 0 is centred, in seconds.
        wave: the clip, or None if only the model's tensors were given.
    """

    step: float | None = None
    first: float = 0.0
    wave: Wave | None = None

    @classmethod
    def of(cls, extractor: Any, raw: bool, wave: Wave | None = None) -> Ruler:
        """Reads a feature extractor.

        Args:
            extractor: the feature extractor, or None.
            raw: whether the model hears samples and no spectrogram.
            wave: the clip.
        """
        rate = getattr(extractor, "sampling_rate", None)
        if rate is None:
            return cls(wave=wave)
        if raw:
            return cls(1 / rate, 0.5 / rate, wave)
        stacked = int(getattr(extractor, "stride", 1) or 1)
        hop = getattr(extractor, "hop_length", None)
        if isinstance(hop, int) and getattr(extractor, "n_fft", None):  # frames are centred on their hops
            step, first = hop / rate, 0.0
        else:
            step, first = _HOP, _WINDOW / 2
        return cls(step * stacked, first + step * (stacked - 1) / 2, wave)


def read_clip(extractor: Any, audio: Any, model: Any) -> Wave:
    """Reads a clip at the rate that a feature extractor wants, refusing what it would cut off.

    Raises:
        InputError: no sound, or longer than the model hears at once.
    """
    wave = read_sound(audio)
    rate = getattr(extractor, "sampling_rate", None)
    if not isinstance(rate, int):
        raise InputError(f"{type(extractor).__name__} names no sampling_rate: set it, or pass inputs=.")
    longest = _longest(extractor)
    if longest is not None and wave.duration > longest + 1e-3:
        raise InputError(
            f"The clip lasts {wave.duration:.1f} s, but {type(model).__name__} hears {longest:g} s at once: cut it; "
            "nothing is cut off silently."
        )
    return resampled(wave, rate)


def _longest(extractor: Any) -> float | None:
    """Seconds that a feature extractor keeps; None for all."""
    for name in ("n_samples", "nb_max_samples"):
        if isinstance(getattr(extractor, name, None), int):
            return float(getattr(extractor, name) / extractor.sampling_rate)
    columns = getattr(extractor, "max_length", None)
    return columns * _HOP + _WINDOW - _HOP if isinstance(columns, int) else None


def lay_frames(
    model: Any, convolutions: Sequence[Convolution], tensors: Mapping[str, Any], size: int, ruler: Ruler
) -> tuple[tuple[Token, ...], tuple[Medium, ...]] | None:
    """Names the positions of a stack that hears.

    Args:
        model: the model that ran.
        convolutions: those of its pass.
        tensors: what it ran on.
        size: number of positions, padding included.
        ruler: how the input lies in time.

    Returns:
        One token per position and the clip; None if the input is no sound.
    """
    sound: Any = next((tensors[name] for name in ("input_features", "input_values") if name in tensors), None)
    if not torch.is_tensor(sound) or sound.ndim not in (2, 3):
        return None
    medium = clip_of(sound, ruler)
    for conv in convolutions if sound.ndim == 3 else ():
        if len(conv.after) == 4 and sorted(conv.before[2:]) == sorted(sound.shape[1:]):
            rows, columns = conv.after[2:]
            beside = around(model, size - rows * columns)
            along = sampling([conv], conv.before[3], columns)
            if beside is not None and along is not None and rows * columns > 1:
                bands = _bands(rows, _times(along, ruler))
                grid = Medium("audio", "audio", (rows, columns), None, None, medium.duration, medium.envelope)
                return (*beside[0], *bands, *beside[1]), (grid,)
    for length in sound.shape[1:]:
        along = sampling(convolutions, int(length), size)
        if along is not None:
            times = _times(along, ruler)
            return tuple(_frame(index, time, medium.duration) for index, time in enumerate(times)), (medium,)
    return tuple(_frame(index, None, None) for index in range(size)), (medium,)


def _times(along: Sampling, ruler: Ruler) -> list[tuple[float, float] | None]:
    if ruler.step is None:
        return [None] * along.size
    centres = ruler.first + ruler.step * (along.first + along.step * np.arange(along.size))
    half = ruler.step * along.step / 2
    return [(max(0.0, float(centre - half)), float(centre + half)) for centre in centres]


def _frame(index: int, time: tuple[float, float] | None, duration: float | None) -> Token:
    if time is None:
        return Token(f"frame {index}", medium=0)
    silent = duration is not None and time[0] >= duration
    return Token(time_name(*time), special=silent, medium=0, time=time)


def _bands(rows: int, times: Sequence[tuple[float, float] | None]) -> list[Token]:
    return [
        Token(
            f"band {row}" + (f", {time_name(*time)}" if time is not None else f", column {column}"),
            medium=0,
            patch=(row, column),
            time=time,
        )
        for row in range(rows)
        for column, time in enumerate(times)
    ]


def frame_times(
    convolutions: Sequence[Convolution], sound: torch.Tensor, ruler: Ruler, count: int
) -> list[tuple[float, float]] | None:
    """When the positions are that a tower of sound hands to a language model, in order and as many as asked for.

    Returns:
        A stretch of time for each of the first `count` positions; None where the convolutions do not tell.
    """
    if ruler.step is None:
        return None
    for length in sound.shape[-2:]:
        along = sampling(convolutions, int(length), None)
        if along is not None and count <= along.size < 2 * count + 2 and along.size < length:
            return [time for time in _times(along, ruler)[:count] if time is not None]
    return None


def clip_of(sound: torch.Tensor, ruler: Ruler) -> Medium:
    """The clip of a tensor of sound `[1, ...]`, with its length and loudness as far as they are known."""
    if ruler.wave is not None:
        return Medium("audio", "audio", duration=ruler.wave.duration, envelope=envelope(ruler.wave.samples))
    values = sound[0].detach().float().cpu().numpy()
    if values.ndim == 1:
        duration = None if ruler.step is None else len(values) * ruler.step
        return Medium("audio", "audio", duration=duration, envelope=envelope(values))
    axis = int(np.argmax(values.shape))
    duration = None if ruler.step is None else values.shape[axis] * ruler.step
    return Medium("audio", "audio", duration=duration, envelope=_energy(values.mean(axis=1 - axis)))


def _energy(columns: NDArray[Any]) -> NDArray[np.float32]:
    spread = columns - columns.min()
    shown = spread[:: max(1, -(-len(spread) // ENVELOPE))]
    return np.asarray(shown / max(float(shown.max()), 1e-12), dtype=np.float32)
