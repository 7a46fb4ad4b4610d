"""Several inputs at once: padded, run by one pass, and each cut out again as if it had run alone.

Inputs are taken in order of length, so that little is padded, a batch at a time, so that no more is held than one batch
needs. A batch is answered together only where that changes nothing: ids of one model in float32 or wider, whose
attention is `[batch, heads, queries, keys]`. Before the first padded batch is trusted, its most padded input is run
alone and compared; a family in which padding shows (positions, layers without masks) is run one by one, and so is
whatever is no text.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from attnflow.capture.chat import is_chat
from attnflow.capture.huggingface import capturing
from attnflow.capture.interface import LOCK, run_listening
from attnflow.capture.loading import load_model
from attnflow.capture.padding import Apart, Padded, pad
from attnflow.capture.requests import Differentiate, Forward, Probe, Request
from attnflow.capture.state import as_found
from attnflow.capture.together import Together
from attnflow.errors import InputError
from attnflow.trace import Trace

Capturing = Generator[Request, Any, list[Trace]]

#: Largest distance of an attention weight in a padded batch from the one of its input alone, float32.
TOLERANCE = 1e-4


def captures_each(
    model: Any,
    items: Sequence[Any],
    *,
    batch_size: int,
    tokenizer: Any,
    trust_remote_code: bool,
    **options: Any,
) -> Iterator[tuple[int, list[Trace]]]:
    """Captures every item; see `attnflow.capture.capture_each`.

    Args:
        model: a transformers model, or the place of one.
        items: texts, chats, pictures or clips.
        batch_size: most inputs per pass.
        tokenizer: says which side is padded, and with what.
        trust_remote_code: run modeling code that comes with a checkpoint.
        options: all others of `capture_targets`.

    Yields:
        The index of an item and its traces, a batch at a time, short ones first.

    Raises:
        InputError: an item that the model cannot read; the message says which.
    """
    loaded, own = load_model(model, tokenizer, trust_remote_code=trust_remote_code)
    # What wraps a loaded model may say how its output is pooled.
    asked = loaded if isinstance(model, (str, os.PathLike)) else model
    order = sorted(range(len(items)), key=lambda index: _length(items[index]))
    crew = Crew(loaded, own)
    for start in range(0, len(order), batch_size):
        chunk = order[start : start + batch_size]
        names = [f"Text {index + 1} of {len(items)}" for index in chunk]
        capturings = [
            capturing(asked, items[index], tokenizer=own, trust_remote_code=trust_remote_code, **options)
            for index in chunk
        ]
        yield from zip(chunk, crew.capture(capturings, names))


def _length(item: Any) -> int:
    if isinstance(item, str):
        return len(item)
    return sum(len(str(message.get("content"))) for message in item) if is_chat(item) else 0


@dataclass
class Crew:
    """Answers the requests of several inputs together where it can.

    Attributes:
        model: the model that they all ask for.
        tokenizer: says which side is padded, and with what.
        apart: why inputs are run one by one, once that is known.
        checked: whether a padded batch has been compared with an input alone.
    """

    model: Any
    tokenizer: Any
    apart: str | None = None
    checked: bool = False
    #: Names of the first layers, for gradients; found once.
    first: dict[str, str] = field(default_factory=dict)

    def capture(self, capturings: Sequence[Capturing], names: Sequence[str]) -> list[list[Trace]]:
        """Runs them to their end.

        Args:
            capturings: not started yet.
            names: what errors call each.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(LOCK)
            stack.enter_context(as_found(self.model))
            for running in capturings:
                stack.enter_context(contextlib.closing(running))
            started = [_sent(*pair, None) for pair in zip(capturings, names)]
            together = self._together(started)
            results: list[list[Trace]] = []
            if together is None:
                for running, name, request in zip(capturings, names, started):
                    while isinstance(request, Request):
                        request = _sent(running, name, request.alone())
                    results.append(request)
                return results
            now: list[Request | list[Trace]] = [
                _sent(running, name, outputs)
                for running, name, outputs in zip(capturings, names, together.outputs)
            ]
            while any(isinstance(request, Request) for request in now):
                answers = _answers(together, now)
                now = [
                    _sent(running, name, answers[row]) if row in answers else request
                    for row, (running, name, request) in enumerate(zip(capturings, names, now))
                ]
            return [request for request in now if not isinstance(request, Request)]

    def _together(self, started: Sequence[Request | list[Trace]]) -> Together | None:
        """The pass of all, or None if they are to be run one by one."""
        rows = [request for request in started if isinstance(request, Forward)]
        if self.apart is not None or len(rows) < 2 or len(rows) != len(started):
            return None
        try:
            padded = pad(self.model, self.tokenizer, [row.tensors for row in rows])
            together = Together(rows, padded, self.first)
            together.run()
            self._check(rows, padded)
        except Apart as reason:
            for row in rows:
                row.recorder.reports.clear()
            if reason.lasting:
                self.apart = str(reason)
            return None
        return together

    def _check(self, rows: Sequence[Forward], padded: Padded) -> None:
        """Compares the most padded input with its run alone, once.

        Raises:
            Apart: they differ.
        """
        if self.checked or padded.even:
            return
        row = min(range(len(rows)), key=lambda index: padded.lengths[index])
        recorder = replace(rows[row].recorder, observers=(), reports=[], progress=None)
        with torch.no_grad():
            run_listening(self.model, rows[row].tensors, recorder)
        mine, alone = rows[row].recorder.reports, recorder.reports
        same = len(mine) == len(alone) and all(
            a.kept.shape == b.kept.shape and np.allclose(a.kept, b.kept, rtol=0, atol=TOLERANCE)
            for a, b in zip(mine, alone)
        )
        if not same:
            raise Apart("padding shows in what the model attends to")
        self.checked = True


def _answers(together: Together, now: Sequence[Request | list[Trace]]) -> dict[int, Any]:
    """Answers all requests of one kind."""
    probes = {row: request for row, request in enumerate(now) if isinstance(request, Probe)}
    if probes:
        return together.probe(probes)
    questions = {row: request for row, request in enumerate(now) if isinstance(request, Differentiate)}
    if questions:
        return together.differentiate(questions)
    return {row: request.alone() for row, request in enumerate(now) if isinstance(request, Forward)}


def _sent(running: Capturing, name: str, answer: Any) -> Request | list[Trace]:
    try:
        return running.send(answer)
    except StopIteration as done:
        traces: list[Trace] = done.value
        return traces
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
