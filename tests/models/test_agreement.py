"""The bundled agreement model: its verbs, its size, its record, and that it can be explained."""

from __future__ import annotations

import itertools
import json
import math
import random
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from attnflow import explain
from attnflow.models import BUNDLED, agreement, load
from attnflow.models.agreement import language, measure

HERE = Path(agreement.__file__).parent


@pytest.fixture(scope="module")
def loaded():
    torch.set_num_threads(1)
    return load("agreement")


def test_what_it_is(loaded):
    model, tokenizer = loaded
    assert type(model).__name__ == "GPT2LMHeadModel"
    assert model.name_or_path == tokenizer.name_or_path == "attnflow/agreement"
    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    text = "The keys near my cabinet are old."
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids) == "the keys near my cabinet are old ."


def test_agrees_in_spite_of_attractors(loaded):
    sentences = list(itertools.islice(language.heldout("a test of this"), 60))
    verdict = measure.judge(*loaded, sentences)
    assert verdict.right.mean() >= 0.95
    assert verdict.number.mean() >= 0.95
    assert verdict.likeliest.mean() >= 0.95
    # the same figures one by one, from the model's own probabilities
    model, tokenizer = loaded
    for sentence, right in list(zip(sentences, verdict.right))[:10]:
        with torch.inference_mode():
            logits = model(**tokenizer(sentence.prompt, return_tensors="pt")).logits[0, -1]
        one, other = tokenizer.convert_tokens_to_ids([sentence.right, sentence.wrong])
        assert bool(logits[one] > logits[other]) == right


def test_it_is_the_subject_that_decides(loaded):
    model, tokenizer = loaded
    for prompt, verb, other in [
        ("the keys near the cabinet", "are", "is"),
        ("the key near the cabinets", "is", "are"),
        ("the keys that the guard wants", "are", "is"),
        ("the guard that the thieves follow", "smiles", "smile"),
        ("near the cabinets the key", "is", "are"),
        ("when the guards smile , the key behind the doors", "is", "are"),
    ]:
        with torch.inference_mode():
            logits = model(**tokenizer(prompt, return_tensors="pt")).logits[0, -1]
        one, another = tokenizer.convert_tokens_to_ids([verb, other])
        assert logits[one] > logits[another], prompt


def test_explained_by_name():
    result = explain("agreement", BUNDLED["agreement"].example, capacity="relevance", method="flow")
    assert [player.label for player in result.players] == ["The", "keys", "to", "the", "old", "cabinet"]
    assert np.isfinite(result.scores).all()
    assert result.scores.shape == (1, 6)


def test_what_ships_is_small():
    files = [path for path in HERE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.suffix for path in files} <= {".py", ".json", ".md", ".safetensors", ""}
    assert sum(path.stat().st_size for path in files) <= 4_000_000


def test_metrics_record_the_target_and_how_it_was_met():
    metrics = json.loads((HERE / "metrics.json").read_text())
    assert metrics["with_attractor"]["right"] >= 0.97
    assert metrics["with_attractor"]["count"] >= 2000
    assert max(metrics["baselines_with_attractor"].values()) < 0.8  # the first noun's number among them
    assert metrics["weights_bytes"] == (agreement.MODEL / "model.safetensors").stat().st_size
    assert metrics["training"]["settings"]["seed"] == 7


def test_baselines_by_hand():
    rng = random.Random(2)
    drawn = (language.draw(rng, kind="phrase", front="nothing") for _ in itertools.count())
    sentences = list(itertools.islice((s for s in drawn if s.attractors), 40))
    found = measure.baselines(sentences)
    assert found["last noun"] == 0
    assert found["first noun"] == 1
    assert found["most nouns"] == 0.5
    plural = sum(s.number == "plural" for s in sentences) / 40
    assert math.isclose(found["always plural"], plural, abs_tol=1e-4)
