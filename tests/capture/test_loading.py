"""Models by name and directory."""

import json
import warnings

import pytest
import torch
import transformers

import tiny
from attnflow.capture import capture, load_model
from attnflow.errors import CaptureError, InputError, MissingExtraError, OptionError
from attnflow.models import BUNDLED, Bundled, load


@pytest.fixture
def saved(tmp_path):
    model = tiny.build("bert-class")
    model.save_pretrained(tmp_path)
    tiny.wordpiece().save_pretrained(tmp_path)
    return tmp_path


def test_directory_with_a_head(saved, capfd):
    trace = capture(saved, "the quick dog")
    assert trace.provenance["class"] == "BertForSequenceClassification"
    assert trace.decisions[0].label.startswith("LABEL_")
    assert trace.provenance["model"] == str(saved)
    out = capfd.readouterr()
    assert (out.out, out.err) == ("", "")
    model, tokenizer = load_model(str(saved))
    assert capture(model, "the quick dog").decisions == trace.decisions
    assert capture(model, "the quick dog", tokenizer=tokenizer).provenance["hash"] == trace.provenance["hash"]
    assert not model.training


def test_headless_directory(tmp_path):
    tiny.build("bert").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["architectures"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    model, tokenizer = load_model(tmp_path)
    assert type(model).__name__ == "BertModel"
    assert tokenizer is None
    with pytest.raises(InputError, match="tokenizer"):
        capture(tmp_path, "the dog")
    assert len(capture(tmp_path, inputs={"input_ids": [4, 5]}).encoder_tokens) == 2


def test_head_that_is_not_in_the_checkpoint(tmp_path):
    tiny.build("bert").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["architectures"] = ["BertForSequenceClassification"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CaptureError, match=r"classifier\.bias.*random"):
        load_model(tmp_path)


def test_pickled_weights(saved):
    (saved / "model.safetensors").unlink()
    torch.save({}, saved / "pytorch_model.bin")
    with pytest.raises(CaptureError, match=r"pickle \(pytorch_model\.bin\)"):
        load_model(saved)


def test_directories_that_are_no_models(tmp_path, saved):
    with pytest.raises(CaptureError, match="no config"):
        load_model(tmp_path / ".." if tmp_path != saved else tmp_path.parent)
    (saved / "model.safetensors").unlink()
    with pytest.raises(CaptureError, match="no weights"):
        load_model(saved)
    with pytest.raises(CaptureError, match="is a file"):
        load_model(saved / "config.json")
    with pytest.raises(CaptureError, match="does not exist"):
        load_model(saved / "nowhere")


def test_broken_configuration(saved):
    (saved / "config.json").write_text("{")
    with pytest.raises(CaptureError, match="cannot read") as caught:
        load_model(saved)
    assert "\n" not in str(caught.value)


def test_remote_code_is_refused(saved):
    config = json.loads((saved / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
    config["architectures"], config["model_type"] = ["OwnModel"], "own"
    (saved / "config.json").write_text(json.dumps(config))
    (saved / "own.py").write_text("raise SystemExit('remote code ran')")
    with pytest.raises(CaptureError, match="trust_remote_code"):
        load_model(saved)


@pytest.mark.parametrize("name", ["minlm", "nobody/nothing-at-all"])
def test_unknown_name(name):
    with warnings.catch_warnings(record=True) as said, pytest.raises(OptionError, match="minilm") as caught:
        load_model(name)
    assert "\n" not in str(caught.value)
    before = [str(warning.message) for warning in said if "asking the hub" in str(warning.message)]
    assert len(before) == (name == "minlm")  # said before the hub is waited for
    if name == "minlm":
        assert "did you mean 'minilm'" in before[0]
        assert "did you mean 'minilm'" in str(caught.value)


def test_no_tokenizer_there(saved, tmp_path):
    with pytest.raises(InputError, match="No tokenizer"):
        load_model(saved, str(tmp_path / "nowhere"))


def test_bundled_minilm(minilm):
    import numpy as np

    model, tokenizer = minilm
    text = "The keys to the cabinet are on the table"
    trace = capture("minilm", text)
    eager = load_model("minilm")[0]
    eager.set_attn_implementation("eager")
    with torch.no_grad():
        batch = tokenizer(text, return_tensors="pt")
        before = model(**batch).last_hidden_state
        expected = eager(**batch, output_attentions=True).attentions
        own = capture(model, text, tokenizer=tokenizer)
        after = model(**batch).last_hidden_state
    assert torch.equal(before, after)
    assert model.config._attn_implementation == "sdpa"
    for layers in (trace.record("attention").encoder, own.record("attention").encoder):
        assert len(layers) == 6
        for found, wanted in zip(layers, expected):
            np.testing.assert_allclose(found, wanted[0].mean(0).numpy(), atol=1e-7)
    assert trace.provenance["model"] == "minilm"
    assert json.dumps(dict(trace.provenance))


def test_trace_survives_saving(minilm, tmp_path):
    from attnflow.trace import Trace

    model, tokenizer = minilm
    trace = capture(model, "A cat sat", tokenizer=tokenizer)
    trace.save(tmp_path / "trace.safetensors")
    other = Trace.load(tmp_path / "trace.safetensors")
    assert other.encoder_tokens == trace.encoder_tokens
    assert other.decisions == trace.decisions


def test_registry():
    for name, bundled in BUNDLED.items():
        assert isinstance(bundled, Bundled)
        assert name == bundled.name
        assert bundled.summary
        assert bundled.licence
    with pytest.raises(OptionError, match="minilm"):
        load("minlm")


def test_bundled_package_that_is_not_installed(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"attnflow\[demo\]"):
        load("minilm")


def test_compiled_models_are_unwrapped():
    class Compiled(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self._orig_mod = model

    assert len(capture(Compiled(tiny.build("bert")), inputs={"input_ids": [4, 5]}).encoder_tokens) == 2


def test_progress():
    seen = []
    capture(
        tiny.build("bert"),
        inputs={"input_ids": [4, 5]},
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_model_from_nowhere_asks_nobody_for_a_tokenizer(monkeypatch):
    """transformers calls a model of weights in memory "None", which the hub would be asked for."""
    model = tiny.build("bert-class")
    model.config.name_or_path = model.name_or_path = "None"
    asked = []
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *args, **_: asked.append(args))
    trace = capture(model, inputs={"input_ids": [[5, 9, 3]]})
    assert not asked
    assert trace.provenance["model"] != "None"
