"""The most used model types.

Two sources, because no count by model type was published after 2023. First what Hugging Face counted:
downloads by model type in weeks 34 of 2022 and 4, 37 and 41 of 2023 (data set
`huggingface/transformers-stats-space-data`), from the top as far down as we could read. Second, chosen by
us: the families of the last years that the hub's lists of most downloaded checkpoints are made of, and what
a toolbox for text, pictures and sound would miss if it were not there.

Types without full softmax attention are no part of it, though some are much used; `LEFT_OUT` says which and
why.
"""

from __future__ import annotations

COUNTED = (
    "bert", "wav2vec2", "roberta", "llama", "distilbert", "clip", "gpt2", "t5", "xlm-roberta",
    "deberta-v2", "mpnet", "bart", "deberta", "albert", "vit", "camembert", "layoutlmv3", "electra",
    "marian", "vision-encoder-decoder", "bloom", "opt", "gpt_neox", "dpt", "mpt", "hubert", "convbert",
    "blip", "falcon", "gpt_neo", "xlnet", "layoutlm", "m2m_100", "gptj", "dpr", "mbart", "pegasus",
    "big_bird", "detr", "mt5",
)  # fmt: skip

CHOSEN = (
    "whisper", "mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "qwen2_vl", "qwen2_5_vl",
    "qwen3_vl", "gemma", "gemma2", "gemma3", "gemma3_text", "phi", "phi3", "deepseek_v2", "deepseek_v3",
    "gpt_oss", "llama4_text", "llava", "llava_next", "llava_onevision", "paligemma", "idefics3",
    "smolvlm", "qwen2_audio", "modernbert", "nomic_bert", "xlm", "flaubert", "rembert",
    "roberta-prelayernorm", "esm", "biogpt", "codegen", "starcoder2", "gpt_bigcode", "stablelm", "cohere",
    "olmo", "olmo2", "granite", "smollm3", "glm4", "siglip", "siglip2", "dinov2", "dinov3_vit", "deit",
    "beit", "blip-2", "trocr", "wavlm", "wav2vec2-bert", "xglm", "umt5", "videomae", "speecht5",
    "encoder-decoder",
)  # fmt: skip

MOST_USED = COUNTED + CHOSEN

LEFT_OUT = {
    "resnet": "no attention",
    "fnet": "no attention",
    "longformer": "banded attention",
    "led": "banded attention",
    "layoutlmv2": "needs detectron2, which is not on the package index",
    "musicgen": "its decoder reads several codebooks side by side",
    "swin": "attention in windows",
    "segformer": "keys are pooled",
    "sam": "attention in windows",
}
