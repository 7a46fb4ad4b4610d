"""Models that are none of transformers': what is captured is what PyTorch itself computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import tiny_torch
from attnflow import capture, capture_targets, explain, register_model
from attnflow.capture.custom import REGISTERED
from attnflow.errors import CaptureError, InputError, OptionError
from tiny_torch import ByHand, Classifier, Decoder, Tagger, Translator

pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor")
IDS = torch.tensor([[3, 4, 5, 6, 7]])
LAYOUTS = [(True, False), (True, True), (False, False), (False, True)]


@pytest.fixture(autouse=True)
def _clean():
    found = dict(REGISTERED)
    tiny_torch.seeded()
    yield
    REGISTERED.clear()
    REGISTERED.update(found)


def multi_head_weights(model: nn.Module, *args, **kwargs) -> dict[str, torch.Tensor]:
    """What torch.nn.MultiheadAttention itself returns when asked for its weights, by module."""
    found = {}

    def ask(module, args, kwargs):
        _, found[names[module]] = nn.MultiheadAttention.forward(
            module, *args, **{**kwargs, "need_weights": True, "average_attn_weights": False}
        )

    names = {
        module: name for name, module in model.named_modules() if isinstance(module, nn.MultiheadAttention)
    }
    handles = [module.register_forward_pre_hook(ask, with_kwargs=True) for module in names]
    model.eval()
    with torch.no_grad():
        model(*args, **kwargs)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize(("batch_first", "norm_first"), LAYOUTS)
def test_encoder_weights_are_its_own(batch_first, norm_first):
    model = Classifier(batch_first, norm_first)
    model.train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    trace = capture(model, inputs={"ids": IDS}, heads="all")
    assert model.training
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    own = multi_head_weights(model, IDS)
    assert trace.architecture == "encoder"
    for layer, name in zip(trace.records["attention"].encoder, own, strict=True):
        np.testing.assert_allclose(layer, own[name][0], atol=1e-6)
    assert [token.text for token in trace.encoder_tokens] == ["3", "4", "5", "6", "7"]
    assert trace.decisions[0].positions == (0,)
    with torch.no_grad():
        chances = model(IDS)[0].softmax(-1)
    assert trace.decisions[0].id == int(chances.argmax())
    assert trace.decisions[0].probability == pytest.approx(float(chances.max()), abs=1e-6)


@pytest.mark.parametrize(("batch_first", "norm_first"), LAYOUTS)
def test_padding_is_cropped(batch_first, norm_first):
    model = Classifier(batch_first, norm_first)
    padded = torch.cat([IDS, torch.zeros(1, 3, dtype=torch.long)], dim=1)
    names = ["attention", "norm", "relevance"]
    short = capture(model, inputs={"ids": IDS}, record=names)
    long = capture(model, inputs={"ids": padded, "mask": padded == 0}, record=names)
    assert len(long.encoder_tokens) == 5
    for name in names:
        for a, b in zip(short.records[name].encoder, long.records[name].encoder, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
    np.testing.assert_allclose(short.input_relevance["encoder"], long.input_relevance["encoder"], atol=1e-6)


@pytest.mark.parametrize(("batch_first", "norm_first"), LAYOUTS)
def test_transformer_has_three_stacks(batch_first, norm_first):
    model = Translator(batch_first, norm_first)
    target = torch.tensor([[1, 8, 9]])
    trace = capture(model, inputs={"src": IDS, "tgt": target})
    own = multi_head_weights(model, IDS, target)
    record = trace.records["attention"]
    assert trace.architecture == "encoder-decoder"
    assert trace.causal
    for stack, part in (
        ("encoder", "encoder.layers.{}.self_attn"),
        ("decoder", "decoder.layers.{}.self_attn"),
    ):
        for index, layer in enumerate(getattr(record, stack)):
            np.testing.assert_allclose(layer, own[f"transformer.{part.format(index)}"][0].mean(0), atol=1e-6)
    for index, layer in enumerate(record.cross):
        weights = own[f"transformer.decoder.layers.{index}.multihead_attn"]
        np.testing.assert_allclose(layer, weights[0].mean(0), atol=1e-6)
    assert [token.text for token in trace.decoder_tokens] == ["1", "8", "9"]
    result = explain(model, inputs={"src": IDS, "tgt": target}, method="rollout", target="all")
    np.testing.assert_allclose(result.total, 1, atol=1e-6)  # F1
    assert result.scores[0, 6:].tolist() == [0, 0]  # F5: the first position reads no later one


def test_equal_lengths_do_not_confuse_the_stacks():
    trace = capture(Translator(), inputs={"src": IDS, "tgt": IDS})
    record = trace.records["attention"]
    assert [len(part) for part in (record.encoder, record.decoder, record.cross)] == [2, 2, 2]
    assert np.triu(record.decoder[0], 1).max() == 0
    assert np.triu(record.cross[0], 1).max() > 0


def test_decoder_alone_reads_the_memory_it_is_given():
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(16, 2, 32, batch_first=True), 2)
    inputs = {
        "tgt": torch.randn(1, 3, 16),
        "memory": torch.randn(1, 4, 16),
        "tgt_mask": tiny_torch.CAUSAL(3),
    }
    result = explain(decoder, inputs=inputs, method="rollout")
    assert len(result.players) == 4 + 3
    assert result.total[0] == pytest.approx(1)


def test_bare_layers_have_no_output_to_ask_about():
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    x = torch.randn(1, 4, 16)
    assert len(capture(layer, inputs=x).records["attention"].encoder) == 1
    with pytest.raises(CaptureError, match="TransformerEncoderLayer has no output to differentiate"):
        capture(layer, inputs=x, record="relevance")


def decoder_weights(model: Decoder, ids: torch.Tensor) -> list[torch.Tensor]:
    """Attention recomputed from queries and keys, with key heads repeated by hand."""
    found = []

    def note(module, args, output):
        x = args[0]
        q = module.q(x).view(1, -1, 4, 4)[0]
        k = module.kv(x).view(1, -1, 2, 2, 4)[0, :, 0]
        scores = torch.stack([q[:, h] @ k[:, h // 2].T / 2 for h in range(4)])
        future = torch.ones(scores.shape[-2:]).triu(1).bool()
        found.append(scores.masked_fill(future, -1e9).softmax(-1))

    handles = [layer.attention.register_forward_hook(note) for layer in model.layers]
    with torch.no_grad():
        model.eval()(ids)
    for handle in handles:
        handle.remove()
    return found


def test_one_call_of_scaled_dot_product_attention():
    model = Decoder()
    trace = capture(model, inputs={"ids": IDS}, heads="all")
    assert trace.architecture == "decoder"
    for layer, own in zip(trace.records["attention"].decoder, decoder_weights(model, IDS), strict=True):
        np.testing.assert_allclose(layer, own, atol=1e-6)
    with torch.no_grad():
        best = int(model(IDS)[0, -1].argmax())
    assert trace.decisions[0].positions == (4,)
    assert trace.decisions[0].id == best
    assert trace.decides[:4] == ("4", "5", "6", "7")


def test_gradient_records_agree_with_finite_differences():
    """Relevance is A * dy/dA: move one weight of one head by hand and watch the logit."""
    model = Decoder().double().eval()
    trace = capture(model, inputs={"ids": IDS}, record=["relevance", "gradient", "attention-gradient"])
    token = trace.decisions[0].id
    original = nn.functional.scaled_dot_product_attention

    def logit(layer: int, head: int, q: int, k: int, step: float) -> tuple[float, float]:
        calls = []

        def moved(query, key, value, is_causal, enable_gqa):
            key, value = key.repeat_interleave(2, 1), value.repeat_interleave(2, 1)
            future = torch.ones(5, 5).triu(1).bool()
            A = (query @ key.transpose(-2, -1) / 2).masked_fill(future, -torch.inf).softmax(-1)
            calls.append(float(A[0, head, q, k]))
            if len(calls) == layer + 1:
                A[0, head, q, k] += step
            return A @ value

        nn.functional.scaled_dot_product_attention = moved
        try:
            with torch.no_grad():
                return float(model(IDS)[0, -1, token]), calls[layer]
        finally:
            nn.functional.scaled_dot_product_attention = original

    for layer, q, k in ((0, 3, 1), (1, 4, 2), (0, 4, 4)):
        slopes, weights = [], []
        for head in range(4):
            up, weight = logit(layer, head, q, k, 1e-5)
            down, _ = logit(layer, head, q, k, -1e-5)
            slopes.append((up - down) / 2e-5)
            weights.append(weight)
        products = np.array(slopes) * np.array(weights)
        kept = {name: trace.records[name].decoder[layer][q, k] for name in trace.records}
        assert kept["relevance"] == pytest.approx(products.sum(), abs=1e-7)
        assert kept["attention-gradient"] == pytest.approx(np.maximum(products, 0).mean(), abs=1e-7)
        assert kept["gradient"] == pytest.approx(np.maximum(slopes, 0).mean(), abs=1e-7)


def test_input_relevance_is_the_gradient_at_the_first_layer():
    model = Decoder().double().eval()
    trace = capture(model, inputs={"ids": IDS}, record="relevance")
    x = model.embed(IDS).detach().requires_grad_(True)
    hidden = x
    for layer in model.layers:
        hidden = layer(hidden)
    model.head(hidden)[0, -1, trace.decisions[0].id].backward()
    np.testing.assert_allclose(
        trace.input_relevance["decoder"], (x * x.grad).sum(-1)[0].detach().numpy(), atol=1e-12
    )


def test_norms_are_lengths_of_what_is_sent():
    model = Classifier(norm_first=True).double().eval()
    trace = capture(model, inputs={"ids": IDS}, record="norm")
    own = multi_head_weights(model, IDS)
    layer = model.encoder.layers[0]
    with torch.no_grad():
        x = layer.norm1(model.embed(IDS))[0]
        module = layer.self_attn
        values = (x @ module.in_proj_weight[32:].T + module.in_proj_bias[32:]).view(5, 2, 8)
        out = module.out_proj.weight.T.view(2, 8, 16)
        sent = torch.einsum("hqk,khd,hde->qke", own["encoder.layers.0.self_attn"][0], values, out)
    np.testing.assert_allclose(trace.records["norm"].encoder[0], sent.norm(dim=-1), atol=1e-10)


@pytest.mark.parametrize("capacity", ["attention", "norm", "relevance", "attention-gradient", "gradient"])
@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (Classifier, {"ids": IDS}),
        (Decoder, {"ids": IDS}),
        (Translator, {"src": IDS, "tgt": torch.tensor([[1, 8, 9]])}),
    ],
)
def test_every_scheme_explains(model, inputs, capacity):
    result = explain(model(), inputs=inputs, capacity=capacity, method="flow")
    assert result.scores.min() >= 0
    assert (result.scores.max(-1) <= result.total + 1e-9).all()
    assert result.total[0] > 0


def test_attention_by_hand():
    model = Tagger()
    trace = capture(model, inputs={"ids": IDS}, record=["attention", "norm"], heads=[1])
    assert model.layers[0].weights is None  # left as it was found
    with torch.no_grad():
        model.eval()(IDS)
    own = [layer.weights for layer in model.layers]
    for layer, weights in zip(trace.records["attention"].encoder, own, strict=True):
        np.testing.assert_allclose(layer, weights[0, 1].detach(), atol=1e-6)
    assert len(trace.decisions) == 5  # a label at every position
    result = explain(model, inputs={"ids": IDS}, capacity="relevance", method="flow", target=2, output=1)
    assert result.targets[0].label == "1"


class Gated(Tagger):
    """Also mixes four vectors of its own by a softmax that is no attention."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(16, 4)
        self.register_buffer("experts", torch.randn(1, 4, 16))

    def forward(self, ids):
        x = self.embed(ids)
        for layer in self.layers:
            x = x + layer(x)
        x = x + self.gate(x).softmax(-1) @ self.experts
        return {"logits": self.head(x)}


