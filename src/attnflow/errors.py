"""What attnflow refuses, and how it says so.

Every refusal is an `AttnflowError`: one clear sentence that says what was found, what was expected and
what to do. Nothing is degraded silently.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AttnflowError(Exception):
    """Base of every error that attnflow raises on purpose."""


class InputError(AttnflowError, ValueError):
    """The text, tensors or arrays handed in cannot be explained as they are."""


class OptionError(AttnflowError, ValueError):
    """An option has an unknown or impossible value, or contradicts another."""


class CaptureError(AttnflowError, RuntimeError):
    """The model's attention could not be captured, or is not what attention must be."""


class NetworkError(AttnflowError, ValueError):
    """Capacities, players or targets do not make a flow network that has an answer."""


class SolverError(AttnflowError, RuntimeError):
    """A flow failed its own certificate. Never expected: please report it."""


class FormatError(AttnflowError, ValueError):
    """A file is not one that attnflow wrote, or was written by a newer version."""


class MissingExtraError(AttnflowError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str, cause: str | None = None) -> None:
        why = f" ({cause})" if cause else ""
        super().__init__(f"{what} is not installed{why}: run `pip install 'attnflow[{extra}]'`.")
        self.extra = extra


def unknown_name(kind: str, found: object, known: Iterable[str]) -> OptionError:
    """Builds the error for a name that is not known, suggesting the nearest that is.

    Args:
        kind: what the name names, in the singular ("method", "capacity scheme").
        found: what the caller wrote.
        known: every name that would have been accepted.

    Returns:
        The error, for the caller to raise.
    """
    names = sorted(known)
    near = difflib.get_close_matches(str(found), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return OptionError(f"Unknown {kind} {found!r}: {hint}Known: {', '.join(names)}.")
