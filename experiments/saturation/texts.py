"""What the models read: sentences written for this study, and seeded draws from the bundled models' languages."""

from __future__ import annotations

import importlib
import itertools
import random

from attnflow.models.agreement.language import heldout

_OPENINGS = (
    "The first half of this film",
    "Her latest novel",
    "The waiter at the corner table",
    "This phone",
    "The soundtrack",
    "A walk through the old museum",
    "The new keyboard that I bought last week",
    "Their second album",
)
_VERDICTS = (
    "is slow, but the ending makes up for all of it",
    "was not nearly as bad as my friends had told me",
    "could hardly have been more boring",
    "surprised everyone with its warmth and wit",
    "never works when you need it",
    "deserves every prize that it has won",
    "left me cold",
    "is clever, moving and a little too long",
)
_ENDS = (
    ".",
    ", and I would go again.",
    ", which is a shame.",
    "!",
    ", at least for me.",
    ", so I sent it back.",
)


def reviews(count: int, seed: int) -> list[str]:
    """Different short reviews, 8 to 30 tokens."""
    every = [f"{a} {b}{c}" for a, b, c in itertools.product(_OPENINGS, _VERDICTS, _ENDS)]
    return random.Random(seed).sample(every, count)


def paragraphs(count: int, seed: int) -> list[str]:
    """Texts of two to four reviews, about 30 to 80 tokens."""
    rng = random.Random(seed)
    return [" ".join(reviews(rng.randint(2, 4), rng.getrandbits(32))) for _ in range(count)]


def agreement(count: int, seed: int) -> list[str]:
    """Words before the main verb of held-out sentences with an attractor."""
    return [sentence.prompt for sentence in itertools.islice(heldout(seed), count)]


def formulas(language: str, count: int, seed: int) -> list[str]:
    """Held-out formulas of 6 to 12 nodes for `logic` or `ltl`."""
    module = importlib.import_module(f"attnflow.models.{language}.formulas")
    each = -(-count // 7)
    drawn = [module.distinct(nodes, each, "string", seed).texts() for nodes in range(6, 13)]
    return [" ".join(words) for row in itertools.zip_longest(*drawn) for words in row if words][:count]
