"""Trains the model `ltl`: `python -m attnflow.models.ltl.train --out DIR`.

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
from attnflow.models.ltl import formulas, kernels, language, measure

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

SHAPE = answering.Shape(encoder_layers=5, decoder_layers=3)
SETTINGS = training.Settings(steps=2400, batch=256, bits=1.0)


def tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer; spaces between tokens may be left out."""
    known = (*formulas.VOCABULARY.symbols, *formulas.VOCABULARY.words)
    return packaged.tokenizer(known, language.TOKEN.pattern)


def examples(nodes: int, count: int, seed: int) -> answering.Examples:
    """Training formulas: each position's bits are its subformula's values on some lassos, unless held out.

    Args:
        nodes: of each formula.
        count: how many.
        seed: settles all.

    Returns:
        The examples.
    """
    drawn = formulas.draw(nodes, count, "train", seed)
    return answering.Examples(drawn.tokens, drawn.answers, drawn.bits, drawn.known)


TASK = answering.Task(formulas.VOCABULARY, examples, kernels.BITS)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line.

    Args:
        arguments: in place of the process's own.
    """
    parser = argparse.ArgumentParser(prog="python -m attnflow.models.ltl.train", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="directory for checkpoints and the model")
    training.add_options(parser, SHAPE, SETTINGS)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    import torch

    given.out.mkdir(parents=True, exist_ok=True)
    settings = training.chosen(given, SETTINGS)
    torch.set_num_threads(settings.threads)
    sets = [formulas.distinct(nodes, 300, "meaning", measure.VALIDATION) for nodes in range(3, 13)]

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
