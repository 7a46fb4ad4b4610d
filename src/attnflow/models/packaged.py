"""Models whose weights come inside this package: how they are written, and read again.

A directory holds what transformers and tokenizers write: `config.json`, `generation_config.json`,
`model.safetensors` in float16, `tokenizer.json`, `tokenizer_config.json`. `AutoModel...from_pretrained` and
`AutoTokenizer.from_pretrained` read it too. Models compute in float32.
"""

from __future__ import annotations

import copy
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnflow.errors import MissingExtraError
from attnflow.files import write_whole

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

#: The first ids of every vocabulary: padding, start, end, unknown.
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
PAD, START, END, UNKNOWN = range(4)


def tokenizer(words: Sequence[str], pattern: str, *, lowercase: bool = False) -> PreTrainedTokenizerFast:
    """A tokenizer that knows whole words only.

    Args:
        words: the vocabulary after `SPECIAL`, in the order of the ids.
        pattern: regular expression of a word; everything else is one by itself, white space separates.
        lowercase: whether upper and lower case are one.

    Returns:
        The tokenizer. It adds no special tokens.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *words))}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL[UNKNOWN]))
    if lowercase:
        made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\s+"), "removed"),
            pre_tokenizers.Split(Regex(pattern), "isolated"),
        ]
    )
    pad, start, end, unknown = SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token=pad,
        bos_token=start,
        eos_token=end,
        unk_token=unknown,
        model_input_names=["input_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
    )


def write(directory: Path, model: PreTrainedModel, words: PreTrainedTokenizerFast) -> None:
    """Writes a model in float16, and its tokenizer.

    Args:
        directory: where to; it is made if need be.
        model: is left as it is.
        words: its tokenizer.
    """
    directory.mkdir(parents=True, exist_ok=True)
    from attnflow.capture.state import quiet

    with quiet():
        copy.deepcopy(model).half().save_pretrained(directory)
        words.save_pretrained(directory)
    (directory / "model.safetensors").chmod(0o644)
    path = directory / "config.json"
    config = json.loads(path.read_text())
    write_whole(path, json.dumps(config | {"dtype": "float32"}, indent=2, sort_keys=True) + "\n")


def read(name: str, directory: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Reads a model and its tokenizer.

    Args:
        name: the bundled name; the model calls itself `attnflow/NAME`.
        directory: what `write` made.

    Returns:
        The model, float32, in evaluation mode, and the tokenizer. Torch's random state is left as it was.

    Raises:
        MissingExtraError: torch or transformers is missing; `attnflow[hf]` brings them.
    """
    for module in ("torch", "transformers"):
        if importlib.util.find_spec(module) is None:
            raise MissingExtraError(f"{module}, which the model {name!r} runs on,", "hf")
    import torch
    import transformers

    from attnflow.capture.state import quiet

    config: Any = transformers.AutoConfig.from_pretrained(directory)
    cls = getattr(transformers, config.architectures[0])
    with quiet(), torch.random.fork_rng(devices=[]):
        model = cls.from_pretrained(directory, config=config, dtype=torch.float32, use_safetensors=True)
        words: PreTrainedTokenizerFast = transformers.AutoTokenizer.from_pretrained(directory)
    model.name_or_path = model.config.name_or_path = words.name_or_path = f"attnflow/{name}"
    return model.eval(), words


def report(name: str, directory: Path) -> dict[str, Any]:
    """What `metrics.json` says of a model besides what it can do.

    Args:
        name: the bundled name.
        directory: what `write` made, with the `training.json` of its run.

    Returns:
        Its name, the size of its weights, and how it was trained.
    """
    return {
        "model": f"attnflow/{name}",
        "weights_bytes": (directory / "model.safetensors").stat().st_size,
        "training": json.loads((directory / "training.json").read_text()),
    }
