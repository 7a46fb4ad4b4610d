"""A model is left exactly as it was found."""

import copy

import pytest
import torch
from transformers.modeling_utils import AttentionInterface

import tiny
from attnflow.capture import capture
from attnflow.capture.state import configs
from attnflow.errors import AttnflowError

IDS = [6, 9, 30, 12, 45, 9, 17, 2]
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_forward_hooks_with_kwargs")


def snapshot(model):
    return {
        "implementations": [config._attn_implementation for config in configs(model)],
        "configs": [copy.deepcopy(config.to_dict()) for config in configs(model)],
        "output_attentions": [config.output_attentions for config in configs(model)],
        "use_cache": [getattr(config, "use_cache", None) for config in configs(model)],
        "modes": [module.training for module in model.modules()],
        "hooks": [dict(getattr(module, name)) for module in model.modules() for name in HOOKS],
        "modules": [name + type(module).__name__ for name, module in model.named_modules()],
        "attributes": [sorted(module.__dict__) for module in model.modules()],
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "weights": [parameter.detach().clone() for parameter in model.parameters()],
        "generation": copy.deepcopy(model.generation_config.to_dict()) if model.can_generate() else None,
        "random": torch.get_rng_state(),
        "interface": dict(AttentionInterface._global_mapping),
        "grad_mode": torch.is_grad_enabled(),
    }


def same(before, after):
    for name, value in before.items():
        if name in ("gradients", "weights", "random"):
            pairs = zip(value, after[name]) if name != "random" else [(value, after[name])]
            assert all((a is None and b is None) or torch.equal(a, b) for a, b in pairs), name
        else:
            assert value == after[name], name


def unusual(family, **changes):
    """A model in a state of which every part can be lost."""
    model = tiny.build(family, **changes)
    model.train()
    next(model.children()).eval()
    first = next(model.parameters())
    first.grad = torch.ones_like(first)
    list(model.parameters())[1].requires_grad_(False)
    model.register_forward_hook(lambda *args: None)
    return model


FAMILIES = [
    "bert-class",
    "albert",
    "gpt2",
    "llama",
    "gemma3",
    "t5",
    "mbart",
    "deberta-v2",
    "xlnet",
    "gptj",
    "big-bird",
]


@pytest.mark.parametrize("family", FAMILIES)
def test_after_success(family):
    model = unusual(family)
    before = snapshot(model)
    capture(model, inputs={"input_ids": IDS})
    same(before, snapshot(model))


@pytest.mark.parametrize("family", FAMILIES)
def test_after_an_error_midway(family, monkeypatch):
    model = unusual(family)
    before = snapshot(model)

    def fail(sight, heads):
        raise RuntimeError("midway")

    from attnflow.capture import records

    monkeypatch.setitem(records.RECORDS, "attention", fail)
    with pytest.raises((RuntimeError, AttnflowError), match="midway"):
        capture(model, inputs={"input_ids": IDS})
    same(before, snapshot(model))


@pytest.mark.parametrize("family", ["gpt2", "t5"])
@pytest.mark.parametrize("options", [{}, {"do_sample": True}])
def test_after_generation(family, options):
    model = unusual(family, **({"num_decoder_layers": 2} if family == "t5" else {}))
    before = snapshot(model)
    capture(model, inputs={"input_ids": IDS}, generate=3, generate_options=options)
    same(before, snapshot(model))


def test_model_with_eager_attention_stays_so():
    model = tiny.build("bert")
    model.set_attn_implementation("eager")
    capture(model, inputs={"input_ids": IDS})
    assert model.config._attn_implementation == "eager"


def test_training_mode_does_not_change_the_trace():
    model = tiny.build("bert")
    first = capture(model, inputs={"input_ids": IDS}).record("attention").encoder
    second = capture(model.train(), inputs={"input_ids": IDS}).record("attention").encoder
    assert all((a == b).all() for a, b in zip(first, second))
