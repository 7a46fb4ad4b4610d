"""Word alignments against a reference."""

from __future__ import annotations

from collections.abc import Iterable

from attnflow.errors import InputError

Link = tuple[int, int]


def alignment_error_rate(
    found: Iterable[Link], sure: Iterable[Link], possible: Iterable[Link] | None = None
) -> float:
    """Alignment error rate (Och & Ney 2003, section 4): 1 - (|A and S| + |A and P|) / (|A| + |S|).

    Args:
        found: links `(source, target)` that were found, A.
        sure: links that a right alignment has, S.
        possible: links that it may have, P; sure ones count as possible. None: no others.

    Returns:
        From 0, every sure link and nothing impossible, to 1.

    Raises:
        InputError: no link was found and none is sure: the rate is then not defined.
    """
    A, S = set(found), set(sure)
    P = S | set(possible or ())
    if not A and not S:
        raise InputError("Alignment error rate needs a link that was found or is sure: there is none.")
    return 1 - (len(A & S) + len(A & P)) / (len(A) + len(S))
