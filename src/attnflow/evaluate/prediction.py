"""One prediction of a model, that can be computed again with parts of its input hidden.

What metrics and baselines need of a model, and nothing of how it was loaded: token ids, one output, and how a hidden
token is hidden. Players are the positions that go in: those of an encoder or of a decoder-only model; of an
encoder-decoder the source's, then those that the decoder reads. That is the order of `FlowNetwork.players`.

Tokens that a tokenizer or a template put around the text are never hidden: they are the frame that the model was
trained to see around any input. Where nothing of that kind stands at or before the position that decides, that position
itself stays, so that there is something left that decides.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnflow.errors import InputError, OptionError, unknown_name
from attnflow.evaluate.erasure import Predict
from attnflow.trace import GRADIENT_RECORDS, Token, Trace

if TYPE_CHECKING:
    import torch

#: How a player that is not shown is hidden.
HIDING = ("mask", "delete")
#: What a value is: see `Prediction.values`.
SCALES = ("probability", "logit")
#: Inputs beside ids that have one entry per position.
_BESIDE = ("token_type_ids",)


@dataclass
class Cost:
    """What has been computed so far.

    Attributes:
        forward: inputs run forward, each of a batch counted.
        backward: inputs differentiated.
    """

    forward: int = 0
    backward: int = 0


@dataclass(frozen=True, eq=False)
class Prediction:
    """One output of a model on one input.

    Attributes:
        model: a loaded transformers model.
        tokenizer: its tokenizer, or None.
        tokens: of every player, with their ids.
        decoder: how many of the last players the decoder reads; 0 unless this is an encoder-decoder.
        position: the position of the last group whose logits count; None for a classifier of the whole input.
        target: the node position or positions of the last group that decide, as `explain` takes them.
        output: the class or token; two for the logit of the first minus the second.
        label: what the output is called.
        replacement: id that stands in the place of a masked token; None where there is none.
        replaced_by: what that id is: "mask", "pad" or "unk".
        causal: whether positions behind the one that decides go unread.
        beside: inputs with one number per position of the source, such as `token_type_ids`.
        batch: most inputs that one pass reads.
        trace: a trace that holds records already, so that baselines that need them do not run the model again.
        cost: what was computed; shared by copies.
    """

    model: Any
    tokenizer: Any
    tokens: tuple[Token, ...]
    decoder: int
    position: int | None
    target: tuple[int, ...]
    output: tuple[int, ...]
    label: str = ""
    replacement: int | None = None
    replaced_by: str = ""
    causal: bool = False
    beside: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    batch: int = 32
    trace: Trace | None = None
    cost: Cost = field(default_factory=Cost)

    @property
    def players(self) -> int:
        """How many positions go in."""
        return len(self.tokens)

    @property
    def source(self) -> int:
        """How many of them the encoder, or a model of one stack, reads."""
        return self.players - self.decoder

    @property
    def ids(self) -> tuple[int, ...]:
        """The token ids of all players."""
        return tuple(_id(token) for token in self.tokens)

    @property
    def stacks(self) -> tuple[slice, ...]:
        """The players of each sequence that goes in."""
        ends = (slice(0, self.source), slice(self.source, self.players))
        return ends if self.decoder else ends[:1]

    @property
    def fixed(self) -> NDArray[np.bool_]:
        """Bool [players]: which are never hidden."""
        kept = np.array([token.special or token.template for token in self.tokens])
        last = self.stacks[-1]
        decides = last.stop - 1 if self.position is None else last.start + self.position
        if not kept[last.start : decides + 1].any():
            kept[decides] = True
        return kept

    @property
    def hideable(self) -> NDArray[np.intp]:
        """The players that can be hidden and that the prediction can depend on, in order."""
        free = ~self.fixed
        if self.position is not None and self.causal:
            free[self.stacks[-1].start + self.position + 1 :] = False
        return np.flatnonzero(free)

    def values(
        self, shown: NDArray[np.bool_], *, hide: str = "mask", scale: str = "probability"
    ) -> NDArray[np.float64]:
        """The output for several variants of the input.

        Args:
            shown: bool [variants, players].
            hide: "mask": one token in their place; "delete": the rest moves together.
            scale: "probability" of the output (of a contrast: of the first of the two alone), or "logit" (of a
                contrast: the difference).

        Returns:
            float64 [variants].

        Raises:
            OptionError: unknown ways, or masking where there is no token to put in.
        """
        import torch

        if hide not in HIDING:
            raise unknown_name("way of hiding", hide, HIDING)
        if scale not in SCALES:
            raise unknown_name("scale", scale, SCALES)
        if hide == "mask" and self.replacement is None:
            raise OptionError(
                "There is no mask, padding or unknown token to put in the place of a hidden one: hide by 'delete'."
            )
        shown = np.asarray(shown, bool) | self.fixed
        if hide == "delete" and not all(shown[:, part].any(1).all() for part in self.stacks):
            raise OptionError(
                f"Deleting every token that is not special leaves {type(self.model).__name__} nothing to read: hide by "
                "'mask'."
            )
        ids, found = np.array(self.ids), np.empty(len(shown))
        with evaluating(self.model), torch.no_grad():
            for rows, variant in self._batches(shown, hide):
                if hide == "mask" and self.replacement is not None:
                    given = np.where(variant, ids, self.replacement)
                    logits = self._logits(given, self.stacks, self.position, self._beside(len(given)))
                else:
                    logits = self._without(ids, variant)
                found[rows] = _valued(logits, self.output, scale)
        return found

    def hiding(self, hide: str = "mask", *, scale: str = "probability") -> Predict:
        """What the metrics of this package ask: the output over the players that can be hidden.

        Args:
            hide: as in `values`.
            scale: as in `values`.

        Returns:
            From bool [variants, hideable players] to float64 [variants].
        """
        places = self.hideable

        def predict(shown: NDArray[np.bool_]) -> NDArray[np.float64]:
            every = np.ones((len(shown), self.players), bool)
            every[:, places] = shown
            return self.values(every, hide=hide, scale=scale)

        return predict

    def captured(self, record: str) -> Trace:
        """A trace that holds a record; of gradients, those of this output.

        Args:
            record: as in `capture`.
        """
        from attnflow.capture import capture

        if self.trace is not None and record in self.trace.records:
            return self.trace
        self.cost.forward += 1
        if record not in GRADIENT_RECORDS:
            made: Trace = capture(self.model, inputs=self.tensors(), tokenizer=self.tokenizer, record=record)
            return made
        self.cost.backward += 1
        made = capture(
            self.model,
            inputs=self.tensors(),
            tokenizer=self.tokenizer,
            record=record,
            target=self.target,
            output=self.output if len(self.output) > 1 else self.output[0],
        )
        return made

    def tensors(self) -> dict[str, Any]:
        """The whole input, batch of one."""
        given = np.array([self.ids])
        return self._inputs(given, self.stacks, self._beside(1))

    def run(self, tensors: Mapping[str, Any]) -> torch.Tensor:
        """Runs the model and returns the logits that count, `[batch, classes]`."""
        return self._run(dict(tensors), self.position)

    # -- inside ----------------------------------------------------------------------------------------

    def _batches(self, shown: NDArray[np.bool_], hide: str) -> Iterator[tuple[Any, NDArray[np.bool_]]]:
        """Variants that can share a pass: those of one length, where what is hidden is deleted."""
        lengths = np.zeros((len(shown), 1), int)
        if hide == "delete":
            lengths = np.stack([shown[:, part].sum(1) for part in self.stacks], axis=1)
        for length in np.unique(lengths, axis=0):
            rows = np.flatnonzero((lengths == length).all(1))
            for start in range(0, len(rows), self.batch):
                part = rows[start : start + self.batch]
                yield part, shown[part]

    def _without(self, ids: NDArray[np.intp], shown: NDArray[np.bool_]) -> torch.Tensor:
        """Logits of inputs that lack some tokens, each as many."""
        import torch

        ends = np.cumsum([0, *(int(shown[0, part].sum()) for part in self.stacks)])
        stacks = tuple(slice(int(a), int(b)) for a, b in itertools.pairwise(ends))
        given = np.stack([ids[row] for row in shown])
        beside = {
            name: np.stack([np.array(numbers)[row[: self.source]] for row in shown])
            for name, numbers in self.beside.items()
        }
        if self.position is None:
            return self._logits(given, stacks, None, beside)
        last = self.stacks[-1]
        before = shown[:, last.start : last.start + self.position + 1].sum(1) - 1
        rows = [
            self._logits(
                given[before == at], stacks, int(at), {k: v[before == at] for k, v in beside.items()}
            )
            for at in np.unique(before)
        ]
        places = np.concatenate([np.flatnonzero(before == at) for at in np.unique(before)])
        return torch.cat(rows)[torch.as_tensor(np.argsort(places), device=rows[0].device)]

    def _logits(
        self,
        given: NDArray[np.intp],
        stacks: Sequence[slice],
        position: int | None,
        beside: Mapping[str, NDArray[np.intp]],
    ) -> torch.Tensor:
        self.cost.forward += len(given)
        return self._run(self._inputs(given, stacks, beside), position)

    def _run(self, tensors: dict[str, Any], position: int | None) -> torch.Tensor:
        from attnflow.capture.interface import forward
        from attnflow.capture.outcomes import find_logits

        logits = find_logits(forward(self.model, tensors))
        if logits is None:
            raise InputError(
                f"{type(self.model).__name__} returns no logits: expected a classifier or a language model."
            )
        return logits if position is None else logits[:, position]

    def _inputs(
        self, given: NDArray[np.intp], stacks: Sequence[slice], beside: Mapping[str, NDArray[np.intp]]
    ) -> dict[str, Any]:
        import torch

        from attnflow.capture.placement import device_of

        device = device_of(self.model)
        made = {
            "input_ids": given[:, stacks[0]],
            "attention_mask": np.ones_like(given[:, stacks[0]]),
            **beside,
        }
        if self.decoder:
            made["decoder_input_ids"] = given[:, stacks[1]]
        return {name: torch.as_tensor(value, device=device) for name, value in made.items()}

    def _beside(self, count: int) -> dict[str, NDArray[np.intp]]:
        return {name: np.tile(np.array(numbers), (count, 1)) for name, numbers in self.beside.items()}


def prediction(
    model: Any,
    text: Any = None,
    *,
    tokenizer: Any = None,
    inputs: Mapping[str, Any] | None = None,
    target: int | Sequence[int] | None = None,
    output: int | str | Sequence[int | str] | None = None,
    target_text: str | None = None,
    generate: int | None = None,
    record: str | Sequence[str] = (),
    batch: int = 32,
) -> Prediction:
    """Runs a model on one input and keeps what is needed to ask it again.

    Args:
        model: a transformers model, a local directory, a bundled name or a hub id.
        text: the input, as in `explain`.
        tokenizer: for a loaded model.
        inputs: keyword tensors instead of text.
        target: the position that decides, as in `explain`; None: the model's one default target.
        output: class or token, or a pair, as in `explain`; None: what the target decides.
        target_text: a continuation or an output to teacher-force.
        generate: tokens to decode first.
        record: records that the trace shall hold beside what is needed, see `capture`.
        batch: most inputs that one pass reads later.

    Returns:
        The prediction.

    Raises:
        InputError: an input that is not made of token ids.
        OptionError: as in `explain`; more than one default target.
        CaptureError: the model cannot be captured, or has no output.
    """
    from attnflow.capture import capture, load_model

    loaded, words = load_model(model, tokenizer)
    names = [record] if isinstance(record, str) else list(record)
    if not set(names) & set(GRADIENT_RECORDS):
        names.append("relevance")  # a gradient's trace names its output
    trace = capture(
        loaded,
        text,
        tokenizer=words,
        inputs=inputs,
        target=target,
        output=output,
        target_text=target_text,
        generate=generate,
        record=names,
    )
    made = of_trace(loaded, trace, words, batch=batch)
    made.cost.forward += 1
    made.cost.backward += 1
    beside = _read_beside(words, text, inputs, made)
    return replace(made, beside=beside)


def of_trace(model: Any, trace: Trace, tokenizer: Any = None, *, batch: int = 32) -> Prediction:
    """The prediction that a trace of gradients is about.

    Args:
        model: the loaded model that was captured.
        trace: captured with a gradient record, of text alone.
        tokenizer: the model's tokenizer; what it puts in the place of a masked token is asked of it.
        batch: most inputs that one pass reads later.

    Returns:
        The prediction.

    Raises:
        InputError: positions that are no token ids: pictures, sound, objects; or a trace without one output.
    """
    from attnflow.capture.generation import is_encoder_decoder
    from attnflow.capture.loading import unwrapped

    loaded = unwrapped(model)
    outputs = trace.provenance.get("outputs") or [{}]
    asked = outputs[0]
    if len(outputs) > 1 or asked.get("id") is None:
        raise InputError(
            "The trace does not say which output it is about: capture with a gradient record, such as 'relevance'."
        )
    tokens = (*trace.encoder_tokens, *trace.decoder_tokens)
    if any(token.id is None for token in tokens) or (
        trace.media and any(t.medium is not None for t in tokens)
    ):
        raise InputError(
            "Parts of a picture or of sound cannot be hidden as tokens can: expected an input of text alone."
        )
    decoder = len(trace.decoder_tokens) if is_encoder_decoder(loaded) and trace.encoder_tokens else 0
    id = asked["id"]
    positions = tuple(int(at) for at in asked["positions"])
    replacement, name = _replacement(loaded, tokenizer)
    decision = trace.decisions[0]
    made = Prediction(
        model=loaded,
        tokenizer=tokenizer,
        tokens=tokens,
        decoder=decoder,
        position=None,
        target=positions,
        output=tuple(int(part) for part in id) if isinstance(id, (list, tuple)) else (int(id),),
        label=decision.label or "",
        replacement=replacement,
        replaced_by=name,
        causal=trace.architecture != "encoder" and trace.causal,
        batch=batch,
        trace=trace,
    )
    return replace(made, position=_position(made, positions))


@contextlib.contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """The model in evaluation mode, and left as it was found."""
    from attnflow.capture.interface import LOCK
    from attnflow.capture.state import as_found

    with LOCK, as_found(model):
        yield


def _position(made: Prediction, positions: Sequence[int]) -> int | None:
    """The row of logits to read: None where there is one for the whole input."""
    import torch

    from attnflow.capture.interface import forward
    from attnflow.capture.outcomes import find_logits

    with evaluating(made.model), torch.no_grad():
        logits = find_logits(forward(made.model, made.tensors()))
    if logits is None:
        raise InputError(
            f"{type(made.model).__name__} returns no logits: expected a classifier or a language model."
        )
    made.cost.forward += 1
    if logits.ndim == 2:
        return None
    if len(positions) != 1:
        raise InputError(f"A set of {len(positions)} positions has no one output: expected one position.")
    return positions[0]


def _replacement(model: Any, tokenizer: Any) -> tuple[int | None, str]:
    for name in ("mask", "pad", "unk"):
        id = getattr(tokenizer, f"{name}_token_id", None)
        if id is not None:
            return int(id), name
    pad = getattr(model.config, "pad_token_id", None)
    return (int(pad), "pad") if isinstance(pad, int) else (None, "")


def _read_beside(
    tokenizer: Any, text: Any, inputs: Mapping[str, Any] | None, made: Prediction
) -> dict[str, tuple[int, ...]]:
    """Segment numbers of a pair of texts, or as handed in."""
    from attnflow.capture.interface import accepted
    from attnflow.segments import is_pair

    given: Mapping[str, Any] = inputs or {}
    if inputs is None and is_pair(text):
        given = tokenizer(*text)
    found = {}
    for name in _BESIDE:
        if name in given and name in accepted(made.model)[0]:
            numbers = np.asarray(given[name]).reshape(-1)
            if len(numbers) != made.source:
                raise InputError(
                    f"{name} has {len(numbers)} entries, expected {made.source}: pass inputs without padding."
                )
            found[name] = tuple(int(number) for number in numbers)
    return found


def _valued(logits: torch.Tensor, output: Sequence[int], scale: str) -> NDArray[np.float64]:
    """`[batch, classes]` to `[batch]`."""
    rows = logits.detach().double()
    if len(output) == 2:
        difference = rows[:, output[0]] - rows[:, output[1]]
        chosen = difference if scale == "logit" else difference.sigmoid()
    else:
        chosen = (rows if scale == "logit" else rows.softmax(-1))[:, output[0]]
    found: NDArray[np.float64] = chosen.cpu().numpy()
    return found


def _id(token: Token) -> int:
    assert token.id is not None  # checked when the prediction was made
    return token.id


def _no_logits(model: Any) -> InputError:
    return InputError(f"{type(model).__name__} returns no logits: expected a classifier or a language model.")
