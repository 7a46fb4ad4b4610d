"""Models whose weights are small, quantised, adapted, or somewhere else."""

import copy
import warnings

import accelerate
import numpy as np
import peft
import pytest
import torch

import tiny
import tiny_media as media
from attnflow import explain
from attnflow.capture import capture
from attnflow.errors import CaptureError

TEXT = "the quick dog"


def same(one, other, atol=0.0):
    assert one.encoder_tokens == other.encoder_tokens
    assert one.decoder_tokens == other.decoder_tokens
    for stack in ("encoder", "decoder", "cross"):
        pairs = zip(
            getattr(one.record("attention"), stack), getattr(other.record("attention"), stack), strict=True
        )
        for mine, others in pairs:
            np.testing.assert_allclose(mine, others, atol=atol)


# -- half precision ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", ["text", "image", "sound", "mixed"])
def test_half_precision(family, dtype):
    """Inputs go into the model's dtype; the flow through it is 1 as ever, and near that of full precision."""
    found = []
    for kind in (torch.float32, dtype):
        if family == "text":
            model, options = tiny.build("bert-class"), {"text": TEXT, "tokenizer": tiny.wordpiece()}
        elif family == "image":
            model, options = media.build("vit-class"), {"text": media.picture(), "processor": media.eye()}
        elif family == "sound":
            model = media.build("whisper")
            options = {"audio": (media.tone(0.5), 16000), "processor": media.ear(), "target": -1}
        else:
            model, options = media.mixed("llava")[0], {"text": "what is <image> ?", "image": media.picture()}
            options |= {"processor": media.llava_processor()}
        result = explain(model.to(kind), method="rollout", **options)
        np.testing.assert_allclose(result.total, 1, atol=1e-9)
        found.append(result.scores)
    assert np.abs(found[0] - found[1]).max() < 0.1


# -- quantised --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["bert-class", "llama", "t5-encoder"])
def test_quantised_weights(family):
    """Eight-bit linear layers: attention is what the quantised model's own eager attention is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.ao.quantization.quantize_dynamic(
            tiny.build(family), {torch.nn.Linear}, dtype=torch.qint8
        )
    ids = torch.tensor([[2, 9, 30, 12, 3]])
    trace = capture(model, inputs={"input_ids": ids})
    own = copy.deepcopy(model)
    own.set_attn_implementation("eager")
    with torch.no_grad():
        attentions = own(ids, output_attentions=True).attentions
    record = trace.record("attention")
    for mine, layer in zip(record.encoder or record.decoder, attentions, strict=True):
        np.testing.assert_allclose(mine, layer[0].mean(0), atol=1e-6)


def test_gradients_of_quantised_weights():
    """What cannot be differentiated is refused in words, not by an error from inside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.ao.quantization.quantize_dynamic(
            tiny.build("bert-class"), {torch.nn.Linear}, dtype=torch.qint8
        )
    with pytest.raises(
        CaptureError, match=r"BertForSequenceClassification.*quantised weights.*attention capac"
    ):
        capture(model, inputs={"input_ids": [2, 9, 30, 3]}, record="relevance")


# -- adapters ---------------------------------------------------------------------------------------------


def adapted():
    torch.manual_seed(3)
    config = peft.LoraConfig(
        r=2, target_modules=["query", "value"], init_lora_weights=False, task_type="SEQ_CLS"
    )
    return peft.get_peft_model(tiny.build("bert-class"), config)


@pytest.mark.parametrize("record", ["attention", "relevance", "norm"])
def test_an_adapter_counts(record):
    """A wrapped model is explained with its adapter: as after merging it into the weights."""
    one = capture(adapted(), TEXT, tokenizer=tiny.wordpiece(), record=record)
    merged = capture(adapted().merge_and_unload(), TEXT, tokenizer=tiny.wordpiece(), record=record)
    for mine, others in zip(one.record(record).encoder, merged.record(record).encoder, strict=True):
        np.testing.assert_allclose(mine, others, atol=1e-5)
    plain = capture(tiny.build("bert-class"), TEXT, tokenizer=tiny.wordpiece())
    assert not np.allclose(
        one.record("attention").encoder[0], plain.record("attention").encoder[0], atol=1e-3
    )


@pytest.mark.parametrize("kind", ["PrefixTuningConfig", "PromptTuningConfig"])
def test_virtual_tokens_are_refused(kind):
    """They are not in the model inside the wrapper, so explaining that would leave them out silently."""
    model = peft.get_peft_model(
        tiny.build("bert-class"), getattr(peft, kind)(num_virtual_tokens=3, task_type="SEQ_CLS")
    )
    with pytest.raises(CaptureError, match=rf"{kind}: this adapter puts 3 virtual tokens.*such as LoRA"):
        capture(model, TEXT, tokenizer=tiny.wordpiece())


def test_a_directory_with_an_adapter_alone(tmp_path):
    adapted().save_pretrained(tmp_path)
    with pytest.raises(CaptureError, match="holds an adapter and no model"):
        capture(tmp_path, TEXT)


# -- elsewhere --------------------------------------------------------------------------------------------


def test_weights_offloaded_to_memory():
    tokenizer = tiny.wordpiece()
    plain = capture(tiny.build("bert-class"), TEXT, tokenizer=tokenizer)
    model = accelerate.cpu_offload(tiny.build("bert-class"))
    same(capture(model, TEXT, tokenizer=tokenizer), plain)
    assert {weight.device.type for weight in model.parameters()} == {"meta"}
    scores = explain(model, TEXT, tokenizer=tokenizer, capacity="relevance", method="flow").scores
    expected = explain(
        tiny.build("bert-class"), TEXT, tokenizer=tokenizer, capacity="relevance", method="flow"
    ).scores
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_weights_on_disk(tmp_path):
    tokenizer = tiny.unigram(start=True)
    plain = capture(tiny.build("llama"), TEXT, tokenizer=tokenizer, generate=3)
    model = accelerate.disk_offload(tiny.build("llama"), str(tmp_path), execution_device=torch.device("cpu"))
    same(capture(model, TEXT, tokenizer=tokenizer, generate=3), plain)


def test_a_model_split_over_devices(tmp_path):
    tokenizer = tiny.unigram(start=True)
    plain = capture(tiny.build("llama"), TEXT, tokenizer=tokenizer, generate=3)
    places = {
        "model.embed_tokens": "cpu",
        "model.layers.0": "cpu",
        "model.layers.1": "disk",
        "model.layers.2": "disk",
    }
    places |= {"model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu"}
    model = accelerate.dispatch_model(
        tiny.build("llama"), places, main_device="cpu", offload_dir=str(tmp_path)
    )
    same(capture(model, TEXT, tokenizer=tokenizer, generate=3), plain)


def test_a_picture_for_an_offloaded_model():
    plain = capture(media.build("vit-class"), media.picture(), processor=media.eye())
    model = accelerate.cpu_offload(media.build("vit-class"))
    same(capture(model, media.picture(), processor=media.eye()), plain)


def test_replicas_are_unwrapped():
    tokenizer = tiny.wordpiece()
    plain = capture(tiny.build("bert-class"), TEXT, tokenizer=tokenizer)
    same(capture(torch.nn.DataParallel(tiny.build("bert-class")), TEXT, tokenizer=tokenizer), plain)


def test_no_weights_at_all():
    with pytest.raises(CaptureError, match="has no weights: all are on the meta device"):
        capture(tiny.build("bert-class").to("meta"), TEXT, tokenizer=tiny.wordpiece())