def test_other_softmaxes_are_told_apart_by_class():
    model = Gated()
    with pytest.raises(CaptureError):
        capture(model, inputs={"ids": IDS})
    register_model(Gated, attention=ByHand)
    assert len(capture(model, inputs={"ids": IDS}).records["attention"].encoder) == 2


def test_outputs_are_asked_about_one_by_one():
    model = Decoder()
    traces = capture_targets(model, inputs={"ids": IDS}, targets=[1, -1], output=[3, 4])
    assert [trace.decisions[0].positions for trace in traces] == [(1,), (4,)]
    with torch.no_grad():
        logits = model.eval()(IDS)[0]
    for trace, position in zip(traces, (1, 4)):
        difference = float(logits[position, 3] - logits[position, 4])
        assert trace.provenance["outputs"][0]["value"] == pytest.approx(difference, abs=1e-5)


def test_whatever_hides_attention_is_refused():
    with pytest.raises(CaptureError, match="Linear computed no attention"):
        capture(nn.Linear(3, 2), inputs=torch.zeros(1, 3))
    with pytest.raises(CaptureError, match="expected \\[1, heads"):
        capture(Decoder(), inputs={"ids": IDS.repeat(2, 1)})
    with pytest.raises(CaptureError, match="Found dict as model"):
        capture({"a": 1}, inputs={"ids": IDS})

    class Dropping(nn.Module):
        def forward(self, x):
            return nn.functional.scaled_dot_product_attention(x, x, x, dropout_p=0.5)

    with pytest.raises(CaptureError, match="Dropping applies dropout"):
        capture(Dropping(), inputs=torch.zeros(1, 2, 3, 4))

    class Noisy(Decoder):
        def forward(self, ids):
            return nn.functional.dropout(super().forward(ids), 0.1)

    with pytest.raises(CaptureError, match="Noisy applies dropout"):
        capture(Noisy(), inputs={"ids": IDS})

    class Mixed(Decoder):
        def __init__(self):
            super().__init__()
            self.layers.insert(1, nn.Linear(16, 16))

    with pytest.raises(CaptureError, match=r"layers\.1 computed no attention"):
        capture(Mixed(), inputs={"ids": IDS})
    partial = capture(Mixed(), inputs={"ids": IDS}, allow_partial=True)
    assert partial.partial == ("layers.1",)
    np.testing.assert_array_equal(partial.records["attention"].decoder[1], np.eye(5))


