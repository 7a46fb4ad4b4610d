"""Trains the model `logic`: `python -m attnflow.models.logic.train --out DIR`.

Everything follows from the seed. A run that was stopped goes on where it last saved.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attnflow.models import answering, packaged, training
from attnflow.models.logic import formulas, language, measure

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

SHAPE = answering.Shape(encoder_layers=7, decoder_layers=2)
SETTINGS = training.Settings(steps=3900, batch=256, bits=1.0, muon=1e-3, bfloat16=1)


def tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer; spaces between tokens may be left out."""
    known = (*formulas.VOCABULARY.symbols, *formulas.VOCABULARY.words)
    return packaged.tokenizer(known, language.TOKEN.pattern)


def examples(nodes: int, count: int, seed: int) -> answering.Examples:
    """Training formulas: each position's bits are its subformula's truth table, unless that is held out.

    Args:
        nodes: of each formula.
        count: how many.
        seed: settles all.

    Returns:
        The examples.
    """
    drawn = formulas.draw(nodes, count, "train", seed)
    bits = drawn.tables[:, :, None] >> np.arange(language.ROWS, dtype=np.uint32) & 1
    return answering.Examples(drawn.tokens, drawn.answers, bits, ~formulas.held_out(drawn.tables))


TASK = answering.Task(formulas.VOCABULARY, examples, language.ROWS, steepness=2.0, level=12)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line.

    Args:
        arguments: in place of the process's own.
    """
    parser = argparse.ArgumentParser(prog="python -m attnflow.models.logic.train", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="directory for checkpoints and the model")
    training.add_options(parser, SHAPE, SETTINGS)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    import torch

    given.out.mkdir(parents=True, exist_ok=True)
    settings = training.chosen(given, SETTINGS)
    torch.set_num_threads(settings.threads)
    sets = [formulas.distinct(nodes, 300, "function", measure.VALIDATION) for nodes in range(3, 13)]

    def validate(model: PreTrainedModel) -> dict[str, float]:
        right = {
            drawn.tokens.shape[1]: measure.judge(model, drawn).right.mean()
            for drawn in sets
            if len(drawn.tokens)
        }
        return {
            "up_to_6": round(float(np.mean([right[n] for n in right if n <= 6])), 4),
            "from_5": round(float(np.mean([right[n] for n in right if n >= 5])), 4),
            "of_12": round(float(right[12]), 4),
        }

    answering.train(TASK, training.chosen(given, SHAPE), settings, given.out, tokenizer(), validate)


if __name__ == "__main__":
    main()
