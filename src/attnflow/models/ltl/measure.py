"""How often the formula holds on the model's trace: `python -m attnflow.models.ltl.measure`.

Held-out formulas are all different, and as hard as those of training (see `formulas.draw`): for each size 500, or
as many as are found, whose meaning training never asked about ("meaning"), and as many whose string it never saw
though the meaning may have occurred otherwise spelled ("string"). An answer is right if `language.satisfies` says so;
`shortest` counts the right ones that no lasso of fewer states betters, `same` those that are the very one that
training would have taught.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnflow.files import write_whole
from attnflow.models import answering, packaged
from attnflow.models.ltl import formulas, kernels, language
from attnflow.models.ltl.formulas import VOCABULARY, Formulas

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HERE = Path(__file__).parent
VALIDATION, TEST = 99, 2024  # seeds
FIELDS = ("right", "shortest", "same")
SIZES = range(1, formulas.LARGEST + 1)


@dataclass(frozen=True)
class Verdict:
    """Of some answers, [formulas] each: right, as short as can be, the one that training teaches; its states."""

    right: np.ndarray[Any, np.dtype[np.bool_]]
    shortest: np.ndarray[Any, np.dtype[np.bool_]]
    same: np.ndarray[Any, np.dtype[np.bool_]]
    states: np.ndarray[Any, Any]


def taught(drawn: Formulas) -> list[list[str]]:
    """The answers that training teaches."""
    return [[formulas.WORDS[word] for word in row if word >= 0] for row in drawn.answers]


def judge(model: PreTrainedModel, drawn: Formulas, *, beams: int = 1) -> Verdict:
    """Asks the model and checks what it says.

    Args:
        model: the encoder-decoder.
        drawn: formulas of one size.
        beams: 1 is greedy.

    Returns:
        The verdicts.
    """
    found = np.zeros((3, len(drawn.tokens)), bool)
    texts, expected = drawn.texts(), taught(drawn)
    longest = kernels.STATES_AT_MOST + 2
    said = [
        ids
        for start in range(0, len(drawn.tokens), 200)
        for ids in answering.answers(
            model, answering.source(drawn.tokens[start : start + 200], VOCABULARY), longest, beams
        )
    ]
    for at, ids in enumerate(said):
        answer = answering.words(ids, VOCABULARY)
        holds = bool(answer) and language.satisfies(answer, texts[at])
        found[:, at] = holds, holds and len(answer) <= len(expected[at]), answer == expected[at]
    right, shortest, same = found
    return Verdict(right, shortest, same, np.array([len(answer) - 1 for answer in expected]))


def baselines(drawn: Sequence[Formulas]) -> dict[str, float]:
    """How often answers that need no understanding are right.

    Args:
        drawn: formulas to measure on, one entry for each size.

    Returns:
        Share of right ones, sizes weighing the same: "all true for ever"; "nothing true for ever"; the answer that
        serves most of 800 training formulas, among their 40 most frequent ("best constant"); "copied polarity":
        for ever true what no negation stands right before at its first occurrence.
    """
    seen = [formulas.draw(nodes, 100, "train", VALIDATION) for nodes in range(5, 13)]
    texts = [text for one in seen for text in one.texts()]
    frequent = Counter(tuple(answer) for one in seen for answer in taught(one)).most_common(40)
    constant = max(
        (answer for answer, _ in frequent), key=lambda a: sum(language.satisfies(a, t) for t in texts)
    )

    def copied(text: Sequence[str]) -> list[str]:
        first: dict[str, bool] = {}
        for at, token in enumerate(text):
            if token in language.PROPOSITIONS:
                first.setdefault(token, not (at and text[at - 1] == "!"))
        return [language.LOOP, "{" + "".join(p for p in language.PROPOSITIONS if first.get(p)) + "}"]

    def share(answer: Callable[[list[str]], Sequence[str]]) -> float:
        shares = [np.mean([language.satisfies(answer(text), text) for text in one.texts()]) for one in drawn]
        return round(float(np.mean(shares)), 4)

    return {
        "all true for ever": share(lambda text: [language.LOOP, "{abc}"]),
        "nothing true for ever": share(lambda text: [language.LOOP, "{}"]),
        "best constant": share(lambda text: constant),
        "copied polarity": share(copied),
    }


def measure(model: PreTrainedModel, count: int = 500, beams: int = 5) -> dict[str, Any]:
    """All figures of a model.

    Args:
        model: the encoder-decoder.
        count: formulas of each size and part at most.
        beams: of the second set of figures; the first is greedy.

    Returns:
        What goes into `metrics.json`.
    """

    def part(name: str) -> dict[str, Any]:
        drawn = {n: formulas.distinct(n, count, name, TEST) for n in SIZES}
        drawn = {n: one for n, one in drawn.items() if len(one.tokens)}
        found: dict[str, Any] = {}
        for label, width in (("greedy", 1), (f"beams_{beams}", beams)):
            verdicts = {n: judge(model, one, beams=width) for n, one in drawn.items()}
            joined = {
                field: np.concatenate([getattr(verdict, field) for verdict in verdicts.values()])
                for field in (*FIELDS, "states")
            }
            nodes = np.concatenate([np.full(len(verdict.right), n) for n, verdict in verdicts.items()])

            def over(
                chosen: np.ndarray[Any, np.dtype[np.bool_]],
                joined: dict[str, np.ndarray[Any, Any]] = joined,
            ) -> dict[str, Any]:
                return {
                    "count": int(chosen.sum()),
                    **{field: round(float(joined[field][chosen].mean()), 4) for field in FIELDS},
                }

            found[label] = {
                "up_to_6_nodes": over(nodes <= 6),
                "5_to_12_nodes": over(nodes >= 5),
                "all": over(nodes > 0),
                "by_nodes": {str(n): over(nodes == n) for n in drawn},
                "by_states_needed": {
                    str(k): over(joined["states"] == k) for k in sorted(set(joined["states"].tolist()))
                },
            }
        found["baselines_5_to_12_nodes"] = baselines([drawn[n] for n in range(5, 13)])
        return found

    return {"held_out_by_meaning": part("meaning"), "held_out_by_string": part("string")}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: measures a model and writes `metrics.json` beside it.

    Args:
        arguments: in place of the process's own.
    """
    parser = argparse.ArgumentParser(prog="python -m attnflow.models.ltl.measure", description=__doc__)
    parser.add_argument("--model", type=Path, default=HERE / "model", help="directory that train wrote")
    parser.add_argument("--out", type=Path, default=HERE / "metrics.json")
    given = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(1)
    model, _ = packaged.read("ltl", given.model)
    metrics = packaged.report("ltl", given.model) | measure(model)
    write_whole(given.out, json.dumps(metrics, indent=2) + "\n")
    for name in ("held_out_by_meaning", "held_out_by_string"):
        print(name, {label: metrics[name]["greedy"][label] for label in ("up_to_6_nodes", "5_to_12_nodes")})


if __name__ == "__main__":
    main()
