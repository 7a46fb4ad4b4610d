"""What one forward pass attended to.

A `Trace` is the only thing that travels from a model to a flow network: the tokens, one matrix per
attention layer (already reduced over heads, as the capacity scheme needs it), and which position decides
which output. Construction checks every shape, sign, row sum and name, so that nothing behind it has to.

Matrices are `[queries, keys]`: entry `[q, k]` is the weight with which query position q reads key k.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.errors import AttnflowError, FormatError, InputError, OptionError
from attnflow.files import write_whole
from attnflow.media import Medium, check_places

Architecture = Literal["encoder", "decoder", "encoder-decoder"]
Layers = tuple[NDArray[np.floating[Any]], ...]

FORMAT = "attnflow-trace"
VERSION = 1

#: Largest distance of a row sum from 1 that counts as rounding, per dtype of the model's weights.
ROUNDING = {"float64": 1e-6, "float32": 1e-3, "bfloat16": 2e-2, "float16": 2e-2}

#: Records whose entries are attention weights: non-negative, rows that sum to at most 1.
STOCHASTIC_RECORDS = frozenset({"attention"})
#: Records of the gradient of one output: a trace holds them for one target.
GRADIENT_RECORDS = ("conserved", "relevance", "attention-gradient", "gradient")
#: Records whose entries may have either sign.
SIGNED_RECORDS = frozenset({"conserved", "relevance"})


@dataclass(frozen=True)
class Token:
    """One position of a sequence.

    Attributes:
        text: what a reader would print: the decoded piece, without the tokenizer's own marks.
        id: the vocabulary id, or None where positions are not vocabulary items.
        span: `(start, end)` character offsets in the trace's text, or None if it stands for no text.
        special: True for tokens the tokenizer or a template added ([CLS], BOS, forced language tokens).
        generated: True for tokens the model decoded (or was teacher-forced to), not part of the prompt.
        role: the role of the chat message whose content it is, if any.
        template: True for what a chat template put around the messages.
        turn: index of the chat message that it belongs to, also for the template's tokens around it; an answer
            to be written counts as one more message.
        medium: index into the trace's `media` of the image or clip that it is a part of; None for text.
        patch: `(row, column)` in that medium's grid, from 0 at the top left; None for no patch.
        time: `(start, end)` in seconds from the start of that medium; None for no frame.
    """

    text: str
    id: int | None = None
    span: tuple[int, int] | None = None
    special: bool = False
    generated: bool = False
    role: str | None = None
    template: bool = False
    turn: int | None = None
    medium: int | None = None
    patch: tuple[int, int] | None = None
    time: tuple[float, float] | None = None


@dataclass(frozen=True)
class Record:
    """One quantity of every attention layer, layer 1 first.

    Attributes:
        encoder: per encoder layer `[n, n]`, or `[heads, n, n]` in a trace with `heads="all"`.
        decoder: per decoder layer, the self-attention `[m, m]`, causal unless the trace says otherwise.
        cross: per decoder layer of an encoder-decoder, the cross-attention `[m, n]`.
    """

    encoder: Layers = ()
    decoder: Layers = ()
    cross: Layers = ()


@dataclass(frozen=True)
class Decision:
    """A target that makes sense for this model: which node positions decide which output.

    Attributes:
        positions: node positions of the last group, non-negative.
        label: the output they decide, as a reader would print it; None if unknown (a bare embedding).
        weights: None for a single position or a plain set; else one weight per position, summing to 1
            (a mean-pooling head has 1/n each).
        probability: the model's probability of that output, or None.
        id: class index or token id of the output, or None.
    """

    positions: tuple[int, ...]
    label: str | None = None
    weights: tuple[float, ...] | None = None
    probability: float | None = None
    id: int | None = None


@dataclass(frozen=True)
class Trace:
    """What one forward pass attended to.

    Attributes:
        architecture: "encoder" (also vision), "decoder" or "encoder-decoder".
        records: matrices by name; "attention" holds the attention weights.
        encoder_tokens: one per encoder position; empty for decoder-only models.
        decoder_tokens: one per decoder position; empty for encoder-only models.
        heads: how heads were reduced: "mean", "max", "all" (not reduced), or a description of a subset.
        prompt: number of leading decoder positions that were given rather than decoded; None without
            a decoder. Equal to the decoder's length if nothing was decoded.
        decisions: default targets, in reading order.
        decides: per position of the last group the output it decides, or None; empty if unknown.
        sinks: True if rows may sum to less than 1 (dropped sink logits, fully masked rows).
        dtype: dtype of the attention weights in the model, which sets how far a row sum may be off.
        partial: names of layers without attention that were treated as identity.
        text: the text that token spans refer to, with what was generated of a decoder-only model's input behind
            the prompt; a chat as its template renders it; or None.
        causal: True if no decoder position reads a later one. False for a decoder that reads its whole prompt
            (prefix-LM, image tokens) or decodes all positions at once (object queries).
        media: the images and clips that tokens are parts of.
        input_relevance: for gradient records, x . dy/dx of the input of the first layer, per stack name
            ("encoder", "decoder"), each `[positions]`, in the units of y.
        provenance: model, versions, options: whatever is needed to make this trace again.
    """

    architecture: Architecture
    records: Mapping[str, Record]
    encoder_tokens: tuple[Token, ...] = ()
    decoder_tokens: tuple[Token, ...] = ()
    heads: str = "mean"
    prompt: int | None = None
    decisions: tuple[Decision, ...] = ()
    decides: tuple[str | None, ...] = ()
    sinks: bool = False
    dtype: str = "float32"
    partial: tuple[str, ...] = ()
    text: str | None = None
    causal: bool = True
    media: tuple[Medium, ...] = ()
    input_relevance: Mapping[str, NDArray[np.floating[Any]]] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_sequences(self)
        check_places(self.media, (*self.encoder_tokens, *self.decoder_tokens))
        for name, record in self.records.items():
            _check_record(self, name, record)
        _check_decisions(self)

    @classmethod
    def from_arrays(
        cls,
        encoder: ArrayLike | Sequence[ArrayLike] | None = None,
        decoder: ArrayLike | Sequence[ArrayLike] | None = None,
        cross: ArrayLike | Sequence[ArrayLike] | None = None,
        *,
        tokens: Sequence[str | Token] | None = None,
        decoder_tokens: Sequence[str | Token] | None = None,
        prompt: int | None = None,
        heads: str = "mean",
        sinks: bool = False,
        text: str | None = None,
        causal: bool = True,
        media: Sequence[Medium] = (),
        decides: Sequence[str | None] | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Trace:
        """Builds a trace from attention weights that you already have.

        Args:
            encoder: bidirectional self-attention, `[L, n, n]` or `[L, H, n, n]` (reduced as `heads`
                says), or a list with one such array per layer.
            decoder: causal self-attention, in the same form; see `causal`.
            cross: cross-attention `[L, m, n]` or `[L, H, m, n]`; needs `encoder` and `decoder`.
            tokens: names of the encoder's positions, or of the decoder's if there is no encoder;
                default "0", "1", ...
            decoder_tokens: names of the decoder's positions in an encoder-decoder.
            prompt: number of leading decoder positions that were given; default all in a decoder-only
                model, 1 in an encoder-decoder.
            heads: "mean", "max", or "all" to keep every head.
            sinks: allow rows that sum to less than 1.
            text: the text that token spans refer to.
            causal: False for a decoder whose positions read later ones too.
            media: the images and clips that tokens are parts of.
            decides: per position of the last group, what it decides.
            provenance: whatever says where the arrays came from.

        Returns:
            The checked trace; matrices float32, or float64 if the arrays were.

        Raises:
            InputError: shapes that do not fit, NaN, infinite or negative weights, rows that do not sum
                to 1.
        """
        if heads not in ("mean", "max", "all"):
            raise OptionError(f"heads={heads!r}: expected 'mean', 'max' or 'all'.")
        stacks = {
            "encoder": _layers("encoder", encoder, heads),
            "decoder": _layers("decoder", decoder, heads),
            "cross": _layers("cross", cross, heads),
        }
        enc, dec, crs = stacks["encoder"], stacks["decoder"], stacks["cross"]
        architecture: Architecture
        if enc and dec and crs:
            architecture = "encoder-decoder"
        elif crs or (enc and dec):
            raise InputError(
                "An encoder-decoder needs all three of encoder, decoder and cross attention; "
                f"found {', '.join(name for name, part in stacks.items() if part) or 'none'}."
            )
        elif enc:
            architecture = "encoder"
        elif dec:
            architecture = "decoder"
        else:
            raise InputError("No attention given: pass encoder=, decoder=, or encoder=, decoder= and cross=.")
        n_enc = enc[0].shape[-1] if enc else 0
        n_dec = dec[0].shape[-1] if dec else 0
        if architecture == "decoder":
            if decoder_tokens is not None and tokens is not None:
                raise InputError(
                    "A decoder-only trace has one sequence: pass tokens= or decoder_tokens=, not both."
                )
            decoder_tokens, tokens = (tokens if decoder_tokens is None else decoder_tokens), None
        elif architecture == "encoder" and decoder_tokens is not None:
            raise InputError("An encoder-only trace has no decoder_tokens.")
        if dec and prompt is None:
            prompt = n_dec if architecture == "decoder" else 1
        provenance = dict(provenance or {"source": "arrays"})
        given = {
            str(getattr(layer, "dtype", "")) for part in (encoder, decoder, cross) for layer in _parts(part)
        }
        wide = any(part.dtype == np.float64 for part in (*enc, *dec, *crs))
        dtype = "float16" if "float16" in given else "float64" if wide else "float32"
        return cls(
            architecture=architecture,
            records={"attention": Record(enc, dec, crs)},
            encoder_tokens=_tokens(tokens, n_enc),
            decoder_tokens=_tokens(decoder_tokens, n_dec, prompt),
            heads=heads,
            prompt=prompt,
            decides=tuple(decides or ()),
            sinks=sinks,
            dtype=dtype,
            text=text,
            causal=causal,
            media=tuple(media),
            provenance=provenance,
        )

    @property
    def final_tokens(self) -> tuple[Token, ...]:
        """Tokens of the last group: the positions a target can name."""
        return self.encoder_tokens if self.architecture == "encoder" else self.decoder_tokens

    def record(self, name: str) -> Record:
        """Returns the record called `name`.

        Raises:
            OptionError: the trace does not hold it; the message says how to capture it.
        """
        if name not in self.records:
            held = ", ".join(sorted(self.records)) or "nothing"
            raise OptionError(
                f"This trace does not hold {name!r} (it holds {held}): capture again with record={name!r}."
            )
        return self.records[name]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the trace to one safetensors file: matrices as tensors, the rest as metadata.

        The file appears whole or not at all.
        """
        from safetensors.numpy import save

        tensors = {
            f"{name}/{stack}/{index}": np.ascontiguousarray(matrix)
            for name, record in self.records.items()
            for stack in ("encoder", "decoder", "cross")
            for index, matrix in enumerate(getattr(record, stack))
        }
        for stack, vector in self.input_relevance.items():
            tensors[f"input_relevance/{stack}"] = np.ascontiguousarray(vector)
        for number, medium in enumerate(self.media):
            for part in ("thumbnail", "envelope"):
                if getattr(medium, part) is not None:
                    tensors[f"media/{number}/{part}"] = np.ascontiguousarray(getattr(medium, part))
        head = {
            "architecture": self.architecture,
            "encoder_tokens": [vars(token) for token in self.encoder_tokens],
            "decoder_tokens": [vars(token) for token in self.decoder_tokens],
            "heads": self.heads,
            "prompt": self.prompt,
            "decisions": [vars(decision) for decision in self.decisions],
            "decides": self.decides,
            "sinks": self.sinks,
            "dtype": self.dtype,
            "partial": self.partial,
            "text": self.text,
            "causal": self.causal,
            "media": [
                {**vars(medium), "thumbnail": None, "envelope": None} for medium in self.media
            ],  # their arrays are tensors
            "provenance": dict(self.provenance),
        }
        metadata = {"format": FORMAT, "version": str(VERSION), "trace": json.dumps(head)}
        write_whole(path, save(tensors, metadata))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Trace:
        """Reads a trace that `save` wrote.

        Raises:
            FormatError: the file is not a trace, or was written by a newer version.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(Path(path), framework="numpy") as file:
                metadata = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise FormatError(f"{os.fspath(path)!r} is not a trace file: {error}.") from error
        except OSError as error:
            raise FormatError(f"Cannot read {os.fspath(path)!r}: {error}.") from error
        if metadata.get("format") != FORMAT:
            raise FormatError(
                f"{os.fspath(path)!r} is a safetensors file but not a trace that attnflow saved."
            )
        try:
            if int(metadata["version"]) > VERSION:
                raise FormatError(
                    f"{os.fspath(path)!r} has trace format {metadata['version']}; this attnflow reads up to {VERSION}: "
                    "upgrade attnflow."
                )
            return cls._from_parts(json.loads(metadata["trace"]), tensors)
        except AttnflowError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise FormatError(
                f"{os.fspath(path)!r} is a damaged trace: {type(error).__name__} {error}."
            ) from error

    @classmethod
    def _from_parts(cls, head: dict[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Trace:
        """Puts a trace together from the metadata and tensors of a file."""
        parts: dict[str, dict[str, dict[int, NDArray[Any]]]] = {}
        relevance: dict[str, NDArray[Any]] = {}
        pictures: dict[int, dict[str, NDArray[Any]]] = {}
        for key, tensor in tensors.items():
            if key.startswith("input_relevance/"):
                relevance[key.split("/", 1)[1]] = tensor
                continue
            if key.startswith("media/"):
                _, number, part = key.split("/")
                pictures.setdefault(int(number), {})[part] = tensor
                continue
            name, stack, index = key.rsplit("/", 2)
            parts.setdefault(name, {}).setdefault(stack, {})[int(index)] = tensor
        records = {
            name: Record(**{stack: tuple(by[i] for i in range(len(by))) for stack, by in stacks.items()})
            for name, stacks in parts.items()
        }
        return cls(
            architecture=head["architecture"],
            records=records,
            encoder_tokens=tuple(token_of(item) for item in head["encoder_tokens"]),
            decoder_tokens=tuple(token_of(item) for item in head["decoder_tokens"]),
            heads=head["heads"],
            prompt=head["prompt"],
            decisions=tuple(decision_of(item) for item in head["decisions"]),
            decides=tuple(head["decides"]),
            sinks=head["sinks"],
            dtype=head["dtype"],
            partial=tuple(head["partial"]),
            text=head["text"],
            causal=head.get("causal", True),
            media=tuple(
                medium_of({**item, **pictures.get(number, {})})
                for number, item in enumerate(head.get("media", ()))
            ),
            input_relevance=relevance,
            provenance=head["provenance"],
        )


def decision_of(item: Mapping[str, Any]) -> Decision:
    """A decision as it was before it went through JSON."""
    weights = None if item["weights"] is None else tuple(item["weights"])
    return Decision(**{**item, "positions": tuple(item["positions"]), "weights": weights})


def medium_of(item: Mapping[str, Any]) -> Medium:
    """A medium as it was before it went through JSON, its arrays put back."""
    return Medium(**_paired(item, "grid", "size"))


def token_of(item: Mapping[str, Any]) -> Token:
    """A token as it was before it went through JSON."""
    return Token(**_paired(item, "span", "patch", "time"))


def _paired(item: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The same item with lists turned back into tuples; files of earlier versions have fewer names."""
    return {**item, **{name: tuple(item[name]) for name in names if item.get(name) is not None}}


