"""Scores between atoms by every method: `[product atoms, precursor atoms]`.

Two questions to the model. *As written*: one pass over the reaction; each product atom's position is a target. This is
how RXNMapper's authors read their head, and all that methods without gradients can ask. *Masked*: [MASK] in the place
of one product atom, and what tells the model which atom stands there.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow import Trace, capture
from attnflow.evaluate import baselines
from attnflow.evaluate.prediction import of_trace
from experiments.grid import Row
from experiments.packaged import Packaged
from experiments.packaged.reactions import HEAD, LAYER
from experiments.reactions.made import Reaction

Scores = NDArray[np.float64]

WRITTEN = (
    Row("attention", "attention"),
    Row("rollout", "attention"),
    Row("flow", "attention"),
    Row("shapley", "attention"),
    Row("central", "attention"),
    Row("flow", "attention", "open"),
    Row("shapley", "attention", "open"),
    Row("rollout", "norm"),
    Row("flow", "norm", "open"),
)
MASKED = (
    Row("flow", "conserved"),
    Row("flow", "relevance"),
    Row("flow", "attention-gradient", "open"),
    Row("central", "attention-gradient"),
)
OTHERS = ("gradient-x-input", "chefer", "occlusion")
HAND_PICKED = "the authors' head"
ATOM = re.compile(r"\[(?!CLS|SEP|MASK|UNK|PAD).+\]|[A-Za-z]+")


def atoms(trace: Trace, reaction: Reaction) -> tuple[list[int], list[int]]:
    """Positions of the precursors' atoms and of the product's.

    Raises:
        ValueError: the tokens do not hold as many atoms as the reaction.
    """
    tokens = [token.text for token in trace.encoder_tokens]
    arrow = tokens.index(">>")
    places = [place for place, text in enumerate(tokens) if ATOM.fullmatch(text)]
    before, after = [p for p in places if p < arrow], [p for p in places if p > arrow]
    if (len(before), len(before) + len(after)) != (reaction.precursors, len(reaction.elements)):
        raise ValueError(f"{reaction.text}: {len(before)} and {len(after)} atoms among the tokens.")
    return before, after


def written(loaded: Packaged, reaction: Reaction) -> dict[str, Scores]:
    """Scores from one pass over the reaction as it is written."""
    model, tokenizer = loaded.model, loaded.tokenizer
    trace = capture(model, reaction.text, tokenizer=tokenizer, record=["attention", "norm"])
    before, after = atoms(trace, reaction)
    weights = (
        capture(model, reaction.text, tokenizer=tokenizer, heads="all")
        .record("attention")
        .encoder[LAYER][HEAD]
    )
    found = {HAND_PICKED: weights[np.ix_(after, before)] + weights[np.ix_(before, after)].T}
    return found | {row.name: row.scores(trace, after)[:, before] for row in WRITTEN}


def masked(loaded: Packaged, reaction: Reaction) -> dict[str, Scores]:
    """Scores from one pass for each product atom, [MASK] in its place; what speaks against it counts nothing."""
    model, tokenizer = loaded.model, loaded.tokenizer
    plain = tokenizer(reaction.text, return_tensors="pt")["input_ids"]
    rows: dict[str, list[Any]] = {}
    before, after = atoms(capture(model, reaction.text, tokenizer=tokenizer), reaction)
    for place in after:
        ids = plain.clone()
        ids[0, place] = tokenizer.mask_token_id
        trace = capture(
            model,
            inputs={"input_ids": ids},
            tokenizer=tokenizer,
            record=sorted({row.record for row in MASKED}),
            target=place,
            output=int(plain[0, place]),
        )
        for row in MASKED:
            rows.setdefault(row.name, []).append(row.scores(trace, [place])[0, before])
        asked = of_trace(model, trace, tokenizer)
        for name in OTHERS:
            rows.setdefault(name, []).append(np.maximum(baselines.scores(name, asked)[before], 0.0))
    return {name: np.array(found) for name, found in rows.items()}
