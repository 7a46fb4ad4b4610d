"""Softmax rows followed to the products that mix values, whichever function makes them."""

import pytest
import torch
from torch import nn

from attnflow.capture.mixing import Mixing

HEADS, SIZE, WIDTH = 2, 5, 4


def tensors():
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(1, HEADS, SIZE, SIZE, generator=generator)
    return scores, torch.randn(1, HEADS, SIZE, WIDTH, generator=generator)


class Attention(nn.Module):
    """Computes whatever it is told."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, scores, value):
        return self.how(scores, value)


class Model(nn.Module):
    def __init__(self, how):
        super().__init__()
        self.attention = Attention(how)

    def forward(self, *args):
        return self.attention(*args)


def matmul(scores, value):
    return scores.softmax(-1) @ value


def bmm(scores, value):
    return torch.bmm(scores.softmax(-1).flatten(0, 1), value.flatten(0, 1)).unflatten(0, (1, HEADS))


def einsum(scores, value):
    weights = nn.functional.softmax(scores, dim=-1)
    return torch.einsum("bhij,bjhd->bihd", weights, value.transpose(1, 2)).transpose(1, 2)


def einsum_keys_first(scores, value):
    weights = torch.softmax(scores, -1).permute(3, 0, 1, 2)
    return torch.einsum("jbhi,bhjd->bhid", weights, value)


def turned(scores, value):
    return (value.transpose(-1, -2) @ scores.softmax(dim=-1).transpose(-1, -2)).transpose(-1, -2)


def through_casts_and_dropout(scores, value):
    weights = nn.functional.dropout(scores.double().softmax(-1).to(value.dtype), 0.1, training=False)
    return torch.matmul(weights.masked_fill(weights < 0, 0.0), value)


def through_a_module(scores, value):
    return nn.Softmax(dim=-1)(scores) @ value


def fused(scores, value):
    eye = torch.eye(SIZE).expand(1, HEADS, SIZE, SIZE)
    return nn.functional.scaled_dot_product_attention(scores, eye, value, scale=1.0)


WAYS = [matmul, bmm, einsum, einsum_keys_first, turned, through_casts_and_dropout, through_a_module, fused]


def listen(how, *args):
    found = []
    model = Model(how)
    mixing = Mixing(model, lambda name, mixture: found.append((name, mixture)))
    with mixing.listening():
        out = model(*args)
    return out, found, mixing


@pytest.mark.parametrize("how", WAYS)
def test_every_way(how):
    scores, value = tensors()
    out, found, mixing = listen(how, scores, value)
    torch.testing.assert_close(out, how(scores, value))
    ((name, mixture),) = found
    assert name == "attention"
    weights = mixture.arrange(mixture.weights).reshape(HEADS, SIZE, SIZE)
    torch.testing.assert_close(weights, scores[0].softmax(-1))
    torch.testing.assert_close(mixture.value.reshape(HEADS, SIZE, WIDTH), value[0])
    torch.testing.assert_close(mixture.output.reshape(HEADS, SIZE, WIDTH), out[0])
    assert not mixing.unmixed


@pytest.mark.parametrize("how", WAYS)
def test_gradients_flow_through_what_is_found(how):
    scores, value = tensors()
    scores.requires_grad_(True)
    out, [(_, mixture)], _ = listen(how, scores, value)
    (gradient,) = torch.autograd.grad(out.sum(), mixture.weights)
    expected = value[0].sum(-1)[:, None].expand(HEADS, SIZE, SIZE)
    torch.testing.assert_close(mixture.arrange(gradient).reshape(HEADS, SIZE, SIZE), expected)


@pytest.mark.parametrize("how", [matmul, bmm, einsum, turned, fused])
def test_output_can_be_replaced(how):
    scores, value = tensors()
    model = Model(how)
    with Mixing(model, lambda name, mixture: torch.zeros_like(mixture.output)).listening():
        out = model(scores, value)
    assert out.shape == (1, HEADS, SIZE, WIDTH)
    assert not out.any()


def test_sinks_are_cut_off():
    scores, value = tensors()
    sink = torch.full((1, HEADS, SIZE, 1), 0.5)

    def how(scores, value):
        return torch.cat([scores, sink], -1).softmax(-1)[..., :-1] @ value

    _, [(_, mixture)], mixing = listen(how, scores, value)
    assert mixture.weights.shape == (1, HEADS, SIZE, SIZE)
    assert bool((mixture.weights.sum(-1) < 1).all())
    assert not mixing.unmixed


def test_what_is_no_attention():
    scores, value = tensors()
    assert listen(lambda s, v: s @ v, scores, value)[1] == []  # no softmax
    assert listen(lambda s, v: s.softmax(-2) @ v, scores, value)[1] == []  # over another axis
    assert listen(lambda s, v: s[0, 0].softmax(-1) @ v[0, 0], scores, value)[1] == []  # a router's


def test_weights_that_mix_nothing_are_told():
    scores, value = tensors()
    _, found, mixing = listen(lambda s, v: (s.softmax(-1)[..., None] * v[:, :, None]).sum(-2), scores, value)
    assert found == []
    assert list(mixing.unmixed.values()) == [("attention", (1, HEADS, SIZE, SIZE))]


def test_fully_masked_rows_of_fused_attention_are_zero():
    query = torch.randn(1, HEADS, SIZE, WIDTH)
    mask = torch.ones(SIZE, SIZE, dtype=torch.bool)
    mask[2] = False
    model = Model(lambda q, m: nn.functional.scaled_dot_product_attention(q, q, q, attn_mask=m))
    found = []
    with Mixing(model, lambda name, mixture: found.append(mixture)).listening():
        out = model(query, mask)
    assert not found[0].weights[:, :, 2].any()
    torch.testing.assert_close(out[:, :, 2], torch.zeros(1, HEADS, WIDTH))
    torch.testing.assert_close(out[:, :, 0], model(query, mask)[:, :, 0])