def _tokens(names: Sequence[str | Token] | None, size: int, prompt: int | None = None) -> tuple[Token, ...]:
    if isinstance(names, str):
        raise InputError(
            f"tokens: found the string {names[:40]!r}, expected a list with a name for each position."
        )
    if names is None:
        names = [str(index) for index in range(size)]
    generated_from = size if prompt is None else prompt
    return tuple(
        name if isinstance(name, Token) else Token(str(name), generated=index >= generated_from)
        for index, name in enumerate(names)
    )


def _parts(arrays: Any) -> Sequence[Any]:
    """The layers as they were handed in."""
    return () if arrays is None else [np.asarray(layer) for layer in arrays]


def _layers(stack: str, arrays: ArrayLike | Sequence[ArrayLike] | None, heads: str) -> Layers:
    """Turns `[L, n, n]`, `[L, H, n, n]` or a list of layers into reduced matrices."""
    if arrays is None:
        return ()
    layers = []
    try:
        parts = [np.asarray(layer) for layer in arrays]  # type: ignore[union-attr]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{stack}: expected an array of layers, found {type(arrays).__name__}: {error}."
        ) from error
    if not parts:
        raise InputError(f"{stack}: expected at least one layer, found an empty list.")
    for number, layer in enumerate(parts, start=1):
        if layer.ndim == 4 and layer.shape[0] == 1:
            raise InputError(
                f"{stack} layer {number}: found {list(layer.shape)}, a batch of one: drop the batch dimension, as in "
                f"{stack}=[layer[0] for layer in outputs.attentions]."
            )
        if layer.ndim not in (2, 3) or 0 in layer.shape:
            raise InputError(
                f"{stack} layer {number}: expected shape [n, n] or [heads, n, n], found {list(layer.shape)}."
            )
        if layer.dtype.kind not in "fiu":
            raise InputError(f"{stack} layer {number}: expected real numbers, found dtype {layer.dtype}.")
        layer = layer if layer.dtype == np.float64 else layer.astype(np.float32)
        if layer.ndim == 3 and heads == "mean":
            layer = layer.mean(axis=0, dtype=np.float64).astype(layer.dtype)
        elif layer.ndim == 3 and heads == "max":
            layer = max_over_heads(layer)
        elif layer.ndim == 2 and heads != "mean":
            raise InputError(
                f"{stack} layer {number}: heads={heads!r} needs [heads, n, n], found {list(layer.shape)}."
            )
        layers.append(layer)
    return tuple(layers)


