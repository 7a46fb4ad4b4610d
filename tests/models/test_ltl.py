"""The bundled temporal logic model: its traces against the evaluator, its size, its record, its explanation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from attnflow import explain
from attnflow.models import BUNDLED, load, ltl, own_generate
from attnflow.models.ltl import formulas, language, measure

HERE = Path(ltl.__file__).parent


@pytest.fixture(scope="module")
def loaded():
    torch.set_num_threads(1)
    return load("ltl")


def answer(loaded, text):
    model, tokenizer = loaded
    ids = model.generate(
        **tokenizer(text, return_tensors="pt"), max_new_tokens=own_generate(model), num_beams=1
    )
    return tokenizer.decode(ids[0], skip_special_tokens=True).split()


def test_what_it_is(loaded):
    model, tokenizer = loaded
    assert type(model).__name__ == "MBartForConditionalGeneration"
    assert model.name_or_path == tokenizer.name_or_path == "attnflow/ltl"
    assert not model.training
    spaced, tight = (tokenizer(text)["input_ids"] for text in ("-> a X G ! b", "->aXG!b"))
    assert spaced == tight
    assert tokenizer.convert_ids_to_tokens(tight) == language.tokens("->aXG!b")
    assert tokenizer.decode(tokenizer("{a}{bc}loop{}")["input_ids"]) == "{a} {bc} loop {}"


@pytest.mark.parametrize(
    "text", ["a", "! a", "G b", "& a X ! a", "& a X G ! a", "U a b", "& b U ! b c", "& G F a F ! a"]
)
def test_small_formulas(loaded, text):
    assert language.satisfies(answer(loaded, text), language.tokens(text))


@pytest.mark.slow
def test_right_on_a_sample_that_it_never_saw(loaded):
    right = {}
    for nodes in (6, 9):
        right[nodes] = measure.judge(loaded[0], formulas.distinct(nodes, 60, "meaning", 31)).right.mean()
    assert right[6] >= 0.9
    assert right[9] >= 0.7


def test_explained_by_name_it_gives_its_answer():
    result = explain("ltl", BUNDLED["ltl"].example, capacity="relevance", method="flow")
    assert [target.label for target in result.targets][-1] == "</s>"
    said = [target.label for target in result.targets][:-1]
    assert language.satisfies(said, language.tokens(BUNDLED["ltl"].example))
    assert np.isfinite(result.scores).all()


def test_what_ships_is_small():
    files = [path for path in HERE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.suffix for path in files} <= {".py", ".json", ".md", ".safetensors", ""}
    assert (ltl.MODEL / "model.safetensors").stat().st_size <= 4_000_000
    assert sum(path.stat().st_size for path in files) <= 4_500_000


def test_metrics_are_of_this_model_and_above_the_baselines():
    metrics = json.loads((HERE / "metrics.json").read_text())
    assert metrics["weights_bytes"] == (ltl.MODEL / "model.safetensors").stat().st_size
    assert metrics["training"] == json.loads((ltl.MODEL / "training.json").read_text())
    for part in ("held_out_by_meaning", "held_out_by_string"):
        found = metrics[part]
        assert (
            found["greedy"]["5_to_12_nodes"]["right"] > max(found["baselines_5_to_12_nodes"].values()) + 0.2
        )
        assert found["greedy"]["5_to_12_nodes"]["shortest"] <= found["greedy"]["5_to_12_nodes"]["right"]
