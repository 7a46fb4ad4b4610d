"""Results side by side: what may stand there, what tells them apart, how far they agree."""

import csv
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

import attnflow
import results
from attnflow import Attribution, Comparison, FlowNetwork, attribute
from attnflow.attribution import Player, Target
from attnflow.errors import FormatError, InputError, MissingExtraError, OptionError


def bare(scores, **fields) -> Attribution:
    """A result of nothing but scores: a row, or rows."""
    matrix = np.atleast_2d(np.array(scores, dtype=float))
    players = tuple(Player(str(j), (("encoder", j),)) for j in range(matrix.shape[1]))
    targets = tuple(Target((row,)) for row in range(len(matrix)))
    return Attribution(
        **{"method": "flow", **fields},
        scores=matrix,
        total=np.ones(len(matrix)),
        players=players,
        targets=targets,
    )


def of(*rows) -> Comparison:
    return Comparison([bare(row, method=f"m{number}") for number, row in enumerate(rows)])


# -- a sequence --------------------------------------------------------------------------------------------


def test_a_sequence_of_results():
    parts = results.several()
    comparison = Comparison(parts)
    assert len(comparison) == 3
    assert list(comparison) == list(parts)
    assert comparison[-1] is parts[-1]
    assert parts[1] in comparison
    assert comparison.index(parts[1]) == 1
    part = comparison[1:]
    assert isinstance(part, Comparison)
    assert part.results == parts[1:]
    assert comparison["flow relevance"] is parts[2]
    with pytest.raises(OptionError, match="did you mean 'flow relevance'"):
        comparison["flow relevanc"]


def test_is_public():
    assert attnflow.Comparison is Comparison
    assert "Comparison" in attnflow.__all__


def test_importing_it_loads_nothing_heavy():
    code = "import sys, attnflow; attnflow.Comparison; print({'torch', 'numba', 'rich', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda r: replace(r, text=r.text + "!"), "texts differ"),
        (lambda _: results.estimated(), "14 players .1 excluded., the first 15"),
        (
            lambda r: replace(r, players=(*r.players[:3], replace(r.players[3], span=(0, 1)), *r.players[4:])),
            "'was' at encoder position 3",
        ),
        (lambda r: replace(r, targets=(Target((3,)),)), "target 0 is at position 3, in the first at position 0"),
        (lambda r: replace(r, targets=(Target((0,), weights=(1.0,)),)), "weighs its positions differently"),
        (lambda r: Attribution.concat([r, r]), "2 targets, the first 1"),
    ],
)  # fmt: skip
def test_what_does_not_stand_beside_is_refused(change, match):
    result = results.single_target()
    with pytest.raises(OptionError, match=match):
        Comparison([result, result, change(result)])


def test_players_without_spans_are_known_by_position_and_label():
    one = bare([1, 2])
    with pytest.raises(OptionError, match="'b' at encoder position 1"):
        Comparison([one, replace(one, players=(one.players[0], replace(one.players[1], label="b")))])
    special = tuple(replace(player, kind="special") for player in one.players)
    other = tuple(replace(player, label="<s>") for player in special)
    assert len(Comparison([replace(one, players=special), replace(one, players=other)])) == 2


def test_words_of_two_tokenizers_are_the_same_players():
    result = results.result_of(
        results.players_of("a film", special=False), [[1, 2]], [Target((0,))], text="a film"
    )
    pieces = (result.players[0], replace(result.players[1], nodes=(("encoder", 1), ("encoder", 2))))
    assert len(Comparison([result, replace(result, players=pieces, method="flow")])) == 2


def test_nothing_and_no_results_are_refused():
    with pytest.raises(OptionError, match="at least one"):
        Comparison([])
    with pytest.raises(OptionError, match="found str"):
        Comparison(["flow"])


# -- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ([{}], ("flow",)),
        ([{}, {"method": "shapley"}], ("flow", "shapley")),
        ([{"capacity": "attention"}, {"capacity": "norm"}], ("flow attention", "flow norm")),
        ([{"residual": 0.5}, {"residual": "open"}], ("flow residual 0.5", "flow residual open")),
        (
            [{"capacity": "attention", "residual": 0.5}, {"capacity": "norm", "residual": 0.5},
             {"capacity": "norm", "residual": "open"}],
            ("flow attention residual 0.5", "flow norm residual 0.5", "flow norm residual open"),
        ),
        ([{"provenance": {"model": "x/a"}}, {"provenance": {"model": "x/b"}}], ("flow a", "flow b")),
        ([{"provenance": {"model": "x/a"}}, {"provenance": {"model": "y/a"}}], ("flow x/a", "flow y/a")),
        (
            [{"provenance": {"options": {"seed": 0}}}, {"provenance": {"options": {"seed": 1}}}],
            ("flow seed 0", "flow seed 1"),
        ),
        ([{}, {"supporting": np.ones((1, 2)), "opposing": np.zeros((1, 2))}], ("flow", "flow signed")),
        ([{}, {}], ("flow (1)", "flow (2)")),
        ([{}, {}, {"method": "shapley"}], ("flow (1)", "flow (2)", "shapley")),
    ],
)  # fmt: skip
def test_names_are_the_fewest_words_that_tell_apart(fields, names):
    assert Comparison([bare([1, 2], **field) for field in fields]).names == names


