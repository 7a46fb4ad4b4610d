"""Training runs, small: that they learn, stop and go on alike; and how answers are searched for."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from attnflow.errors import OptionError
from attnflow.models import answering, packaged, training
from attnflow.models.agreement import train as agreement_train
from attnflow.models.logic import train as logic_train
from attnflow.models.ltl import train as ltl_train

TINY = answering.Shape(width=16, heads=2, inner=16, encoder_layers=1, decoder_layers=1)
SETTINGS = training.Settings(steps=40, batch=32, warmup=4, average=0.9)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


MUON = replace(SETTINGS, rate=5e-3, muon=5e-3, bfloat16=1)


def run(settings=SETTINGS, task=logic_train.TASK):
    return training.Run(answering.build(TINY, task.vocabulary, settings.seed), settings, task.bits)


def batch(step, task=logic_train.TASK):
    return answering.batch(task.examples(3, 32, step), task.vocabulary)


def weights(one):
    return {name: p.detach().clone() for name, p in one.learned.items()}


def test_muon_takes_the_matrices_within_layers_and_learns():
    one = run(MUON)
    (group,) = one.optimisers["muon"][1].param_groups
    names = {id(p): name for name, p in one.learned.items()}
    found = {names[id(p)] for p in group["params"]}
    assert found == {name for name, p in one.learned.items() if ".layers." in name and p.ndim == 2}
    losses = [one.learn(batch(step)) for step in range(40)]
    assert losses[-1]["answer"] < 0.8 * losses[0]["answer"]
    assert set(run().optimisers) == {"adamw"}


@pytest.mark.slow  # compiles the loops that draw the formulas
@pytest.mark.parametrize("task", [logic_train.TASK, ltl_train.TASK])
def test_a_run_learns_the_answer_and_the_bits(task):
    one = run(replace(SETTINGS, rate=5e-3), task)
    losses = [one.learn(batch(step, task)) for step in range(40)]
    for name in ("answer", "bits"):
        assert losses[-1][name] < 0.8 * losses[0][name]


@pytest.mark.parametrize("settings", [SETTINGS, MUON])
def test_a_stopped_run_goes_on_as_if_it_had_not(tmp_path, settings):
    whole, first = run(settings), run(settings)
    whole.go(batch, tmp_path / "whole.pt", lambda: {"right": 0.5}, every=3, stop=9)
    first.go(batch, tmp_path / "cut.pt", dict, every=3, stop=6)
    second = run(settings)
    second.go(batch, tmp_path / "cut.pt", dict, every=3, stop=9)
    assert whole.step == second.step == 9
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(second)[name]), name
        assert torch.equal(whole.average[name], second.average[name]), name
    assert whole.history == [{"step": 6, "right": 0.5}]


def test_only_more_steps_may_be_asked_for_and_in_time(tmp_path):
    first = run()
    first.go(batch, tmp_path / "run.pt", dict, every=5, stop=10)
    run(replace(SETTINGS, steps=80)).resume(tmp_path / "run.pt")
    with pytest.raises(OptionError, match="at step 10"):
        run(replace(SETTINGS, steps=11)).resume(tmp_path / "run.pt")  # the rate would have begun to fall
    with pytest.raises(OptionError, match="other --out"):
        run(replace(SETTINGS, rate=1.0)).resume(tmp_path / "run.pt")


def test_where_the_rate_begins_to_fall_a_checkpoint_stays(tmp_path):
    one = run(replace(SETTINGS, steps=10, cooldown=0.5))
    one.go(batch, tmp_path / "run.pt", dict, every=100)
    assert {path.name for path in tmp_path.iterdir()} == {"run.pt", "run_held.pt"}
    more = run(replace(SETTINGS, steps=20, cooldown=0.5))
    more.resume(tmp_path / "run_held.pt")
    assert more.step == 5


def test_the_rate_rises_holds_and_falls_to_zero():
    one = run(replace(SETTINGS, steps=100, warmup=10, cooldown=0.2))
    factors = []
    for one.step in range(101):
        factors.append(one.factor())
    assert factors[0] == pytest.approx(0.1)
    assert set(factors[9:81]) == {1.0}
    assert factors[90] == pytest.approx(0.5)
    assert factors[100] == 0
    assert factors == sorted(factors[:50]) + sorted(factors[50:], reverse=True)


def test_batches_ask_for_the_answer_and_its_end():
    made = answering.batch(
        answering.Examples(
            np.array([[0, 1], [1, 0]]),
            np.array([[2, -1, -1], [0, 1, -1]]),
            np.zeros((2, 2, 3)),
            np.ones((2, 2), bool),
        ),
        answering.Vocabulary(("p", "q"), ("x", "y", "z")),
    )
    start, end, pad = packaged.START, packaged.END, packaged.PAD
    assert made.inputs["input_ids"].tolist() == [[4, 5], [5, 4]]
    assert made.inputs["decoder_input_ids"].tolist() == [[start, 8, pad], [start, 6, 7]]
    assert made.labels.tolist() == [[8, end, -100], [6, 7, end]]


def test_sizes_grow():
    early = {answering.size(step, 7, ltl_train.TASK) for step in range(100)}
    late = {answering.size(step, 7, ltl_train.TASK) for step in range(2000, 4000)}
    assert early == {1, 2, 3, 4}
    assert late == set(range(1, 13))


@pytest.fixture(scope="module")
def small():
    vocabulary = answering.Vocabulary(("p", "q"), ("x", "y"))
    torch.manual_seed(0)
    model = answering.build(TINY, vocabulary, 3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return model.eval(), vocabulary


def test_greedy_is_what_generate_says(small):
    model, vocabulary = small
    ids = answering.source(np.array([[0, 1, 1], [1, 0, 0]]), vocabulary)
    found = answering.answers(model, ids, 4)
    said = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, num_beams=1, do_sample=False
    )
    for row, written in zip(said[:, 1:].tolist(), found):
        whole = row[: row.index(packaged.END)] if packaged.END in row else [*row, packaged.UNKNOWN]
        assert written == whole


def test_wide_beams_find_the_likeliest_answer(small):
    model, vocabulary = small
    ids = answering.source(np.array([[0, 1, 1]]), vocabulary)
    longest, known = 3, range(vocabulary.size)
    chances = {}
    for count in range(longest + 1):
        for written in itertools.product([token for token in known if token != packaged.END], repeat=count):
            answer = [*written, packaged.END] if count < longest else list(written)
            given = torch.tensor([[packaged.START, *answer[:-1]]])
            with torch.inference_mode():
                logits = model(input_ids=ids, decoder_input_ids=given).logits[0].double().log_softmax(-1)
            chances[tuple(answer)] = float(logits[range(len(answer)), answer].sum())
    best = list(max(chances, key=chances.get))
    expected = best[:-1] if best[-1] == packaged.END else [*best, packaged.UNKNOWN]
    assert answering.answers(model, ids, longest, beams=64) == [expected]


def test_words_of_an_answer():
    vocabulary = answering.Vocabulary(("p",), ("x", "y"))
    assert answering.words([5, 6, packaged.UNKNOWN, 4], vocabulary) == ["x", "y", "?", "?"]


def test_what_is_written_can_be_read(tmp_path, small):
    model, vocabulary = small
    words = packaged.tokenizer((*vocabulary.symbols, *vocabulary.words), r"\w")
    packaged.write(tmp_path / "model", model, words)
    run().record(tmp_path / "model" / "training.json", TINY)
    before = torch.get_rng_state()
    again, tokens = packaged.read("small", tmp_path / "model")
    assert torch.equal(before, torch.get_rng_state())
    assert again.name_or_path == tokens.name_or_path == "attnflow/small"
    assert tokens("pq x")["input_ids"] == [4, 5, 6]
    assert tokens("p ü")["input_ids"] == [4, packaged.UNKNOWN]
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor.half().float(), again.state_dict()[name]), name
    assert packaged.report("small", tmp_path / "model")["training"]["shape"]["width"] == 16
    assert json.loads((tmp_path / "model" / "config.json").read_text())["dtype"] == "float32"


def test_sentences_are_asked_word_by_word():
    words = agreement_train.tokenizer()
    made = agreement_train.batch(0, replace(agreement_train.SETTINGS, batch=3), words.get_vocab())
    for row, labels in zip(made.inputs["input_ids"].tolist(), made.labels.tolist()):
        asked = [label for label in labels if label != -100]
        assert asked[-1] == packaged.END
        assert words.convert_ids_to_tokens(asked[-2]) == "."
        assert asked[:-1] == row[1 : len(asked)]


@pytest.mark.slow
def test_the_command_trains_and_writes(tmp_path):
    options = (
        "--steps 2 --batch 4 --warmup 1 --width 16 --inner 16 --heads 2 --encoder_layers 1 --decoder_layers 1"
    )
    logic_train.main(["--out", str(tmp_path), *options.split()])
    model, _ = packaged.read("logic", tmp_path / "model")
    assert model.config.d_model == 16
    recorded = json.loads((tmp_path / "model" / "training.json").read_text())
    assert recorded["steps"] == 2
    assert recorded["history"][0]["step"] == 2
