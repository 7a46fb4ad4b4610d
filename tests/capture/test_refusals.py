"""Inputs and models that cannot be captured, each with one clear sentence."""

import re
import subprocess
import sys
import warnings

import pytest
import torch
import transformers

import tiny
from attnflow.capture import capture
from attnflow.capture.inputs import PositionsWarning
from attnflow.errors import AttnflowError, CaptureError, InputError, OptionError

IDS = [6, 9, 30, 12]


def refused(error, match, *args, **kwargs):
    with pytest.raises(error, match=match) as caught:
        capture(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert isinstance(caught.value, AttnflowError)


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_empty_text(text):
    refused(InputError, "empty", tiny.build("bert"), text, tokenizer=tiny.wordpiece())


def test_only_special_tokens():
    tokenizer = tiny.wordpiece()
    refused(InputError, "special", tiny.build("bert"), inputs={"input_ids": [2, 3]}, tokenizer=tokenizer)


@pytest.mark.parametrize("text", [3, b"bytes", {"role": "user"}])
def test_no_text(text):
    refused(InputError, "expected a string", tiny.build("bert"), text, tokenizer=tiny.wordpiece())


def test_text_and_inputs():
    refused(
        OptionError, "both", tiny.build("bert"), "a", inputs={"input_ids": IDS}, tokenizer=tiny.wordpiece()
    )
    refused(OptionError, "Neither", tiny.build("bert"))


def test_no_tokenizer():
    refused(InputError, "tokenizer", tiny.build("bert"), "the cat")


@pytest.mark.parametrize(
    ("family", "limit"),
    [("bert", 40), ("roberta", 38), ("gpt2", 40), ("gptj", 40), ("bart", 40), ("marian", 40)],
)
def test_too_long(family, limit):
    capture(tiny.build(family), inputs={"input_ids": [7] * (limit - 1) + [2]})
    with pytest.raises(InputError, match=f"has {limit + 1} tokens.*positions for {limit}"):
        capture(tiny.build(family), inputs={"input_ids": [7] * limit + [2]})


@pytest.mark.parametrize("family", ["llama", "t5", "bloom"])
def test_relative_positions_have_no_limit(family):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trace = capture(tiny.build(family), inputs={"input_ids": [7] * 70})
    assert max(len(trace.encoder_tokens), len(trace.decoder_tokens)) == 70
    told = [w for w in caught if issubclass(w.category, PositionsWarning)]
    assert len(told) == (1 if family == "llama" else 0)


def test_long_text_on_a_real_model(minilm):
    model, tokenizer = minilm
    refused(InputError, "602 tokens.*positions for 512", model, "word " * 600, tokenizer=tokenizer)


def test_batches():
    refused(
        InputError, "batch of 2", tiny.build("bert"), inputs={"input_ids": torch.ones(2, 4, dtype=torch.long)}
    )


@pytest.mark.parametrize("inputs", [{}, [1, 2], "ids", {"input_ids": []}, {"input_ids": object()}])
def test_no_inputs(inputs):
    refused(InputError, "inputs", tiny.build("bert"), inputs=inputs)


def test_unknown_inputs():
    refused(InputError, "no_such", tiny.build("gptj"), inputs={"input_ids": IDS, "no_such": [1, 2]})


def test_mask_of_another_length():
    refused(
        InputError, "attention_mask", tiny.build("bert"), inputs={"input_ids": IDS, "attention_mask": [1, 1]}
    )


def test_everything_masked():
    refused(
        InputError, "masks every", tiny.build("bert"), inputs={"input_ids": IDS, "attention_mask": [0] * 4}
    )


def test_ids_beyond_the_vocabulary():
    refused(InputError, "vocabulary", tiny.build("bert"), inputs={"input_ids": [6, 5000]})
    refused(InputError, "vocabulary", tiny.build("bert"), inputs={"input_ids": [6, -1]})


@pytest.mark.parametrize("family", ["bert", "gpt2", "deberta-v2"])
def test_nan(family):
    model = tiny.build(family)
    with torch.no_grad():
        next(p for name, p in model.named_parameters() if "query" in name or "c_attn" in name).fill_(
            float("nan")
        )
    refused(CaptureError, "NaN", model, inputs={"input_ids": IDS})


@pytest.mark.parametrize("heads", ["median", "Mean", 3, [], [0, 0], [-1], [0.5], ["a"]])
def test_unknown_heads(heads):
    refused(OptionError, "heads", tiny.build("bert"), inputs={"input_ids": IDS}, heads=heads)


def test_head_beyond_the_model():
    refused(OptionError, "4 heads", tiny.build("bert"), inputs={"input_ids": IDS}, heads=[0, 4])


@pytest.mark.parametrize("record", ["gradients", "attenton", "norms", []])
def test_unknown_record(record):
    refused(OptionError, "record", tiny.build("bert"), inputs={"input_ids": IDS}, record=record)


def test_model_without_attention():
    refused(CaptureError, "Mamba", tiny.build("mamba"), inputs={"input_ids": IDS})


@pytest.mark.parametrize("model", [17, None, {"a": 1}])
def test_not_a_model(model):
    refused(CaptureError, type(model).__name__, model, inputs={"input_ids": IDS})


def test_hybrid_model():
    import numpy as np

    model = tiny.build("jamba")
    refused(CaptureError, r"layers\.0 .*layers\.2 ", model, inputs={"input_ids": IDS})
    trace = capture(model, inputs={"input_ids": IDS}, allow_partial=True)
    layers = trace.record("attention").decoder
    assert len(layers) == 4
    assert len(trace.partial) == 2
    assert re.match(r"model\.layers\.0 \(", trace.partial[0])
    for index in (0, 2):
        assert np.array_equal(layers[index], np.eye(4))
    assert not np.array_equal(layers[1], np.eye(4))
    full = capture(model, inputs={"input_ids": IDS}, allow_partial=True, heads="all")
    assert {layer.shape for layer in full.record("attention").decoder} == {(4, 4, 4)}


def test_pooled_attention():
    import transformers

    config = transformers.FunnelConfig(
        vocab_size=60, block_sizes=[1, 1], d_model=16, n_head=2, d_head=8, d_inner=16, num_decoder_layers=1
    )
    refused(CaptureError, "Funnel", transformers.FunnelModel(config).eval(), inputs={"input_ids": IDS})


def test_banded_attention():
    import transformers

    config = transformers.LongformerConfig(
        vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        attention_window=4, max_position_embeddings=40, pad_token_id=1,
    )  # fmt: skip
    refused(
        CaptureError, "Longformer", transformers.LongformerModel(config).eval(), inputs={"input_ids": IDS}
    )


def test_importing_loads_no_torch():
    code = "import sys, attnflow.capture, attnflow.models; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_missing_extra(monkeypatch):
    from attnflow.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"attnflow\[hf\]"):
        capture("minilm", "a cat")


