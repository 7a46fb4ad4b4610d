"""Where the words and sentences of a text are.

Words are those of Unicode's text segmentation (UAX #29), as the `regex` library implements it: `don't` and
`3.14` are one word, hyphens and other punctuation words of their own, an emoji family or a flag one word, a
combining mark stays with its letter, every Chinese character is a word. Two rules are ours:

- Thai, Lao, Khmer and Burmese write no spaces inside a phrase, and finding words there takes a dictionary,
  which UAX #29 leaves to others. A run of such letters up to a space (or zero-width space) is one word.
- Whitespace and zero-width spaces belong to no word.

Sentences follow UAX #29's sentence boundaries, where a line break ends a sentence; a full stop behind a
title ("Dr."), an initial or a few abbreviations does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TypeGuard

import regex

from attnflow.errors import InputError, unknown_name

Span = tuple[int, int]

_EDGE = regex.compile(r"\b", regex.WORD | regex.V1)
_UNSPACED = regex.compile(r"\p{Line_Break=SA}+")
_CONTINUED = regex.compile(r"[\p{GCB=Extend}\p{GCB=SpacingMark}\p{GCB=ZWJ}]*+")
_INK = regex.compile(r"[^\s\x1C-\x1F\u200B]+")
_SURROGATE = regex.compile(r"[\uD800-\uDFFF]")

# UAX #29, section 5. Marks (SB5) follow any character; SB6 to SB11 are named where they are.
_MARKS = r"[\p{SB=EX}\p{SB=FO}]*+"
_BREAK = r"(?:\r\n|[\p{SB=SE}\r\n])"
_NEITHER = r"[^\p{SB=LE}\p{SB=UP}\p{SB=LO}\p{SB=SE}\r\n\p{SB=AT}\p{SB=ST}]*+"
_TITLES = "Mr Mrs Ms Dr Prof Rev Hon Gen Col Capt Lt Sgt Fig Eq vs cf e.g i.e".replace(".", r"\.").replace(
    " ", "|"
)
_SENTENCE_END = regex.compile(
    rf"""
    {_BREAK}
  | (?:
        (?<!\b(?:{_TITLES}|[\p{{Lu}}--I]))                        # ours
        \p{{SB=AT}}{_MARKS}
        (?!\p{{SB=NU}})                                                 # SB6
        (?!(?<=[\p{{SB=UP}}\p{{SB=LO}}]\p{{SB=AT}}{_MARKS})\p{{SB=UP}})   # SB7
        (?=
            (?:\p{{SB=CL}}{_MARKS})*+ (?:\p{{SB=SP}}{_MARKS})*+
            (?!{_NEITHER}\p{{SB=LO}})                                     # SB8
        )
      | \p{{SB=ST}}{_MARKS}
    )
    (?:\p{{SB=CL}}{_MARKS})*+ (?:\p{{SB=SP}}{_MARKS})*+                   # SB9, SB10
    (?![\p{{SB=SC}}\p{{SB=AT}}\p{{SB=ST}}])                                # SB8a
    {_BREAK}?                                                           # SB11
    """,
    regex.VERBOSE | regex.V1,
)


def segment(text: str, how: str = "words") -> list[Span]:
    """Finds the words or sentences of a text.

    Args:
        text: any text.
        how: "words" or "sentences".

    Returns:
        `(start, end)` character offsets, disjoint and in order. No segment begins or ends with whitespace;
        characters in no segment are whitespace or zero-width spaces.

    Raises:
        InputError: the text is no string, or holds half a character (a lone surrogate).
        OptionError: another `how`.
    """
    if how not in _WAYS:
        raise unknown_name("segmentation", how, _WAYS)
    check_text(text)
    return list(_WAYS[how](text))


def check_text(text: object) -> None:
    """Checks that tokenizers, files and pages can hold a text.

    Raises:
        InputError: it is no string, or holds a lone surrogate, which stands for no character.
    """
    if not isinstance(text, str):
        raise InputError(f"text: expected a string, found {type(text).__name__}.")
    broken = _SURROGATE.search(text)
    if broken:
        raise InputError(
            f"text holds half a character at position {broken.start()} (lone surrogate "
            f"U+{ord(broken.group()):04X}), which nothing can encode: decode the source with the right "
            "encoding, or with errors='replace'."
        )


def whole_letters(text: str, start: int, end: int) -> Span:
    """Extends a span so that no letter is cut from its combining marks.

    Tokenizers that strip accents may leave a mark out of the offsets of the token it belongs to.
    """
    marks = _CONTINUED.match(text, end)
    return start, end if marks is None else marks.end()


def trimmed(text: str, start: int, end: int) -> Span:
    """A span without the whitespace and zero-width spaces at its ends; `start == end` if nothing is left."""
    while start < end and _blank(text[start]):
        start += 1
    while end > start and _blank(text[end - 1]):
        end -= 1
    return start, end


def _blank(character: str) -> bool:
    return character.isspace() or character == "\u200b"


def _word_edges(text: str) -> Iterator[int]:
    unspaced = ((run.start(), run.end()) for run in _UNSPACED.finditer(text))
    first, last = next(unspaced, (len(text), len(text)))
    for match in _EDGE.finditer(text):
        edge = match.start()
        while edge >= last < len(text):
            first, last = next(unspaced, (len(text), len(text)))
        if not first < edge < last and 0 < edge < len(text):
            yield edge


def _words(text: str) -> Iterator[Span]:
    for start, end in pairwise([0, *_word_edges(text), len(text)]):
        yield from (inked.span() for inked in _INK.finditer(text, start, end))


def _sentences(text: str) -> Iterator[Span]:
    edges = (match.end() for match in _SENTENCE_END.finditer(text))
    for start, end in pairwise([0, *edges, len(text)]):
        first, last = trimmed(text, start, end)
        if first < last:
            yield first, last


_WAYS: dict[str, Callable[[str], Iterator[Span]]] = {"words": _words, "sentences": _sentences}


def is_pair(value: object) -> TypeGuard[tuple[str, str]]:
    """Whether a value is a pair of texts: a tuple of two strings. A list of strings is several texts."""
    return isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, str) for part in value)
