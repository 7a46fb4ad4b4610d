"""Shapley values: exact against definitions and shapiq, sampled against exact and its own promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import networks
import oracles
from attnflow.errors import OptionError
from attnflow.maxflow import Solver
from attnflow.methods import attribute
from attnflow.methods.shapley import BATCH, EXACT
from attnflow.network import FlowNetwork

# -- exact ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(networks.KINDS))
def test_exact_equals_the_definitions_and_shapiq(kind):
    for seed in range(3):
        rng = np.random.default_rng([seed, 3])
        network = networks.KINDS[kind](rng, 3, 2)
        target = int(rng.integers(network.size))
        values = oracles.game(network, target)
        result = attribute(network, method="shapley", targets=[target])
        assert not result.estimated
        assert result.samples is None
        assert result.stderr is None
        near = pytest.approx(oracles.shapley_by_subsets(values), rel=1e-9, abs=1e-9)
        assert result.scores[0].tolist() == near
        assert oracles.shapley_by_orders(values) == near
        assert oracles.shapley_by_shapiq(values) == near


@given(networks.drawn(max_size=3, max_depth=2), st.data())
def test_exact_in_fractions(network, data):
    """V from exact fractions, whatever the magnitudes."""
    assume(len(network.players) <= 6)
    target = data.draw(networks.sets_of(network))
    values = [float(v) for v in oracles.game(network, target, solve=oracles.exactly)]
    result = attribute(network, method="shapley", targets=[target], bounds=False)
    expected = oracles.shapley_by_subsets(values)
    assert result.scores[0] == pytest.approx(expected, rel=1e-9, abs=1e-9 + result.error_bound)


def test_a_game_solved_by_hand():
    """Two players at a bottleneck of 1, a third with a path of its own.

    Players 0 and 1 each send up to 1 through node 0, whose edge holds 1: they share it. Player 2 adds 1/2.
    """
    C = np.array([[[1.0, 1.0, 0.0], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]], np.zeros((3, 3))])
    C[1, 0, :2] = 1.0
    result = attribute(FlowNetwork.encoder(C), method="shapley", targets=[0])
    assert result.scores.tolist() == [[0.5, 0.5, 0.5]]
    assert result.lower.tolist() == [[0, 0, 0.5]]
    assert result.upper.tolist() == [[1, 1, 0.5]]
    assert result.total.tolist() == [1.5]
    assert result.bottleneck.tolist() == [[1, 1, 1]]


def test_exact_up_to_twelve_players():
    rng = np.random.default_rng(4)
    small, large = networks.encoder(rng, EXACT, 2), networks.encoder(rng, EXACT + 1, 2)
    assert not attribute(small, method="shapley", targets=[0], bounds=False).estimated
    sampled = attribute(large, method="shapley", targets=[0], bounds=False)
    assert sampled.estimated
    assert sampled.stderr.max() <= 0.01 * sampled.total[0]
    groups = [[0, 1], *([j] for j in range(2, 13))]
    grouped = attribute(large, method="shapley", targets=[0], players=groups, bounds=False)
    assert not grouped.estimated


def test_exact_by_two_threads_and_by_one():
    network = networks.encoder_decoder(np.random.default_rng(5), 5, 2)
    one, two = (attribute(network, method="shapley", targets=[0, -1], threads=threads) for threads in (1, 2))
    assert (one.scores == two.scores).all()
    assert (one.lower == two.lower).all()
    assert (one.upper == two.upper).all()
    assert (one.bottleneck == two.bottleneck).all()


# -- sampled -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network() -> FlowNetwork:
    return networks.encoder(np.random.default_rng(6), 14, 3)


def sample(network: FlowNetwork, **options):
    return attribute(
        network, **{"method": "shapley", "targets": [0], "samples": 32, "bounds": False, **options}
    )


def test_threads_do_not_change_a_digit(network):
    for options in ({"samples": 100}, {"samples": None, "stderr": 0.02}):
        one, two = (sample(network, threads=threads, **options) for threads in (1, 2))
        assert one.samples == two.samples
        assert (one.scores == two.scores).all()
        assert (one.stderr == two.stderr).all()


def test_a_target_scores_the_same_alone_and_among_others(network):
    alone = sample(network, targets=[3])
    among = sample(network, targets=[0, 3, [1, 2], 7])
    assert (among.scores[1] == alone.scores[0]).all()
    assert (among.stderr[1] == alone.stderr[0]).all()
    assert (sample(network, targets=[3 - network.size]).scores == alone.scores).all()


def test_the_seed_decides_the_orders(network):
    assert (sample(network, seed=1).scores == sample(network, seed=1).scores).all()
    assert (sample(network, seed=1).scores != sample(network, seed=2).scores).any()


@pytest.mark.parametrize(("asked", "got"), [(4, 4), (5, 6), (64, 64), (65, 66), (127, 128), (200, 200)])
def test_orders_come_in_pairs(network, asked, got):
    result = sample(network, samples=asked)
    assert result.samples == got
    assert result.estimated
    assert result.scores.sum() == pytest.approx(result.total[0], rel=1e-13)
    assert result.stderr.shape == result.scores.shape


def test_samples_force_sampling_on_few_players():
    network = networks.encoder(np.random.default_rng(0), 3, 2)
    for options in ({"samples": 8}, {"samples": None, "stderr": 0.5}):
        result = sample(network, **options)
        assert result.estimated
        assert result.stderr is not None


@pytest.mark.parametrize("goal", [0.05, 0.02, 0.01, 0.005])
def test_the_stderr_goal_is_met_at_a_batch_boundary(network, goal):
    result = sample(network, samples=None, stderr=goal)
    assert result.stderr.max() <= goal * result.total[0]
    batch = sample(network, samples=None, stderr=100.0).samples
    assert result.samples % batch == 0
    assert batch >= BATCH
    if result.samples > batch:  # and no later than needed
        before = sample(network, samples=result.samples - batch)
        assert before.stderr.max() > goal * before.total[0]


def test_one_player_and_no_flow_need_one_batch():
    single = sample(FlowNetwork.encoder(np.ones((2, 1, 1))), samples=None, stderr=0.01)
    assert single.scores.tolist() == [[1.0]]
    assert single.stderr.tolist() == [[0.0]]
    assert single.samples == BATCH
    nothing = sample(FlowNetwork.encoder(np.zeros((2, 3, 3))), samples=None, stderr=0.01)
    assert nothing.scores.tolist() == [[0.0] * 3]
    assert nothing.total.tolist() == [0.0]


@given(networks.networks(max_size=5) | networks.drawn(), st.data())
def test_antithetic_pairs_by_hand(network, data):
    """Scores and standard errors recomputed from the orders that the seed gives."""
    target = data.draw(networks.targets_of(network))
    seed = data.draw(st.integers(0, 99))
    n = len(network.players)
    assume(n <= 7)
    result = sample(network, targets=[target], samples=10, seed=seed)
    values = np.array(oracles.game(network, target))
    rng = np.random.default_rng([seed, target])
    forward = rng.permuted(np.tile(np.arange(n), (5, 1)), axis=1)
    pairs = np.zeros((5, n))
    for row, order in enumerate(forward):
        for direction in (order, order[::-1]):
            joined = 0
            for j in direction.tolist():
                pairs[row, j] += (values[joined | 1 << j] - values[joined]) / 2
                joined |= 1 << j
    scale = max(1.0, float(result.total[0]))
    assert result.scores[0] == pytest.approx(pairs.mean(axis=0), abs=1e-9 * scale)
    expected = pairs.std(axis=0, ddof=1) / math.sqrt(5)
    assert result.stderr[0] == pytest.approx(expected, abs=1e-7 * scale)


def test_turning_orders_takes_most_of_the_variance_away():
    """Every player stands everywhere in a cycle: far less variance than independent orders have."""
    network = networks.encoder(np.random.default_rng(5), 10, 4)
    exact = attribute(network, method="shapley", targets=[0], bounds=False).scores[0]
    runs = np.array([sample(network, samples=320, seed=seed, threads=1).scores[0] for seed in range(60)])
    solver = Solver(network, 0)
    order = np.random.default_rng(0).permuted(np.tile(np.arange(10), (2000, 1)), axis=1)
    single = solver.graph.value(solver.orders(order, solver.grand()))
    assert ((runs - exact) ** 2).mean(axis=0).sum() * 320 < 0.3 * single.var(axis=0).sum()


@pytest.mark.parametrize("samples", [32, 34, 62, 66, 100, 130, 1000])
def test_any_number_of_orders_is_used_in_full(network, samples):
    result = sample(network, samples=samples)
    assert result.samples == samples
    assert result.scores.sum() == pytest.approx(result.total[0], rel=1e-12)
    result.realize().verify()


def test_intervals_cover_the_exact_values_as_often_as_they_say():
    """150 seeds x 6 players; 95 % intervals of 64 pairs."""
    network = networks.encoder(np.random.default_rng(17), 6, 3)
    exact = attribute(network, method="shapley", targets=[0], bounds=False).scores[0]
    runs = [sample(network, samples=128, seed=seed, threads=1) for seed in range(150)]
    scores = np.array([run.scores[0] for run in runs])
    errors = np.array([run.stderr[0] for run in runs])
    hit = np.abs(scores - exact) <= 1.96 * errors + 1e-12
    assert hit.sum(axis=0).min() >= 131  # of 150: mean 142.5, standard deviation 2.7
    assert 0.925 <= hit.mean() <= 0.975
    # unbiased, and the standard error is the spread over seeds
    spread = scores.std(axis=0, ddof=1)
    assert (np.abs(scores.mean(axis=0) - exact) <= 4 * spread / math.sqrt(150)).all()
    assert np.sqrt((errors**2).mean(axis=0)) == pytest.approx(spread, rel=0.2)


def test_stderr_is_in_the_units_of_the_scores():
    network = networks.encoder(np.random.default_rng(1), 6, 2)
    larger = FlowNetwork.encoder([part.capacity * 1024 for part in network.edges])
    one, two = sample(network), sample(larger)
    assert (two.stderr == 1024 * one.stderr).all()
    assert (two.scores == 1024 * one.scores).all()


@pytest.mark.parametrize("samples", [3, 1, 0, -4, 10.0, True, "8"])
def test_samples_refused(network, samples):
    with pytest.raises(OptionError, match=r"samples=.*expected at least 4 orders"):
        sample(network, samples=samples)


@pytest.mark.parametrize("stderr", [0, -0.1, math.nan, math.inf])
def test_stderr_refused(network, stderr):
    with pytest.raises(OptionError, match=r"stderr=.*expected a positive fraction"):
        sample(network, samples=None, stderr=stderr)


def test_progress_is_reported(network):
    seen: list[tuple[str, int, int | None]] = []
    sample(network, samples=5000, progress=lambda *step: seen.append(step))
    done = [step[1] for step in seen if step[0] == "sampled orders"]
    assert len(done) > 2
    assert done == sorted(done)
    assert done[-1] == 5000
    seen.clear()
    attribute(
        networks.encoder(np.random.default_rng(0), 4, 2),
        method="shapley",
        targets=[0],
        progress=lambda *step: seen.append(step),
    )
    assert ("coalitions", 16, 16) in seen


@pytest.mark.slow
def test_sampled_agrees_with_exact_on_every_kind():
    for kind in sorted(networks.KINDS):
        network = networks.KINDS[kind](np.random.default_rng(8), 4, 2)
        target = network.size - 1
        exact = attribute(network, method="shapley", targets=[target], bounds=False)
        found = sample(network, targets=[target], samples=4000)
        near = 5 * found.stderr[0] + 1e-9 * max(1, exact.total[0])
        assert (np.abs(found.scores[0] - exact.scores[0]) <= near).all(), kind


def test_scores_that_sampling_cannot_tell_apart_are_noted():
    rng = np.random.default_rng(5)
    network = FlowNetwork.encoder(networks.softmax(rng, 3, 16, 16))
    few, many = (sample(network, targets=[0], samples=samples, seed=1) for samples in (8, 4096))
    for result in (few, many):
        share = np.median(result.stderr[0]) / result.scores[0].std()
        assert any("standard errors" in note for note in result.notes) == (share > 1 / 3)
    assert any("standard errors" in note for note in few.notes)
    assert not any("standard errors" in note for note in many.notes)
    exact = attribute(FlowNetwork.encoder(networks.softmax(rng, 2, 4, 4)), method="shapley", targets=[0])
    assert exact.notes == ()
