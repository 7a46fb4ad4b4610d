"""Each model explained on one real input, with what its prediction is known to rest on.

`explained(loaded)` runs the example of a model. Where an answer is known, `EXPECTED` names the player that must score
highest, special tokens aside: the subject that a verb agrees with, the atom that reacts, the word that is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import attnflow
from attnflow import Attribution, Reading, Token
from experiments.packaged.packaged import Packaged

#: A thiol takes the place of one of two fluorines; which atom stands in place of [MASK]?
REACTION = "CC(C)S.CN(C)C=O.Fc1cccnc1F.O=C([O-])[O-].[K+].[K+]>>CC(C)Sc1ncccc1[MASK]"
#: A molecule, and one that was made from it.
MOLECULE, ANALOGUE = "Cc1ccc(Br)cc1", "Cc1ccc(Cl)cc1"

EXPECTED = {"rxnmapper": "F", "quire": "Their", "annalog": "Br", "gemma": "keys"}


def explained(loaded: Packaged) -> Attribution:
    """Runs a model's example: one target."""
    return EXAMPLES[loaded.name](loaded)


def highest(result: Attribution) -> str:
    """The player that scores highest, special tokens aside."""
    words = [(label, score) for label, score in result.top(len(result.players)) if label[:1] not in "[<"]
    return str(words[0][0])


def minilm(loaded: Packaged) -> Any:
    """What a sentence's embedding, the mean of all positions, could draw on."""
    text = "A man is eating a piece of bread in the kitchen."
    return attnflow.explain(
        loaded.model,
        text,
        tokenizer=loaded.tokenizer,
        players="words",
        target="mean",
        capacity="attention",
        method="shapley",
    )


def rxnmapper(loaded: Packaged) -> Any:
    """Which atoms of the reactants a masked atom of the product is told by."""
    return attnflow.explain(loaded.model, REACTION, tokenizer=loaded.tokenizer)


def quire(loaded: Packaged) -> Any:
    """Why "Their" should be "There"."""
    text = "Their is a dog in the garden."
    return attnflow.explain(loaded.model, text, tokenizer=loaded.tokenizer, players="words", target=1)


def annalog(loaded: Packaged) -> Any:
    """Which atom of a molecule makes place for chlorine."""
    field = loaded.tokenizer
    attnflow.register_model(
        type(loaded.model),
        read=_read_molecule,
        logits=lambda returned: returned[0],
        vocabulary=lambda field: field.vocab.itos,
        embedding="encoder.tok_embedding",
    )
    place = 1 + field.preprocess(ANALOGUE).index("Cl")
    return attnflow.explain(loaded.model, MOLECULE, target_text=ANALOGUE, tokenizer=field, target=place - 1)


def _read_molecule(model: Any, field: Any, text: str, target_text: str) -> Reading:
    def tokens(smiles: str) -> list[Token]:
        names = [field.init_token, *field.preprocess(smiles), field.eos_token]
        return [Token(name, field.vocab.lookup(name), special=name[0] == "<") for name in names]

    source, target = tokens(text), tokens(target_text)
    return Reading(
        inputs={
            "src": torch.tensor([[token.id for token in source]]),
            "trg": torch.tensor([[token.id for token in target[:-1]]]),
        },
        tokens=source,
        decoder_tokens=target[:-1],
        prompt=1,
        decided=[token.id for token in target[1:] if token.id is not None],
    )


def whisper(loaded: Packaged) -> Any:
    """Which stretch of sound the first word was heard in."""
    from experiments.packaged.clips import RATE, clip

    heard = attnflow.explain(
        loaded.model,
        audio=(clip(), RATE),
        processor=loaded.processor,
        generate=3,
        bounds=False,
        method="rollout",
    )
    return heard[0]


def dinov2(loaded: Packaged) -> Any:
    """Which patches of a photograph its one vector could draw on through the last two layers."""
    from skimage.data import astronaut

    return attnflow.explain(
        loaded.model,
        image=astronaut(),
        processor=loaded.processor,
        method="flow",
        layers=(11, 12),
        bounds=False,
    )


def gemma(loaded: Packaged) -> Any:
    """What makes the verb agree."""
    return attnflow.explain(
        loaded.model,
        "The keys to the cabinet",
        tokenizer=loaded.tokenizer,
        output=(" are", " is"),
        capacity="relevance",
        bounds=False,
    )


EXAMPLES: dict[str, Callable[[Packaged], Any]] = {
    "minilm": minilm,
    "rxnmapper": rxnmapper,
    "quire": quire,
    "annalog": annalog,
    "whisper": whisper,
    "dinov2": dinov2,
    "gemma": gemma,
}
