"""Sound: read from what the caller has, and kept small for drawing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attnflow.errors import InputError, MissingExtraError
from attnflow.media import ENVELOPE

#: Rates above this are no rate of sampling.
_FASTEST = 1_000_000


@dataclass(frozen=True, eq=False)
class Wave:
    """A clip of one channel.

    Attributes:
        samples: float32 `[samples]`.
        rate: samples per second.
    """

    samples: NDArray[np.float32]
    rate: int

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate


def read_sound(audio: Any) -> Wave:
    """Reads one clip.

    Args:
        audio: the path of a sound file, or samples with their rate: `(samples, rate)` or a mapping with `array`
            and `sampling_rate`. Samples are `[samples]`, or `[samples, channels]` or `[channels, samples]`, of
            which the mean is taken; floating, or integers as sound files hold them.

    Raises:
        InputError: none of these, an empty clip, or a file that is no sound.
        MissingExtraError: soundfile is not installed.
    """
    if isinstance(audio, (str, os.PathLike)):
        return _file(os.fspath(audio))
    if isinstance(audio, Mapping):
        samples, rate = audio.get("array", audio.get("raw")), audio.get("sampling_rate")
    elif isinstance(audio, (tuple, list)) and len(audio) == 2 and np.ndim(audio[1]) == 0:
        samples, rate = audio
    else:
        what = type(audio).__name__
        raise InputError(
            f"audio: found {what}, expected the path of a sound file, or samples with their rate: "
            "audio=(samples, 16000)."
        )
    if isinstance(rate, bool) or not isinstance(rate, (int, float, np.number)) or not 1 <= rate <= _FASTEST:
        raise InputError(
            f"audio: found the sampling rate {rate!r}, expected samples per second, such as 16000."
        )
    if torch.is_tensor(samples):
        samples = samples.detach().cpu().numpy()
    return Wave(_one_channel(np.asarray(samples)), int(rate))


def _file(place: str) -> Wave:
    if not Path(place).is_file():
        raise InputError(f"audio: there is no file {place!r}.")
    try:
        import soundfile
    except ModuleNotFoundError as error:
        raise MissingExtraError("soundfile", "media") from error
    try:
        samples, rate = soundfile.read(place, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        reason = str(error).rstrip(".")
        raise InputError(f"audio: {place!r} is no sound file that can be read: {reason}.") from error
    return Wave(_one_channel(samples), int(rate))


def _one_channel(samples: NDArray[Any]) -> NDArray[np.float32]:
    if samples.ndim not in (1, 2) or samples.dtype.kind not in "fiu" or samples.size == 0:
        raise InputError(
            f"audio: found {samples.dtype} {list(samples.shape)}, expected samples [samples] or [samples, channels]."
        )
    if samples.dtype.kind in "iu":
        info = np.iinfo(samples.dtype)
        middle = 0 if info.min < 0 else (info.max + 1) / 2
        samples = (samples.astype(np.float64) - middle) / ((info.max + 1) - middle)
    if samples.ndim == 2:
        samples = samples.mean(axis=int(np.argmin(samples.shape)))
    if not np.isfinite(samples).all():
        raise InputError("audio: found NaN or infinite samples.")
    return np.ascontiguousarray(samples, dtype=np.float32)


def resampled(wave: Wave, rate: int) -> Wave:
    """The clip at another rate, by a polyphase filter.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    if wave.rate == rate:
        return wave
    try:
        from scipy.signal import resample_poly
    except ModuleNotFoundError as error:
        raise MissingExtraError("scipy", "media") from error
    common = gcd(wave.rate, rate)
    samples = resample_poly(wave.samples.astype(np.float64), rate // common, wave.rate // common)
    return Wave(np.asarray(samples, dtype=np.float32), rate)


def envelope(samples: NDArray[Any]) -> NDArray[np.float32]:
    """How loud equal parts of a clip are, as `Medium.envelope`: `[samples]` to at most `ENVELOPE` bins."""
    bins = min(ENVELOPE, len(samples))
    edges = np.linspace(0, len(samples), bins + 1).astype(int)[:-1]
    found = np.maximum.reduceat(np.abs(samples).astype(np.float64), edges)
    return np.asarray(found / max(float(found.max()), 1e-12), dtype=np.float32)
