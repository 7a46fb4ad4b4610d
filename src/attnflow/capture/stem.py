"""The convolutions that a picture or a clip goes through before attention, as they ran.

Where a position stands in a picture or in time is nobody's convention: it is what the model's own convolutions
make of the input. They are listened to while the model runs, so that no table of families is needed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from attnflow.capture.records import Sight

_KINDS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d, torch.nn.AvgPool1d)


@dataclass(frozen=True)
class Convolution:
    """One convolution of a pass.

    Attributes:
        name: qualified name of the module.
        before: shape of its input, `[batch, channels, *space]`.
        after: shape of its output.
        kernel: per axis of space.
        stride: per axis.
        padding: per axis, in front.
        dilation: per axis.
    """

    name: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]


@dataclass
class Stem:
    """An observer that notes every convolution of a pass, in order; those inside attention layers included."""

    found: list[Convolution] = field(default_factory=list)

    @contextlib.contextmanager
    def within(self, model: torch.nn.Module, tensors: dict[str, Any]) -> Iterator[None]:
        """Listens while the pass runs."""
        self.found.clear()
        with contextlib.ExitStack() as stack:
            for name, module in model.named_modules():
                if isinstance(module, _KINDS):
                    stack.callback(module.register_forward_hook(partial(self._note, name)).remove)
            yield

    def see(self, number: int, sight: Sight) -> None:
        """Looks at nothing."""

    def _note(self, name: str, module: Any, args: tuple[Any, ...], output: Any) -> None:
        if not args or not torch.is_tensor(args[0]) or not torch.is_tensor(output):
            return
        axes = len(module.kernel_size)
        dilation = getattr(module, "dilation", (1,) * axes)
        padding = module.padding
        if padding == "same":
            padding = tuple((k - 1) * d // 2 for k, d in zip(module.kernel_size, dilation))
        elif isinstance(padding, str):
            padding = (0,) * axes
        self.found.append(
            Convolution(
                name,
                tuple(args[0].shape),
                tuple(output.shape),
                tuple(module.kernel_size),
                tuple(module.stride),
                tuple(int(part) for part in padding),
                tuple(dilation),
            )
        )


@dataclass(frozen=True)
class Sampling:
    """How positions behind a chain of convolutions stand on the line in front of it.

    Attributes:
        first: where position 0 is centred, in steps of the input, whose step 0 is centred at 0.
        step: steps of the input from one position to the next.
        size: number of positions.
    """

    first: float
    step: float
    size: int


def sampling(convolutions: Sequence[Convolution], length: int, size: int | None) -> Sampling | None:
    """Follows one axis through the convolutions that turn `length` steps into `size` positions.

    Args:
        convolutions: those of a pass.
        length: steps of the input.
        size: number of positions wanted, or None to follow the chain to its end.

    Returns:
        Where the positions stand; None if no such chain was found.
    """
    found = Sampling(0.0, 1.0, length)
    if length == size:
        return found
    for conv in convolutions:
        axis = next((a for a, steps in enumerate(conv.before[2:]) if steps == found.size), None)
        if axis is None:
            continue
        reach = (conv.kernel[axis] - 1) * conv.dilation[axis]
        found = Sampling(
            found.first + (reach / 2 - conv.padding[axis]) * found.step,
            found.step * conv.stride[axis],
            conv.after[2 + axis],
        )
        if found.size == size:
            return found
    return found if size is None and found.size != length else None