# -- agreement ---------------------------------------------------------------------------------------------

SCORES = st.lists(st.lists(st.integers(-3, 3), min_size=6, max_size=6), min_size=2, max_size=4)


@given(SCORES)
def test_rank_correlation_is_spearmans(rows):
    found = of(*rows).rank_correlation()
    assert found.dtype == np.float64
    for a, one in enumerate(rows):
        for b, other in enumerate(rows):
            if len(set(one)) == 1 or len(set(other)) == 1:
                assert np.isnan(found[a, b])
            else:
                assert found[a, b] == pytest.approx(spearmanr(one, other).statistic, abs=1e-12)


def test_rank_correlation_by_hand():
    found = of([1, 2, 3, 4], [10, 20, 30, 40], [4, 3, 2, 1], [5, 5, 5, 5]).rank_correlation()
    np.testing.assert_array_equal(found[:3, :3], [[1, 1, -1], [1, 1, -1], [-1, -1, 1]])
    assert np.isnan(found[3]).all()
    assert np.isnan(found[:, 3]).all()
    # Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: 4.5 / sqrt(4.5 * 5).
    assert of([1, 2, 2, 3], [1, 2, 3, 4]).rank_correlation()[0, 1] == pytest.approx(0.9486832980505138)


def test_each_target_is_its_own_question():
    comparison = Comparison([bare([[1, 2, 3], [3, 2, 1]]), bare([[1, 2, 3], [1, 2, 3]], method="shapley")])
    assert comparison.rank_correlation(0)[0, 1] == 1
    assert comparison.rank_correlation(1)[0, 1] == -1
    assert comparison.rank_correlation(-1)[0, 1] == -1
    assert comparison.top_overlap(1, 0)[0, 1] == 1
    assert comparison.top_overlap(1, 1)[0, 1] == 0


def test_top_overlap_by_hand():
    comparison = of([5, 4, 3, 2, 1], [5, 4, 0, 0, 3], [-9, -8, 3, 2, 1])
    np.testing.assert_allclose(
        comparison.top_overlap(3), [[1, 2 / 3, 1 / 3], [2 / 3, 1, 1 / 3], [1 / 3, 1 / 3, 1]]
    )
    # The second place of [2, 1, 1, 1] is held in thirds, that of [2, 1, 0, 0] in whole: the top is 1, the next 1/3.
    assert of([2, 1, 1, 1], [2, 1, 0, 0]).top_overlap(2)[0, 1] == pytest.approx((1 + 1 / 3) / 2)


@given(SCORES, st.integers(1, 6), st.permutations(range(6)))
def test_ties_are_shared_fairly(rows, k, order):
    comparison = of(*rows)
    found = comparison.top_overlap(k)
    assert (np.diag(found) == 1).all()
    np.testing.assert_array_equal(found, found.T)
    assert (found >= 0).all()
    assert (found <= 1 + 1e-12).all()
    moved = of(*[[row[j] for j in order] for row in rows])
    np.testing.assert_allclose(moved.top_overlap(k), found)  # the order of the players plays no part
    np.testing.assert_allclose(of(rows[0], rows[0]).top_overlap(k), 1)
    np.testing.assert_allclose(comparison.top_overlap(6), 1)


@pytest.mark.parametrize("k", [0, -1, 7, 2.0, True])
def test_a_top_that_there_is_none_of_is_refused(k):
    with pytest.raises(OptionError, match="from 1 to 6"):
        of([1, 2, 3, 4, 5, 6]).top_overlap(k)


def test_ranks_share_the_best_place():
    np.testing.assert_array_equal(of([5, 1, 5, -2], [1, 2, 3, 4]).ranks(), [[1, 3, 1, 4], [4, 3, 2, 1]])


def test_real_methods_agree_with_themselves():
    rng = np.random.default_rng(0)
    network = FlowNetwork.encoder(0.5 * rng.dirichlet(np.ones(6), size=(2, 6)) + 0.5 * np.eye(6))
    comparison = Comparison(
        [attribute(network, method=name, targets=[0, [1, 2]]) for name in ("flow", "shapley", "rollout")]
    )
    assert comparison.names == ("flow", "shapley", "rollout")
    for target in (0, 1):
        np.testing.assert_array_equal(np.diag(comparison.rank_correlation(target)), np.ones(3))
        assert comparison.rank_correlation(target)[0, 1] > 0


