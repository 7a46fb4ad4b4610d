"""Clips whose words have known times.

*Synthesised*: espeak-ng says each word alone; silence at its ends is cut off, and words are set behind each other
with pauses of 0.06 to 0.2 seconds between them, so that every word's first and last sample are known exactly.
*Recorded*: the clips of a person that alsa-utils tests loudspeakers with, two words each ("front left"); the longest
quiet stretch within is taken to be what separates them.
"""

from __future__ import annotations

import os
import platform
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.packaged.clips import RATE, place, read
from experiments.packaged.debian import unpacked

Samples = NDArray[np.float32]

SUBJECTS = (
    "the teacher",
    "my brother",
    "the farmer",
    "her doctor",
    "the children",
    "our neighbor",
    "the student",
)
VERBS = ("bought", "found", "painted", "wanted", "opened", "carried", "watched")
OBJECTS = (
    "yellow flowers",
    "seven bottles",
    "the window",
    "a wooden table",
    "green apples",
    "the kitchen",
    "two horses",
)
PLACES = (
    "yesterday",
    "this morning",
    "after dinner",
    "near the river",
    "in the garden",
    "on Monday",
    "last summer",
)
RECORDED = (
    "Front_Center",
    "Front_Left",
    "Front_Right",
    "Rear_Center",
    "Rear_Left",
    "Rear_Right",
    "Side_Left",
    "Side_Right",
)

#: A sample below this share of the loudest is silent, as the mean of 20 ms.
SILENT = 0.03


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip and when its words are spoken.

    Attributes:
        name: unique.
        samples: mono, from -1 to 1, at `RATE`.
        words: in small letters.
        spans: first and last second of each.
    """

    name: str
    samples: Samples
    words: tuple[str, ...]
    spans: tuple[tuple[float, float], ...]


def sentences(seed: int) -> Iterator[tuple[str, ...]]:
    """Different sentences without end, for as many as there are."""
    rng, seen = np.random.default_rng(seed), set()
    while len(seen) < 0.5 * len(SUBJECTS) * len(VERBS) * len(OBJECTS) * len(PLACES):
        text = " ".join(str(rng.choice(part)) for part in (SUBJECTS, VERBS, OBJECTS, PLACES))
        if text not in seen:
            seen.add(text)
            yield tuple(text.split())


def synthesised(words: tuple[str, ...], seed: int) -> Clip:
    """The words spoken one by one.

    Args:
        words: to say.
        seed: of pauses, voice and speed, together with the words.
    """
    rng = np.random.default_rng([seed, *" ".join(words).encode()])
    voice, speed = str(rng.choice(["en-us", "en-us+f3", "en-us+m3", "en-gb"])), int(rng.integers(130, 165))
    parts: list[Samples] = [_silence(0.1)]
    spans, now = [], len(parts[0])
    for word in words:
        said = trimmed(_say(word, voice, speed))
        spans.append((now / RATE, (now + len(said)) / RATE))
        parts += [said, _silence(float(rng.uniform(0.06, 0.2)))]
        now += len(said) + len(parts[-1])
    return Clip(" ".join(words), np.concatenate(parts), words, tuple(spans))


def recorded(name: str) -> Clip:
    """A clip of alsa-utils."""
    samples = read(place(f"{name}.wav"))
    words = tuple(name.lower().split("_"))
    return Clip(name, samples, words, two_words(samples))


def two_words(samples: Samples) -> tuple[tuple[float, float], tuple[float, float]]:
    """When the two words of a clip are spoken: what the longest quiet stretch between sounds separates.

    Raises:
        ValueError: there is no quiet stretch within.
    """
    loud = np.flatnonzero(_loud(samples))
    gaps = np.diff(loud)
    widest = int(gaps.argmax())
    if gaps[widest] < 2:
        raise ValueError("The clip has no quiet stretch between its first and its last sound.")
    ends = (int(loud[0]), int(loud[widest]) + 1, int(loud[widest + 1]), int(loud[-1]) + 1)
    first, cut, second, last = (end / RATE for end in ends)
    return (first, cut), (second, last)


def trimmed(samples: Samples) -> Samples:
    """Without the silence at both ends."""
    loud = np.flatnonzero(_loud(samples))
    return samples[loud[0] : loud[-1] + 1]


def _loud(samples: Samples) -> NDArray[np.bool_]:
    width = RATE // 50
    smooth = np.convolve(np.abs(samples), np.ones(width) / width, mode="same")
    found: NDArray[np.bool_] = smooth > SILENT * smooth.max()
    return found


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.float32)


def _say(word: str, voice: str, speed: int) -> Samples:
    root = unpacked("libespeak-ng1", "espeak-ng-data", "libsonic0", "libpcaudio0", "espeak-ng")
    libraries = root / "usr" / "lib" / f"{platform.machine()}-linux-gnu"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "said.wav"
        subprocess.run(
            [
                root / "usr/bin/espeak-ng",
                f"--path={libraries}",
                "-v",
                voice,
                "-s",
                str(speed),
                "-w",
                out,
                word,
            ],
            env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
            check=True,
            capture_output=True,
        )
        return read(out)
