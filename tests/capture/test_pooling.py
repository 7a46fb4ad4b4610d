"""What stands for the whole input: classes, embeddings, letters, objects."""

import numpy as np
import pytest
import torch
import transformers

import tiny
import tiny_media as media
from attnflow import explain
from attnflow.capture import capture
from attnflow.errors import CaptureError


def pixels(*shape):
    return torch.randn(*(shape or (1, 3, 24, 24)), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("family", "positions"),
    [
        ("vit", (0,)),
        ("vit-class", (0,)),
        ("deit", (0, 1)),
        ("dinov2-registers", (0, *range(5, 14))),
        ("beit", tuple(range(1, 10))),
        ("clip-vision", (0,)),
        ("ijepa", tuple(range(9))),
        ("videomae", tuple(range(18))),
    ],
)
def test_what_a_vision_model_reads(family, positions):
    """Where the output changes if only that position of the last layer does: the oracle is in the head."""
    model = media.build(family)
    inputs = pixels(1, 4, 3, 24, 24) if family == "videomae" else pixels()
    (decision,) = capture(model, inputs={"pixel_values": inputs}).decisions
    assert decision.positions == positions
    if len(positions) > 1:
        np.testing.assert_allclose(decision.weights, 1 / len(positions))


def test_a_pooling_head_of_its_own():
    """SigLIP mixes positions by attention: the target is weighted as its head weighs them."""
    model = media.build("siglip-vision")
    (decision,) = capture(model, inputs={"pixel_values": pixels()}).decisions
    with torch.no_grad():
        hidden = model(pixels()).last_hidden_state
        probe = model.head.probe
        _, weights = model.head.attention(probe, hidden, hidden)
    assert decision.positions == tuple(range(9))
    np.testing.assert_allclose(decision.weights, weights[0, 0], atol=1e-6)
    result = explain(model, inputs={"pixel_values": pixels()}, method="rollout")
    assert result.total[0] == pytest.approx(1)


def test_the_end_token_of_a_text_tower():
    trace = capture(media.build("clip"), inputs={"input_ids": [1, 7, 8, 3, 9, 9]})
    assert [decision.positions for decision in trace.decisions] == [(3,)]


def test_text_encoders_are_as_they_were():
    assert capture(tiny.build("bert"), inputs={"input_ids": [2, 9, 30, 3]}).decisions[0].positions == (0,)


def test_a_headless_model_of_sound():
    (decision,) = capture(media.build("hubert"), inputs={"input_values": pixels(1, 1600)}).decisions
    assert len(decision.positions) == 9
    assert sum(decision.weights) == pytest.approx(1)


def test_letters():
    """CTC: repeated letters are one, blanks none, decided where likeliest."""
    model = media.build("wav2vec2-ctc")
    values = pixels(1, 16000)
    trace = capture(model, inputs={"input_values": values})
    with torch.no_grad():
        chances = model(values).logits[0].softmax(-1)
    spelled, last = [], 0
    for frame, id in enumerate(chances.argmax(-1).tolist()):
        if id and id != last:
            spelled.append((id, []))
        if id:
            spelled[-1][1].append(frame)
        last = id
    assert len(spelled) > 3
    assert [decision.id for decision in trace.decisions] == [id for id, _ in spelled]
    for decision, (id, frames) in zip(trace.decisions, spelled, strict=True):
        (at,) = decision.positions
        assert at in frames
        assert decision.probability == pytest.approx(float(chances[frames, id].max()), abs=1e-5)
        assert trace.decides[at] == decision.label == str(id)


