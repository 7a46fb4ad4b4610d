"""What is needed to make a trace again."""

from __future__ import annotations

import functools
import hashlib
import json
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch

_SAMPLED = 64  # entries of every weight that enter the fingerprint


def provenance(model: Any, name: str, implementation: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """Describes model, software and options, all JSON.

    Args:
        model: the model that ran.
        name: what it was asked for by, or its own name or path; may be empty.
        implementation: the attention implementation that the model was found with.
        options: the options of `capture`.
    """
    return {
        "source": "transformers",
        "model": name or type(model).__name__,
        "class": type(model).__name__,
        "hash": fingerprint(model),
        "attention_implementation": implementation,
        "versions": {
            package: _version(package) for package in ("attnflow", "torch", "transformers", "tokenizers")
        }
        | {"python": platform.python_version()},
        "options": json.loads(json.dumps(options, default=str)),
    }


def fingerprint(model: torch.nn.Module) -> str:
    """A SHA-256 of the names, shapes, dtypes and evenly spaced entries of all weights.

    Reading every weight of a large model would take longer than the pass itself; 64 entries of each tell one
    checkpoint from another.
    """
    digest = hashlib.sha256()
    names: list[bytes] = []
    samples: list[bytes] = []
    others: dict[int, torch.Tensor] = {}
    for name, weight in model.state_dict().items():
        if not torch.is_tensor(weight):
            continue
        names.append(f"{name} {list(weight.shape)} {weight.dtype}".encode())
        samples.append(b"")
        if weight.is_meta or weight.numel() == 0:
            continue
        step = max(1, weight.numel() // _SAMPLED)
        place = slice(0, step * _SAMPLED, step)
        if type(weight) is torch.Tensor and weight.dtype == torch.float32 and weight.device.type == "cpu":
            samples[-1] = weight.numpy(force=True).reshape(-1)[place].astype(np.float64).tobytes()
        else:
            others[len(samples) - 1] = weight.reshape(-1)[place]
    for number, sample in zip(others, _wide(list(others.values()))):
        samples[number] = sample
    for name, sample in zip(names, samples):
        digest.update(name)
        digest.update(sample)
    return f"sha256-sampled:{digest.hexdigest()}"


@functools.cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _wide(samples: Sequence[torch.Tensor]) -> list[bytes]:
    """The bytes of samples as float64 or int64; those of one kind are converted together."""
    found = [b""] * len(samples)
    kinds: dict[tuple[torch.dtype, torch.device], list[int]] = {}
    for number, sample in enumerate(samples):
        kinds.setdefault((sample.dtype, sample.device), []).append(number)
    for (dtype, _), numbers in kinds.items():
        wide = torch.float64 if dtype.is_floating_point else torch.int64
        whole = torch.cat([samples[number] for number in numbers]).detach().to(wide).cpu().numpy()
        ends = np.cumsum([samples[number].numel() for number in numbers])
        for number, part in zip(numbers, np.split(whole, ends[:-1])):
            found[number] = part.tobytes()
    return found
