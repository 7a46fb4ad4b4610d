"""Who plays the game: tokens, words, sentences, chat turns or spans of the text.

A token belongs to the word that its character offsets overlap. A token that overlaps several words (one
piece for "New York", or for "。」") joins them into one player, and so do tokens that share a character: the
players stay disjoint, and each label is an exact substring of the text. Tokens in no word stay players of
their own: special and template tokens, tokens of whitespace alone, and generated tokens without offsets (an
encoder-decoder's, whose text is the source's). Positions of the encoder and of the decoder are never joined,
nor are given and generated tokens, nor messages of a chat: words and sentences end where one of these does.
"""

from __future__ import annotations

import difflib
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from attnflow.attribution import Player
from attnflow.errors import InputError, OptionError, unknown_name
from attnflow.grouping import Grouping, Groups
from attnflow.merging import ADDED, adjacent, merge, single_stack, spelled
from attnflow.placing import PLACED, placed_groups
from attnflow.regrouping import regroup
from attnflow.segments import Span, check_text, segment, trimmed

__all__ = ["Grouping", "excluded", "merge", "player_groups", "regroup", "word_groups"]

# -- grouping ------------------------------------------------------------------------------------------


def player_groups(
    players: Sequence[Player], text: str | None, how: str | tuple[str, float] | Iterable[Span]
) -> Grouping:
    """Groups players into what a reader thinks of as the parts of the input.

    Args:
        players: players whose spans refer to `text`, such as `FlowNetwork.players`.
        text: the source text; only "tokens" and "turns" do without.
        how: "tokens" (each by itself), "words", "sentences", "turns" (the messages of a chat; its template's
            tokens stay by themselves), or character spans `(start, end)`. Spans hold whole tokens; tokens
            outside of all spans stay by themselves. For images `("blocks", n)`: squares of n by n patches. For sound
            `("windows", s)`: stretches of s seconds, and the padding behind the clip as one player.

    Returns:
        The groups and their labels, for `attribute(players=..., labels=...)`.

    Raises:
        OptionError: an unknown `how`, or spans that overlap, are empty, leave the text or split a token.
        InputError: the text, spans, patches or times that `how` needs are missing.
    """
    if isinstance(how, (tuple, list)) and len(how) == 2 and isinstance(how[0], str):
        name, size = how
        if name not in PLACED:
            raise unknown_name("players", name, (*_WAYS, *PLACED))
        return placed_groups(players, str(name), size)
    if isinstance(how, str):
        if how not in _WAYS:
            raise unknown_name("players", how, _WAYS)
        return _WAYS[how](players, text)
    return _by_spans(players, text, how)


def word_groups(players: Sequence[Player], text: str | None) -> Groups:
    """Groups players into the words of the text. See `player_groups`."""
    return player_groups(players, text, "words").groups


def _tokens(players: Sequence[Player], text: str | None) -> Grouping:
    return Grouping(
        tuple((index,) for index in range(len(players))), tuple(player.label for player in players)
    )


def _words(players: Sequence[Player], text: str | None) -> Grouping:
    source = _source(players, text, "players='words'")
    return _joined(players, source, _segments(players, source, "words"))


def _sentences(players: Sequence[Player], text: str | None) -> Grouping:
    source = _source(players, text, "players='sentences'")
    return _joined(players, source, _segments(players, source, "sentences"))


def _turns(players: Sequence[Player], text: str | None) -> Grouping:
    if not any(player.role for player in players):
        raise InputError(
            "players='turns' needs chat roles, and no token has one: hand in a chat, or choose 'words'."
        )
    groups: list[tuple[int, ...]] = []
    for (role, *_), run in groupby(
        range(len(players)),
        key=lambda j: (players[j].role, single_stack(players[j]), *_belonging(players[j])),
    ):
        members = tuple(run)
        groups += [members] if role else [(j,) for j in members]
    return Grouping(tuple(groups), tuple(spelled([players[j] for j in group], text) for group in groups))


_WAYS: dict[str, Callable[[Sequence[Player], str | None], Grouping]] = {
    "tokens": _tokens,
    "words": _words,
    "sentences": _sentences,
    "turns": _turns,
}