def max_over_heads(weights: NDArray[Any]) -> NDArray[Any]:
    """Reduces `[heads, n, n]` by the largest head, rows divided by their sum times the mean row sum.

    Rows keep the attention that was paid at all: a row that sums to 0.6 in every head sums to 0.6 still.
    """
    largest = weights.max(axis=0)
    sums = largest.sum(axis=-1, keepdims=True, dtype=np.float64)
    paid = weights.sum(axis=-1, keepdims=True, dtype=np.float64).mean(axis=0)
    reduced: NDArray[Any] = (largest * np.divide(paid, sums, out=np.zeros_like(sums), where=sums > 0)).astype(
        weights.dtype
    )
    return reduced


def _check_sequences(trace: Trace) -> None:
    expected = {
        "encoder": (True, False),
        "decoder": (False, True),
        "encoder-decoder": (True, True),
    }
    if trace.architecture not in expected:
        raise InputError(f"architecture={trace.architecture!r}: expected one of {', '.join(expected)}.")
    has_encoder, has_decoder = expected[trace.architecture]
    for name, tokens, wanted in (
        ("encoder", trace.encoder_tokens, has_encoder),
        ("decoder", trace.decoder_tokens, has_decoder),
    ):
        if wanted and not tokens:
            raise InputError(f"The {name} has no positions: an empty input cannot be explained.")
        if not wanted and tokens:
            raise InputError(
                f"Architecture {trace.architecture!r} has no {name}, but {len(tokens)} tokens for it."
            )
    size = len(trace.decoder_tokens)
    if has_decoder and not (trace.prompt is not None and 1 <= trace.prompt <= size):
        raise InputError(f"prompt={trace.prompt}: expected a number of decoder positions from 1 to {size}.")
    if not has_decoder and trace.prompt is not None:
        raise InputError(f"prompt={trace.prompt}: an encoder-only model has no decoder prompt.")
    if trace.decides and len(trace.decides) != len(trace.final_tokens):
        raise InputError(
            f"decides has {len(trace.decides)} labels, expected one for each of the "
            f"{len(trace.final_tokens)} positions of the last group."
        )


