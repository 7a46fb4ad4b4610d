"""Trains the model `agreement`: `python -m attnflow.models.agreement.train --out DIR`.

Everything follows from the seed. A run that was stopped goes on where it last saved.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attnflow.models import packaged, training
from attnflow.models.agreement import language, measure

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

NAME = "agreement"
PATTERN = r"\w+|[^\w\s]"


@dataclass(frozen=True)
class Shape:
    """The model's."""

    width: int = 128
    heads: int = 4
    layers: int = 4
    positions: int = 64


SETTINGS = training.Settings(steps=1600, batch=128, warmup=200, bits=0.0)


def tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer: lower-case words and full stops."""
    return packaged.tokenizer(language.vocabulary(), PATTERN, lowercase=True)


def build(shape: Shape, seed: int) -> PreTrainedModel:
    """A model with random weights.

    Args:
        shape: its shape.
        seed: of the weights.

    Returns:
        GPT2LMHeadModel.
    """
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=len(packaged.SPECIAL) + len(language.vocabulary()),
        n_positions=shape.positions,
        n_embd=shape.width,
        n_layer=shape.layers,
        n_head=shape.heads,
        activation_function="relu",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        pad_token_id=packaged.PAD,
        bos_token_id=packaged.START,
        eos_token_id=packaged.END,
    )
    torch.manual_seed(seed)
    return GPT2LMHeadModel(config)


def batch(step: int, settings: training.Settings, ids: dict[str, int]) -> training.Batch:
    """The sentences of one step: every word is to be predicted but the first, and the end.

    Args:
        step: with the seed it settles the sentences.
        settings: seed and size.
        ids: of the words.

    Returns:
        The batch, padded on the right.
    """
    import torch

    sentences = itertools.islice(language.training(f"{settings.seed}/{step}"), settings.batch)
    rows = [[ids[word] for word in sentence.words] + [packaged.END] for sentence in sentences]
    padded = np.full((len(rows), max(map(len, rows))), packaged.PAD)
    for row, filled in zip(rows, padded):
        filled[: len(row)] = row
    labels = np.where(padded == packaged.PAD, -100, padded)[:, 1:]
    return training.Batch({"input_ids": torch.from_numpy(padded[:, :-1])}, torch.from_numpy(labels))


def train(out: Path, shape: Shape, settings: training.Settings, stop: int | None = None) -> training.Run:
    """Trains, and writes the model to `out / "model"`.

    Args:
        out: a directory; `checkpoint.pt` in it lets a stopped run go on.
        shape: the model's.
        settings: the run's.
        stop: end before this step, as if interrupted.

    Returns:
        The run.
    """
    words = tokenizer()
    run = training.Run(build(shape, settings.seed), settings)
    kept = copy.deepcopy(run.model)
    chosen = list(itertools.islice(language.heldout("validation"), 300))

    def validate() -> dict[str, float]:
        run.put_average(kept)
        return {"right": round(float(measure.judge(kept, words, chosen).right.mean()), 4)}

    ids = words.get_vocab()
    run.go(lambda step: batch(step, settings, ids), out / "checkpoint.pt", validate, stop=stop)
    run.put_average(kept)
    packaged.write(out / "model", kept, words)
    run.record(out / "model" / "training.json", shape)
    return run


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line.

    Args:
        arguments: in place of the process's own.
    """
    parser = argparse.ArgumentParser(prog="python -m attnflow.models.agreement.train", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="directory for checkpoints and the model")
    training.add_options(parser, Shape(), SETTINGS)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    given.out.mkdir(parents=True, exist_ok=True)
    train(given.out, training.chosen(given, Shape()), training.chosen(given, SETTINGS))


if __name__ == "__main__":
    main()
