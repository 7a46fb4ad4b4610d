"""Small hand-made results for the tests of what shows them. The numbers are plausible, not computed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from attnflow.attribution import Attribution, Player, Target

SENTENCE = "The movie was not bad at all,  the acting is brilliant."
LAYERS = tuple(f"encoder {number}" for number in range(1, 7))


def players_of(text: str, *, special: bool = True) -> tuple[Player, ...]:
    """Words and punctuation of `text` as token players, between [CLS] and [SEP]."""
    found = [(match.group(), match.span()) for match in re.finditer(r"\w+|[^\w\s]", text)]
    named: list[tuple[str, tuple[int, int] | None, str]] = [(label, span, "text") for label, span in found]
    if special:
        named = [("[CLS]", None, "special"), *named, ("[SEP]", None, "special")]
    return tuple(Player(label, (("encoder", i),), span, kind) for i, (label, span, kind) in enumerate(named))


def result_of(
    players: Sequence[Player], scores: Sequence[Sequence[float]], targets: Sequence[Target], **fields: object
) -> Attribution:
    """A result with bounds, of unit "share" unless told otherwise."""
    matrix = np.array(scores, dtype=np.float64)
    total = np.asarray(fields.pop("total", np.ones(len(matrix))), dtype=np.float64)
    settings: dict[str, object] = {
        "method": "shapley",
        "lower": np.zeros_like(matrix),
        "upper": np.minimum(matrix * 4, 1.0),
        "bottleneck": np.where(matrix > 0, 1 + np.arange(matrix.shape[1])[None] % 6, 0).astype(np.int64),
        "capacity": "attention",
        "residual": 0.5,
        "unit": "share",
        "layers": LAYERS,
        "provenance": {"model": "minilm", "versions": {"attnflow": "0.1.0"}},
    }
    return Attribution(
        scores=matrix, total=total, players=tuple(players), targets=tuple(targets), **{**settings, **fields}
    )


def single_target(**fields: object) -> Attribution:
    """A classified sentence: [CLS] takes most, `brilliant` leads the text."""
    players = players_of(SENTENCE)
    weights = np.array([6.0, 0.5, 1.2, 0.4, 1.9, 2.2, 0.3, 0.5, 0.4, 0.3, 1.0, 0.4, 3.4, 0.2, 1.3])
    target = Target((0,), label="positive", token="[CLS]", probability=0.9981)
    return result_of(players, [weights / weights.sum()], [target], text=SENTENCE, **fields)


def uniform() -> Attribution:
    """A result that hardly tells its players apart."""
    result = single_target()
    scores = np.linspace(0.06, 0.0733, len(result.players))[None]
    return replace(result, scores=scores / scores.sum())


def estimated() -> Attribution:
    """A sampled result with standard errors, a note and an excluded player."""
    result = single_target()
    return replace(
        result,
        players=result.players[1:],
        excluded=result.players[:1],
        excluded_cost=np.array([0.25]),
        scores=result.scores[:, 1:],
        lower=None,
        upper=None,
        bottleneck=None,
        stderr=np.full((1, len(result.players) - 1), 0.0031),
        total=np.array([0.75]),
        estimated=True,
        samples=512,
        notes=("Most players are held at the first layer.",),
    )


def many_targets(count: int = 9) -> Attribution:
    """A decoder-only model: every position decides the next token, later players score exactly 0."""
    text = "The keys to the cabinet in the old kitchen are on the table"
    players = tuple(
        replace(player, nodes=(("decoder", i),), label=("" if i == 0 else " ") + player.label)
        for i, player in enumerate(players_of(text, special=False))
    )
    size = len(players)
    noise = np.random.default_rng(0).random((count, size))
    rows, targets = [], []
    for row in range(count):
        position = row % size
        weights = np.where(np.arange(size) <= position, noise[row] ** 3 + 0.02, 0.0)
        rows.append(weights / weights.sum())
        decided = players[position + 1].label if position + 1 < size else "."
        targets.append(
            Target(
                (position,), label=decided, token=players[position].label, probability=0.1 + 0.05 * (row % 15)
            )
        )
    layers = tuple(f"decoder {number}" for number in range(1, 7))
    return result_of(players, rows, targets, text=text, layers=layers)


def encoder_decoder() -> Attribution:
    """A translation: source players with spans, decoder players that the model generated."""
    text = "Where is the station?"
    source = players_of(text)
    words = ["<s>", "Wo", "ist", "der", "Bahnhof", "?"]
    decoder = tuple(
        Player(word, (("decoder", i),), None, "special" if i == 0 else "generated")
        for i, word in enumerate(words)
    )
    players = (*source, *decoder)
    rng = np.random.default_rng(1)
    scores = rng.random((3, len(players))) ** 2
    for row in range(3):
        scores[row, len(source) + row + 2 :] = 0
    targets = [
        Target((row + 1,), label=words[row + 2], token=words[row + 1], probability=0.7) for row in range(3)
    ]
    layers = tuple(f"{stack} {number}" for stack in ("encoder", "decoder", "cross") for number in (1, 2))
    return result_of(players, scores / scores.sum(axis=1, keepdims=True), targets, text=text, layers=layers)


AWKWARD = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "[bold red]markup[/bold red]",
    "\x1b[31mred\x1b[0m",
    "left\u202eright",
    "a\u200bb",
    "line\nbreak",
    "\t",
    "東京",
    "👩‍🔬",
    "\ud83d",
    "́",
    "",
    "   ",
    "&amp;",
    "\"quoted\" & 'single'",
    "שלום",
    "{{x}} ${y} $z",
)


def awkward() -> Attribution:
    """Tokens that try to be markup, escapes, scripts or nothing at all; names and notes try as well."""
    text = " ".join(AWKWARD)
    players, start = [], 0
    for index, label in enumerate(AWKWARD):
        players.append(Player(label, (("encoder", index),), (start, start + len(label))))
        start += len(label) + 1
    scores = np.linspace(0.01, 0.2, len(players))[None]
    target = Target((0,), label="<b>bold</b>\x1b[2J", token="<i>")
    return result_of(
        players,
        scores / scores.sum(),
        [target],
        text=text,
        notes=("A note with </script> and \x1b[31m in it.",),
        provenance={"model": "evil/<script>\u202e"},
    )


def relevance(scale: float = 1.0) -> Attribution:
    """Relevance flow with an open residual, in logits: not a share of 1."""
    result = single_target(
        capacity="relevance", residual="open", unit="logit", method="flow", total=[3.2 * scale]
    )
    scores = np.array([[0.11, 0, 0.84, 0.02, 1.31, 2.07, 0.05, 0.4, 0, 0, 0.61, 0.09, 2.58, 0, 0.03]]) * scale
    upper = np.minimum(scores * 1.5, 3.2 * scale)
    return replace(result, scores=scores, upper=upper, bottleneck=np.where(scores > 0, 2, 0))


def signed(scale: float = 1.0) -> Attribution:
    """Signed relevance in logits: `bad` speaks against the output, `brilliant` for it, `not` for both."""
    result = relevance(scale)
    opposing = np.zeros_like(result.scores)
    opposing[0, [4, 5, 7]] = np.array([0.9, 3.42, 0.4]) * scale
    supporting = result.scores.copy()
    supporting[0, 5] = 0.004 * scale
    return replace(
        result,
        scores=supporting - opposing,
        total=np.array([-0.35 * scale]),
        supporting=supporting,
        opposing=opposing,
        lower=None,
        upper=None,
        bottleneck=None,
    )


def long(tokens: int = 512) -> Attribution:
    """A long document."""
    words = ["flow", "network", "of", "attention", "carries", "what", "the", "tokens", "say", "onwards"]
    text = " ".join(words[i % 10] for i in range(tokens - 2))
    players = players_of(text)
    weights = np.random.default_rng(2).random(len(players)) ** 6
    target = Target((0,), label="neutral", token="[CLS]")
    return result_of(players, [weights / weights.sum()], [target], text=text)


def several() -> tuple[Attribution, ...]:
    """Three results of one sentence: two shares that differ, and signed relevance in logits."""
    shapley = single_target()
    scores = np.array([[4.0, 0.3, 1.1, 0.6, 3.1, 2.6, 0.3, 0.9, 0.1, 0.3, 0.9, 0.5, 2.4, 0.2, 1.1]])
    flow = replace(shapley, method="flow", scores=scores / 8)
    return flow, shapley, signed()