def _check_record(trace: Trace, name: str, record: Record) -> None:
    n, m = len(trace.encoder_tokens), len(trace.decoder_tokens)
    shapes = {"encoder": (n, n), "decoder": (m, m), "cross": (m, n)}
    wanted = {
        "encoder": {"encoder"},
        "decoder": {"decoder"},
        "encoder-decoder": {"encoder", "decoder", "cross"},
    }[trace.architecture]
    for stack, shape in shapes.items():
        layers: Layers = getattr(record, stack)
        if bool(layers) != (stack in wanted):
            found = f"{len(layers)} layers" if layers else "none"
            raise InputError(
                f"{name}: {trace.architecture} traces need {'some' if stack in wanted else 'no'} {stack} layers, "
                f"found {found}."
            )
        for number, layer in enumerate(layers, start=1):
            where = f"{stack} layer {number} ({name})"
            if layer.shape[-2:] != shape or layer.ndim != (3 if trace.heads == "all" else 2):
                full = ["heads", *shape] if trace.heads == "all" else list(shape)
                raise InputError(
                    f"{where}: expected shape {full} for these tokens, found {list(layer.shape)}. "
                    f"Rows are queries, columns are keys."
                )
            _check_entries(trace, where, name, stack, layer)
    if trace.architecture == "encoder-decoder" and len(record.decoder) != len(record.cross):
        raise InputError(
            f"{name}: {len(record.decoder)} decoder layers but {len(record.cross)} cross-attention layers; "
            "expected one cross-attention per decoder layer."
        )