def test_what_is_no_model():
    model, tokenizer = tiny.build("bert-class"), tiny.wordpiece()
    for thing, match in (
        (type(model), "the class BertForSequenceClassification .load one"),
        (model.state_dict(), "weights without a model"),
        (
            transformers.pipeline("text-classification", model=model, tokenizer=tokenizer),
            r"a pipeline \(pass its \.model",
        ),
        (tokenizer, r"is no model \(a tokenizer and a processor go into"),
        (model.config, "is no model"),
        (5, "Found int as model"),
    ):
        refused(CaptureError, match, thing, "a dog")


def test_differences_of_attention():
    torch.manual_seed(0)
    model = transformers.DiffLlamaForCausalLM(
        transformers.DiffLlamaConfig(
            vocab_size=40, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4
        )
    )
    refused(
        CaptureError, "DiffLlamaAttention.* computes 2 attentions", model.eval(), inputs={"input_ids": IDS}
    )


def test_codebooks_side_by_side():
    model = tiny.build("bart")
    model.config.num_codebooks = 4
    refused(InputError, "4 codebooks side by side", model, inputs={"input_ids": IDS}, generate=2)


@pytest.mark.parametrize(
    ("ids", "match"), [([[6, 9], [7, 8]], "batch of 2"), ([[[6, 9], [7, 8]]], "side by side")]
)
def test_several_rows_for_the_decoder(ids, match):
    model = tiny.build("bart")
    inputs = {"input_ids": torch.tensor([IDS]), "decoder_input_ids": torch.tensor(ids)}
    refused(InputError, match, model, inputs=inputs)


def test_two_sequences_in_the_axis_of_the_heads():
    """SegGPT runs a picture and its prompt at once and folds them into the heads: they are no heads to average."""
    torch.manual_seed(0)
    config = transformers.SegGptConfig(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=[64, 32],
        patch_size=16,
        pretrain_image_size=32,
        decoder_hidden_size=8,
        merge_index=0,
        intermediate_hidden_state_indices=[1, 2, 3],
    )
    model = transformers.SegGptModel(config).eval()
    names = ("pixel_values", "prompt_pixel_values", "prompt_masks")
    pictures = {name: torch.randn(1, 3, 32, 32) for name in names}
    refused(CaptureError, r"has shape \[2, 4, ", model, inputs=pictures)
