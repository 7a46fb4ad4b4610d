"""What is explained: models and, for each, some hundreds of predictions, drawn by seed.

No text is kept with the project: movie snippets are fetched, the rest is made.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from attnflow.evaluate.prediction import Prediction, prediction
from attnflow.models import BUNDLED
from experiments.records import FOLDER

SEED = 7


@dataclass(frozen=True)
class Study:
    """One model and its examples.

    Attributes:
        name: of the model.
        about: what is predicted, for the page.
        load: returns model and tokenizer.
        asks: from model, tokenizer and count to named predictions.
        hide: how tokens are hidden, the first the study's own.
        rows: groups of rows that are measured: 1 the main ones, 2 also others, 3 also dear ones.
        curves: how many examples, from the first, have their tokens hidden one by one too.
    """

    name: str
    about: str
    load: Callable[[], tuple[Any, Any]]
    asks: Callable[[Any, Any, int], Iterator[tuple[str, Callable[[], Prediction]]]]
    hide: tuple[str, ...] = ("mask",)
    rows: int = 1
    curves: int = 300


def _sentiment(model: Any, tokenizer: Any, count: int) -> Iterator[tuple[str, Callable[[], Prediction]]]:
    """Held-out movie snippets of 12 to 30 tokens."""
    from attnflow.models.sentiment import snippets

    FOLDER.mkdir(parents=True, exist_ok=True)
    films = snippets.split(snippets.read(snippets.fetch(FOLDER)), SEED)
    texts = [snippet.text for snippet in films.heldout]
    random.Random(SEED).shuffle(texts)
    fitting = [text for text in texts if 12 <= len(tokenizer(text)["input_ids"]) <= 30]
    for index, text in enumerate(fitting[:count]):
        yield str(index), lambda text=text: prediction(model, text, tokenizer=tokenizer)


def _agreement(model: Any, tokenizer: Any, count: int) -> Iterator[tuple[str, Callable[[], Prediction]]]:
    """Sentences with an attractor: the right verb rather than the wrong one, where the model prefers it."""
    from attnflow.models.agreement import language

    for index, sentence in enumerate(itertools.islice(language.heldout(f"faithfulness {SEED}"), count)):
        ids = tokenizer.convert_tokens_to_ids([sentence.right, sentence.wrong])
        yield (
            str(index),
            lambda s=sentence, ids=ids: prediction(model, s.prompt, tokenizer=tokenizer, output=ids),
        )


def _logic(model: Any, tokenizer: Any, count: int) -> Iterator[tuple[str, Callable[[], Prediction]]]:
    """Held-out formulas of 6 to 12 nodes: one literal of the answer, drawn at random."""
    from attnflow.capture import capture
    from attnflow.models.logic import formulas

    rng = random.Random(SEED)
    sizes = [rng.randrange(6, 13) for _ in range(count)]
    drawn = {
        size: iter(_texts(formulas.distinct(size, sizes.count(size), "string", SEED))) for size in set(sizes)
    }
    for index, size in enumerate(sizes):
        text, place = next(drawn[size]), rng.random()

        def ask(text: str = text, place: float = place) -> Prediction:
            answer = capture(model, text, tokenizer=tokenizer).decisions
            literals = [decision.positions[0] for decision in answer if "=" in (decision.label or "")]
            target = literals[int(place * len(literals))] if literals else 0
            return prediction(model, text, tokenizer=tokenizer, target=target)

        yield str(index), ask


def _texts(drawn: Any) -> list[str]:
    from attnflow.models.logic import formulas

    symbols = formulas.VOCABULARY.symbols
    return [" ".join(symbols[token] for token in row if token >= 0) for row in drawn.tokens]


def _packaged(name: str) -> Callable[[], tuple[Any, Any]]:
    def load() -> tuple[Any, Any]:
        from experiments.packaged import load as packaged

        loaded = packaged(name)
        return loaded.model, loaded.tokenizer

    return load


def _grammar(model: Any, tokenizer: Any, count: int) -> Iterator[tuple[str, Callable[[], Prediction]]]:
    """Sentences whose verb has the wrong number: the edit that the model wants at the verb, or elsewhere."""
    from attnflow.models.agreement import language

    for index, sentence in enumerate(itertools.islice(language.heldout(f"grammar {SEED}"), count)):
        words = list(sentence.words)
        words[sentence.verb] = sentence.wrong
        text = " ".join(words[:-1]).capitalize() + "."

        def ask(text: str = text, wrong: str = sentence.wrong) -> Prediction:
            encoding = tokenizer(text, return_offsets_mapping=True)
            start = text.rindex(wrong)
            target = next(at for at, (a, b) in enumerate(encoding["offset_mapping"]) if a <= start < b)
            return prediction(model, text, tokenizer=tokenizer, target=target)

        yield str(index), ask


def _reactions(model: Any, tokenizer: Any, count: int) -> Iterator[tuple[str, Callable[[], Prediction]]]:
    """Reactions of common kinds with one atom of the product masked."""
    from experiments.faithfulness.reactions import masked

    for index, text in enumerate(masked(count, SEED)):
        yield str(index), lambda text=text: prediction(model, text, tokenizer=tokenizer)


STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        Study(
            "sentiment",
            "movie snippets, the predicted class",
            BUNDLED["sentiment"].load,
            _sentiment,
            rows=2,
            curves=50,
        ),
        Study(
            "agreement",
            "the verb's number after an attractor",
            BUNDLED["agreement"].load,
            _agreement,
            ("mask", "delete"),
            rows=3,
            curves=60,
        ),
        Study(
            "logic", "a literal of a satisfying assignment", BUNDLED["logic"].load, _logic, rows=3, curves=100
        ),
        Study("rxnmapper", "a masked atom of a product", _packaged("rxnmapper"), _reactions, curves=25),
        Study("quire", "the edit that a wrong verb needs", _packaged("quire"), _grammar, curves=25),
    )
}
