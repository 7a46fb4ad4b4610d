"""How often the model's assignment satisfies the formula: `python -m attnflow.models.logic.measure`.

Held-out formulas are all different: for each size 1,000, or as many as there are, whose truth table
training never asked about ("function"), and as many whose string it never saw though the function may have
occurred otherwise spelled ("string"). An answer is right if python-sat finds no completion of it that makes the
formula false; `shortest` counts the right ones that no shorter assignment betters, `same` those that are
the very one that training would have taught.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attnflow.files import write_whole
from attnflow.models import answering, packaged
from attnflow.models.logic import formulas, kernels, language
from attnflow.models.logic.formulas import VOCABULARY, Formulas

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HERE = Path(__file__).parent
VALIDATION, TEST = 99, 2024  # seeds
FIELDS = ("right", "shortest", "same")
PARITY = [kernels.SYMBOLS.index(operator) for operator in ("^", "<->")]
SIZES = range(1, formulas.LARGEST + 1)


@dataclass(frozen=True)
class Verdict:
    """Of some answers, bool [formulas] each: right, as short as can be, the one that training teaches."""

    right: np.ndarray[Any, np.dtype[np.bool_]]
    shortest: np.ndarray[Any, np.dtype[np.bool_]]
    same: np.ndarray[Any, np.dtype[np.bool_]]


def taught(drawn: Formulas) -> list[list[str]]:
    """The answers that training teaches."""
    return [[language.LITERALS[literal] for literal in row if literal >= 0] for row in drawn.answers]


def judge(model: PreTrainedModel, drawn: Formulas, *, beams: int = 1, prove: bool = False) -> Verdict:
    """Asks the model and checks what it says.

    Args:
        model: the encoder-decoder.
        drawn: formulas of one size.
        beams: 1 is greedy.
        prove: ask the SAT solver rather than the truth tables.

    Returns:
        The verdicts.
    """
    found = np.zeros((3, len(drawn.tokens)), bool)
    texts, expected = drawn.texts(), taught(drawn)
    longest = len(language.VARIABLES) + 1
    said = [
        ids
        for start in range(0, len(drawn.tokens), 200)
        for ids in answering.answers(
            model, answering.source(drawn.tokens[start : start + 200], VOCABULARY), longest, beams
        )
    ]
    for at, ids in enumerate(said):
        answer = answering.words(ids, VOCABULARY)
        truth = int(drawn.tables[at, 0])
        right = language.prove(texts[at], answer) if prove else language.satisfies(answer, truth)
        found[:, at] = right, right and len(answer) == len(expected[at]), answer == expected[at]
    return Verdict(*found)


def baselines(drawn: Sequence[Formulas]) -> dict[str, float]:
    """How often answers that need no understanding are right.

    Args:
        drawn: formulas to measure on, one entry for each size.

    Returns:
        Share of right ones, sizes weighing the same: "all true"; the total assignment "best constant" on 20,000
        training formulas; the "most frequent" answer there; "copied polarity": each variable of the formula is
        assigned, 0 if a negation stands right before its first occurrence, else 1.
    """
    seen = [formulas.draw(nodes, 2500, "train", VALIDATION) for nodes in range(5, 13)]
    truths = np.concatenate([one.tables[:, 0] for one in seen])
    row = int(np.argmax([(truths >> np.uint32(r) & 1).sum() for r in range(language.ROWS)]))
    constant = [f"{variable}={row >> v & 1}" for v, variable in enumerate(language.VARIABLES)]
    frequent = Counter(tuple(answer) for one in seen for answer in taught(one)).most_common(1)[0][0]

    def copied(text: Sequence[str]) -> list[str]:
        first: dict[str, int] = {}
        for at, token in enumerate(text):
            if token in language.VARIABLES:
                first.setdefault(token, 0 if at and text[at - 1] == "!" else 1)
        return [f"{variable}={value}" for variable, value in sorted(first.items())]

    def share(answer: Any) -> float:
        shares = [
            np.mean(
                [language.satisfies(answer(text), int(t)) for text, t in zip(one.texts(), one.tables[:, 0])]
            )
            for one in drawn
        ]
        return round(float(np.mean(shares)), 4)

    return {
        "all true": share(lambda text: [f"{variable}=1" for variable in language.VARIABLES]),
        "best constant": share(lambda text: constant),
        "most frequent": share(lambda text: frequent),
        "copied polarity": share(copied),
    }


def measure(model: PreTrainedModel, count: int = 1000, beams: int = 5) -> dict[str, Any]:
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
        nodes = np.concatenate([np.full(len(one.tokens), n) for n, one in drawn.items()])
        parity = np.concatenate([np.isin(one.tokens, PARITY).sum(axis=1) for one in drawn.values()])
        for label, width in (("greedy", 1), (f"beams_{beams}", beams)):
            verdicts = [judge(model, one, beams=width, prove=True) for one in drawn.values()]
            joined = {
                field: np.concatenate([getattr(verdict, field) for verdict in verdicts]) for field in FIELDS
            }

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
                "by_number_of_^_and_<->_5_to_12_nodes": {
                    str(k): over((nodes >= 5) & (parity == k))
                    for k in sorted(set(parity[nodes >= 5].tolist()))
                },
            }
        found["baselines_5_to_12_nodes"] = baselines([drawn[n] for n in range(5, 13)])
        return found

    return {"held_out_by_function": part("function"), "held_out_by_string": part("string")}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: measures a model and writes `metrics.json` beside it.

    Args:
        arguments: in place of the process's own.
    """
    parser = argparse.ArgumentParser(prog="python -m attnflow.models.logic.measure", description=__doc__)
    parser.add_argument("--model", type=Path, default=HERE / "model", help="directory that train wrote")
    parser.add_argument("--out", type=Path, default=HERE / "metrics.json")
    given = parser.parse_args(arguments)
    import torch

    torch.set_num_threads(1)
    model, _ = packaged.read("logic", given.model)
    metrics = packaged.report("logic", given.model) | measure(model)
    write_whole(given.out, json.dumps(metrics, indent=2) + "\n")
    for name in ("held_out_by_function", "held_out_by_string"):
        print(name, {label: metrics[name]["greedy"][label] for label in ("up_to_6_nodes", "5_to_12_nodes")})


if __name__ == "__main__":
    main()
