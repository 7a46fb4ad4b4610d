"""What Whisper hears in a clip, and which of its words are the clip's.

Whisper was trained on 30 seconds, shorter clips padded with silence, and transcribes them so. Attention over 1,500
positions is dear, so what is explained is a pass in which its encoder's table of positions is cut to the clip and
`AFTER` seconds of silence. The decoder reads the transcript; a word counts as understood if it is the clip's and if it
is what the model decides in the shorter pass as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import torch

from attnflow.capture.state import quiet
from experiments.packaged import Packaged
from experiments.packaged.clips import RATE
from experiments.packaged.speech import END, NO_TIMESTAMPS, START
from experiments.speech.spoken import Clip

#: Positions of Whisper's encoder per second.
FRAMES = 50
AFTER = 0.6


@dataclass(frozen=True, eq=False)
class Heard:
    """What the model made of a clip.

    Attributes:
        clip: the clip.
        features: log-mel spectrogram `[1, 80, 2 * frames]`.
        frames: positions of the encoder.
        ids: what the decoder reads: start token, no timestamps, the tokens it decided, without the end.
        text: what it says.
        words: per word of the clip that was understood: its index in the clip, and the decoder's position that
            decides its first token.
    """

    clip: Clip
    features: torch.Tensor
    frames: int
    ids: tuple[int, ...]
    text: str
    words: tuple[tuple[int, int], ...]

    def inputs(self) -> dict[str, torch.Tensor]:
        """What the model is run on."""
        return {"input_features": self.features, "decoder_input_ids": torch.tensor([self.ids])}


@contextmanager
def shortened(model: Any, frames: int) -> Iterator[None]:
    """The model with an encoder of so many positions."""
    positions, whole = model.model.encoder.embed_positions, model.model.encoder.embed_positions.weight
    longest = model.config.max_source_positions
    positions.weight = torch.nn.Parameter(whole[:frames].clone(), requires_grad=False)
    positions.num_embeddings = model.config.max_source_positions = frames
    try:
        yield
    finally:
        positions.weight = whole
        positions.num_embeddings = model.config.max_source_positions = longest


def hear(loaded: Packaged, clip: Clip) -> Heard:
    """Transcribes a clip."""
    frames, model = length(clip), loaded.model
    features = loaded.processor(clip.samples, sampling_rate=RATE, return_tensors="pt").input_features
    with quiet():
        written = model.generate(features)[0].tolist()
    ids = [START, NO_TIMESTAMPS, *(token for token in written if token < END)]
    features = features[:, :, : 2 * frames]
    with shortened(model, frames), torch.no_grad():
        logits = model(input_features=features, decoder_input_ids=torch.tensor([ids])).logits[0]
    logits[:, model.generation_config.suppress_tokens] = -torch.inf
    decided = logits.argmax(-1).tolist()
    pieces = [loaded.tokenizer.decode([token]) for token in ids[2:]]
    said = spelled(pieces)
    words = [(place, 1 + said[at][1][0]) for place, at in matched(clip.words, [word for word, _ in said])]
    kept = tuple((place, position) for place, position in words if decided[position] == ids[position + 1])
    return Heard(clip, features, frames, tuple(ids), "".join(pieces).strip(), kept)


def length(clip: Clip) -> int:
    """Positions that the encoder needs for a clip."""
    return round((len(clip.samples) / RATE + AFTER) * FRAMES)


def spelled(pieces: list[str]) -> list[tuple[str, tuple[int, ...]]]:
    """Words in small letters, each with the pieces that write it; pieces without a letter write none."""
    found: list[tuple[str, tuple[int, ...]]] = []
    for at, piece in enumerate(pieces):
        letters = re.sub(r"[^a-z']", "", piece.lower())
        if not letters:
            continue
        if found and not piece.startswith(" ") and found[-1][1][-1] == at - 1:
            word, places = found[-1]
            found[-1] = (word + letters, (*places, at))
        else:
            found.append((letters, (at,)))
    return found


def matched(spoken: tuple[str, ...], said: list[str]) -> list[tuple[int, int]]:
    """Pairs of places of equal words, in order."""
    blocks = SequenceMatcher(None, list(spoken), said, autojunk=False).get_matching_blocks()
    return [(block.a + step, block.b + step) for block in blocks for step in range(block.size)]
