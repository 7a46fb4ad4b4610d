import numpy as np
import pytest

from attnflow import Attribution, FlowNetwork, attribute, explain
from attnflow.contrast import signed
from attnflow.errors import OptionError


def network(seed: int, n: int = 5, tokens=None) -> FlowNetwork:
    rng = np.random.default_rng(seed)
    A = rng.dirichlet(np.ones(n), size=(2, n))
    return FlowNetwork.encoder(0.5 * A + 0.5 * np.eye(n), tokens=tokens)


def test_difference_is_antisymmetric_and_keeps_efficiency():
    a = attribute(network(0), method="shapley", targets=[0, 1])
    b = attribute(network(1), method="shapley", targets=[0, 1])
    np.testing.assert_array_equal((a - b).scores, -(b - a).scores)
    np.testing.assert_allclose((a - b).scores.sum(axis=1), a.total - b.total, atol=1e-12)
    assert (a - b).lower is None
    assert (a - b).network is None


def test_standard_errors_add_in_squares():
    a = attribute(network(0), method="shapley", targets=[0], samples=64)
    b = attribute(network(1), method="shapley", targets=[0], samples=64, seed=1)
    exact = attribute(network(1), method="shapley", targets=[0])
    np.testing.assert_allclose((a - b).stderr ** 2, a.stderr**2 + b.stderr**2)
    np.testing.assert_array_equal((a - exact).stderr, a.stderr)
    assert (a - exact).estimated


def test_one_target_is_subtracted_from_each():
    a = attribute(network(0), method="flow", targets=[0, 1, 2])
    b = attribute(network(0), method="flow", targets=[1])
    np.testing.assert_array_equal((a - b).scores[1], np.zeros(5))
    assert (a - b).targets[0].label == "0 − 1"


def test_labels_show_where_the_inputs_differ():
    a = attribute(network(0, 3, ["the", "key", "is"]), method="flow", targets=[0])
    b = attribute(network(1, 3, ["the", "keys", "is"]), method="flow", targets=[0])
    assert [player.label for player in (a - b).players] == ["the", "key − keys", "is"]


@pytest.mark.parametrize(
    ("other", "match"),
    [
        (lambda: attribute(network(0, 4), method="flow", targets=[0]), "different players"),
        (lambda: attribute(network(0), method="shapley", targets=[0]), "differ in method"),
        (lambda: attribute(network(0), method="flow", targets=[0, 1, 2]), "2 and 3 targets"),
    ],
)
def test_what_cannot_be_compared_is_refused(other, match):
    a = attribute(network(0), method="flow", targets=[0, 1])
    with pytest.raises(OptionError, match=match):
        a - other()


def test_a_difference_saves_and_loads(tmp_path):
    difference = attribute(network(0), method="flow", targets=[0]) - attribute(
        network(1), method="flow", targets=[0]
    )
    difference.save(tmp_path / "d.json")
    loaded = Attribution.load(tmp_path / "d.json")
    np.testing.assert_array_equal(loaded.scores, difference.scores)
    assert loaded.players == difference.players


def test_not_a_result():
    with pytest.raises(TypeError):
        attribute(network(0), method="flow", targets=[0]) - 1


def test_both_sides_of_a_signed_result_are_grouped():
    parts = [attribute(network(seed), method="rollout", targets=[0, 1]) for seed in (0, 1)]
    grouped = signed(*parts).group([[1, 3]])
    np.testing.assert_allclose(grouped.supporting, parts[0].group([[1, 3]]).scores)
    np.testing.assert_allclose(grouped.opposing, parts[1].group([[1, 3]]).scores)
    np.testing.assert_allclose(grouped.scores, grouped.supporting - grouped.opposing)


def test_sides_that_ask_about_different_outputs_say_so():
    good, bad = (explain("sentiment", text, bounds=False) for text in ("A good film.", "A bad film."))
    assert "POSITIVE and NEGATIVE" in (good - bad).notes[-1]
    with pytest.raises(OptionError, match="difference of two"):
        (good - bad).realize()
    same = [
        explain("sentiment", text, output="POSITIVE", bounds=False)
        for text in ("A good film.", "A bad film.")
    ]
    assert (same[0] - same[1]).notes == ()
    against = explain("sentiment", "A bad film.", output="NEGATIVE", bounds=False)
    assert (same[0] - against).notes == ()  # asked for
    blind = [
        explain("sentiment", text, capacity="attention", bounds=False)
        for text in ("A good film.", "A bad film.")
    ]
    assert not any("different outputs" in note for note in (blind[0] - blind[1]).notes)


def test_sides_of_rollout_are_said_to_have_no_common_unit():
    sides = [attribute(network(seed), method="rollout", targets=[0]) for seed in (0, 1)]
    assert "parts of 1, for and against alike" in signed(*sides).notes[-1]
    assert sides[0].scores.sum() == pytest.approx(sides[1].scores.sum()) == pytest.approx(1)
    flows = [attribute(network(seed), method="flow", targets=[0]) for seed in (0, 1)]
    assert not any("parts of 1" in note for note in signed(*flows).notes)
