"""What capturing one input asks of the model, so that whoever answers may answer several inputs at once.

Capturing is written once, as a generator: it yields requests and is sent the answers. `alone` answers each as it
comes; `attnflow.capture.batches` gathers those of several inputs and answers them by one pass.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from attnflow.capture.gradients import Gathered, Gradients
from attnflow.capture.interface import Recorder, run_listening
from attnflow.capture.outputs import Question
from attnflow.capture.pooling import probed, read_along

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Forward:
    """One pass; the answer is what the model returned, and the recorder's reports.

    Attributes:
        model: inside `as_found`.
        tensors: what it is called with.
        recorder: what listens.
    """

    model: Any
    tensors: dict[str, Any]
    recorder: Recorder

    def alone(self) -> Any:
        """Runs it."""
        return run_listening(self.model, self.tensors, self.recorder)


@dataclass(frozen=True, eq=False)
class Probe:
    """Which positions the head reads; the answer is as `probed` gives it.

    Attributes:
        model: inside `as_found`.
        tensors: what it is called with.
        last: number of the call of the last attention layer, as `probed` takes it.
        outputs: what the pass that was captured returned.
        recorder: what listened to it.
    """

    model: Any
    tensors: dict[str, Any]
    last: int
    outputs: Any
    recorder: Recorder

    def alone(self) -> Any:
        """Finds them from the pass that was captured, or by one more."""
        found = read_along(self.model, self.outputs, self.recorder, self.last)
        return probed(self.model, self.tensors, self.last) if found is None else found


@dataclass(frozen=True, eq=False)
class Differentiate:
    """Gradients of outputs of the pass just run; the answer is one `Gathered` for each question.

    Attributes:
        model: inside `as_found`.
        gradients: what observed the pass.
        tensors: what it ran on.
        outputs: what it returned.
        questions: whose outputs are differentiated.
        steps: points on the line to the input.
        progress: called after every backward pass.
    """

    model: Any
    gradients: Gradients
    tensors: dict[str, Any]
    outputs: Any
    questions: Sequence[Question]
    steps: int
    progress: Callable[[int, int], None] | None

    def alone(self) -> list[Gathered]:
        """Differentiates them."""
        return self.gradients.gather(
            self.model, self.tensors, self.outputs, self.questions, self.steps, self.progress
        )


Request = Forward | Probe | Differentiate


def alone(capturing: Generator[Request, Any, Result]) -> Result:
    """Answers every request as it comes, and returns what the generator returns."""
    answer: Any = None
    with contextlib.closing(capturing):
        while True:
            try:
                request = capturing.send(answer)
            except StopIteration as done:
                result: Result = done.value
                return result
            answer = request.alone()
