"""docs/support.md and docs/support.json from the rows of the survey."""

from __future__ import annotations

import json
from ast import literal_eval
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.support.used import CHOSEN, COUNTED, LEFT_OUT, MOST_USED

#: Share of the types with full softmax attention that must be supported.
GOAL = 0.95
GOOD = ("supported", "partial")
STATUSES = ("supported", "partial", "refused", "no attention", "not tried", "failing")
HEAD = """# Supported models

Every model type of transformers {version} that some auto class builds, {total} in all, by `make support`: a
tiny random instance is built from its configuration, captured through the public functions, and checked.

| status | types | what it means |
|---|---|---|
{counts}

Of the {full} types with full softmax attention {supported} are supported or partly supported, {share:.1%} (the
goal: none failing, {goal:.0%} of them). Of the {used} most used {used_good} are{short}.

**Checked** of each supported type: the head-means equal the model's own eager attentions, wherever it
returns them ({compared} types); rows sum to one, or the family has sinks; the outputs are those of an eager
run, and the model answers the same afterwards; every stack is complete; flow, Shapley values and rollout at
two targets, with v(N) = 1 (less with sinks) and with nothing for players that have no path; and `explain`
from end to end. Relevance flow, which needs gradients, runs for {gradients} types; for the rest the column
says no, mostly because a bare model has no output to ask about.

**Not checked**: real weights, half precision, quantisation and devices, which the tests cover for some;
quality. Names of positions (patches, frames, tokens) are no part of it. A type is tried with one of its
classes on one input: the column says which. What it does with other inputs can differ: a model that reads
images with its text is explained in its language model.

**The most used types** are {counted} that Hugging Face counted (downloads by model type, weeks 34 of 2022
and 4, 37 and 41 of 2023, data set huggingface/transformers-stats-space-data, from the top as far down as we
could read) and {chosen} that we chose among the families since, as no such count was published later. Much
used but without full softmax attention, or not to be tried here, and so left out: {left_out}.

| type | class | reads | architecture | layers | relevance | status | reason |
|---|---|---|---|---|---|---|---|
"""


def write(rows: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Writes both files; `rows` in transformers' order of types."""
    kept = [{key: value for key, value in row.items() if key != "seconds"} for row in rows]
    record = {
        "transformers": version("transformers"),
        "torch": version("torch"),
        "most_used": list(MOST_USED),
        "rows": kept,
    }
    folder.mkdir(exist_ok=True)
    (folder / "support.json").write_text(
        json.dumps(record, indent=0, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / "support.md").write_text(markdown(record), encoding="utf-8")


def has_full_attention(row: Mapping[str, Any]) -> bool:
    """Whether a type counts as one with full softmax attention.

    Told by an independent look at the softmaxes of an eager pass, not by what capture says: every one of them is of one
    example, over all keys of a sequence that is also one of queries.
    """
    if row["status"] in GOOD:
        return True
    if row["status"] not in ("refused", "failing"):
        return False
    shapes = [literal_eval(shape) for shape in row["softmax"]]
    whole = [shape for shape in shapes if len(shape) == 4]
    if not whole or len(whole) < len(shapes) or any(shape[0] != 1 for shape in whole):
        return False
    square = {queries for _, _, queries, keys in whole if queries == keys}
    return bool(square) and all({queries, keys} <= square for _, _, queries, keys in whole)


def falls_short(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What keeps the matrix from its goal; nothing if it is met."""
    status = {row["type"]: row["status"] for row in rows}
    full = [row for row in rows if has_full_attention(row)]
    good = sum(row["status"] in GOOD for row in full)
    short = [f"{name} fails" for name, found in status.items() if found == "failing"]
    short += [f"{name}, much used, is not supported" for name in MOST_USED if status.get(name) not in GOOD]
    if good < GOAL * len(full):
        short.append(f"{good} of {len(full)} types with full softmax attention are supported")
    return short


def markdown(record: Mapping[str, Any]) -> str:
    """The page for people."""
    rows = record["rows"]
    counts = Counter(row["status"] for row in rows)
    full = [row for row in rows if has_full_attention(row)]
    good = [row for row in full if row["status"] in GOOD]
    names = {row["type"] for row in good}
    unsupported = [name for name in record["most_used"] if name not in names]
    meaning = {
        "supported": "captured and explained, all checks passed",
        "partial": "layers of attention and others: refused by default, with their names; "
        "`allow_partial=True` takes the others as identity and marks the result; all checks passed",
        "refused": "an error says why: windows, bands, pooled or sampled keys, or more than one stack can hold",
        "no attention": "nothing in it mixes positions by softmax weights",
        "not tried": "no tiny instance could be built, or none of our inputs fits: says nothing about capture",
        "failing": "a check failed",
    }
    head = HEAD.format(
        version=record["transformers"],
        total=len(rows),
        counts="\n".join(f"| {name} | {counts[name]} | {meaning[name]} |" for name in STATUSES),
        full=len(full),
        supported=len(good),
        share=len(good) / max(1, len(full)),
        goal=GOAL,
        used=len(record["most_used"]),
        used_good=len(record["most_used"]) - len(unsupported),
        short=f"; not {', '.join(unsupported)}" if unsupported else "",
        compared=sum("attentions" in row["checks"] for row in good),
        gradients=sum(row["gradient"] == "yes" for row in good),
        counted=len(COUNTED),
        chosen=len(CHOSEN),
        left_out=", ".join(f"{name} ({why})" for name, why in LEFT_OUT.items()),
    )
    return head + "".join(line(row) for row in rows)


def line(row: Mapping[str, Any]) -> str:
    """One row of the table."""
    layers = ", ".join(f"{count} {stack}" for stack, count in row["layers"].items())
    gradient = "" if not row["gradient"] else "yes" if row["gradient"] == "yes" else "no"
    reason = row["reason"].replace("|", "\\|").replace("\n", " ")
    reason = reason if len(reason) <= 240 else reason[:237].rsplit(" ", 1)[0] + " …"
    cells = [
        f"`{row['type']}`",
        row["model"],
        row["inputs"],
        row["architecture"],
        layers,
        gradient,
        row["status"],
        reason,
    ]
    return f"| {' | '.join(cells)} |\n"