def _segments(players: Sequence[Player], text: str, how: str) -> list[Span]:
    """The text's segments, each within what is written by one: no template, message or answer runs into another."""
    seated = sorted((player.span, _belonging(player)) for player in players if player.span is not None)
    edges = [
        span[0] for (before, one), (span, other) in pairwise(seated) if one != other and before[1] <= span[0]
    ]
    return [
        (first + start, first + end)
        for first, last in pairwise([0, *edges, len(text)])
        for start, end in segment(text[first:last], how)
    ]


def _belonging(player: Player) -> tuple[bool, bool, int]:
    """What neighbours must share to be one word or turn: template or not, generated or not, the turn."""
    return player.kind in ADDED, player.kind == "generated", -1 if player.turn is None else player.turn


def _joined(players: Sequence[Player], text: str, segments: Sequence[Span]) -> Grouping:
    """Joins the players that overlap one segment, and segments that one player overlaps."""
    starts, ends = [start for start, _ in segments], [end for _, end in segments]
    lanes: dict[object, list[tuple[int, int, int]]] = defaultdict(list)
    found: dict[tuple[int, ...], str] = {}
    for index, player in enumerate(players):
        lane = _lane(player)
        first = last = 0
        if lane is not None and player.span is not None:
            first, last = bisect_right(ends, player.span[0]), bisect_left(starts, player.span[1])
        if first < last:
            lanes[lane].append((first, last, index))
        else:
            found[index,] = player.label
    for runs in lanes.values():
        runs.sort()
        begin, reach = runs[0][0], 0
        members: list[int] = []
        for first, last, index in [*runs, (len(segments), 0, -1)]:
            if first >= reach and members:
                found[tuple(sorted(members))] = text[starts[begin] : ends[reach - 1]]
                begin, members = first, []
            reach = max(reach, last)
            members.append(index)
    return _ordered(found)


def _ordered(found: Mapping[tuple[int, ...], str]) -> Grouping:
    groups = sorted(found)
    return Grouping(tuple(groups), tuple(found[group] for group in groups))


def _by_spans(players: Sequence[Player], text: str | None, spans: Iterable[Span]) -> Grouping:
    source = _source(players, text, "players=[(start, end), ...]")
    wanted = sorted(_checked_spans(source, spans))
    for one, other in pairwise(wanted):
        if other[0] < one[1]:
            raise OptionError(
                f"Spans {_quoted(source, one)} and {_quoted(source, other)} overlap: players are disjoint."
            )
    tokens = {
        index: _inked(source, player.span)
        for index, player in enumerate(players)
        if _lane(player) is not None and player.span is not None
    }
    starts, ends = [start for start, _ in wanted], [end for _, end in wanted]
    inside: dict[tuple[int, object], list[int]] = defaultdict(list)
    found: dict[tuple[int, ...], str] = {}
    for index, player in enumerate(players):
        start, end = tokens.get(index, (0, 0))
        first, last = bisect_right(ends, start), bisect_left(starts, end)
        if first >= last:
            found[index,] = player.label
        elif starts[first] <= start and end <= ends[first]:
            inside[first, _lane(player)].append(index)
        else:
            raise _split(source, wanted[first], (start, end), tokens.values())
    held = {number for number, _ in inside}
    for number, span in enumerate(wanted):
        if number not in held:
            raise OptionError(
                f"Span {_quoted(source, span)} holds no token: the tokenizer left this text out."
            )
        if len({lane for other, lane in inside if other == number}) > 1:
            raise OptionError(
                f"Span {_quoted(source, span)} holds both given and generated tokens, and no player does: end it where "
                "the prompt ends."
            )
    for (number, _), group in inside.items():
        found[tuple(group)] = source[slice(*wanted[number])]
    return _ordered(found)


def _checked_spans(text: str, spans: Iterable[Span]) -> list[Span]:
    try:
        pairs = [tuple(span) for span in spans]
    except TypeError:
        pairs = [()]
    if not pairs or any(len(pair) != 2 or not all(_whole(part) for part in pair) for pair in pairs):
        ways = ", ".join(repr(way) for way in _WAYS)
        raise OptionError(
            f"players={_short(spans)}: expected {ways}, or character spans [(start, end), ...]; for images and sound "
            "('blocks', n) or ('windows', seconds)."
        )
    checked = []
    for first, last in pairs:
        start, end = int(first), int(last)
        if not 0 <= start <= end <= len(text):
            raise OptionError(
                f"Span ({start}, {end}): expected 0 <= start < end <= {len(text)}, the text's length."
            )
        inner = trimmed(text, start, end)
        if inner[0] == inner[1]:
            what = "is empty" if start == end else f"{text[start:end]!r} is whitespace"
            raise OptionError(f"Span ({start}, {end}) {what}: expected some of the text's characters.")
        checked.append(inner)
    return checked


