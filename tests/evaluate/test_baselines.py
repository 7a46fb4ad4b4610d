"""Baselines against what they are by definition, computed by other ways."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

import tiny
from attnflow.errors import CaptureError, MissingExtraError, OptionError
from attnflow.evaluate import baselines
from attnflow.evaluate.baselines import alti, chefer, integrated
from attnflow.evaluate.embeddings import embedded, output_of
from attnflow.evaluate.prediction import evaluating, prediction
from attnflow.trace import Record, Trace

TEXT = "the quick dog jumps"


def classifier(**options):
    return prediction(tiny.build("bert-class"), TEXT, tokenizer=tiny.wordpiece(), **options)


def language(**options):
    return prediction(tiny.build("gpt2"), TEXT, tokenizer=tiny.byte_bpe(), **options)


def translator(**options):
    return prediction(
        tiny.build("mbart"),
        TEXT,
        tokenizer=tiny.byte_bpe(roberta=True),
        target_text="a cat sat",
        target=2,
        **options,
    )


KINDS = {"encoder": classifier, "decoder": language, "encoder-decoder": translator}


@pytest.fixture(scope="module", params=KINDS)
def made(request):
    return KINDS[request.param]()


def test_importing_loads_neither_torch_nor_captum():
    code = "import sys, attnflow.evaluate.baselines; print({'torch', 'captum', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_without_captum_the_extra_is_named(monkeypatch, made):
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(MissingExtraError, match=r"attnflow\[evaluate\]"):
        baselines.scores("gradient-norm", made)


def test_unknown_names_and_taken_names():
    with pytest.raises(OptionError, match="did you mean 'occlusion'"):
        baselines.find("oclusion")
    with pytest.raises(OptionError, match="registered already"):
        baselines.register(baselines.BASELINES["random"])


@pytest.mark.parametrize("name", sorted(set(baselines.BASELINES) - {"gaf-attention", "gaf-gradient"}))
def test_every_player_gets_a_number_and_the_future_nothing(made, name):
    if name == "alti-rollout" and made.decoder:
        with pytest.raises(CaptureError, match="one stack"):
            baselines.scores(name, made)
        return
    if made.replacement is None and name in ("occlusion", "shapley-sampling"):
        with pytest.raises(OptionError, match="delete"):
            baselines.scores(name, made)
        return
    scores = baselines.scores(name, made)
    assert scores.dtype == np.float64
    assert scores.any()
    if made.decoder and name != "random":
        later = made.source + made.position + 1
        assert not scores[later:].any()


def test_gradients_are_autograds(made):
    model = made.model
    leaves = [part.requires_grad_(True) for part in embedded(made)]
    tensors = {name: value for name, value in made.tensors().items() if not name.endswith("input_ids")}
    names = ["inputs_embeds", "decoder_inputs_embeds"]
    given = dict(zip(names, leaves))  # another way in than hooks
    logits = model(**tensors, **given).logits
    row = logits[0] if made.position is None else logits[0, made.position]
    gradients = torch.autograd.grad(row[made.output[0]], leaves)
    product = torch.cat([(x * g).sum(-1)[0] for x, g in zip(leaves, gradients)]).detach().numpy()
    assert baselines.scores("gradient-x-input", made) == pytest.approx(product, rel=1e-4, abs=1e-6)
    length = torch.cat([g.norm(dim=-1)[0] for g in gradients]).numpy()
    assert baselines.scores("gradient-norm", made) == pytest.approx(length, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("start", ["zero", None])
def test_integrated_gradients_are_complete(made, start):
    with evaluating(made.model), torch.no_grad():
        y = output_of(made)
        way = float(y(*embedded(made)) - y(*integrated.start_of(made, start)))
    scores = baselines.scores("integrated-gradients", made, steps=200, baseline=start)
    assert scores.sum() == pytest.approx(way, rel=0.02, abs=0.02)
    assert not scores[made.fixed].any()


def test_integrated_gradients_cost_what_they_say():
    made = classifier()
    before = replace(made.cost)
    baselines.scores("integrated-gradients", made, steps=7)
    assert (made.cost.forward - before.forward, made.cost.backward - before.backward) == (7, 7)
    with pytest.raises(OptionError, match="steps"):
        baselines.scores("integrated-gradients", made, steps=0)
    with pytest.raises(OptionError, match="no such token"):
        baselines.scores("integrated-gradients", language(), baseline="mask")


def test_a_linear_model_is_solved_by_gradients_alone():
    """Where the output is linear in the embeddings, gradient x input and integrated gradients from zero agree."""
    made = classifier()

    class Linear(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.config, self.embedding = model.config, model.get_input_embeddings()
            self.row = torch.nn.Linear(32, 3, bias=False)

        def get_input_embeddings(self):
            return self.embedding

        def forward(self, input_ids, attention_mask):
            from types import SimpleNamespace

            return SimpleNamespace(logits=self.row(self.embedding(input_ids)).sum(1))

    made = replace(made, model=Linear(made.model).eval())
    weight = made.model.row.weight[made.output[0]]
    by_hand = (embedded(made)[0][0] @ weight).detach().numpy().astype(float)
    assert baselines.scores("gradient-x-input", made) == pytest.approx(by_hand, abs=1e-5)
    by_hand[made.fixed] = 0
    assert baselines.scores("integrated-gradients", made, steps=1, baseline="zero") == pytest.approx(
        by_hand, abs=1e-5
    )


def test_occlusion_by_hand():
    made = classifier()
    ids = torch.tensor([made.ids])
    whole = made.model(ids).logits.softmax(-1)[0, made.output[0]]
    expected = np.zeros(made.players)
    for place in range(1, made.players - 1):
        other = ids.clone()
        other[0, place] = made.tokenizer.mask_token_id
        expected[place] = float((whole - made.model(other).logits.softmax(-1)[0, made.output[0]]).detach())
    assert baselines.scores("occlusion", made) == pytest.approx(expected, abs=1e-6)


def test_sampled_shapley_values_near_those_over_all_orders():
    made = classifier()
    places = made.hideable
    n = len(places)
    subsets = np.array(list(itertools.product([False, True], repeat=n)))
    v = dict(zip(map(tuple, subsets), made.hiding(scale="logit")(subsets)))
    exact = np.zeros(made.players)
    for place in range(n):
        for subset in subsets[~subsets[:, place]]:
            size = int(subset.sum())
            weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            joined = subset.copy()
            joined[place] = True
            exact[places[place]] += weight * (v[tuple(joined)] - v[tuple(subset)])
    state = torch.random.get_rng_state()
    found = baselines.scores("shapley-sampling", made, samples=300, scale="logit", seed=3)
    assert torch.equal(state, torch.random.get_rng_state())
    assert found.sum() == pytest.approx(exact.sum(), abs=1e-4)
    assert np.abs(found - exact).max() < 0.15 * np.abs(exact).max()
    assert np.array_equal(
        found, baselines.scores("shapley-sampling", made, samples=300, scale="logit", seed=3)
    )


def test_chefer_solved_by_hand():
    C1 = np.array([[0.0, 0.5], [0.2, 0.0]])
    C2 = np.array([[0.1, 0.0], [1.0, 0.3]])
    trace = Trace.from_arrays(encoder=np.full((2, 2, 2), 0.5))
    trace = replace(trace, records={**trace.records, "attention-gradient": Record(encoder=(C1, C2))})
    # R1 = I + C1 = [[1, .5], [.2, 1]]; R2 = R1 + C2 R1; C2 R1 = [[.1, .05], [1.06, .8]]
    assert chefer.rolled(trace, (1,)) == pytest.approx([0.2 + 1.06, 1 + 0.8])
    assert chefer.rolled(trace, (0, 1)) == pytest.approx([1.1 + 1.26, 0.55 + 1.8])


def test_chefer_across_solved_by_hand():
    half, row = np.full((1, 2, 2), 0.5), np.array([[[1.0, 0.0], [0.5, 0.5]]])
    trace = Trace.from_arrays(encoder=half, decoder=row, cross=half)
    encoder = np.array([[0.0, 0.5], [0.0, 0.0]])
    decoder = np.array([[0.0, 0.0], [0.4, 0.0]])
    cross = np.array([[0.3, 0.0], [0.0, 0.2]])
    record = Record(encoder=(encoder,), decoder=(decoder,), cross=(cross,))
    trace = replace(trace, records={**trace.records, "attention-gradient": record})
    # N(R_encoder) = I + [[0, 1], [0, 0]]; N(R_decoder)^T = I + [[0, 1], [0, 0]]
    # cross N(R_encoder) = [[.3, .3], [0, .2]]; the transposed rows in front: [[.3, .5], [0, .2]]
    assert chefer.rolled(trace, (1,)) == pytest.approx([0.0, 0.2, 0.4, 1.0])
    assert chefer.rolled(trace, (0,)) == pytest.approx([0.3, 0.5, 1.0, 0.0])


def test_altis_contributions_solved_by_hand():
    parts = torch.tensor([[[1.0, 0.0], [0.0, 3.0]], [[1.0, 1.0], [-1.0, 0.0]]], dtype=torch.float64)
    # y_0 = (1, 3): norms 4; distances 3 and 1, so 1 and 3. y_1 = (0, 1): norm 1; distances 1 and 2, so 0 and 0.
    found = alti.contributions(parts, parts.sum(1))
    assert found == pytest.approx(np.array([[0.25, 0.75], [0.0, 0.0]]))
    assert alti.rolled([found, np.array([[0.5, 0.5], [0.0, 1.0]])], (0,)) == pytest.approx([0.125, 0.375])


def test_alti_of_a_layer_with_its_norm_behind():
    made = classifier()
    made = replace(made, model=tiny.build("bert-class", num_hidden_layers=1))
    bert, n = made.model.bert, made.players
    with torch.no_grad():
        x = bert.embeddings(torch.tensor([made.ids]))[0].double()
        attention = bert.encoder.layer[0].double().attention

        def split(linear):
            return linear(x).reshape(n, 4, 8).transpose(0, 1)

        query, key, value = (split(getattr(attention.self, name)) for name in ("query", "key", "value"))
        A = (query @ key.transpose(1, 2) / math.sqrt(8)).softmax(-1)
        dense, norm = attention.output.dense, attention.output.LayerNorm
        y = norm(dense((A @ value).transpose(0, 1).reshape(n, 32)) + x)
        scores = np.zeros((n, n))
        z = dense((A @ value).transpose(0, 1).reshape(n, 32)) + x
        for i, j in itertools.product(range(n), range(n)):
            F = torch.cat([A[h, i, j] * value[h, j] for h in range(4)]) @ dense.weight.T + (
                x[i] if i == j else 0
            )
            T = (F - F.mean()) / torch.sqrt(z[i].var(unbiased=False) + norm.eps) * norm.weight
            scores[i, j] = max(0.0, float(y[i].abs().sum() - (y[i] - T).abs().sum()))
        scores /= scores.sum(1, keepdims=True)
        bert.encoder.layer[0].float()
    made = replace(made, target=(2,))
    assert baselines.scores("alti-rollout", made) == pytest.approx(scores[2], abs=1e-4)


def test_alti_of_a_layer_with_its_norm_in_front():
    made = replace(language(), model=tiny.build("gpt2", n_layer=1), target=(3,))
    block = made.model.transformer.h[0]
    n = made.players
    with torch.no_grad():
        ids = torch.tensor([made.ids])
        x = (made.model.transformer.wte(ids) + made.model.transformer.wpe(torch.arange(n)))[0]
        query, key, value = (
            part.reshape(n, 4, 8).transpose(0, 1) for part in block.attn.c_attn(block.ln_1(x)).split(32, -1)
        )
        A = (query @ key.transpose(1, 2) / math.sqrt(8)).masked_fill(
            ~torch.ones(n, n).tril().bool(), -torch.inf
        )
        A = A.softmax(-1)
        y = x + block.attn.c_proj((A @ value).transpose(0, 1).reshape(n, 32))
        row = []
        for j in range(n):
            T = torch.cat([A[h, 3, j] * value[h, j] for h in range(4)]) @ block.attn.c_proj.weight
            T = T + (x[3] if j == 3 else 0)
            row.append(max(0.0, float(y[3].abs().sum() - (y[3] - T).abs().sum())))
    assert baselines.scores("alti-rollout", made) == pytest.approx(np.array(row) / sum(row), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gaf-attention", "gaf-gradient", "gaf-attention-gradient"])
def test_generalized_attention_flow_splits_the_maximum_flow_to_all_positions(made, name):
    from attnflow.network import FlowNetwork

    scheme = name.removeprefix("gaf-")
    network = FlowNetwork.from_trace(made.captured(scheme), scheme, 0.0)
    total = network.max_flow(target=tuple(range(network.size))).value
    assert baselines.scores(name, made).sum() == pytest.approx(total, rel=1e-6)


def test_random_scores_are_the_seeds():
    made = classifier()
    first = baselines.scores("random", made, seed=1)
    assert np.array_equal(first, baselines.scores("random", made, seed=1))
    assert not np.array_equal(first, baselines.scores("random", made, seed=2))
