"""The sentences of the agreement model: subject, attractors, verb, and what is held out."""

from __future__ import annotations

import itertools
import random

import pytest

from attnflow.models.agreement import language


def drawn(count, **how):
    rng = random.Random(5)
    return [language.draw(rng, **how) for _ in range(count)]


def test_every_part_of_a_sentence_is_what_it_is_called():
    nouns, verbs = language.nouns(), language.verbs()
    known = set(language.vocabulary())
    for sentence in drawn(500):
        words = sentence.words
        assert set(words) <= known
        assert words[-1] == "."
        assert nouns[words[sentence.subject]] == sentence.number
        assert verbs[sentence.right] == sentence.number
        assert verbs[sentence.wrong] != sentence.number
        assert (sentence.right, sentence.wrong) in {pair[::step] for pair in all_verbs() for step in (1, -1)}
        inner = [at for at in range(sentence.subject + 1, sentence.verb) if words[at] in nouns]
        outer = [at for at in range(sentence.subject) if words[at] in nouns]
        assert list(sentence.between) == inner
        assert list(sentence.before) == outer
        both = outer + inner
        assert list(sentence.attractors) == [at for at in both if nouns[words[at]] != sentence.number]
        assert sentence.prompt.split() == list(words[: sentence.verb])


def all_verbs():
    return [
        *language.BE,
        *language.HAVE,
        *language.TRANSITIVE,
        *language.INTRANSITIVE["person"],
        *language.INTRANSITIVE["thing"],
    ]


def test_verbs_of_clauses_agree_with_their_own_subject():
    nouns, verbs = language.nouns(), language.verbs()
    for sentence in drawn(200, kind="object clause", front="nothing"):
        words = sentence.words
        at = words.index("that")
        verb = next(place for place in range(at, len(words)) if words[place] in verbs)
        inner = next(place for place in range(at, len(words)) if words[place] in nouns)
        assert verbs[words[verb]] == nouns[words[inner]]
    for sentence in drawn(200, kind="subject clause"):
        assert verbs[sentence.words[sentence.words.index("that") + 1]] == sentence.number


def test_number_shows_in_nouns_and_verbs_alone():
    forms = {*language.nouns(), *language.verbs()}
    pairs = [(*pair,) for pair in (*language.PEOPLE, *language.THINGS, *all_verbs())]
    assert len(forms) == 2 * len(set(pairs))
    rest = set(language.vocabulary()) - forms
    assert not rest & {"a", "an", "this", "these", "each", "every", "many"}


def test_training_never_has_a_pair_that_is_held_out():
    pairs = {pair for s in itertools.islice(language.training(1), 3000) for pair in s.pairs}
    assert not any(language.is_held_out(*pair) for pair in pairs)
    tested = list(itertools.islice(language.heldout(1), 300))
    assert all(s.pairs[-1] not in pairs and s.attractors for s in tested)
    assert len({s.words for s in tested}) == 300
    words = {word for pair in pairs for word in pair}
    assert {word for s in tested for word in s.pairs[-1]} <= words  # the words themselves are known


def test_about_a_fifth_of_all_pairs_is_held_out():
    pairs = [(noun[0], verb[0]) for noun in (*language.PEOPLE, *language.THINGS) for verb in all_verbs()]
    share = sum(language.is_held_out(*pair) for pair in pairs) / len(pairs)
    assert share == pytest.approx(0.2, abs=0.03)


def test_without_attractors_and_by_kind():
    assert not any(s.attractors for s in itertools.islice(language.heldout(0, attracted=False), 50))
    for kind in language.KINDS[1:]:
        assert {s.kind for s in itertools.islice(language.heldout(0, kind=kind), 10)} == {kind}


def test_what_stands_in_front_of_the_subject():
    nouns = language.nouns()
    for front, count in (("nothing", 0), ("phrase", 1), ("two phrases", 2)):
        assert {len(s.before) for s in drawn(50, front=front)} == {count}
    for sentence in drawn(50, front="clause"):
        assert sentence.words[0] in language.CONJUNCTIONS
        assert len(sentence.before) in (1, 2)
    first = [next(word for word in s.words if word in nouns) for s in drawn(500)]
    agreeing = sum(nouns[word] == s.number for word, s in zip(first, drawn(500))) / 500
    assert 0.6 < agreeing < 0.8  # two fifths are the subject, of the others half agree


def test_a_seed_settles_all():
    assert next(language.training(3)) == next(language.training(3))
    assert next(language.heldout(3)) != next(language.heldout(4))
