import numpy as np
import pytest

import attnflow
from attnflow import FlowNetwork, attribute

shapiq = pytest.importorskip("shapiq")


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(3)
    A = rng.dirichlet(np.full(6, 0.4), size=(3, 6))
    return FlowNetwork.encoder(0.5 * A + 0.5 * np.eye(6), tokens=list("abcdef"))


def test_values_are_maximum_flows(network):
    game = attnflow.game(network, 2)
    coalitions = np.array([[0] * 6, [1, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 1], [1] * 6], dtype=bool)
    expected = [0.0] + [
        network.max_flow(np.flatnonzero(row).tolist(), target=2).value for row in coalitions[1:]
    ]
    np.testing.assert_allclose(game(coalitions), expected, atol=1e-12)


def test_shapiq_finds_our_shapley_values(network):
    values = shapiq.ExactComputer(attnflow.game(network, 0))("SV", 1)
    ours = attribute(network, method="shapley", targets=[0]).scores[0]
    np.testing.assert_allclose([values[(j,)] for j in range(6)], ours, atol=1e-9)


def test_interactions_of_words_are_never_positive(network):
    # v is submodular: two players compete, so that no pair can be worth more than its parts
    pairs = shapiq.ExactComputer(attnflow.game(network, 0, players=[[0, 1], [2], [3], [4, 5]]))("SII", 2)
    found = [pairs[(i, j)] for i in range(4) for j in range(i + 1, 4)]
    assert max(found) <= 1e-12
    assert min(found) < -1e-3


def test_approximators_run_on_it(network):
    game = attnflow.game(network, 0)
    estimate = shapiq.PermutationSamplingSV(n=6, random_state=0).approximate(budget=2000, game=game)
    ours = attribute(network, method="shapley", targets=[0]).scores[0]
    np.testing.assert_allclose([estimate[(j,)] for j in range(6)], ours, atol=0.05)
