"""From records to tables, and the reactions that are made."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from experiments.faithfulness import findings
from experiments.faithfulness.inputs import STUDIES
from experiments.faithfulness.rows import CURVES, DEAR, MAIN, MORE

from attnflow.evaluate import Interval, baselines
from experiments import report


@pytest.fixture
def found(tmp_path, monkeypatch):
    """Thirty examples in which ours is always .1 above theirs."""
    monkeypatch.setattr(findings, "FOLDER", tmp_path)
    monkeypatch.setattr(findings, "MANY", 30)
    folder = tmp_path / "faithfulness"
    folder.mkdir()
    lines = [{"settings": {}}]
    for index in range(30):
        for row, more in ((findings.BEST, 0.1), *((rival, 0.0) for rival in findings.RIVALS)):
            value = index / 100 + more
            metrics = dict.fromkeys(("comprehensiveness", "sufficiency", "log-odds", "seconds"), value)
            lines.append({"key": f"{index}/{row}", **metrics, "forward": 1, "backward": 1})
    lines.append({"key": "0/alti-rollout", "refused": "no"})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "logic-mask.jsonl").write_text(text, encoding="utf-8")
    return findings.read()


def test_differences_are_over_the_same_examples(found):
    table = findings.claims(found)
    assert len(table.rows) == 2 * len(findings.RIVALS)
    for row in table.rows:
        difference = row[-1]
        assert isinstance(difference, Interval)
        assert (difference.estimate, difference.lower, difference.upper) == pytest.approx((0.1, 0.1, 0.1))
        assert row[4] == 30


def test_the_best_row_stands_on_top_and_refused_ones_nowhere(found):
    assert findings.overview(found).rows[0][0] == findings.BEST
    rows = findings.each(found[0]).rows
    assert rows[0][0] == findings.BEST
    assert {row[0] for row in rows} == {findings.BEST, *findings.RIVALS}


def test_names_of_rows_are_unique_and_those_of_curves_exist():
    names = [row.name for row in (*MAIN, *MORE, *DEAR)]
    assert len(names) == len(set(names))
    assert set(names) >= CURVES | {findings.BEST, findings.INTEGRATED, *findings.RIVALS, *findings.DRAWN}


def test_reactions_hide_one_atom_of_their_product():
    pytest.importorskip("rdkit")
    from experiments.faithfulness.reactions import masked

    texts = masked(50, 7)
    assert texts == masked(50, 7)
    assert len(set(texts)) == 50
    for text in texts:
        front, product = text.split(">>")
        assert "[MASK]" not in front
        assert product.count("[MASK]") == 1


def test_without_rules_relevance_is_gradient_times_input_and_integrated_gradients():
    from experiments.faithfulness import rules

    study = STUDIES["agreement"]
    model, tokenizer = study.load()
    passing = rules.Passing(study.load()[0])
    (_, ask), *_ = study.asks(model, tokenizer, 1)
    made = ask()
    plain = rules.Rule("all", norms=False, slopes=False)
    expected = baselines.scores("gradient-x-input", made)
    assert passing.scores(made, plain) == pytest.approx(expected, abs=1e-4)
    assert passing.scores(made, rules.Rule()) != pytest.approx(expected, abs=1e-1)
    shown = np.ones((1, made.players), bool)
    same = replace(made, model=passing.model).values(shown, scale="logit")
    assert same == pytest.approx(made.values(shown, scale="logit"), abs=1e-4)


def test_the_page_has_a_place_for_every_table():
    page = (report.PAGES / "faithfulness.md").read_text(encoding="utf-8")
    names = [f"{study.name}-{hide}" for study in STUDIES.values() for hide in study.hide]
    for name in (*names, "overview", "claims", "curves", "rules"):
        assert f"<!-- table: {name} -->" in page
        assert f"<!-- end: {name} -->" in page