def _split(text: str, span: Span, token: Span, tokens: Iterable[Span]) -> OptionError:
    """The error for a span that holds a part of a token, with the nearest span that would do."""
    start, end = span
    for low, high in sorted(tokens, reverse=True):
        if low < start < high:
            start = low
    for low, high in sorted(tokens):
        if low < end < high:
            end = high
    return OptionError(
        f"Span {_quoted(text, span)} splits the token {_quoted(text, token)}, and tokens are the smallest players: "
        f"{_quoted(text, (start, end))} would fit."
    )


def _source(players: Sequence[Player], text: str | None, what: str) -> str:
    """The text, if players' spans refer to it."""
    if text is None:
        raise InputError(
            f"{what} needs the source text, and there is none: explain a text, or group by index."
        )
    check_text(text)
    spans = [player.span for player in players if player.span is not None]
    if not spans:
        raise InputError(
            f"{what} needs the tokens' character offsets, and no token has any: use a fast tokenizer, or group "
            "by index."
        )
    if min(start for start, _ in spans) < 0 or max(end for _, end in spans) > len(text):
        raise InputError(
            f"The players' spans leave the text of {len(text)} characters: they belong to another text."
        )
    return text


def _lane(player: Player) -> tuple[str, bool] | None:
    """What a player may be joined within: nothing, if it stands for no one piece of text."""
    stack = single_stack(player)
    if player.kind in ADDED or stack is None or not adjacent(player.nodes):
        return None
    return stack, player.kind == "generated"


def _inked(text: str, span: Span) -> Span:
    """A token's span without the spaces that byte-level tokenizers count in; all of a token of spaces."""
    start, end = trimmed(text, *span)
    return (start, end) if start < end else span


# -- leaving out ---------------------------------------------------------------------------------------


def excluded(
    players: Sequence[Player], exclude: str | Iterable[int | str], grouping: Grouping | None = None
) -> tuple[int, ...]:
    """Finds the players that `exclude=` takes out of the game.

    Args:
        players: such as `FlowNetwork.players`.
        exclude: "special" for every special and template token, or items, each an index, a label that only
            one player has, or "special".
        grouping: if given, indices and labels are those of its groups.

    Returns:
        Indices into `players`, ascending.

    Raises:
        OptionError: an item that is no player, or a label that several have.
    """
    added = [index for index, player in enumerate(players) if player.kind in ADDED]
    if isinstance(exclude, str) and exclude == "special":
        return tuple(added)
    if isinstance(exclude, str) or not isinstance(exclude, Iterable):
        raise OptionError(
            f'exclude={exclude!r}: expected "special" or a list, such as exclude=[{exclude!r}].'
        )
    grouping = grouping or _tokens(players, None)
    out: set[int] = set()
    for item in exclude:
        if item == "special" and item not in grouping.labels:
            out.update(added)
        else:
            out.update(grouping.groups[_found(item, grouping.labels)])
    return tuple(sorted(out))


def _found(item: Any, labels: Sequence[str]) -> int:
    if _whole(item):
        index = int(item)
        if not -len(labels) <= index < len(labels):
            raise OptionError(f"exclude: player {index} is out of range: expected 0 to {len(labels) - 1}.")
        return index % len(labels)
    if not isinstance(item, str):
        raise OptionError(f"exclude: {item!r} is no player: expected an index, a label or 'special'.")
    places = [index for index, label in enumerate(labels) if label == item]
    if item == "special":
        where = ", ".join(map(str, places))
        raise OptionError(
            f"exclude: 'special' is also the label of player {where}: name it by its index, or write "
            "exclude='special' for the special tokens."
        )
    if not places:
        near = difflib.get_close_matches(item, labels, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "give its index."
        raise OptionError(f"exclude: no player is labelled {item!r}: {hint}")
    if len(places) > 1:
        raise OptionError(
            f"exclude: {item!r} is the label of players {', '.join(map(str, places))}: give the index."
        )
    return places[0]


def _whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _quoted(text: str, span: Span) -> str:
    return f"{_short(text[slice(*span)])} at ({span[0]}, {span[1]})"
