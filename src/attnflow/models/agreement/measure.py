"""How often the model prefers the right number of the verb: `python -m attnflow.models.agreement.measure`.

The sentences have a subject and a verb that training never put together, and differ from each other. The model reads
the words before the main verb. It is right if the verb's right form is likelier than the other one (Linzen,
Dupoux & Goldberg 2016); beside it stands how often all verbs of the right number together are likelier than all
of the wrong one, and how often the likeliest of all verbs is one of the right number.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnflow.files import write_whole
from attnflow.models import packaged
from attnflow.models.agreement import language
from attnflow.models.agreement.language import Sentence

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Verdict:
    """Of some sentences, bool [sentences] each.

    Attributes:
        right: the right form is likelier than the other one.
        number: verbs of the right number are likelier, all together, than those of the wrong one.
        likeliest: the likeliest verb is one of the right number.
    """

    right: np.ndarray[Any, np.dtype[np.bool_]]
    number: np.ndarray[Any, np.dtype[np.bool_]]
    likeliest: np.ndarray[Any, np.dtype[np.bool_]]


def judge(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, sentences: Sequence[Sentence], size: int = 100
) -> Verdict:
    """Asks the model for the main verbs.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer.
        sentences: any number.
        size: sentences per batch.

    Returns:
        The verdicts, in the order of the sentences.
    """
    import torch

    ids = tokenizer.get_vocab()
    forms = language.verbs()
    of_number = {
        number: [ids[form] for form, own in forms.items() if own == number] for number in language.NUMBERS
    }
    found = np.zeros((3, len(sentences)), bool)
    order = sorted(range(len(sentences)), key=lambda i: sentences[i].verb)
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), size):
            group = order[start : start + size]
            rows = [[ids[word] for word in sentences[i].words[: sentences[i].verb]] for i in group]
            padded = torch.full((len(rows), max(map(len, rows))), packaged.PAD)
            for at, row in enumerate(rows):
                padded[at, : len(row)] = torch.tensor(row)
            logits = model(input_ids=padded, attention_mask=padded != packaged.PAD, use_cache=False).logits
            for at, i in enumerate(group):
                sentence = sentences[i]
                p = logits[at, len(rows[at]) - 1].double().softmax(-1)
                other = next(number for number in language.NUMBERS if number != sentence.number)
                found[0, i] = p[ids[sentence.right]] > p[ids[sentence.wrong]]
                found[1, i] = p[of_number[sentence.number]].sum() > p[of_number[other]].sum()
                found[2, i] = p[of_number[sentence.number]].max() > p[of_number[other]].max()
    return Verdict(*found)


def baselines(sentences: Sequence[Sentence]) -> dict[str, float]:
    """How often simple rules find the right form.

    Args:
        sentences: to measure on.

    Returns:
        Share of right ones by rule: "always plural"; the number of the "last noun" before the verb; of the
        "first noun"; of "most nouns" (ties count one half); the form that "the two words before" the verb had more
        often in 50,000 training sentences (backing off to one word, then to all; ties count one half).
    """
    nouns = language.nouns()
    forms = language.verbs()
    seen: Counter[tuple[str, ...]] = Counter()
    for sentence in itertools.islice(language.training("baseline"), 50_000):
        for at, word in enumerate(sentence.words):
            if word in forms:
                for context in (2, 1, 0):
                    seen[(*sentence.words[at - context : at], word)] += 1

    def before(sentence: Sentence) -> list[str]:
        return [nouns[word] for word in sentence.words[: sentence.verb] if word in nouns]

    def agreeing(number: str, sentence: Sentence) -> float:
        return float(number == sentence.number)

    def most(sentence: Sentence) -> float:
        same = before(sentence).count(sentence.number)
        return float(np.sign(2 * same - len(before(sentence))) / 2 + 0.5)

    def two_words(sentence: Sentence) -> float:
        for context in (2, 1, 0):
            words = sentence.words[sentence.verb - context : sentence.verb]
            difference = seen[(*words, sentence.right)] - seen[(*words, sentence.wrong)]
            if difference:
                return float(difference > 0)
        return 0.5

    rules: dict[str, Callable[[Sentence], float]] = {
        "always plural": lambda sentence: agreeing("plural", sentence),
        "last noun": lambda sentence: agreeing(before(sentence)[-1], sentence),
        "first noun": lambda sentence: agreeing(before(sentence)[0], sentence),
        "most nouns": most,
        "the two words before": two_words,
    }
    return {name: round(float(np.mean([rule(s) for s in sentences])), 4) for name, rule in rules.items()}


def measure(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, count: int = 2000) -> dict[str, Any]:
    """All figures of a model.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer.
        count: sentences with an attractor, and as many without; half as many of each kind.

    Returns:
        What goes into `metrics.json`.
    """

    def on(sentences: Sequence[Sentence]) -> dict[str, Any]:
        verdict = judge(model, tokenizer, sentences)
        return {
            "count": len(sentences),
            "right": round(float(verdict.right.mean()), 4),
            "right_number_of_all_verbs": round(float(verdict.number.mean()), 4),
            "likeliest_verb_agrees": round(float(verdict.likeliest.mean()), 4),
        }

    attracted = list(itertools.islice(language.heldout("test"), count))
    plain = list(itertools.islice(language.heldout("test", attracted=False), count))
    kinds = [kind for kind in language.KINDS if kind != "plain"]
    most = max(len(sentence.attractors) for sentence in attracted)
    return {
        "with_attractor": on(attracted),
        "without_attractor": on(plain),
        "with_attractor_by_kind": {
            kind: on(list(itertools.islice(language.heldout("test", kind=kind), count // 2)))
            for kind in kinds
        },
        "by_attractors": {
            str(n): on([sentence for sentence in attracted if len(sentence.attractors) == n])
            for n in range(1, most + 1)
        },
        "baselines_with_attractor": baselines(attracted),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: measures a model and writes `metrics.json` beside it.

    Args:
        arguments: in place of the process's own.
    """
    parser = argparse.ArgumentParser(prog="python -m attnflow.models.agreement.measure", description=__doc__)
    parser.add_argument("--model", type=Path, default=HERE / "model", help="directory that train wrote")
    parser.add_argument("--out", type=Path, default=HERE / "metrics.json")
    given = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(1)
    metrics = packaged.report("agreement", given.model) | measure(*packaged.read("agreement", given.model))
    write_whole(given.out, json.dumps(metrics, indent=2) + "\n")
    print(json.dumps(metrics["with_attractor"], indent=2))


if __name__ == "__main__":
    main()
