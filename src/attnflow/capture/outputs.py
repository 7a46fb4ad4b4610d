"""Which output a gradient is about: the logit y of a class or token, or one logit minus another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from attnflow.capture.decisions import Ending, class_label, following, is_language
from attnflow.capture.inputs import encode
from attnflow.capture.outcomes import find_logits
from attnflow.capture.tokens import pieces
from attnflow.errors import CaptureError, OptionError
from attnflow.trace import Decision

#: `(name of the output, index into it, sign)` of every logit in y.
Terms = tuple[tuple[str, tuple[int, ...], float], ...]
#: A class index or token id, a label or token text, or a pair of them: the first minus the second.
Output = int | str | Sequence[int | str]


@dataclass(frozen=True)
class Question:
    """One output to differentiate.

    Attributes:
        decision: the positions it is asked at, and the output.
        terms: which logits y is made of.
        id: class index or token id; two of them for a contrast; None for an answer's start or end.
    """

    decision: Decision
    terms: Terms
    id: int | tuple[int, ...] | None


@dataclass(frozen=True)
class _Head:
    """How a model's outputs are read.

    Attributes:
        name: of the output that holds logits.
        kind: "class" for the whole input, "label" or "token" at every position.
        rows: logits `[1, classes]`, or `[positions, classes]`, padding cropped.
        index: index into the output of each row.
        label: names a class or token; told the position too.
        find: class or token of a text.
        default: class or token that a position decides.
    """

    name: str
    kind: str
    rows: torch.Tensor
    index: tuple[tuple[int, ...], ...]
    label: Callable[[int, int], str]
    find: Callable[[str], int]
    default: Callable[[int], int]


def logit(outputs: Any, terms: Terms) -> torch.Tensor:
    """y, with its graph."""
    values = [sign * getattr(outputs, name)[index].float() for name, index, sign in terms]
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def ask(
    model: Any,
    tokenizer: Any,
    outputs: Any,
    ending: Ending,
    keep: Sequence[int] | None,
    decisions: Sequence[Decision],
    decides: Sequence[str | None],
    targets: str | Sequence[int | Sequence[int]] | None,
    output: Output | None,
) -> tuple[Question, ...]:
    """Reads `targets` and `output`.

    Args:
        model: the model that ran.
        tokenizer: names tokens; may be None.
        outputs: what it returned, detached.
        ending: the last group.
        keep: positions of the last group that are not padding, or None for all.
        decisions: the default targets.
        decides: per position the label of what it decides, where that is known.
        targets: positions or sets of them, "all", or None for the default targets.
        output: what to differentiate, or None for what each target decides.

    Raises:
        OptionError: a target or output that this model does not have; several positions that each have an
            output of their own.
        CaptureError: a model without output.
    """
    asked = [_labelled(decision, decides) for decision in _asked(targets, decisions, len(ending.tokens))]
    start, end = getattr(outputs, "start_logits", None), getattr(outputs, "end_logits", None)
    if find_logits(outputs) is None and start is not None and end is not None:
        return tuple(_answer(decision, keep, output, targets is None) for decision in asked)
    head = _head(model, tokenizer, outputs, ending, keep)
    return tuple(_question(model, head, decision, output) for decision in asked)


def _asked(targets: Any, decisions: Sequence[Decision], size: int) -> list[Decision]:
    if targets is None:
        return list(decisions)
    if isinstance(targets, str):
        if targets != "all":
            raise OptionError(
                f"target={targets!r}: expected a position, a sequence of positions, 'all', or None."
            )
        targets = range(size)
    asked = [Decision(_positions(target, size)) for target in targets]
    if not asked:
        raise OptionError("No targets: name at least one position of the last group.")
    return asked


def _labelled(decision: Decision, decides: Sequence[str | None]) -> Decision:
    if decision.label is not None or len(decision.positions) > 1 or not decides:
        return decision
    return replace(decision, label=decides[decision.positions[0]])


def _positions(target: Any, size: int) -> tuple[int, ...]:
    items = list(target) if isinstance(target, Sequence) and not isinstance(target, str) else [target]
    found = []
    for item in items:
        whole = hasattr(item, "__index__") and not isinstance(item, bool)
        if not whole or not -size <= int(item) < size:
            raise OptionError(
                f"target={item!r}: expected {-size} to {size - 1}, a node position of the last group."
            )
        found.append(int(item) % size)
    if not found or len(set(found)) != len(found):
        raise OptionError(f"target={items}: expected one or more distinct positions.")
    return tuple(found)


def _head(model: Any, tokenizer: Any, outputs: Any, ending: Ending, keep: Sequence[int] | None) -> _Head:
    logits = find_logits(outputs)
    name = "logits" if torch.is_tensor(getattr(outputs, "logits", None)) else "prediction_logits"
    if logits is not None and ending.pooled is not None:
        row = logits[0].float()
        return _Head(
            name,
            "class",
            row[None],
            ((0,),),
            lambda position, id: class_label(model, id),
            lambda text: _class(model, text),
            lambda position: int(row.argmax()),
        )
    if logits is not None and logits.ndim == 3:
        places = range(logits.shape[1]) if keep is None else keep
        if len(places) == len(ending.tokens):
            return _at_positions(model, tokenizer, name, logits[0][list(places)].float(), places, ending)
    raise CaptureError(
        f"{type(model).__name__} has no output to differentiate: use attention capacities, or a model with a head "
        "(a classifier or a language model)."
    )


def _at_positions(
    model: Any, tokenizer: Any, name: str, rows: torch.Tensor, places: Sequence[int], ending: Ending
) -> _Head:
    index = tuple((0, place) for place in places)
    if not is_language(model, rows):
        return _Head(
            name,
            "label",
            rows,
            index,
            lambda position, id: class_label(model, id),
            lambda text: _class(model, text),
            lambda position: int(rows[position].argmax()),
        )
    known = {} if ending.architecture == "encoder" else following(ending, rows)
    ids = list(ending.ids or ())

    def label(position: int, id: int) -> str:
        context = ids[: position + 1] if ending.architecture != "encoder" else []
        return pieces(tokenizer, [*context, id], len(context))[0]

    return _Head(
        name,
        "token",
        rows,
        index,
        label,
        lambda text: _token(tokenizer, text),
        lambda position: known[position] if position in known else int(rows[position].argmax()),
    )


def _question(model: Any, head: _Head, asked: Decision, output: Output | None) -> Question:
    if head.kind == "class":
        row = 0
    elif len(asked.positions) == 1:
        row = asked.positions[0]
    else:
        raise OptionError(
            f"A set of {len(asked.positions)} positions has no one output: each decides a {head.kind} of its own, "
            "and a gradient is about one. Expected one position, or 'all' for each in turn."
        )
    prefix, logits = head.index[row], head.rows[row]
    decided = head.default(row) if asked.id is None else asked.id
    ids = [decided] if output is None else _ids(head, output)
    terms = tuple((head.name, (*prefix, id), sign) for id, sign in zip(ids, (1.0, -1.0)))
    label = " − ".join(head.label(row, id) for id in ids)
    if output is None and asked.label is not None:
        label = asked.label
    probability = None if len(ids) > 1 else _chance(model, head, logits, ids[0])
    single = ids[0] if len(ids) == 1 else None
    decision = Decision(asked.positions, label, asked.weights, probability, single)
    return Question(decision, terms, tuple(ids) if len(ids) > 1 else single)


def _ids(head: _Head, output: Output) -> list[int]:
    parts = list(output) if isinstance(output, Sequence) and not isinstance(output, str) else [output]
    if isinstance(output, Mapping) or len(parts) not in (1, 2):
        raise OptionError(
            f"output={output!r}: expected a class or token, or a pair (a, b) for the logit of a minus that of b."
        )
    count = head.rows.shape[-1]
    ids = []
    for part in parts:
        if isinstance(part, str):
            ids.append(head.find(part))
        elif hasattr(part, "__index__") and not isinstance(part, bool) and 0 <= int(part) < count:
            ids.append(int(part))
        else:
            noun = "token id" if head.kind == "token" else "class index"
            raise OptionError(f"output={part!r}: expected a {noun} from 0 to {count - 1}, or its text.")
    if len(ids) == 2 and ids[0] == ids[1]:
        raise OptionError(f"output={output!r} contrasts an output with itself: expected two different ones.")
    return ids


def _chance(model: Any, head: _Head, logits: torch.Tensor, id: int) -> float | None:
    if logits.shape[-1] == 1:
        return None
    several = getattr(model.config, "problem_type", None) == "multi_label_classification"
    chances = logits.sigmoid() if several and head.kind == "class" else logits.softmax(-1)
    return float(chances[id])


def _class(model: Any, text: str) -> int:
    names = {int(id): str(label) for id, label in (getattr(model.config, "id2label", None) or {}).items()}
    found = [id for id, label in names.items() if label == text]
    found = found or [id for id, label in names.items() if label.casefold() == text.casefold()]
    if len(found) != 1:
        known = ", ".join(f"{id} {label!r}" for id, label in sorted(names.items())[:20])
        count = f"{len(found)} classes" if found else "no class"
        raise OptionError(f"output={text!r} names {count}, expected one of: {known or 'indices'}.")
    return found[0]


def _token(tokenizer: Any, text: str) -> int:
    """The one token that a text is, with a space in front or without."""
    if tokenizer is None:
        raise OptionError(f"output={text!r} needs a tokenizer: pass tokenizer=, or a token id.")
    spellings = [text, text.lstrip()] if text[:1].isspace() else [text, f" {text}"]
    read = {
        spelling: tuple(encode(tokenizer, spelling, add_special_tokens=False)["input_ids"])
        for spelling in spellings
    }
    unknown = getattr(tokenizer, "unk_token_id", None)
    single = {
        spelling: ids[0]
        for spelling, ids in read.items()
        if len(ids) == 1 and (ids[0] != unknown or text == tokenizer.unk_token)
    }
    if text in single and text[:1].isspace():
        return int(single[text])
    if not single:
        parts = ", ".join(repr(piece) for piece in pieces(tokenizer, list(read[text])))
        raise OptionError(f"output={text!r} is no single token of this tokenizer (it reads {parts}).")
    if len(set(single.values())) > 1:
        both = " and ".join(f"{spelling!r} (id {id})" for spelling, id in single.items())
        raise OptionError(
            f"output={text!r} could be two tokens, {both}: write the space in front, or pass the id."
        )
    return int(next(iter(single.values())))


def _answer(asked: Decision, keep: Sequence[int] | None, output: Output | None, default: bool) -> Question:
    """Start and end of an answer: the default targets are one of each."""
    label = asked.label if default and output is None else output
    names = {"answer start": "start_logits", "answer end": "end_logits"}
    if label not in names or len(asked.positions) != 1:
        raise OptionError(
            "A model that marks answers has a logit for the start and one for the end at every position: expected "
            "output='answer start' or 'answer end', and one position."
        )
    position = asked.positions[0]
    place = position if keep is None else keep[position]
    decision = Decision(asked.positions, str(label), None, asked.probability)
    return Question(decision, ((names[str(label)], (0, place), 1.0),), None)
