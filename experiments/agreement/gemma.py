"""`python -m experiments.agreement.gemma`: a real language model, Gemma 3 270M, on "The keys to the cabinet".

It must be installed: `make realmodels`.
"""

from __future__ import annotations

import argparse
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attnflow.capture.provenance import fingerprint
from attnflow.evaluate.prediction import prediction
from attnflow.evaluate.rows import Case, Ours, Theirs
from experiments.agreement.__main__ import SEED, STUDY
from experiments.grades import grade, interval
from experiments.records import Record, collect
from experiments.report import Table, publish

COMMAND = "python -m experiments.agreement.gemma"

#: Singular and plural of the subject, and what may follow it.
SUBJECTS = (
    ("key", "keys", "to"),
    ("picture", "pictures", "of"),
    ("book", "books", "about"),
    ("letter", "letters", "from"),
    ("road", "roads", "to"),
    ("teacher", "teachers", "of"),
    ("window", "windows", "in"),
    ("farmer", "farmers", "near"),
    ("bottle", "bottles", "on"),
    ("song", "songs", "about"),
)
#: Singular and plural of the attractor.
ATTRACTORS = (
    ("cabinet", "cabinets"),
    ("house", "houses"),
    ("river", "rivers"),
    ("student", "students"),
    ("table", "tables"),
    ("garden", "gardens"),
)

ROWS: tuple[Ours | Theirs, ...] = (
    Ours("flow", "conserved"),
    Ours("flow", "conserved", signed=True),
    Ours("flow", "relevance"),
    Ours("flow", "relevance", signed=True),
    Ours("shapley", "relevance"),
    Ours("flow", "attention-gradient", "open"),
    Ours("flow", "attention"),
    Ours("shapley", "attention"),
    Theirs("chefer"),
    Theirs("occlusion", {"scale": "logit"}, " of the logit"),
    Theirs("gradient-x-input"),
    Theirs("gaf-attention-gradient"),
)


@dataclass(frozen=True)
class Sentence:
    """A subject and an attractor of the other number, up to the verb.

    Attributes:
        text: what the model reads.
        subject: the subject's word.
        plural: True if the verb is to be.
    """

    text: str
    subject: str
    plural: bool


def sentences(count: int) -> list[Sentence]:
    """Sentences drawn by seed; subject and attractor differ in number."""
    made = []
    for (one, many, joint), (other, others), plural in itertools.product(SUBJECTS, ATTRACTORS, (False, True)):
        subject, attractor = (many, other) if plural else (one, others)
        made.append(Sentence(f"The {subject} {joint} the {attractor}", subject, plural))
    random.Random(SEED).shuffle(made)
    return made[:count]


def measure(count: int, fresh: bool = False) -> list[Record]:
    """One record per sentence: the model's preference, and each row's grades."""
    import torch

    from experiments.packaged import load

    torch.set_num_threads(1)
    packaged = load("gemma")
    model, tokenizer = packaged.model, packaged.tokenizer
    by_text = {sentence.text: sentence for sentence in sentences(count)}
    singular, plural = (tokenizer(verb, add_special_tokens=False)["input_ids"][0] for verb in (" is", " are"))

    def record(text: str) -> Record:
        sentence = by_text[text]
        verbs = (plural, singular) if sentence.plural else (singular, plural)
        made = prediction(model, text, tokenizer=tokenizer, output=verbs)
        case = Case(made)
        offsets = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        start = text.index(sentence.subject)
        subject = np.array([a < start + len(sentence.subject) and b > start for a, b in offsets])
        subject &= np.array([b > a for a, b in offsets])
        margin = made.values(np.ones((1, made.players), bool), scale="logit")[0]
        if margin <= 0:
            return {"margin": float(margin)}
        scored = {row.name: row.scores(case)[0] for row in ROWS}
        rng = np.random.default_rng([SEED, *text.encode()])
        scored["random"] = rng.random(made.players)
        words = made.hideable  # all but the special token at the start
        return {
            "margin": float(margin),
            "rows": {name: grade(s[words], subject[words]) for name, s in scored.items()},
            "start": {name: float(np.argmax(s) == 0) for name, s in scored.items()},
        }

    settings = {"model": fingerprint(model), "seed": SEED, "rows": [row.name for row in ROWS]}
    return collect(STUDY, "gemma", settings, list(by_text), record, fresh=fresh)


def table(records: Sequence[Record]) -> Table:
    """AUROC and precision@1 of the subject over the sentences that the model answers right."""
    right = [record for record in records if "rows" in record]
    rows = [
        [
            name,
            len(right),
            *(interval(right, lambda r, n=name, m=m: r["rows"][n][m]) for m in ("auroc", "precision")),
            interval(right, lambda r, n=name: r["start"][n]),
        ]
        for name in right[0]["rows"]
    ]
    rows.sort(key=lambda row: -row[2].estimate)
    heads = ["method", "sentences", "AUROC", "precision@1", "start token highest of all"]
    return Table("gemma", heads, rows, 2)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--count", type=int, default=60, help="sentences")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs measured")
    asked = parser.parse_args(arguments)
    records = measure(asked.count, asked.fresh)
    print(f"{sum('rows' in record for record in records)} of {len(records)} answered right")
    publish(STUDY, COMMAND, [table(records)])


if __name__ == "__main__":
    main()
