"""python -m experiments.alignment: which token of a molecule each token of its copy came from, and who finds it.

Needs `make realmodels`. Some minutes on one core; a stopped run goes on where it was.
"""

from __future__ import annotations

import argparse

import torch
from benchmarks.models import annalog

from attnflow.evaluate import alignment_error_rate, bootstrap
from experiments import grid, records, report
from experiments.alignment import copies, scores

STUDY = "alignment"
COMMAND = f"python -m experiments.{STUDY}"
SETTINGS = {
    "seed": 11,
    "samples": grid.SAMPLES,
    "ours": [row.name for row in (*scores.BLIND, *scores.ASKED)],
    "others": scores.OTHERS,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--count", type=int, default=60, help="molecules")
    parser.add_argument("--fresh", action="store_true", help="forget what is measured already")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = annalog()
    if found is None:
        parser.error("annalog is not installed: run `make realmodels`.")
    model, vocabulary = found
    names = {number: name for name, number in vocabulary.items()}
    start, end = vocabulary["<sos>"], vocabulary["<eos>"]

    def measure(text):
        source = [start, *(vocabulary[symbol] for symbol in symbols(text, vocabulary)), end]
        made = copies.copy(model, source, start=start, end=end)
        if made is None:
            return {"written": None}
        rates = {}
        for method, given in scores.every(model, made).items():
            inner = given[:, 1:-1]  # start and end are no candidates
            links = [(1 + int(row.argmax()), place) for place, row in enumerate(inner) if row.max() > 0]
            rates[method] = alignment_error_rate(links, made.sure, made.possible)
        written = "".join(names[token] for token in made.written[1:])
        return {"written": written, "sure": len(made.sure), "tokens": len(made.written) - 1, "rates": rates}

    texts = copies.molecules(3 * options.count, int(SETTINGS["seed"]))[: options.count]
    kept = records.collect(STUDY, "molecules", SETTINGS, texts, measure, fresh=options.fresh)
    found = tables(kept)
    report.publish(STUDY, COMMAND, found)
    draw(found[1])


def symbols(text: str, vocabulary: dict[str, int]) -> list[str]:
    """The symbols of a molecule, the longest that fit first.

    Raises:
        ValueError: a character that no symbol begins with.
    """
    found, place = [], 0
    longest = max(map(len, vocabulary))
    while place < len(text):
        for size in range(longest, 0, -1):
            if text[place : place + size] in vocabulary:
                found.append(text[place : place + size])
                place += size
                break
        else:
            raise ValueError(f"{text!r}: no symbol begins at {text[place:]!r}.")
    return found


def tables(kept: list[records.Record]) -> list[report.Table]:
    ended = [one for one in kept if one["written"] is not None]
    same = sum(one["written"] == one["key"] for one in ended)
    about = report.Table(
        "about",
        ["molecules", "that came to an end", "of them exact copies", "output tokens", "with a sure link"],
        [[len(kept), len(ended), same, sum(o["tokens"] for o in ended), sum(o["sure"] for o in ended)]],
    )
    rates = {method: bootstrap([one["rates"][method] for one in ended]) for method in ended[0]["rates"]}
    rows = [[method, rate] for method, rate in sorted(rates.items(), key=lambda item: item[1].estimate)]
    return [about, report.Table("rates", ["method", "alignment error rate"], rows)]


def draw(rates: report.Table) -> None:
    """Every method's error rate, beside that of links drawn at random."""
    found = {row[0]: row[1] for row in rates.rows}
    with report.figure(STUDY, "rates", height=0.24 * len(found) + 0.8) as drawn:
        axes = drawn.subplots()
        report.estimates(axes, {"": found}, list(found)[::-1], chance=found["random"].estimate)
        axes.set_xlabel("alignment error rate; dotted: links at random")


if __name__ == "__main__":
    main()
