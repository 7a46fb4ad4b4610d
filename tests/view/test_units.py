"""Results that are no shares of 1: logits, two signs, differences, and numbers of any size."""

import re
from dataclasses import replace

import numpy as np
import pytest
from test_fragment import Page
from test_terminal import printed

import results
from attnflow.view.caption import amount, caption, ends, recipe, remarks, told_apart, unit
from attnflow.view.fragment import fragment
from attnflow.view.numbers import single
from attnflow.view.payload import payload


def plain(text):
    return " ".join(text.split())


def read(source):
    return plain(" ".join(Page(source).text))


def test_logits_are_named_wherever_scores_stand():
    out = printed(results.relevance())
    assert (
        "relevance flow of each player alone, in logits; unsigned, only what speaks for the output"
        in plain(out)
    )
    assert re.search(r"score *\n *position +player +logit ", out)
    shaded = re.sub(r"\x1b\[[0-9;]*m", "", printed(results.relevance(), terminal=True))
    assert "2.58 logit; special tokens dimmed" in shaded
    assert "Score logit" in read(fragment(results.relevance()))
    assert payload(results.relevance())["results"][0]["unit"] == "logit"
    assert "logit" not in printed(results.single_target())
    assert "Score logit" not in read(fragment(results.single_target()))
    assert payload(results.single_target())["results"][0]["unit"] == ""


def test_totals_are_amounts():
    assert (
        amount(results.relevance(), 0)
        == "Total v(N) = 3.20 logits: the most that all players together can send."
    )
    assert amount(replace(results.relevance(), total=np.ones(1)), 0).startswith("Total v(N) = 1 logit: ")
    assert "-0.350 logits" in amount(results.signed(), 0)
    assert "less the most they can send against it" in amount(results.signed(), 0)
    gradient = replace(results.relevance(), capacity="gradient", unit="logit per attention")
    assert "can send, in logits per unit of attention." in amount(gradient, 0)
    assert "in units of miles" in amount(replace(gradient, unit="miles"), 0)


def test_both_sides_of_a_signed_result():
    out = printed(results.signed())
    rows = {line.split()[1]: line.split() for line in out.splitlines() if line[:10].strip().isdigit()}
    assert rows["bad"][2:5] == ["-3.42", "<0.01", "3.42"]
    assert rows["not"][2:5] == ["0.41", "1.31", "0.90"]
    assert rows["movie"][2:5] == ["0.84", "0.84", "0"]
    assert "signed" in recipe(results.signed())
    assert "For Against" in read(fragment(results.signed()))
    assert "-3.42 <0.01 3.42" in read(fragment(results.signed()))
    (shown,) = payload(results.signed())["results"]
    assert shown["ends"] == ["against", "for (logit)"]
    assert shown["two_signs"]


def test_signed_results_keep_both_hues_where_nothing_speaks_against():
    result = results.signed()
    harmless = replace(result, scores=result.supporting, opposing=result.opposing * 0)
    assert "negative speaks against" in caption(harmless)
    assert ends(harmless) == ("against", "for (logit)")
    assert payload(harmless)["results"][0]["two_signs"]


@pytest.mark.parametrize("scale", [1e-12, 1e-5, 1.0, 4e4, 1e12])
def test_numbers_of_any_size_stay_short(scale):
    result = results.signed(scale)
    out = printed(result, width=120)
    assert single(2.58 * scale).split(".")[0] in out or "×10" in single(2.58 * scale)
    assert max(len(word) for word in out.split() if "─" not in word) < 25
    assert max(len(line.rstrip()) for line in printed(result, width=60).splitlines()) <= 60
    (decimals,) = payload(result)["results"][0]["decimals"]
    assert decimals == {1e-12: None, 1e-5: None, 1.0: 2, 4e4: 0, 1e12: None}[scale]


def test_scores_that_are_parts_of_1_stay_shares():
    assert unit(replace(results.relevance(), method="rollout")) == "share"
    assert "Score logit" not in read(fragment(replace(results.relevance(), method="rollout")))


def test_a_difference_says_that_it_is_one():
    one = results.single_target()
    apart = one - replace(one, scores=one.scores[:, ::-1])
    assert "first result less the second" in caption(apart)
    assert "unsigned" not in caption(apart)
    assert amount(apart, 0) == "Difference of the two totals v(N): 0."
    assert payload(apart)["results"][0]["ends"] == ["second", "first"]


def test_a_standard_error_of_rounding_is_not_printed():
    result = results.relevance()
    noise = replace(result, estimated=True, samples=64, stderr=np.full_like(result.scores, 5.73e-18))
    (said,) = [remark for remark in remarks(noise) if remark.startswith("Estimated")]
    assert said == "Estimated from 64 sampled orders, each balanced group of them giving the same."


def test_targets_that_decide_the_same_are_told_apart():
    result = results.many_targets()
    same = tuple(replace(target, label="POSITIVE") for target in result.targets)
    names = [target["name"] for target in payload(replace(result, targets=same))["targets"]]
    assert len(set(names)) > 1
    assert names[:3] == ["POSITIVE at The", "POSITIVE at keys", "POSITIVE at to"]
    assert told_apart(["Front", "Center", "Front"], result.targets[:3]) == ["Front", "Center", "Front"]
    assert told_apart(["POSITIVE"], result.targets[:1]) == ["POSITIVE"]
