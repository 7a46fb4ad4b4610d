"""What a pass holds: no layer's weights outlive the layer."""

from __future__ import annotations

import weakref

import pytest
import torch

import tiny
from attnflow.capture.interface import Recorder, run_listening
from attnflow.capture.records import Heads, keep_attention
from attnflow.capture.state import as_found


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_one_layer_of_weights_at_a_time(family):
    model = tiny.build(family)
    seen: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []

    def keep(sight, heads):
        alive.append(sum(one() is not None for one in seen))
        seen.append(weakref.ref(sight.batch))
        return keep_attention(sight, heads)

    with as_found(model):
        recorder = Recorder(model, keep, Heads("mean"))
        run_listening(model, {"input_ids": torch.tensor([[2, 9, 30, 7, 3]])}, recorder)
        left = sum(one() is not None for one in seen)
    assert len(alive) >= 2
    assert set(alive) == {0}
    assert left == 0
