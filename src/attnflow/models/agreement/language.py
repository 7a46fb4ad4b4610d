"""The language of the model `agreement`: templated English in which every verb agrees with its subject.

A sentence has one main subject, perhaps modified by prepositional phrases and relative clauses, and one main
verb. In three fifths of all sentences something stands in front of the subject: a phrase or two, or a clause
with a subject and a verb of its own; a comma may follow it. So the subject may be the first noun or a later
one. A noun before the verb whose number is not the subject's is an attractor, be it in front of the subject or,
as in Linzen, Dupoux & Goldberg (2016), between subject and verb. Only nouns and verbs show number: the
determiners fit both.

Which nouns met which verbs is settled by a hash: a fifth of all pairs of a noun and a verb is held out, and
no training sentence has such a pair as subject and verb, in neither number, in main or relative clause.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _nouns(regular: str, irregular: str) -> tuple[tuple[str, str], ...]:
    """Pairs of singular and plural, the irregular ones written `one/many`."""
    pairs = [(word, word + "s") for word in _words(regular)]
    for pair in _words(irregular):
        one, many = pair.split("/")
        pairs.append((one, many))
    return tuple(pairs)


def _verbs(text: str) -> tuple[tuple[str, str], ...]:
    """Pairs of third person singular and plural."""
    return tuple((word + "s", word) for word in _words(text))


#: Singular and plural.
NUMBERS = ("singular", "plural")
PEOPLE = _nouns(
    "teacher doctor guard author farmer singer lawyer painter driver student pilot dancer baker sailor king queen girl "
    "boy neighbour visitor manager customer actor artist writer friend soldier worker",
    "child/children man/men woman/women thief/thieves",
)
THINGS = _nouns(
    "key cabinet door picture table lamp flower garden letter book car house window boat bottle chair clock mirror "
    "painting bridge tree basket ticket report computer hat coin bell ring wall",
    "knife/knives box/boxes glass/glasses story/stories",
)
#: Verbs that need no object; third person singular and plural.
INTRANSITIVE = {
    "person": _verbs("laugh smile wait sing swim travel dream listen sleep work arrive"),
    "thing": _verbs("shine fall break move appear shake disappear burn"),
}
#: Verbs whose subject is a person and whose object may be anything.
TRANSITIVE = _verbs("like see admire know want find remember paint describe need follow avoid")
BE = (("is", "are"), ("was", "were"))
HAVE = (("has", "have"),)
ADJECTIVES = _words(
    "old new small large famous strange beautiful expensive quiet heavy clean dirty young tired happy red green "
    "important dangerous cheap"
)
QUALITIES = {
    "person": _words("tired happy famous late young angry clever kind busy hungry strange rich"),
    "thing": _words("old new small expensive clean dirty heavy red green broken cheap strange beautiful"),
}
PREPOSITIONS = _words("near behind beside above under with from by to")
ADVERBS = _words("often always never rarely usually really")
ENDINGS = _words("today again now there quietly at|night in|winter")
CONJUNCTIONS = _words("when while because although")
DETERMINERS = ("the", "the", "the", "my", "your", "our", "their")

KINDS = (
    "plain",
    "phrase",  # the keys near the cabinet
    "two phrases",  # the keys near the cabinet behind the doors
    "subject clause",  # the guard that likes the keys
    "object clause",  # the keys that the guard wants
    "phrase in clause",  # the keys that the guard near the doors wants
    "phrase and clause",  # the keys near the cabinet that the guard wants
)
#: What stands in front of the subject, and how often in a hundred sentences.
FRONTS = {
    "nothing": 40,
    "phrase": 20,  # near the cabinets the key
    "two phrases": 15,  # near the cabinets behind the door the key
    "clause": 25,  # when the guards smile the key; because the guards want the cabinet the key
}


@dataclass(frozen=True)
class Sentence:
    """A sentence and its agreement.

    Attributes:
        words: in lower case, the last a full stop.
        kind: one of `KINDS`, how the subject is modified.
        front: one of `FRONTS`, what stands in front of it.
        number: "singular" or "plural", of the main subject.
        subject: position of the main subject.
        verb: position of the main verb.
        wrong: the main verb in the other number.
        before: positions of the nouns in front of the subject.
        between: positions of the nouns between subject and verb.
        attractors: those of both whose number is not the subject's.
        pairs: noun and verb, in the singular, of every clause, the main clause last.
    """

    words: tuple[str, ...]
    kind: str
    front: str
    number: str
    subject: int
    verb: int
    wrong: str
    before: tuple[int, ...]
    between: tuple[int, ...]
    attractors: tuple[int, ...]
    pairs: tuple[tuple[str, str], ...]

    @property
    def prompt(self) -> str:
        """The words before the main verb."""
        return " ".join(self.words[: self.verb])

    @property
    def right(self) -> str:
        """The main verb."""
        return self.words[self.verb]

    @property
    def is_held_out(self) -> bool:
        """Whether the main subject and verb are a pair that training does not have."""
        return is_held_out(*self.pairs[-1])


def is_held_out(noun: str, verb: str) -> bool:
    """Whether training never has a noun, in either number, as the subject of a verb.

    Args:
        noun: in the singular.
        verb: in the third person singular.

    Returns:
        True for about a fifth of all pairs.
    """
    return zlib.crc32(f"{noun} {verb}".encode()) % 5 == 0


def vocabulary() -> list[str]:
    """All words, in a fixed order."""
    pairs = (
        *PEOPLE,
        *THINGS,
        *(verb for kind in INTRANSITIVE.values() for verb in kind),
        *TRANSITIVE,
        *BE,
        *HAVE,
    )
    loose = (*ADJECTIVES, *(word for kind in QUALITIES.values() for word in kind), *PREPOSITIONS, *ADVERBS)
    ends = (part for ending in ENDINGS for part in ending.split("|"))
    return list(
        dict.fromkeys(
            [
                *(".", ",", "that", *DETERMINERS, *CONJUNCTIONS),
                *(form for pair in pairs for form in pair),
                *loose,
                *ends,
            ]
        )
    )


def verbs() -> dict[str, str]:
    """Every verb form with its number."""
    pairs = (*(verb for kind in INTRANSITIVE.values() for verb in kind), *TRANSITIVE, *BE, *HAVE)
    return {form: number for pair in pairs for form, number in zip(pair, NUMBERS)}


def nouns() -> dict[str, str]:
    """Every noun form with its number."""
    return {form: number for pair in (*PEOPLE, *THINGS) for form, number in zip(pair, NUMBERS)}


def draw(rng: random.Random, *, kind: str | None = None, front: str | None = None) -> Sentence:
    """Makes a sentence; its pairs of nouns and verbs may or may not be held out.

    Args:
        rng: decides.
        kind: one of `KINDS`; None: any.
        front: one of `FRONTS`; None: any.

    Returns:
        The sentence.
    """
    kind = kind or rng.choice(KINDS)
    front = front or rng.choices(tuple(FRONTS), tuple(FRONTS.values()))[0]
    words: list[str] = []
    pairs: list[tuple[str, str]] = []
    number_at: dict[int, int] = {}

    def noun(people: bool | None = None) -> tuple[int, tuple[str, str], int]:
        """A noun phrase: position of its noun, the noun, its number."""
        people = rng.random() < 0.5 if people is None else people
        chosen, number = rng.choice(PEOPLE if people else THINGS), rng.randrange(2)
        words.append(rng.choice(DETERMINERS))
        if rng.random() < 0.15:
            words.append(rng.choice(ADJECTIVES))
        words.append(chosen[number])
        number_at[len(words) - 1] = number
        return len(words) - 1, chosen, number

    def phrase() -> None:
        words.append(rng.choice(PREPOSITIONS))
        noun()

    def clause_in_front() -> None:
        words.append(rng.choice(CONJUNCTIONS))
        is_person = rng.random() < 0.5
        _, inner, number = noun(is_person)
        has_object = is_person and rng.random() < 0.5
        verb = rng.choice(TRANSITIVE if has_object else INTRANSITIVE["person" if is_person else "thing"])
        words.append(verb[number])
        pairs.append((inner[0], verb[0]))
        if has_object:
            noun()

    def object_clause(modified: bool) -> None:
        words.append("that")
        _, inner, number = noun(people=True)
        if modified:
            phrase()
        verb = rng.choice(TRANSITIVE)
        words.append(verb[number])
        pairs.append((inner[0], verb[0]))

    if front == "clause":
        clause_in_front()
    elif front != "nothing":
        for _ in range(2 if front == "two phrases" else 1):
            phrase()
    if front != "nothing" and rng.random() < 0.5:
        words.append(",")
    is_person = True if kind == "subject clause" else rng.random() < 0.5
    subject, head, number = noun(is_person)
    if kind in ("phrase", "two phrases", "phrase and clause"):
        phrase()
    if kind == "two phrases":
        phrase()
    if kind == "subject clause":
        verb = rng.choice(TRANSITIVE)
        words += ["that", verb[number]]
        pairs.append((head[0], verb[0]))
        noun()
    if kind in ("object clause", "phrase in clause", "phrase and clause"):
        object_clause(kind == "phrase in clause")
    if rng.random() < 0.15:
        words.append(rng.choice(ADVERBS))
    sort = "person" if is_person else "thing"
    form = rng.choice(
        ("be", "be", "have", "alone", "alone", "object") if is_person else ("be", "be", "have", "alone")
    )
    verb = rng.choice({"be": BE, "have": HAVE, "alone": INTRANSITIVE[sort], "object": TRANSITIVE}[form])
    at = len(words)
    words.append(verb[number])
    pairs.append((head[0], verb[0]))
    if form == "be":
        words.append(rng.choice(QUALITIES[sort]))
    elif form in ("have", "object"):
        noun(people=False if form == "have" else None)
    if rng.random() < 0.3:
        words += rng.choice(ENDINGS).split("|")
    words.append(".")
    nouns_before = [position for position in number_at if position < at]
    return Sentence(
        tuple(words),
        kind,
        front,
        NUMBERS[number],
        subject,
        at,
        verb[1 - number],
        tuple(position for position in nouns_before if position < subject),
        tuple(position for position in nouns_before if position > subject),
        tuple(position for position in nouns_before if number_at[position] != number),
        tuple(pairs),
    )


def training(seed: int | str) -> Iterator[Sentence]:
    """Training sentences without end: none has a pair that is held out, in any clause.

    Args:
        seed: settles all.

    Yields:
        Sentences.
    """
    rng = random.Random(seed)
    while True:
        sentence = draw(rng)
        if not any(is_held_out(*pair) for pair in sentence.pairs):
            yield sentence


def heldout(
    seed: int | str, *, attracted: bool = True, kind: str | None = None, front: str | None = None
) -> Iterator[Sentence]:
    """Different sentences whose main subject and verb are a pair that training does not have.

    Args:
        seed: settles all.
        attracted: only sentences with an attractor; else only sentences without.
        kind: one of `KINDS`; None: any that can.
        front: one of `FRONTS`; None: any that can.

    Yields:
        Sentences.
    """
    rng = random.Random(f"heldout {seed}")
    seen: set[tuple[str, ...]] = set()
    while True:
        sentence = draw(rng, kind=kind, front=front)
        if sentence.is_held_out and bool(sentence.attractors) is attracted and sentence.words not in seen:
            seen.add(sentence.words)
            yield sentence