# -- leaving -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_a_column_per_result(backend):
    pytest.importorskip(backend)
    comparison = Comparison(results.several())
    frame = comparison.to_frame(backend)
    assert list(frame.columns) == [
        "target", "target_position", "player", "stack", "position", "kind",
        "flow attention", "shapley attention", "flow relevance",
    ]  # fmt: skip
    for name, result in zip(comparison.names, comparison, strict=True):
        np.testing.assert_array_equal(np.array(frame[name]), result.scores.ravel())


def test_unknown_and_missing_backends_are_refused(monkeypatch):
    comparison = of([1, 2])
    with pytest.raises(OptionError, match="did you mean 'polars'"):
        comparison.to_frame("polar")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError):
        comparison.to_frame()


def test_csv_reads_back_exactly(tmp_path):
    comparison = Comparison(results.several())
    comparison.to_csv(tmp_path / "c.csv")
    with open(tmp_path / "c.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for name, result in zip(comparison.names, comparison, strict=True):
        assert [float(row[name]) for row in rows] == result.scores.ravel().tolist()


def test_saves_and_loads_exactly(tmp_path):
    comparison = Comparison(results.several())
    comparison.save(tmp_path / "c.json")
    loaded = Comparison.load(tmp_path / "c.json")
    assert loaded.names == comparison.names
    for one, other in zip(comparison, loaded, strict=True):
        assert one.to_dict() == other.to_dict()


def test_saves_networks_when_asked(tmp_path):
    network = FlowNetwork.encoder(np.full((1, 3, 3), 1 / 3))
    comparison = Comparison([attribute(network, method=name, targets=[0]) for name in ("flow", "shapley")])
    comparison.save(tmp_path / "c.json", network=True)
    assert Comparison.load(tmp_path / "c.json")["shapley"].realize().value == pytest.approx(1)
    with pytest.raises(InputError, match="without its network"):
        Comparison(results.several()).save(tmp_path / "d.json", network=True)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", "not JSON"),
        ("[]", "Not a saved comparison"),
        ('{"format": "attnflow-attribution"}', "Not a saved comparison"),
        ('{"format": "attnflow-comparison", "version": 2}', "upgrade"),
        ('{"format": "attnflow-comparison", "version": 1}', "damaged comparison: KeyError"),
        ('{"format": "attnflow-comparison", "version": 1, "results": []}', "damaged comparison"),
        ('{"format": "attnflow-comparison", "version": 1, "results": [{}]}', "Not a saved attribution"),
    ],
)
def test_other_files_are_refused(tmp_path, content, match):
    path = tmp_path / "c.json"
    path.write_text(content)
    with pytest.raises(FormatError, match=match) as caught:
        Comparison.load(path)
    assert "c.json" in str(caught.value)


def test_a_comparison_is_no_attribution(tmp_path):
    Comparison(results.several()).save(tmp_path / "c.json")
    assert json.loads((tmp_path / "c.json").read_text())["version"] == 1
    with pytest.raises(FormatError, match="load it with attnflow"):
        Attribution.load(tmp_path / "c.json")


def test_show_and_page(tmp_path, capsys):
    comparison = Comparison(results.several())
    comparison.show(top=3, width=90)
    assert "brilliant" in capsys.readouterr().out
    comparison.to_html(tmp_path / "c.html")
    assert "brilliant" in (tmp_path / "c.html").read_text(encoding="utf-8")
    assert '<div class="attnflow">' in comparison._repr_html_()


# -- from a model ------------------------------------------------------------------------------------------


def test_a_list_of_methods_or_capacities_is_compared(tmp_path):
    pytest.importorskip("torch")
    import tiny

    given = {"model": tiny.build("bert-class"), "tokenizer": tiny.wordpiece(), "text": "the quick dog jumps"}
    methods = attnflow.explain(**given, method=["flow", "shapley"])
    assert isinstance(methods, Comparison)
    assert methods.names == ("flow", "shapley")
    schemes = attnflow.explain(**given, method="flow", capacity=["attention", "relevance"])
    assert schemes.names == ("flow attention", "flow relevance")
    assert [result.unit for result in schemes] == ["share", "logit"]
    assert len(attnflow.explain(**given, method=["flow"])) == 1
    assert isinstance(attnflow.explain(**given, method="flow"), Attribution)
    schemes.save(tmp_path / "c.json")
    assert Comparison.load(tmp_path / "c.json").names == schemes.names
    each = attnflow.explain(**{**given, "text": ["the dog", "the quick dog"]}, method=["flow", "rollout"])
    assert [type(part) for part in each] == [Comparison, Comparison]
