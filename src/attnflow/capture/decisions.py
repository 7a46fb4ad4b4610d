"""Which positions decide which output: the default targets of a trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from attnflow.capture.generation import Course
from attnflow.capture.outcomes import find_logits, finds_objects, spells
from attnflow.capture.pooling import Pooled
from attnflow.capture.tokens import pieces
from attnflow.errors import CaptureError
from attnflow.trace import Architecture, Decision, Token


@dataclass(frozen=True)
class Ending:
    """The last group of a pass, as decisions need it; positions count after cropping.

    Attributes:
        architecture: as the trace's.
        tokens: one per position.
        ids: one per position, or None if positions are not ids.
        course: what a decoder read and decided; None for an encoder.
        pooled: what a classifier, or the vector of an embedding model, reads; None if there is neither.
        text: the text that tokens' spans refer to, or None.
    """

    architecture: Architecture
    tokens: tuple[Token, ...]
    ids: tuple[int, ...] | None
    course: Course | None = None
    pooled: Pooled | None = None
    text: str | None = None


def decide(
    model: Any, tokenizer: Any, outputs: Any, ending: Ending, keep: Sequence[int] | None
) -> tuple[tuple[Decision, ...], tuple[str | None, ...]]:
    """Finds the default targets of a pass and what each position of the last group decides.

    Args:
        model: the model that ran.
        tokenizer: names outputs that are tokens; None names them by id.
        outputs: what it returned.
        ending: the last group.
        keep: positions of the last group that are not padding, or None for all.

    Returns:
        The decisions, and one label or None per position (empty if nothing is known).
    """
    logits = find_logits(outputs)
    if ending.pooled is not None and logits is not None and logits.ndim == 2:
        return _class(model, logits[0].float(), ending.pooled, len(ending.tokens))
    if logits is not None and finds_objects(outputs):
        return _objects(model, logits[0].float(), ending)
    if logits is not None and logits.ndim == 3:
        rows = logits[0] if keep is None else logits[0][list(keep)]
        if rows.shape[0] == len(ending.tokens):
            if spells(model, rows):
                return _letters(model, tokenizer, rows.float())
            if not is_language(model, rows):
                return _labels(model, rows, ending)
            if ending.architecture == "encoder":
                return _masks(tokenizer, rows, ending)
            return _next_tokens(tokenizer, rows, ending)
    start, end = getattr(outputs, "start_logits", None), getattr(outputs, "end_logits", None)
    if start is not None and end is not None and start.ndim == 2:
        return _answer(start[0], end[0], ending, keep)
    if ending.pooled is not None:
        return (Decision(ending.pooled.positions, weights=_weights(ending.pooled)),), ()
    if ending.architecture == "encoder":
        return (_of_all(ending),), ()
    return _next_tokens(tokenizer, None, ending)


def is_language(model: Any, rows: torch.Tensor) -> bool:
    """Whether logits at every position are of tokens, not of labels."""
    if model.get_output_embeddings() is not None:
        return True
    vocabulary, labels = getattr(model.config, "vocab_size", None), getattr(model.config, "num_labels", None)
    return bool(rows.shape[-1] == vocabulary != labels)


def _of_all(ending: Ending) -> Decision:
    """What stands for the whole input of an encoder without head: its first position, or the mean of all.

    The mean (ours) is for pictures and sound to which no position is added that could stand for them.
    """
    placed = [index for index, token in enumerate(ending.tokens) if not token.special]
    if ending.ids is not None or ending.tokens[0].special or not placed or ending.tokens[0].medium is None:
        return Decision((0,))
    return Decision(tuple(placed), weights=_weights(Pooled(tuple(placed))))


def _weights(pooled: Pooled) -> tuple[float, ...] | None:
    count = len(pooled.positions)
    if count == 1:
        return None
    return pooled.weights or tuple(1 / count for _ in pooled.positions)


def _class(
    model: Any, logits: torch.Tensor, pooled: Pooled, size: int
) -> tuple[tuple[Decision, ...], tuple[str | None, ...]]:
    best, probability = _best_class(model, logits)
    label = class_label(model, best)
    decides = tuple(label if index in pooled.positions else None for index in range(size))
    return (Decision(pooled.positions, label, _weights(pooled), probability, best),), decides


def _objects(
    model: Any, rows: torch.Tensor, ending: Ending
) -> tuple[tuple[Decision, ...], tuple[str | None, ...]]:
    """Detected objects: one decision for each query whose class is an object, else for the nearest to one.

    Queries are the last positions. Classes are a softmax with "no object" behind them, or a sigmoid each.
    """
    count = len(getattr(model.config, "id2label", None) or {})
    first = len(ending.tokens) - rows.shape[0]
    if first < 0:
        return (Decision((0,)),), ()
    exclusive = rows.shape[1] == count + 1
    chances = (rows.softmax(-1) if exclusive else rows.sigmoid())[:, :count]
    found = [
        (query, int(row.argmax()), float(row.max()))
        for query, row in enumerate(chances)
        if (int(rows[query].argmax()) < count if exclusive else float(row.max()) > 0.5)
    ]
    if not found:
        query = int(chances.max(-1).values.argmax())
        found = [(query, int(chances[query].argmax()), float(chances[query].max()))]
    labels: list[str | None] = [None] * len(ending.tokens)
    for query, best, _ in found:
        labels[first + query] = class_label(model, best)
    return tuple(
        Decision((first + query,), class_label(model, best), None, chance, best)
        for query, best, chance in found
    ), tuple(labels)


def _letters(
    model: Any, tokenizer: Any, rows: torch.Tensor
) -> tuple[tuple[Decision, ...], tuple[str | None, ...]]:
    """What is spelled: neighbours that decide the same letter are one, decided where it is likeliest."""
    blank = getattr(model.config, "pad_token_id", None)
    blank = 0 if blank is None else int(blank)
    chances, best = rows.softmax(-1), rows.argmax(-1).tolist()
    decides = tuple(None if id == blank else pieces(tokenizer, [id])[0] for id in best)
    decisions, start = [], 0
    for index in range(1, len(best) + 1):
        if index < len(best) and best[index] == best[start]:
            continue
        if best[start] != blank:
            at = start + int(chances[start:index, best[start]].argmax())
            chance = float(chances[at, best[start]])
            decisions.append(Decision((at,), decides[at], None, chance, best[start]))
        start = index
    if not decisions:  # nothing was heard: where a letter came nearest
        rest = chances.clone()
        rest[:, blank] = 0
        at, id = divmod(int(rest.argmax()), rest.shape[1])
        decisions.append(Decision((at,), pieces(tokenizer, [id])[0], None, float(rest[at, id]), id))
    return tuple(decisions), decides


def _best_class(model: Any, logits: torch.Tensor) -> tuple[int, float | None]:
    best = int(logits.argmax())
    if logits.shape[-1] == 1:
        return best, None
    several = getattr(model.config, "problem_type", None) == "multi_label_classification"
    chances = logits.sigmoid() if several else logits.softmax(-1)
    return best, float(chances[best])


def class_label(model: Any, index: int) -> str:
    """What the model's configuration calls a class."""
    names = getattr(model.config, "id2label", None) or {}
    return str(names.get(index, index))


