"""The bundled logic model: its answers against the SAT solver, its size, its record, and that it can be explained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("pysat")

import torch

from attnflow import explain
from attnflow.capture import capture
from attnflow.models import BUNDLED, load, logic, own_generate
from attnflow.models.logic import formulas, language, measure

HERE = Path(logic.__file__).parent


@pytest.fixture(scope="module")
def loaded():
    torch.set_num_threads(1)
    return load("logic")


def answer(loaded, text):
    model, tokenizer = loaded
    ids = model.generate(
        **tokenizer(text, return_tensors="pt"), max_new_tokens=own_generate(model), num_beams=1
    )
    return tokenizer.decode(ids[0], skip_special_tokens=True).split()


def test_what_it_is(loaded):
    model, tokenizer = loaded
    assert type(model).__name__ == "MBartForConditionalGeneration"
    assert model.name_or_path == tokenizer.name_or_path == "attnflow/logic"
    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    spaced, tight = (tokenizer(text)["input_ids"] for text in ("& a <-> b ! c", "&a<->b!c"))
    assert spaced == tight
    assert tokenizer.convert_ids_to_tokens(tight) == language.tokens("&a<->b!c")


@pytest.mark.parametrize(
    "text", ["a", "! b", "& a b", "& a | ! b c", "& ! a | ! c ! b", "| & a b & c d", "^ d b", "<-> a e"]
)
def test_small_formulas(loaded, text):
    found = answer(loaded, text)
    assert language.prove(language.tokens(text), found)
    assert len(found) == len(language.shortest(language.table(language.tokens(text))))


def test_right_on_a_sample_that_it_never_saw(loaded):
    right = {}
    for nodes in (6, 9):
        drawn = formulas.distinct(nodes, 60, "function", 31)
        verdict = measure.judge(loaded[0], drawn, prove=True)
        assert np.array_equal(verdict.right, measure.judge(loaded[0], drawn).right)  # solver and table agree
        right[nodes] = verdict.right.mean()
    assert right[6] >= 0.95
    assert right[9] >= 0.9


def test_explained_by_name_it_gives_its_answer():
    result = explain("logic", BUNDLED["logic"].example, capacity="relevance", method="flow")
    assert [target.label for target in result.targets][-1] == "</s>"
    literals = [target.label for target in result.targets][:-1]
    assert language.prove(language.tokens(BUNDLED["logic"].example), literals)
    assert [player.label for player in result.players][:6] == ["&", "a", "|", "!", "b", "c"]
    assert np.isfinite(result.scores).all()


def test_an_answer_can_be_forced_or_left_out(loaded):
    model, tokenizer = loaded
    forced = capture(model, "& a b", tokenizer=tokenizer, target_text="a=1 b=1")
    assert [token.text for token in forced.decoder_tokens] == ["<s>", "a=1"]
    assert own_generate(model) == 6


def test_what_ships_is_small():
    files = [path for path in HERE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.suffix for path in files} <= {".py", ".json", ".md", ".safetensors", ""}
    assert (logic.MODEL / "model.safetensors").stat().st_size <= 4_000_000
    assert sum(path.stat().st_size for path in files) <= 4_500_000


def test_metrics_are_of_this_model_and_above_the_baselines():
    metrics = json.loads((HERE / "metrics.json").read_text())
    assert metrics["weights_bytes"] == (logic.MODEL / "model.safetensors").stat().st_size
    assert metrics["training"] == json.loads((logic.MODEL / "training.json").read_text())
    for part in ("held_out_by_function", "held_out_by_string"):
        found = metrics[part]
        assert (
            found["greedy"]["5_to_12_nodes"]["right"] > max(found["baselines_5_to_12_nodes"].values()) + 0.2
        )
        assert found["greedy"]["5_to_12_nodes"]["right"] >= 0.9
        assert found["greedy"]["up_to_6_nodes"]["right"] >= 0.98
        assert found["greedy"]["5_to_12_nodes"]["shortest"] <= found["greedy"]["5_to_12_nodes"]["right"]


def test_baselines_by_hand():
    drawn = formulas.distinct(5, 200, "train", 4)
    found = measure.baselines([drawn])
    assert found["all true"] == pytest.approx(np.mean(drawn.tables[:, 0] >> 31 & 1), abs=1e-4)
    assert found["best constant"] >= 0.3
    copied = [
        [f"{v}={0 if '!' + v in ''.join(text) else 1}" for v in language.VARIABLES if v in text]
        for text in drawn.texts()
        if all(text.count(v) < 2 for v in language.VARIABLES)
    ]
    assert all(language.literals(one) for one in copied)
