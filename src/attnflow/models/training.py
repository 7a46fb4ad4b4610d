"""How the small encoder-decoders and language models of this package are trained: one run, saved as it goes.

Everything follows from the settings. The rate is warmed up, held, and lowered to zero over the last part of the
steps, so that a run can be given more steps while it is still held. What is kept is a moving average of the
weights. Beside the answer an encoder-decoder may be asked, at each input position, for bits that the subformula
which starts there settles: a linear layer reads them off the encoder's last states, teaches the encoder what
the operators mean, and is thrown away after training.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import logging
import math
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from attnflow.errors import OptionError
from attnflow.files import write_whole

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from torch import Tensor
    from torch.optim import Optimizer
    from transformers import PreTrainedModel

log = logging.getLogger("attnflow.models")
D = TypeVar("D", bound="DataclassInstance")


@dataclass(frozen=True)
class Settings:
    """All that a run depends on, besides its model and its data."""

    seed: int = 7
    steps: int = 10_000
    batch: int = 256
    rate: float = 1e-3
    decay: float = 0.01
    warmup: int = 300  # steps
    cooldown: float = 0.35  # of all steps: the last ones, in which the rate falls to zero
    average: float = 0.998  # of the moving average of the weights
    bits: float = 1.0  # weight of the loss on the bits of subformulas
    muon: float = 0.0  # rate of Muon for the layers' matrices; 0: AdamW for all
    bfloat16: int = 0  # 1: matrix products in bfloat16, where the processor has instructions for it
    threads: int = 1


@dataclass(frozen=True)
class Batch:
    """What a step learns from.

    Attributes:
        inputs: keyword tensors of the model.
        labels: int64 token ids that the logits shall predict, -100 where nothing is asked.
        bits: float32 [examples, positions, bits], or None.
        known: bool [examples, positions], where the bits are asked for, or None.
    """

    inputs: dict[str, Tensor]
    labels: Tensor
    bits: Tensor | None = None
    known: Tensor | None = None


class Run:
    """A training run: the model, its optimiser, the moving average, and where it stands."""

    def __init__(self, model: PreTrainedModel, settings: Settings, bits: int = 0) -> None:
        import torch

        self.settings = settings
        self.step, self.cpu_seconds = 0, 0.0
        self.history: list[dict[str, float]] = []
        self.model = model
        self.reader = torch.nn.Linear(model.config.hidden_size, bits) if bits else None
        self.learned = {f"model.{name}": p for name, p in model.named_parameters()}
        if self.reader is not None:
            self.learned |= {f"reader.{name}": p for name, p in self.reader.named_parameters()}
        self.average = {name: p.detach().clone() for name, p in self.learned.items()}
        self.optimisers = self._optimisers()

    def _optimisers(self) -> dict[str, tuple[float, Optimizer]]:
        """Optimisers and their rates by name: Muon for matrices within layers, AdamW for all else."""
        import torch

        settings = self.settings
        inner = [
            p for name, p in self.learned.items() if settings.muon and p.ndim == 2 and ".layers." in name
        ]
        taken = {id(p) for p in inner}
        others = [p for p in self.learned.values() if id(p) not in taken]
        groups = [
            {"params": [p for p in others if p.ndim > 1], "weight_decay": settings.decay},
            {"params": [p for p in others if p.ndim == 1], "weight_decay": 0.0},
        ]
        adam = torch.optim.AdamW(groups, lr=settings.rate, betas=(0.9, 0.98), fused=True)
        made: dict[str, tuple[float, Optimizer]] = {"adamw": (settings.rate, adam)}
        if inner:
            muon = torch.optim.Muon(
                inner, lr=settings.muon, weight_decay=settings.decay, adjust_lr_fn="match_rms_adamw"
            )
            made["muon"] = (settings.muon, muon)
        return made

    def factor(self) -> float:
        """What the rate is multiplied by at the present step."""
        lowered = max(1.0, self.settings.cooldown * self.settings.steps)
        left = (self.settings.steps - self.step) / lowered
        return min(1.0, (self.step + 1) / self.settings.warmup, left)

    def learn(self, batch: Batch) -> dict[str, float]:
        """One step.

        Args:
            batch: to learn from.

        Returns:
            The losses, of the answer and of the bits.
        """
        import torch
        from torch.nn import functional

        for rate, optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate * self.factor()
            optimiser.zero_grad()
        self.model.train()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bool(self.settings.bfloat16)):
            output = self.model(**batch.inputs, use_cache=False)
            loss = functional.cross_entropy(output.logits.float().flatten(0, 1), batch.labels.flatten())
            losses = {"answer": float(loss.detach())}
            if self.reader is not None and batch.bits is not None and batch.known is not None:
                read = self.reader(output.encoder_last_hidden_state[batch.known]).float()
                extra = functional.binary_cross_entropy_with_logits(read, batch.bits[batch.known])
                losses["bits"] = float(extra.detach())
                loss = loss + self.settings.bits * extra
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self.learned.values()), 1.0)
        for _, optimiser in self.optimisers.values():
            optimiser.step()
        self.step += 1
        keep = min(self.settings.average, self.step / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.values()), [p.detach() for p in self.learned.values()], 1 - keep
            )
        return losses

    def averaged(self) -> dict[str, Tensor]:
        """The moving average of the model's own weights, under the model's names."""
        return {
            name.removeprefix("model."): tensor.clone()
            for name, tensor in self.average.items()
            if name.startswith("model.")
        }

    def put_average(self, model: PreTrainedModel) -> None:
        """Gives a model of the same shape the averaged weights."""
        model.load_state_dict(self.averaged(), strict=False)
        model.tie_weights()
        model.eval()

    def record(self, path: Path, shape: DataclassInstance) -> None:
        """Writes how the run went.

        Args:
            path: of a JSON file.
            shape: the model's.
        """
        content = {
            "steps": self.step,
            "examples": self.step * self.settings.batch,
            "cpu_seconds": round(self.cpu_seconds),
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "shape": asdict(shape),
            "settings": asdict(self.settings),
            "history": self.history,
            "versions": {
                "python": platform.python_version(),
                **{name: importlib.metadata.version(name) for name in ("torch", "transformers", "numpy")},
            },
        }
        write_whole(path, json.dumps(content, indent=2) + "\n")

    def save(self, path: Path) -> None:
        """Writes all that `resume` needs, replacing the file at once."""
        import torch

        state = {
            "settings": asdict(self.settings),
            "step": self.step,
            "cpu_seconds": self.cpu_seconds,
            "learned": {name: p.detach() for name, p in self.learned.items()},
            "average": self.average,
            "optimisers": {name: each.state_dict() for name, (_, each) in self.optimisers.items()},
            "random": torch.get_rng_state(),
            "history": self.history,
        }
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def resume(self, path: Path) -> None:
        """Takes up a saved run.

        Args:
            path: what `save` wrote.

        Raises:
            OptionError: it was made with other settings; only more or fewer steps may be asked for, and only
                before the rate has begun to fall.
        """
        import torch

        state = torch.load(path, weights_only=True)
        found, asked = state["settings"], asdict(self.settings)
        falls = min(s["steps"] * (1 - s["cooldown"]) for s in (found, asked))
        if found != asked and (found | {"steps": 0} != asked | {"steps": 0} or state["step"] > falls):
            raise OptionError(
                f"{path} holds a run with {found} at step {state['step']}, but {asked} was asked for: "
                "repeat those settings or give another --out."
            )
        with torch.no_grad():
            for name, parameter in self.learned.items():
                parameter.copy_(state["learned"][name])
        self.step, self.cpu_seconds = state["step"], state["cpu_seconds"]
        self.average, self.history = state["average"], state["history"]
        for name, (_, optimiser) in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        torch.set_rng_state(state["random"])

    def go(
        self,
        batch: Callable[[int], Batch],
        checkpoint: Path,
        validate: Callable[[], dict[str, float]],
        *,
        every: int = 500,
        stop: int | None = None,
    ) -> None:
        """Trains until the last step, from where a checkpoint left off if there is one.

        Args:
            batch: makes the batch of a step.
            checkpoint: where the run is saved.
            validate: measures the averaged weights.
            every: steps between checkpoints; validation comes every second time.
            stop: end before this step, as if interrupted.
        """
        if checkpoint.exists():
            self.resume(checkpoint)
            log.info("going on from step %d", self.step)
        started = time.process_time() - self.cpu_seconds
        sums: dict[str, float] = {}
        counted = 0
        while self.step < min(self.settings.steps, stop or self.settings.steps):
            for name, value in self.learn(batch(self.step)).items():
                sums[name] = sums.get(name, 0.0) + value
            counted += 1
            self.cpu_seconds = time.process_time() - started
            if self.step % 100 == 0:
                means = ", ".join(f"{name} {total / counted:.4f}" for name, total in sums.items())
                log.info(
                    "step %d of %d, %s, %.0f CPU s", self.step, self.settings.steps, means, self.cpu_seconds
                )
                if any(not math.isfinite(total) for total in sums.values()):
                    raise FloatingPointError(f"The loss is not finite at step {self.step}.")
                sums, counted = {}, 0
            last = self.step == self.settings.steps
            if self.step % (2 * every) == 0 or last:
                self.history.append({"step": self.step, **validate()})
                log.info("validation %s", self.history[-1])
            if self.step % every == 0 or last:
                self.save(checkpoint)
            if self.step == int((1 - self.settings.cooldown) * self.settings.steps):
                self.save(checkpoint.with_stem(f"{checkpoint.stem}_held"))  # more steps can start from here


def add_options(parser: argparse.ArgumentParser, *defaults: DataclassInstance) -> None:
    """Gives a command line an option for each field of some dataclasses.

    Args:
        parser: of the command line.
        defaults: instances, whose values are the defaults.
    """
    for default in defaults:
        for field in fields(default):
            value = getattr(default, field.name)
            parser.add_argument(f"--{field.name}", type=type(value), default=value, help=f"default: {value}")


def chosen(given: argparse.Namespace, default: D) -> D:
    """The dataclass that a command line asks for.

    Args:
        given: what `add_options` and the parser made.
        default: an instance of the class.

    Returns:
        Another one.
    """
    return type(default)(**{field.name: getattr(given, field.name) for field in fields(default)})
