"""Tiny random models and tokenizers, built from configurations without a hub."""

from __future__ import annotations

import copy

import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

CORPUS = [
    "the quick brown fox jumps over the lazy dog",
    "the keys to the cabinet are on the table",
    "a cat sat on the mat and looked at the dog",
    "who jumps over the cat? the quick dog, of course!",
] * 4
SIZE = 200  # vocabulary of every model; no tokenizer has more


def wordpiece(kind: type = PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """BERT-like: lower case, "##" continuations, [CLS] ... [SEP]."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(
        CORPUS, trainers.WordPieceTrainer(vocab_size=120, special_tokens=special, show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return kind(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def byte_bpe(roberta: bool = False) -> PreTrainedTokenizerFast:
    """Byte-level BPE: GPT-2-like without special tokens in the text, or RoBERTa-like with <s> ... </s>."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] if roberta else ["<|endoftext|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet() if not roberta else []
    vocabulary = 320 if not roberta else 150
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=vocabulary, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    if roberta:
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True)
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            bos_token="<s>",
            cls_token="<s>",
            eos_token="</s>",
            sep_token="</s>",
            pad_token="<pad>",
            unk_token="<unk>",
            mask_token="<mask>",
        )
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>"
    )


def unigram(start: bool = False) -> PreTrainedTokenizerFast:
    """SentencePiece-like: "▁" before words; T5-like with </s> at the end, or Llama-like with <s> in front."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>", "<s>", "<mask>"]
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.UnigramTrainer(
            vocab_size=100, special_tokens=special, unk_token="<unk>", show_progress=False
        ),
    )
    tokenizer.post_processor = (
        processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 3)])
        if start
        else processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        bos_token="<s>",
        mask_token="<mask>",
    )


def translating(kind: str) -> transformers.PreTrainedTokenizerBase:
    """An MBartTokenizer or MBart50Tokenizer from English to Romanian."""
    words = ["▁", "▁the", "▁cat", "▁dog", "s", "a", "t", "c", "d", "o", "g", "e", "h"]
    vocabulary = [(piece, 0.0) for piece in ("<s>", "<pad>", "</s>", "<unk>")]
    vocabulary += [(piece, -1 - index / 50) for index, piece in enumerate(words)]
    return getattr(transformers, kind)(vocab=vocabulary, src_lang="en_XX", tgt_lang="ro_RO")


_BERT = {
    "vocab_size": SIZE,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "max_position_embeddings": 40,
}
_LLAMA = {
    **_BERT,
    "num_key_value_heads": 2,
    "bos_token_id": 3,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "max_position_embeddings": 64,
}
_GPT2 = {"vocab_size": 330, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 40}
_ENDS = {"bos_token_id": 0, "eos_token_id": 0}
_T5 = {
    "vocab_size": SIZE,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 37,
    "num_layers": 2,
    "num_decoder_layers": 3,
    "num_heads": 4,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "decoder_start_token_id": 0,
}
_BART = {
    "vocab_size": SIZE,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 37,
    "decoder_ffn_dim": 37,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}

#: name -> (class, configuration class, configuration)
FAMILIES: dict[str, tuple[str, str, dict]] = {
    "bert": ("BertModel", "BertConfig", _BERT),
    "bert-mlm": ("BertForMaskedLM", "BertConfig", _BERT),
    "bert-class": ("BertForSequenceClassification", "BertConfig", {**_BERT, "num_labels": 3}),
    "bert-tokens": ("BertForTokenClassification", "BertConfig", {**_BERT, "num_labels": 5}),
    "bert-answers": ("BertForQuestionAnswering", "BertConfig", _BERT),
    "roberta": ("RobertaForMaskedLM", "RobertaConfig", {**_BERT, "pad_token_id": 1}),
    "modernbert": (
        "ModernBertForMaskedLM",
        "ModernBertConfig",
        {**_BERT, "pad_token_id": 0, "cls_token_id": 2, "sep_token_id": 3, "local_attention": 4},
    ),
    "modernbert-mean": (
        "ModernBertForSequenceClassification",
        "ModernBertConfig",
        {**_BERT, "pad_token_id": 0, "classifier_pooling": "mean", "num_labels": 3, "local_attention": 4},
    ),
    "albert": (
        "AlbertForMaskedLM",
        "AlbertConfig",
        {**_BERT, "embedding_size": 16, "num_hidden_layers": 4},
    ),
    "distilbert": (
        "DistilBertForMaskedLM",
        "DistilBertConfig",
        {"vocab_size": SIZE, "dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 37},
    ),
    "deberta-v2": (
        "DebertaV2ForMaskedLM",
        "DebertaV2Config",
        {
            **_BERT,
            "relative_attention": True,
            "position_buckets": 8,
            "pos_att_type": ["p2c", "c2p"],
            "share_att_key": True,
        },
    ),
    "xlnet": (
        "XLNetForSequenceClassification",
        "XLNetConfig",
        {"vocab_size": SIZE, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 37, "num_labels": 3},
    ),
    "gpt2": ("GPT2LMHeadModel", "GPT2Config", {**_GPT2, **_ENDS}),
    "gpt2-headless": ("GPT2Model", "GPT2Config", {**_GPT2, **_ENDS}),
    "gpt2-class": (
        "GPT2ForSequenceClassification",
        "GPT2Config",
        {**_GPT2, **_ENDS, "num_labels": 3, "pad_token_id": 5},
    ),
    "gptj": (
        "GPTJForCausalLM",
        "GPTJConfig",
        {**_GPT2, **_ENDS, "rotary_dim": 4, "tie_word_embeddings": False},
    ),
    "bloom": (
        "BloomForCausalLM",
        "BloomConfig",
        {
            "vocab_size": SIZE,
            "hidden_size": 32,
            "n_layer": 2,
            "n_head": 4,
            "bos_token_id": 3,
            "eos_token_id": 1,
        },
    ),
    "falcon": (
        "FalconForCausalLM",
        "FalconConfig",
        {"vocab_size": SIZE, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, **_ENDS},
    ),
    "big-bird": ("BigBirdForMaskedLM", "BigBirdConfig", _BERT),
    "llama": ("LlamaForCausalLM", "LlamaConfig", _LLAMA),
    "llama-class": ("LlamaForSequenceClassification", "LlamaConfig", {**_LLAMA, "num_labels": 3}),
    "gpt-oss": (
        "GptOssForCausalLM",
        "GptOssConfig",
        {
            **_LLAMA,
            "intermediate_size": 32,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
            "head_dim": 8,
            "num_local_experts": 2,
            "num_experts_per_tok": 1,
            "sliding_window": 4,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        },
    ),
    "gemma3": (
        "Gemma3ForCausalLM",
        "Gemma3TextConfig",
        {
            **_LLAMA,
            "head_dim": 8,
            "sliding_window": 4,
            "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            "query_pre_attn_scalar": 8,
        },
    ),
    "t5": ("T5ForConditionalGeneration", "T5Config", _T5),
    "t5-headless": ("T5Model", "T5Config", _T5),
    "t5-encoder": ("T5EncoderModel", "T5Config", _T5),
    "bart": ("BartForConditionalGeneration", "BartConfig", {**_BART, "decoder_start_token_id": 2}),
    "bart-class": (
        "BartForSequenceClassification",
        "BartConfig",
        {**_BART, "decoder_start_token_id": 2, "num_labels": 3},
    ),
    "mbart": (
        "MBartForConditionalGeneration",
        "MBartConfig",
        {**_BART, "decoder_start_token_id": 2},
    ),
    "marian": (
        "MarianMTModel",
        "MarianConfig",
        {**_BART, "decoder_start_token_id": 1, "pad_token_id": 1},
    ),
    "m2m100": (
        "M2M100ForConditionalGeneration",
        "M2M100Config",
        {**_BART, "vocab_size": 320, "decoder_start_token_id": 2},
    ),
    "pegasus": (
        "PegasusForConditionalGeneration",
        "PegasusConfig",
        {**_BART, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "bos_token_id": None},
    ),
    "mamba": (
        "MambaForCausalLM",
        "MambaConfig",
        {"vocab_size": SIZE, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
    ),
    "jamba": (
        "JambaForCausalLM",
        "JambaConfig",
        {
            **_LLAMA,
            "num_hidden_layers": 4,
            "attn_layer_offset": 1,
            "attn_layer_period": 2,
            "num_experts": 2,
            "intermediate_size": 32,
            "use_mamba_kernels": False,
            "mamba_d_state": 4,
        },
    ),
}


def build(family: str, **changes: object) -> transformers.PreTrainedModel:
    """Builds a random model, in eval mode, with the attention implementation it gets by default."""
    import torch

    name, config, options = FAMILIES[family]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = getattr(transformers, name)(getattr(transformers, config)(**{**options, **changes}))
        for parameter in model.parameters():  # the usual 0.02 makes all attention nearly uniform
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
        for part, parameter in model.named_parameters():
            if part.endswith("sinks"):
                torch.nn.init.normal_(parameter)
        if model.config.model_type == "mbart":
            model.generation_config.forced_bos_token_id = 7
    return model.eval()


def eager(model: transformers.PreTrainedModel) -> transformers.PreTrainedModel:
    """A copy that computes eager attention, made the way a user would."""
    config = copy.deepcopy(model.config)
    config._attn_implementation = "eager"
    other = type(model)(config=config)
    other.load_state_dict(model.state_dict())
    for part in (getattr(other, "encoder", None), getattr(other, "decoder", None)):
        if hasattr(part, "set_attn_implementation"):
            part.set_attn_implementation("eager")
    return other.to(model.dtype).eval()


def encoder_decoder_from_parts() -> transformers.PreTrainedModel:
    """An EncoderDecoderModel of two BERTs."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(1)
        encoder = transformers.BertConfig(**_BERT)
        decoder = transformers.BertConfig(
            **{**_BERT, "num_hidden_layers": 2}, is_decoder=True, add_cross_attention=True
        )
        config = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
        config.decoder_start_token_id = 2
        model = transformers.EncoderDecoderModel(config=config)
        model.generation_config.decoder_start_token_id = 2
    return model.eval()