def test_options_of_other_models_are_refused():
    model = Decoder()
    with pytest.raises(OptionError, match="generate=3 does not go with Decoder"):
        capture(model, inputs={"ids": IDS}, generate=3)
    with pytest.raises(InputError, match="does not know how Decoder reads it"):
        capture(model, "a text")
    with pytest.raises(InputError, match="cannot run on these inputs"):
        capture(model, inputs={"words": IDS})
    with pytest.raises(OptionError, match="steps needs input ids that Decoder embeds"):
        capture(model, inputs={"ids": IDS}, record="relevance", steps=2)


def test_steps_average_over_a_line():
    register_model(Decoder, embedding="embed.tokens")
    model = Decoder().double()
    names = ["relevance"]
    one = capture(model, inputs={"ids": IDS}, record=names)
    many = capture(model, inputs={"ids": IDS}, record=names, steps=4)
    assert many.provenance["options"]["baseline"] == "zero"
    token = one.decisions[0].id
    with torch.no_grad():
        weight = model.embed.tokens.weight
        parts = []
        original = weight.clone()
        for alpha in (1, 0.75, 0.5, 0.25):
            weight.copy_(alpha * original)
            trace = capture(model, inputs={"ids": IDS}, record=names, target=-1, output=token)
            parts.append(trace.records["relevance"].decoder[0])
        weight.copy_(original)
    np.testing.assert_allclose(many.records["relevance"].decoder[0], np.mean(parts, 0), atol=1e-12)