def _labels(
    model: Any, rows: torch.Tensor, ending: Ending
) -> tuple[tuple[Decision, ...], tuple[str | None, ...]]:
    found = [_best_class(model, row.float()) for row in rows]
    decides = tuple(class_label(model, best) for best, _ in found)
    decisions = tuple(
        Decision((index,), decides[index], None, probability, best)
        for index, (token, (best, probability)) in enumerate(zip(ending.tokens, found))
        if not token.special
    )
    return decisions, decides


def _masks(
    tokenizer: Any, rows: torch.Tensor, ending: Ending
) -> tuple[tuple[Decision, ...], tuple[str | None, ...]]:
    mask = getattr(tokenizer, "mask_token_id", None)
    masked = [index for index, id in enumerate(ending.ids or ()) if mask is not None and id == mask]
    best = [int(id) for id in rows.argmax(-1)]
    decides = tuple(pieces(tokenizer, [id])[0] for id in best)
    if not masked:
        return (Decision((0,)),), decides
    return tuple(
        Decision(
            (index,), decides[index], None, float(rows[index].float().softmax(-1)[best[index]]), best[index]
        )
        for index in masked
    ), decides


def _next_tokens(
    tokenizer: Any, rows: torch.Tensor | None, ending: Ending
) -> tuple[tuple[Decision, ...], tuple[str | None, ...]]:
    size, course = len(ending.tokens), ending.course
    if course is None:
        raise CaptureError("A decoder's pass has no course.")  # never: every decoder gets one
    last = size - 1
    known = following(ending, rows)
    first = course.prompt - 1  # the position that decides the first token beyond the prompt
    decides: list[str | None] = [None] * size
    for index in known:
        if index < first and ending.ids is not None:
            decides[index] = ending.tokens[index + 1].text
    if ending.ids is not None:
        beyond = [known[index] for index in range(first, size) if index in known]
        sequence = [*ending.ids[: course.prompt], *beyond]
        for index, label in enumerate(pieces(tokenizer, sequence, course.prompt), start=first):
            decides[index] = label
    else:
        for index, id in known.items():
            decides[index] = pieces(tokenizer, [id])[0]
    decisions = []
    for index in range(course.prompt - 1 if course.decided else last, size):
        chosen = known.get(index)
        probability = (
            None if rows is None or chosen is None else float(rows[index].float().softmax(-1)[chosen])
        )
        decisions.append(Decision((index,), decides[index], None, probability, chosen))
    return tuple(decisions), tuple(decides)


def following(ending: Ending, rows: torch.Tensor | None) -> dict[int, int]:
    """Per position of a decoder the id of the token it decides: the one after it; at the end the likeliest."""
    size, course = len(ending.tokens), ending.course
    known = {} if ending.ids is None else {index - 1: id for index, id in enumerate(ending.ids) if index}
    if course is not None:
        known.update(
            {
                course.prompt - 1 + index: id
                for index, id in enumerate(course.decided)
                if index + course.prompt <= size
            }
        )
    if size - 1 not in known and rows is not None:
        known[size - 1] = int(rows[size - 1].argmax())
    return known


def _answer(
    start: torch.Tensor, end: torch.Tensor, ending: Ending, keep: Sequence[int] | None
) -> tuple[tuple[Decision, ...], tuple[str | None, ...]]:
    decisions = []
    for name, row in (("answer start", start), ("answer end", end)):
        kept = (row if keep is None else row[list(keep)]).float()
        if kept.shape[0] != len(ending.tokens):
            return (Decision((0,)),), ()
        best = int(kept.argmax())
        decisions.append(Decision((best,), name, None, float(kept.softmax(-1)[best])))
    return tuple(decisions), ()
