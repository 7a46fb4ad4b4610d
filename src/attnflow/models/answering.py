"""Encoder-decoders that read a formula and write an answer: what `logic` and `ltl` have in common.

Both are mBART's architecture (Liu et al. 2020: layer norms first, learned positions), small. A batch holds formulas
of one size, so that nothing is padded; sizes grow over the first steps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnflow.models import packaged, training
from attnflow.models.packaged import END, PAD, START, UNKNOWN

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

LARGEST = 12  # nodes of a formula
GROWTH = 1500  # steps until formulas of all sizes are seen


@dataclass(frozen=True)
class Shape:
    """The model's."""

    width: int = 128
    heads: int = 4
    inner: int = 512
    encoder_layers: int = 5
    decoder_layers: int = 2
    positions: int = 32


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of formulas and of answers; their ids follow `packaged.SPECIAL`.

    Attributes:
        symbols: of formulas.
        words: of answers.
    """

    symbols: tuple[str, ...]
    words: tuple[str, ...]

    @property
    def first_symbol(self) -> int:
        """The id of the first symbol."""
        return len(packaged.SPECIAL)

    @property
    def first_word(self) -> int:
        """The id of the first word of answers."""
        return self.first_symbol + len(self.symbols)

    @property
    def size(self) -> int:
        """How many ids there are."""
        return self.first_word + len(self.words)


@dataclass(frozen=True)
class Examples:
    """Formulas of one size and their answers.

    Attributes:
        tokens: indices into the vocabulary's symbols, [formulas, nodes].
        answers: indices into its words, -1 after the last, [formulas, longest].
        bits: what the subformula at each position settles, 0 or 1, [formulas, nodes, bits].
        known: where training asks for the bits, bool [formulas, nodes].
    """

    tokens: np.ndarray[Any, Any]
    answers: np.ndarray[Any, Any]
    bits: np.ndarray[Any, Any]
    known: np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Task:
    """What there is to learn.

    Attributes:
        vocabulary: the tokens.
        examples: maps size, count and seed to training examples.
        bits: how many bits each subformula settles.
        steepness: formulas of n nodes are drawn in proportion to n to this power, ...
        level: ... n above this counting as this.
    """

    vocabulary: Vocabulary
    examples: Callable[[int, int, int], Examples]
    bits: int
    steepness: float = 1.5
    level: int = 8


def build(shape: Shape, vocabulary: Vocabulary, seed: int) -> PreTrainedModel:
    """A model with random weights.

    Args:
        shape: its shape.
        vocabulary: its tokens.
        seed: of the weights.

    Returns:
        MBartForConditionalGeneration.
    """
    import torch
    from transformers import MBartConfig, MBartForConditionalGeneration

    config = MBartConfig(
        vocab_size=vocabulary.size,
        d_model=shape.width,
        encoder_layers=shape.encoder_layers,
        decoder_layers=shape.decoder_layers,
        encoder_attention_heads=shape.heads,
        decoder_attention_heads=shape.heads,
        encoder_ffn_dim=shape.inner,
        decoder_ffn_dim=shape.inner,
        max_position_embeddings=shape.positions,
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        activation_function="relu",
        scale_embedding=False,
        init_std=0.05,
        pad_token_id=PAD,
        bos_token_id=START,
        eos_token_id=END,
        decoder_start_token_id=START,
        forced_eos_token_id=None,
    )
    torch.manual_seed(seed)
    return MBartForConditionalGeneration(config)


def size(step: int, seed: int, task: Task) -> int:
    """The number of nodes of the formulas of a step, larger ones more often; up to 4 at first, then up to 12.

    Args:
        step: from 0.
        seed: of the run.
        task: how much more often.

    Returns:
        From 1 to 12.
    """
    rng = np.random.default_rng((seed, step))
    largest = min(LARGEST, 4 + int(9 * step / GROWTH))
    sizes = np.arange(1, largest + 1)
    weights = np.minimum(sizes, float(task.level)) ** task.steepness
    return int(rng.choice(sizes, p=weights / weights.sum()))


def batch(examples: Examples, vocabulary: Vocabulary) -> training.Batch:
    """What a step learns from.

    Args:
        examples: of one size.
        vocabulary: the tokens.

    Returns:
        The batch: formulas, answers to predict with the end after them, bits.
    """
    import torch

    count = len(examples.tokens)
    lengths = (examples.answers >= 0).sum(axis=1)
    longest = int(lengths.max())
    answers = examples.answers[:, :longest].astype(np.int64)
    there = answers >= 0
    labels = np.full((count, longest + 1), -100)
    labels[:, :-1] = np.where(there, answers + vocabulary.first_word, -100)
    labels[np.arange(count), lengths] = END
    given = np.full((count, longest + 1), START)
    given[:, 1:] = np.where(there, answers + vocabulary.first_word, PAD)
    inputs = {"input_ids": source(examples.tokens, vocabulary), "decoder_input_ids": torch.from_numpy(given)}
    return training.Batch(
        inputs,
        torch.from_numpy(labels),
        torch.from_numpy(examples.bits.astype(np.float32)),
        torch.from_numpy(examples.known),
    )


def source(tokens: np.ndarray[Any, Any], vocabulary: Vocabulary) -> Tensor:
    """Token ids of formulas, int64 [formulas, nodes]."""
    import torch

    return torch.from_numpy(tokens.astype(np.int64) + vocabulary.first_symbol)


def answers(model: PreTrainedModel, ids: Tensor, longest: int, beams: int = 1) -> list[list[int]]:
    """The model's answers: greedy, or the likeliest that a beam search finds.

    Args:
        model: the encoder-decoder.
        ids: formulas of one size, [formulas, nodes].
        longest: tokens to write at most, the end included.
        beams: how many beginnings are kept; 1 is greedy.

    Returns:
        Token ids of each answer, without the end; one that did not come to its end is closed by `<unk>`.
    """
    import torch

    model.eval()
    rows = len(ids)
    with torch.inference_mode():
        states = model.get_encoder()(input_ids=ids).last_hidden_state.repeat_interleave(beams, dim=0)
        written = torch.full((rows * beams, 1), START)
        total = torch.full((rows, beams), -torch.inf, dtype=torch.float64)
        total[:, 0] = 0
        ended = torch.zeros((rows, beams), dtype=torch.bool)
        for _ in range(longest):
            logits = model(encoder_outputs=(states,), decoder_input_ids=written, use_cache=False).logits
            chances = logits[:, -1].double().log_softmax(-1).view(rows, beams, -1)
            width = chances.shape[-1]
            stays = torch.full((width,), -torch.inf, dtype=torch.float64)
            stays[PAD] = 0.0
            chances = torch.where(ended[..., None], stays, chances)
            total, flat = (total[..., None] + chances).flatten(1).topk(beams, dim=1)
            parent, token = flat // width, flat % width
            ended = ended.gather(1, parent) | (token == END)
            places = (torch.arange(rows)[:, None] * beams + parent).flatten()
            written = torch.cat([written[places], token.view(-1, 1)], dim=1)
            if bool(ended.all()):
                break
        best = written.view(rows, beams, -1)[:, 0, 1:].tolist()
    return [row[: row.index(END)] if END in row else [*row, UNKNOWN] for row in best]


def train(
    task: Task,
    shape: Shape,
    settings: training.Settings,
    out: Path,
    tokenizer: PreTrainedTokenizerFast,
    validate: Callable[[PreTrainedModel], dict[str, float]],
    stop: int | None = None,
) -> training.Run:
    """Trains, and writes the model to `out / "model"`.

    Args:
        task: what there is to learn.
        shape: the model's.
        settings: the run's.
        out: a directory; `checkpoint.pt` in it lets a stopped run go on.
        tokenizer: written beside the weights.
        validate: measures a model while the run goes on.
        stop: end before this step, as if interrupted.

    Returns:
        The run.
    """
    run = training.Run(build(shape, task.vocabulary, settings.seed), settings, task.bits)
    kept = copy.deepcopy(run.model)

    def step_batch(step: int) -> training.Batch:
        nodes = size(step, settings.seed, task)
        return batch(task.examples(nodes, settings.batch, settings.seed * 1_000_003 + step), task.vocabulary)

    def measured() -> dict[str, float]:
        run.put_average(kept)
        return validate(kept)

    run.go(step_batch, out / "checkpoint.pt", measured, every=250, stop=stop)
    run.put_average(kept)
    packaged.write(out / "model", kept, tokenizer)
    run.record(out / "model" / "training.json", shape)
    return run


def words(ids: Sequence[int], vocabulary: Vocabulary) -> list[str]:
    """The words of an answer; ids that are none become `?`, which no answer may have."""
    first = vocabulary.first_word
    return [vocabulary.words[token - first] if first <= token < vocabulary.size else "?" for token in ids]