def _check_entries(trace: Trace, where: str, name: str, stack: str, layer: NDArray[Any]) -> None:
    if not np.isfinite(layer).all():
        kind = "NaN" if np.isnan(layer).any() else "infinite values"
        raise InputError(
            f"{where}: found {kind}; attention must be finite. Check the model's weights and dtype."
        )
    if name not in SIGNED_RECORDS and layer.min() < 0:
        raise InputError(f"{where}: found a negative entry ({layer.min():.3g}); expected values from 0 up.")
    if stack == "decoder" and trace.causal and np.triu(layer, k=1).any():
        raise InputError(
            f"{where}: found weight on later positions; decoder self-attention must be causal. "
            "Pass bidirectional attention as encoder=, or say causal=False."
        )
    if name in STOCHASTIC_RECORDS:
        slack = ROUNDING.get(trace.dtype, ROUNDING["float32"])
        sums = layer.sum(axis=-1, dtype=np.float64)
        worst = float(sums.max())
        if worst > 1 + slack:
            raise InputError(
                f"{where}: a row sums to {worst:.4g}, expected at most 1. Pass softmax weights with queries as "
                "rows and keys as columns, captured in eval mode (dropout rescales them)."
            )
        least = float(sums.min())
        if least < 1 - slack and not trace.sinks:
            raise InputError(
                f"{where}: a row sums to {least:.4g}, expected 1. If the model has attention sinks or masks whole "
                "rows, say so with sinks=True; otherwise crop padding and capture in eval mode."
            )


def _check_decisions(trace: Trace) -> None:
    size = len(trace.final_tokens)
    for decision in trace.decisions:
        if not decision.positions or not all(0 <= position < size for position in decision.positions):
            raise InputError(
                f"A decision names positions {list(decision.positions)}, expected some from 0 to {size - 1}."
            )
        if decision.weights is not None and (
            len(decision.weights) != len(decision.positions) or abs(sum(decision.weights) - 1) > 1e-6
        ):
            raise InputError("A decision's weights must be one per position and sum to 1.")
