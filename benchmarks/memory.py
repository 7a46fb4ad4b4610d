"""Memory that a captured pass needs, beside a bare pass and beside eager `output_attentions`.

16 heads, 12 layers, n = 1,024: a stack of random weights, for what is held does not depend on them. Each way
runs in a process of its own. Tensors are followed as they are made and freed, so that what is held for
attention can be told from the model's activations: everything as large as one matrix over positions. Held
counts what is alive whenever anything smaller is computed; the peak of the process also has the scratch in which
scores become weights.
`python -m benchmarks.memory HOW LAYERS HEADS N` prints one case as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.long import peak_mb, reset_peak, resident_mb
from benchmarks.measure import apart
from benchmarks.rows import Row

WAYS = {
    "bare": "bare pass (sdpa)",
    "capture": "attnflow.capture",
    "eager": "eager output_attentions, heads averaged afterwards",
}


def rows(quick: bool) -> Iterator[Row]:
    layers, heads, n = (4, 16, 512) if quick else (12, 16, 1024)
    case = f"{heads} heads, {layers} layers, n={n:,}, float32"
    one = 4 * n * n / 1e6
    allowed = layers * one + heads * one
    yield Row(case, "head-means of all layers", layers * one, "MB")
    yield Row(case, "one layer's weights", heads * one, "MB")
    for how, name in WAYS.items():
        found = apart("benchmarks.memory", how, layers, heads, n)
        if found is None:
            raise RuntimeError("no time limit was set")
        most = 1.3 if how == "capture" else None
        if how != "bare":
            ratio = found["between_mb"] / allowed
            yield Row(case, f"{name}: held for attention / (head-means + one layer)", ratio, "x", most=most)
            yield Row(
                case, f"{name}: the same, a softmax's scratch included", found["most_mb"] / allowed, "x"
            )
            yield Row(case, f"{name}: held after the pass", found["after_mb"], "MB")
        yield Row(case, f"{name}: peak of the process beyond the loaded model", found["peak_mb"], "MB")


def one(how: str, layers: int, heads: int, n: int) -> dict[str, float]:
    import torch
    from transformers import BertConfig, BertModel

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=1000, hidden_size=16 * heads, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=32 * heads, max_position_embeddings=n,
    )  # fmt: skip
    model = BertModel(config, add_pooling_layer=False).eval()
    if how == "eager":
        model.set_attn_implementation("eager")
    small = {"input_ids": torch.ones((1, 8), dtype=torch.long)}
    inputs = {
        "input_ids": torch.randint(0, 1000, (1, n)),
        "attention_mask": torch.ones((1, n), dtype=torch.long),
    }
    run = {"bare": bare, "capture": capture, "eager": eager}[how]
    run(model, small)
    with Following(n * n) as following:
        reset_peak()
        before = resident_mb()
        kept = run(model, inputs)
        peak = peak_mb() - before
    return {
        "between_mb": following.between / 1e6,
        "most_mb": following.most / 1e6,
        "after_mb": sum(matrix.nbytes for matrix in kept) / 1e6,
        "peak_mb": peak,
    }


def bare(model: Any, inputs: dict[str, Any]) -> list[Any]:
    import torch

    with torch.no_grad():
        model(**inputs)
    return []


def capture(model: Any, inputs: dict[str, Any]) -> list[Any]:
    import attnflow

    return list(attnflow.capture(model, inputs=inputs).record("attention").encoder)


def eager(model: Any, inputs: dict[str, Any]) -> list[Any]:
    import torch

    with torch.no_grad():
        found = model(**inputs, output_attentions=True).attentions
    return [layer[0].mean(0).numpy() for layer in found]


class Following:
    """Follows the storages of torch tensors of at least `size` entries from birth to death.

    Attributes:
        held: bytes alive now.
        between: the most bytes alive when something smaller was computed: what is held while the model goes on.
        most: the most bytes alive at all.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.held = self.between = self.most = 0

    def __enter__(self) -> Following:
        import weakref

        import torch
        from torch.utils._python_dispatch import TorchDispatchMode

        following = self
        seen: set[int] = set()

        class Mode(TorchDispatchMode):
            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                made = func(*args, **(kwargs or {}))
                parts = made if isinstance(made, (tuple, list)) else (made,)
                storages = [tensor.untyped_storage() for tensor in parts if torch.is_tensor(tensor)]
                large = [storage for storage in storages if storage.nbytes() >= 4 * following.size]
                for storage in large:
                    if storage._cdata not in seen:
                        seen.add(storage._cdata)
                        following.held += storage.nbytes()
                        weakref.finalize(storage, freed, storage._cdata, storage.nbytes())
                following.most = max(following.most, following.held)
                if not large:
                    following.between = max(following.between, following.held)
                return made

        def freed(key: int, size: int) -> None:
            seen.discard(key)
            following.held -= size

        self._mode = Mode()
        self._mode.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._mode.__exit__(*error)


if __name__ == "__main__":
    print(json.dumps(one(sys.argv[1], *map(int, sys.argv[2:]))))