def detector(**changes):
    backbone = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", out_features=["stage2"]
    )
    config = transformers.DetrConfig(
        **{
            "use_timm_backbone": False, "use_pretrained_backbone": False, "backbone_config": backbone,
            "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
            "decoder_attention_heads": 4, "encoder_ffn_dim": 37, "decoder_ffn_dim": 37, "num_queries": 5,
            "num_labels": 3, **changes,
        }
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = transformers.DetrForObjectDetection(config).eval()
        torch.nn.init.normal_(model.class_labels_classifier.weight)
        return model


def test_object_queries():
    """The decoder reads all queries at once; each found object is a target; F1 and F5 hold."""
    model, picture = detector(), pixels(1, 3, 32, 48)
    trace = capture(model, inputs={"pixel_values": picture})
    assert trace.architecture == "encoder-decoder"
    assert not trace.causal
    assert [token.text for token in trace.decoder_tokens] == [f"query {index}" for index in range(5)]
    assert trace.media[0].grid == (4, 6)
    assert len(trace.encoder_tokens) == 24
    model.set_attn_implementation("eager")
    with torch.no_grad():
        out = model(picture, output_attentions=True)
    for name, layers in (
        ("encoder", out.encoder_attentions),
        ("decoder", out.decoder_attentions),
        ("cross", out.cross_attentions),
    ):
        for kept, layer in zip(getattr(trace.record("attention"), name), layers, strict=True):
            np.testing.assert_allclose(kept, layer[0].mean(0), atol=1e-6)
    best = out.logits[0].argmax(-1).tolist()
    found = [query for query, label in enumerate(best) if label < 3]
    assert found
    assert [decision.positions for decision in trace.decisions] == [(query,) for query in found]
    result = explain(model, inputs={"pixel_values": picture}, method=["flow", "rollout"])
    for part in result:
        np.testing.assert_allclose(part.total, 1, atol=1e-9)
    assert {player.kind for player in result[0].players} == {"patch", "special"}


def test_nothing_detected():
    model = detector()
    with torch.no_grad():
        model.class_labels_classifier.bias[3] += 100
    (decision,) = capture(model, inputs={"pixel_values": pixels(1, 3, 32, 48)}).decisions
    assert decision.id in range(3)


def test_detection_tokens():
    model = media.build("yolos")
    trace = capture(model, inputs={"pixel_values": pixels()})
    with torch.no_grad():
        best = model(pixels()).logits[0].argmax(-1).tolist()
    found = [query for query, label in enumerate(best) if label < 3]
    if found:
        assert [decision.positions for decision in trace.decisions] == [(10 + query,) for query in found]
    assert trace.encoder_tokens[trace.decisions[0].positions[0]].text.startswith("query")


# -- pictures and sound read, text written ---------------------------------------------------------------

_WRITES = {
    "vocab_size": 100, "d_model": 32, "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 37,
    "max_position_embeddings": 64,
}  # fmt: skip


def writer(kind):
    """A VisionEncoderDecoderModel as TrOCR is, or a SpeechEncoderDecoderModel with more layers than its encoder."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        if kind == "vision":
            parts = (
                media.build("vit").config,
                transformers.TrOCRConfig(**_WRITES, cross_attention_hidden_size=32),
            )
            config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(*parts)
            model = transformers.VisionEncoderDecoderModel(config=config)
        else:
            bart = transformers.BartConfig(
                **_WRITES, encoder_layers=1, encoder_attention_heads=4, encoder_ffn_dim=37
            )
            config = transformers.SpeechEncoderDecoderConfig.from_encoder_decoder_configs(
                media.build("hubert").config, bart
            )
            model = transformers.SpeechEncoderDecoderModel(config=config)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3)
    model.generation_config.decoder_start_token_id, model.generation_config.pad_token_id = 5, 1
    model.generation_config.eos_token_id = None
    return model.eval()


@pytest.mark.parametrize("kind", ["vision", "speech"])
def test_encoders_and_decoders_of_two_senses(kind):
    model = writer(kind)
    if kind == "vision":
        options = {"image": media.picture(), "processor": media.eye()}
    else:
        extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=False)
        options = {"audio": (media.tone(0.2), 16000), "processor": extractor}
    trace = capture(model, generate=3, **options)
    assert trace.architecture == "encoder-decoder"
    assert (trace.prompt, len(trace.decisions)) == (1, 3)
    placed = [token for token in trace.encoder_tokens if not token.special]
    assert all(
        (token.patch is not None) if kind == "vision" else (token.time is not None) for token in placed
    )
    result = explain(model, generate=3, prefix="closed", method="rollout", **options)
    np.testing.assert_allclose(result.total, 1, atol=1e-9)
    kinds = {player.kind for player in result.players}
    assert kinds == ({"special", "patch", "text"} if kind == "vision" else {"frame", "text"})


def donut():
    """A document reader: Swin in front, whose attention is in windows, and a decoder behind it."""
    swin = transformers.DonutSwinConfig(
        image_size=32, patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[2, 4], window_size=4
    )
    bart = transformers.MBartConfig(
        **_WRITES, encoder_layers=1, encoder_attention_heads=4, encoder_ffn_dim=37
    )
    with torch.random.fork_rng():
        torch.manual_seed(2)
        config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(swin, bart)
        model = transformers.VisionEncoderDecoderModel(config=config)
    model.generation_config.decoder_start_token_id, model.generation_config.pad_token_id = 5, 1
    model.generation_config.eos_token_id = None
    return model.eval()


def test_an_encoder_of_windows():
    """Refused; or its output is the input, which it says: places as the last stage has them."""
    model, picture = donut(), pixels(1, 3, 32, 32)
    with pytest.raises(CaptureError, match=r"its encoder attends in windows or blocks.*allow_partial=True"):
        capture(model, inputs={"pixel_values": picture}, generate=3)
    trace = capture(model, inputs={"pixel_values": picture}, generate=3, allow_partial=True)
    assert trace.partial == ("encoder (DonutSwinModel)",)
    assert trace.media[0].grid == (4, 4)
    assert trace.media[0].size == (32, 32)
    assert [token.text for token in trace.encoder_tokens[:5]] == [
        *(f"patch 0,{n}" for n in range(4)),
        "patch 1,0",
    ]
    result = explain(
        model,
        inputs={"pixel_values": picture},
        generate=3,
        allow_partial=True,
        prefix="closed",
        method="rollout",
    )
    np.testing.assert_allclose(result.total, 1, atol=1e-9)
    assert any("Partial" in note for note in result.notes)


def test_where_the_patches_of_an_encoder_of_windows_are():
    """Each merged place is made of the patches under it, before any attention."""
    model, picture = donut(), pixels(1, 3, 32, 32)
    trace = capture(model, inputs={"pixel_values": picture}, generate=1, allow_partial=True)
    merging = model.encoder.encoder.layers[0].downsample
    kept = []
    handle = merging.register_forward_hook(lambda module, args, output: kept.append(output))
    embedded = torch.randn(1, 64, 16)
    with torch.no_grad():
        merging(embedded, (8, 8))
        for row, column in [(0, 3), (2, 1)]:
            other = embedded.clone()
            other[0, (2 * row + 1) * 8 + 2 * column] += torch.linspace(-3, 5, 16)
            merging(other, (8, 8))
            (position,) = torch.nonzero((kept[-1] - kept[0]).abs().sum(-1)[0]).flatten().tolist()
            assert trace.encoder_tokens[position].patch == (row, column)
    handle.remove()
