"""`python -m experiments.faithfulness.rules`: which rules of passing relevance back matter, without any flow.

`conserved` capacities rest on a gradient that is altered on its way (see `attnflow.capture.conserved`). Here each rule
is left out or replaced, and what arrives at the token embeddings, gradient times input, is measured as the study
measures attributions. The propagation is one of its own: an attention function and hooks.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from attnflow.capture.provenance import fingerprint
from attnflow.evaluate import comprehensiveness
from attnflow.evaluate.asked import Asked
from attnflow.evaluate.embeddings import embedded, output_of
from attnflow.evaluate.prediction import Prediction, evaluating
from experiments.faithfulness.findings import STUDY
from experiments.faithfulness.inputs import SEED, STUDIES, Study
from experiments.grades import interval
from experiments.records import Record, collect
from experiments.report import Cell, Table, publish

COMMAND = "python -m experiments.faithfulness.rules"
#: Models that are asked, and on how many examples.
COUNTS = {"sentiment": 60, "agreement": 100, "logic": 60, "rxnmapper": 30}
IMPLEMENTATION = "attnflow_rules"


@dataclass(frozen=True)
class Rule:
    """How the output is passed back.

    Attributes:
        attention: what attention weights get of a product with values: "nothing" (they are constants), "half" (values
            the other half; queries and keys share what the weights get), or "all" (the plain gradient).
        norms: whether the deviation of a layer norm is a constant.
        slopes: whether an activation is its slope through the origin.
        points: on the line from the baseline to the input that gradients are averaged over.
        reference: whether the gradient is multiplied by input less baseline, instead of by the input.
    """

    attention: str = "half"
    norms: bool = True
    slopes: bool = True
    points: int = 1
    reference: bool = False

    @property
    def name(self) -> str:
        """What the table calls it."""
        parts = [f"weights get {self.attention}"]
        parts += [] if self.norms else ["plain norms"]
        parts += [] if self.slopes else ["plain activations"]
        parts += ["less baseline"] if self.reference else []
        parts += [f"{self.points} points"] if self.points > 1 else []
        return ", ".join(parts)


RULES = (
    Rule(),
    Rule("nothing"),
    Rule("all"),
    Rule(norms=False),
    Rule(slopes=False),
    Rule(reference=True),
    Rule("nothing", reference=True),
    Rule(reference=True, points=3),
    Rule("nothing", reference=True, points=3),
    Rule("all", reference=True, points=3),
    Rule("all", norms=False, slopes=False),
    Rule("all", norms=False, slopes=False, reference=True, points=20),
)


def _half(x: torch.Tensor) -> torch.Tensor:
    """A tensor as it is, half its gradient."""
    return x.detach() + (x - x.detach()) / 2


class Passing:
    """A model whose gradients follow a rule.

    Args:
        model: altered for good: its attention is this class's.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.rule = Rule()
        AttentionInterface.register(IMPLEMENTATION, self._attend)
        AttentionMaskInterface.register(IMPLEMENTATION, eager_mask)
        model.set_attn_implementation(IMPLEMENTATION)
        for module in model.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.register_forward_hook(self._norm)
            elif type(module).__module__ in ("transformers.activations", "torch.nn.modules.activation"):
                module.register_forward_hook(self._activation)

    def scores(self, made: Prediction, rule: Rule) -> NDArray[np.float64]:
        """Gradient times input, float64 [players]."""
        self.rule = rule
        made = replace(made, model=self.model)
        y, inputs = output_of(made), embedded(made)
        bases = embedded(made, [made.replacement or 0] * made.players)
        moves = [torch.tensor(~made.fixed[part])[None, :, None] for part in made.stacks]
        sums: NDArray[np.float64] = np.zeros(made.players)
        with evaluating(self.model), torch.enable_grad():
            for number in range(rule.points):
                along = (rule.points - number) / rule.points
                points = [
                    torch.where(move, base + along * (x - base), x).detach().requires_grad_(True)
                    for x, base, move in zip(inputs, bases, moves)
                ]
                slopes = torch.autograd.grad(y(*points).sum(), points)
                away = [x - base if rule.reference else x for x, base in zip(inputs, bases)]
                found = [(a * slope).sum(-1)[0].detach().double().numpy() for a, slope in zip(away, slopes)]
                sums += np.concatenate(found) / rule.points
        return sums

    def _attend(
        self, module: Any, query: Any, key: Any, value: Any, mask: Any, scaling: Any = None, **_: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        half = self.rule.attention == "half"
        if half:
            query, key, value = map(_half, (query, key, value))
        scores = query @ key.transpose(2, 3) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
        A = (scores if mask is None else scores + mask[..., : key.shape[-2]]).softmax(-1)
        if half:
            A = _half(A)
        elif self.rule.attention == "nothing":
            A = A.detach()
        return (A @ value).transpose(1, 2).contiguous(), A

    def _norm(self, module: Any, args: Any, output: torch.Tensor) -> torch.Tensor | None:
        if not self.rule.norms:
            return None
        away = args[0] - args[0].mean(-1, keepdim=True)
        spread = (away.detach().pow(2).mean(-1, keepdim=True) + module.eps).sqrt()
        return module.weight * away / spread + module.bias

    def _activation(self, module: Any, args: Any, output: torch.Tensor) -> torch.Tensor | None:
        if not self.rule.slopes:
            return None
        x = torch.where(args[0].abs() < 1e-9, 1e-9, args[0])
        return x * (output / x).detach()


def measure(study: Study, count: int, fresh: bool = False) -> list[Record]:
    """One record per example: each rule's comprehensiveness, tokens masked."""
    torch.set_num_threads(1)
    model, tokenizer = study.load()
    passing = Passing(study.load()[0])
    asks = dict(study.asks(model, tokenizer, count))

    def record(key: str) -> Record:
        made = asks[key]()
        asked = Asked(made, "mask")
        return {
            rule.name: comprehensiveness(asked, passing.scores(made, rule)[made.hideable]) for rule in RULES
        }

    settings = {"model": fingerprint(model), "seed": SEED, "rules": [rule.name for rule in RULES]}
    return collect(STUDY, f"rules-{study.name}", settings, list(asks), record, fresh=fresh)


def table(found: dict[str, list[Record]]) -> Table:
    """Mean comprehensiveness of every rule on every model."""
    rows: list[list[Cell]] = [
        [
            rule.name,
            *(interval(records, lambda record, name=rule.name: record[name]) for records in found.values()),
        ]
        for rule in RULES
    ]
    return Table("rules", ["rule", *(f"{name} ({len(records)})" for name, records in found.items())], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--models", nargs="+", choices=COUNTS, default=list(COUNTS))
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs measured")
    asked = parser.parse_args(arguments)
    found = {name: measure(STUDIES[name], COUNTS[name], asked.fresh) for name in asked.models}
    publish(STUDY, COMMAND, [table(found)])


if __name__ == "__main__":
    main()
