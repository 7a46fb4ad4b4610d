"""Which players are one player."""

from __future__ import annotations

from dataclasses import dataclass

Groups = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Grouping:
    """A partition of players into groups.

    Attributes:
        groups: indices of the members of each group, ascending; groups are in the order of their first
            members, disjoint, and cover every player.
        labels: one per group. For words, sentences and spans an exact substring of the text; for blocks and windows
            the corners or the time.
    """

    groups: Groups
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.groups)
