"""RXNMapper's ALBERT: reaction SMILES in, and attention that maps product atoms to reactant atoms.

Schwaller et al. 2021, "Extraction of organic chemistry grammar from unsupervised learning of chemical reactions".
Their mapping reads one head of one layer; `HEAD` and `LAYER` name it, counted from 0.
"""

from __future__ import annotations

import ast
from pathlib import Path

from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from tokenizers.processors import TemplateProcessing
from transformers import AlbertForMaskedLM, PreTrainedTokenizerFast

from experiments.packaged.packaged import Packaged, check_complete, folder, release

DISTRIBUTION = "rxnmapper"
LAYER, HEAD = 10, 5


def load() -> Packaged:
    package = folder("rxnmapper", DISTRIBUTION)
    place = package / "models" / "transformers" / "albert_heads_8_uspto_all_1310k"
    model, info = AlbertForMaskedLM.from_pretrained(place, output_loading_info=True)
    check_complete("rxnmapper", info["missing_keys"], set())
    return Packaged(
        "rxnmapper",
        model.eval(),
        "MIT",
        release(DISTRIBUTION),
        tokenizer=tokenizer(place / "vocab.txt", package / "smiles_utils.py"),
    )


def tokenizer(vocabulary: Path, source: Path) -> PreTrainedTokenizerFast:
    """One token per atom, bond, ring closure or bracket, split by the pattern that the package defines."""
    words = vocabulary.read_text(encoding="utf-8").splitlines()
    ids = {word: index for index, word in enumerate(words)}
    pieces = Tokenizer(WordLevel(ids, unk_token="[UNK]"))
    pieces.pre_tokenizer = Split(Regex(_pattern(source)), behavior="removed", invert=True)
    pieces.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, ids[name]) for name in ("[CLS]", "[SEP]")]
    )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("cls", "sep", "pad", "mask", "unk")}
    return PreTrainedTokenizerFast(tokenizer_object=pieces, **names)


def _pattern(source: Path) -> str:
    """The constant of that name, read without running the package, which needs more packages."""
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "SMI_REGEX_PATTERN":
            return str(ast.literal_eval(node.value))
    raise ValueError(f"{source} defines no SMI_REGEX_PATTERN.")
