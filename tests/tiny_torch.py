"""Tiny random PyTorch models that are none of transformers', each with one way of computing attention."""

from __future__ import annotations

import math

import torch
from torch import nn

WIDTH, HEADS, VOCABULARY = 16, 2, 20
CAUSAL = nn.Transformer.generate_square_subsequent_mask


def seeded(seed: int = 0) -> None:
    torch.manual_seed(seed)


class Embedded(nn.Module):
    """Ids to vectors with positions."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(30, WIDTH)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))


class Classifier(nn.Module):
    """A torch.nn.TransformerEncoder under a head that reads the first position."""

    def __init__(self, batch_first: bool = True, norm_first: bool = False) -> None:
        super().__init__()
        self.batch_first = batch_first
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 32, batch_first=batch_first, norm_first=norm_first, dropout=0.3
        )
        self.embed = Embedded()
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=batch_first and not norm_first)
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        x = self.embed(ids)
        if not self.batch_first:
            x = x.transpose(0, 1)
        x = self.encoder(x, src_key_padding_mask=mask)
        return self.head(x[:, 0] if self.batch_first else x[0])


class Translator(nn.Module):
    """A torch.nn.Transformer with embeddings and a vocabulary."""

    def __init__(self, batch_first: bool = True, norm_first: bool = False) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.embed = Embedded()
        self.transformer = nn.Transformer(
            WIDTH, HEADS, 2, 2, 32, batch_first=batch_first, norm_first=norm_first
        )
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, src: torch.Tensor, tgt: torch.Tensor) -> torch.Tensor:
        source, target = self.embed(src), self.embed(tgt)
        if not self.batch_first:
            source, target = source.transpose(0, 1), target.transpose(0, 1)
        hidden = self.transformer(source, target, tgt_mask=CAUSAL(tgt.shape[1]), tgt_is_causal=True)
        return self.head(hidden)


class Decoder(nn.Module):
    """A decoder-only model by scaled_dot_product_attention, with fewer heads for keys and values."""

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.kv = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
            self.out = nn.Linear(WIDTH, WIDTH)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            b, n, _ = x.shape
            q = self.q(x).view(b, n, 4, 4).transpose(1, 2)
            k, v = self.kv(x).view(b, n, 2, 2, 4).permute(2, 0, 3, 1, 4)
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
            return self.out(mixed.transpose(1, 2).reshape(b, n, WIDTH))

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.attention = nn.LayerNorm(WIDTH), Decoder.Attention()
            self.mlp = nn.Sequential(
                nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 32), nn.GELU(), nn.Linear(32, WIDTH)
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x + self.attention(self.norm(x))
            return x + self.mlp(x)

    def __init__(self, layers: int = 2) -> None:
        super().__init__()
        self.embed = Embedded()
        self.layers = nn.ModuleList(Decoder.Layer() for _ in range(layers))
        self.head = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


class ByHand(nn.Module):
    """Attention written out, with the softmax as a module of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.softmax, self.dropout = nn.Softmax(-1), nn.Dropout(0.2)
        self.weights: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, n, _ = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        self.weights = self.softmax(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]))
        mixed = self.dropout(self.weights) @ v
        return self.out(mixed.transpose(1, 2).reshape(b, n, WIDTH))


class Tagger(nn.Module):
    """A label at every position; attention by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = Embedded()
        self.layers = nn.ModuleList(ByHand() for _ in range(2))
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.embed(ids)
        for layer in self.layers:
            x = x + layer(x)
        return {"logits": self.head(x)}
