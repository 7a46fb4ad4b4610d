"""Accuracy of the classifier, and of simple baselines, on rated snippets."""

from __future__ import annotations

import importlib.util
import io
import itertools
import math
import re
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnflow.models.sentiment.snippets import SDIST, Snippet

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

LENGTHS = ((1, 9), (10, 19), (20, 29), (30, 10**6))  # words
STRENGTHS = ((0.0, 0.5), (0.5, 1.5), (1.5, 2.5), (2.5, 4.01))  # |mean rating|


def positive(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], size: int = 64
) -> np.ndarray:
    """The probability of POSITIVE for each text.

    Args:
        model: the classifier.
        tokenizer: its tokenizer.
        texts: any number.
        size: texts per batch.

    Returns:
        float64 [texts].
    """
    import torch

    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    result = np.zeros(len(texts))
    training = model.training
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            batch = tokenizer([texts[i] for i in chosen], padding=True, truncation=True, return_tensors="pt")
            result[chosen] = model(**batch).logits.double().softmax(-1)[:, 1].numpy()
    model.train(training)
    return result


def summary(snippets: Sequence[Snippet], probability: np.ndarray) -> dict[str, Any]:
    """What a classifier's probabilities are worth.

    Args:
        snippets: the texts with their ratings.
        probability: of POSITIVE, [snippets].

    Returns:
        Accuracy, its standard error, log loss, the confusion matrix, accuracy by length and by strength of
        rating.
    """
    label = np.array([snippet.label for snippet in snippets])
    right = (probability > 0.5) == label
    length = np.array([len(snippet.text.split()) for snippet in snippets])
    strength = np.array([abs(snippet.rating) for snippet in snippets])
    accuracy = float(right.mean())
    safe = np.clip(np.where(label == 1, probability, 1 - probability), 1e-12, None)

    def part(chosen: np.ndarray) -> dict[str, Any]:
        count = int(chosen.sum())
        return {"count": count, "accuracy": round(float(right[chosen].mean()), 4) if count else None}

    return {
        "count": len(snippets),
        "accuracy": round(accuracy, 4),
        "standard_error": round(math.sqrt(accuracy * (1 - accuracy) / len(snippets)), 4),
        "log_loss": round(float(-np.log(safe).mean()), 4),
        "confusion": {
            f"{truth}_called_{called}": int(((label == t) & ((probability > 0.5) == c)).sum())
            for t, truth in enumerate(("negative", "positive"))
            for c, called in enumerate(("negative", "positive"))
        },
        "by_words": {
            f"{low}-{high}" if high < 1000 else f"{low}+": part((length >= low) & (length <= high))
            for low, high in LENGTHS
        },
        "by_strength": {
            f"{low:g}-{min(high, 4):g}": part((strength >= low) & (strength < high))
            for low, high in STRENGTHS
        },
    }


def _features(text: str) -> Iterator[str]:
    tokens = re.findall(r"\w+(?:'\w+)?|[!?]", text.lower())
    yield from tokens
    yield from (f"{a} {b}" for a, b in itertools.pairwise(tokens))


def naive_bayes(train: Sequence[Snippet], test: Sequence[Snippet]) -> float:
    """Accuracy of multinomial naive Bayes on words and pairs of words.

    Args:
        train: to count on.
        test: to measure on.

    Returns:
        The accuracy.
    """
    counts = (Counter[str](), Counter[str]())
    for snippet in train:
        counts[snippet.label].update(set(_features(snippet.text)))
    vocabulary = counts[0].keys() | counts[1].keys()
    totals = [math.log(sum(count.values()) + len(vocabulary)) for count in counts]
    prior = math.log(sum(s.label for s in train) + 1) - math.log(sum(1 - s.label for s in train) + 1)
    right = 0
    for snippet in test:
        known = [feature for feature in set(_features(snippet.text)) if feature in vocabulary]
        score = prior + sum(
            math.log(counts[1][f] + 1) - totals[1] - math.log(counts[0][f] + 1) + totals[0] for f in known
        )
        right += (score > 0) == snippet.label
    return right / len(test)


def vader(sdist: Path, test: Sequence[Snippet]) -> float:
    """Accuracy of VADER's rules (Hutto & Gilbert 2014), run from the source archive that holds the snippets.

    Args:
        sdist: the archive.
        test: to measure on. A compound score of 0 or less counts as negative.

    Returns:
        The accuracy.
    """
    with tempfile.TemporaryDirectory() as directory:
        with tarfile.open(fileobj=io.BytesIO(sdist.read_bytes())) as archive:
            archive.extractall(directory, filter="data")
        source = Path(directory) / SDIST.removesuffix(".tar.gz") / "vaderSentiment" / "vaderSentiment.py"
        spec = importlib.util.spec_from_file_location("attnflow_vader_baseline", source)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        try:
            spec.loader.exec_module(module)
            analyser = module.SentimentIntensityAnalyzer()
            called = [analyser.polarity_scores(snippet.text)["compound"] > 0 for snippet in test]
        finally:
            del sys.modules[spec.name]
    return float(np.mean([c == s.label for c, s in zip(called, test)]))
