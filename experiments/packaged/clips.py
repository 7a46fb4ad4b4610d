"""A spoken clip: "Front center", from Debian's alsa-utils.

It is read where the package is installed, or else unpacked from it, without installing, into the user's cache.
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.packaged.debian import unpacked

NAME = "Front_Center.wav"
RATE = 16_000  # hertz; what speech models read


def clip() -> NDArray[np.float32]:
    """Reads the clip.

    Returns:
        `[samples]`, mono, from -1 to 1, at `RATE`.

    Raises:
        FileNotFoundError: alsa-utils is neither installed nor can be downloaded.
    """
    return read(place(NAME))


def place(name: str) -> Path:
    """Where a clip of alsa-utils lies.

    Raises:
        FileNotFoundError: alsa-utils is neither installed nor can be downloaded.
    """
    beneath = Path("usr/share/sounds/alsa") / name
    installed = Path("/") / beneath
    return installed if installed.is_file() else unpacked("alsa-utils") / beneath


def read(path: Path) -> NDArray[np.float32]:
    """Reads a WAV file of 16-bit samples: `[samples]`, mono, from -1 to 1, at `RATE`."""
    with wave.open(str(path), "rb") as file:
        rate, channels = file.getframerate(), file.getnchannels()
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return resampled(samples.reshape(-1, channels).mean(1) / 2**15, rate)


def resampled(mono: NDArray[np.floating], rate: int) -> NDArray[np.float32]:
    """Brings samples to `RATE`: each is the mean over the time it stands for, which is filter enough for speech."""
    count = int(len(mono) * RATE / rate)
    edges = np.linspace(0, len(mono), count + 1)
    sums = np.concatenate([[0.0], np.cumsum(mono)])
    total = np.interp(edges, np.arange(len(mono) + 1), sums)
    means: NDArray[np.float32] = (np.diff(total) / np.diff(edges)).astype(np.float32)
    return means
