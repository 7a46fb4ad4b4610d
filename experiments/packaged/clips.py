"""A spoken clip: "Front center", from Debian's alsa-utils.

It is read where the package is installed, or unpacked from it, without installing, into the user's cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NAME = "Front_Center.wav"
RATE = 16_000  # hertz; what speech models read


def clip() -> NDArray[np.float32]:
    """Reads the clip.

    Returns:
        `[samples]`, mono, from -1 to 1, at `RATE`.

    Raises:
        FileNotFoundError: alsa-utils is neither installed nor can be downloaded.
    """
    with wave.open(str(_place()), "rb") as file:
        rate, channels = file.getframerate(), file.getnchannels()
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    mono = samples.reshape(-1, channels).mean(1) / 2**15
    return resampled(mono, rate)


def resampled(mono: NDArray[np.floating], rate: int) -> NDArray[np.float32]:
    """Brings samples to `RATE`: each is the mean over the time it stands for, which is filter enough for speech."""
    count = int(len(mono) * RATE / rate)
    edges = np.linspace(0, len(mono), count + 1)
    sums = np.concatenate([[0.0], np.cumsum(mono)])
    total = np.interp(edges, np.arange(len(mono) + 1), sums)
    means: NDArray[np.float32] = (np.diff(total) / np.diff(edges)).astype(np.float32)
    return means


def _place() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "attnflow"
    places = [Path("/usr/share/sounds/alsa") / NAME, cache / NAME]
    for place in places:
        if place.is_file():
            return place
    if shutil.which("apt-get") is None:
        raise FileNotFoundError(f"{NAME} is in neither of {', '.join(map(str, places))}: install alsa-utils.")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        subprocess.run(
            ["apt-get", "download", "-qq", "alsa-utils"], cwd=folder, check=True, capture_output=True
        )
        (package,) = Path(folder).glob("alsa-utils*.deb")
        subprocess.run(["dpkg-deb", "-x", package.name, "."], cwd=folder, check=True)
        cache.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(folder) / "usr/share/sounds/alsa" / NAME, cache / NAME)
    return cache / NAME
