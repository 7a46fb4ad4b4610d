"""Results side by side, in the terminal and as HTML: everything said, nothing acted upon."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console
from test_fragment import ALLOWED, Page
from test_terminal import CONTROL

import results
from attnflow import Comparison
from attnflow.errors import OptionError
from attnflow.view.comparison import render
from attnflow.view.comparison_fragment import fragment


def several():
    return Comparison(results.several())


def pair():
    return several()[:2]


def alone():
    return several()[:1]


def like(result, *methods):
    """The same result under other names, each with its scores in another order."""
    rolled = [np.roll(result.scores, step, axis=1) for step in range(len(methods))]
    return Comparison(
        [replace(result, method=name, scores=s) for name, s in zip(methods, rolled, strict=True)]
    )


def many():
    return like(results.many_targets(9), "flow", "shapley", "rollout")


def translated():
    return like(results.encoder_decoder(), "flow", "shapley")


def awkward():
    result = results.awkward()
    named = [
        {"model": name, "why": "<b>\x1b[1m"}
        for name in ("</style><script>alert(1)</script>", "\x1b[31m\u202e")
    ]
    return Comparison([replace(result, provenance=part) for part in named])


def constant():
    result = results.single_target()
    return like(replace(result, scores=np.zeros_like(result.scores)), "flow", "shapley", "rollout")


def six():
    return like(
        results.single_target(), "flow", "shapley", "rollout", "attention", "central", "another-long-name"
    )


def uncertain():
    return like(results.estimated(), "shapley", "flow", "rollout")


ALL = [several, pair, alone, many, translated, awkward, constant, six, uncertain]


def printed(comparison, *, width=100, terminal=False, no_color=False, system="truecolor", **options):
    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        force_terminal=terminal,
        color_system=system if terminal else None,
        no_color=no_color,
    )
    console.print(render(comparison, **options))
    return file.getvalue()


def plain(text):
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


# -- the terminal ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [28, 40, 60, 80, 160])
@pytest.mark.parametrize("make", ALL)
def test_no_line_is_wider_than_asked(make, width):
    assert max(map(cell_len, printed(make(), width=width).splitlines())) <= width


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("terminal", [False, True])
def test_nothing_acts(make, terminal):
    out = printed(make(), terminal=terminal, top=30)
    assert not CONTROL.search(re.sub(r"\x1b\[[0-9;]*m", "", out) if terminal else out)
    assert terminal or "\x1b" not in out


def test_the_text_stands_once_per_result_where_it_can_be_shaded():
    assert plain(printed(several(), terminal=True)).count(results.SENTENCE.replace("  ", " ")) == 3
    assert plain(printed(several())).count(results.SENTENCE.replace("  ", " ")) == 1
    assert "on its own scale" in plain(printed(several(), terminal=True))


def test_what_speaks_against_has_its_own_hue_and_end():
    out = printed(several(), terminal=True)
    assert "against -3.42" in plain(out)
    assert "for (logit)" in plain(out)
    bad = [line for line in out.splitlines() if "brilliant" in line][2]
    backgrounds = dict(re.findall(r"48;2;(\d+;\d+;\d+)m([^\x1b]*)", bad))
    strong = {text.strip(): tuple(map(int, key.split(";"))) for key, text in backgrounds.items()}
    assert strong["bad"][0] > strong["bad"][2]  # orange
    assert strong["brilliant"][2] > strong["brilliant"][0]  # blue


def test_without_colours_the_sign_is_italic():
    out = printed(several(), terminal=True, no_color=True)
    assert re.search(r"\x1b\[[0-9;]*3;[0-9;]*mbad|\x1b\[3;7mbad", out)


@pytest.mark.parametrize("width", [60, 80, 160])
def test_every_number_of_every_result(width):
    out = printed(several(), width=width)
    for result in several():
        for score in result.scores[0]:
            digits = 2 if result.supporting is not None else 3
            assert f"{score:.{digits}f}" in out or score == 0
    assert "0.…" not in out


def test_more_results_than_fit_get_more_tables():
    narrow = printed(six(), width=50)
    assert narrow.count("brilliant") == 1 + 3  # text and tables
    assert printed(six(), width=160).count("brilliant") == 1 + 1


def test_the_top_is_marked_with_its_places():
    out = printed(pair())
    rows = {line.split()[1]: line for line in out.splitlines() if re.match(r"\s+\d+\s", line)}
    assert re.search(r"0\.500 #1", rows["[CLS]"])
    assert re.search(r"0\.300 #4.*0\.170 #2", rows["brilliant"])
    assert "#" not in rows["was"]


def test_every_results_top_is_in_the_table():
    first, second, third = several()
    flat = replace(first, scores=np.linspace(0.5, 0.6, 15)[None])
    out = printed(Comparison([flat, second, third]), top=8)
    assert "-3.42" in out  # the largest of all, though it speaks against
    for label in ("[CLS]", "brilliant", "bad", "movie", "[SEP]", "."):
        assert re.search(rf"^ +\d+ +{re.escape(label)} ", out, re.M), label


def test_units_are_told_apart():
    out = printed(several())
    assert "different units (share, logit)" in plain(out)
    assert re.search(r"share +share +logit", out)
    assert "different units" not in printed(pair())


def test_agreement_of_two_is_a_sentence_and_of_three_are_tables():
    assert "Rank correlation (Spearman) 0.91; 4.5 of the top 5 shared, 1.7 by chance." in plain(
        printed(pair())
    )
    out = printed(several())
    assert re.search(r"1 +flow attention +1 +0\.91 +0\.48", out)
    assert re.search(r"3 +flow relevance +3\.5/5 +3/5 +5/5", out)
    assert "Rank" not in printed(alone())


def test_no_order_is_said():
    out = plain(printed(constant()))
    assert "same score, so that there is no order" in out
    assert "nan" not in out
    assert "undefined" in plain(printed(constant()[:2]))


def test_the_same_is_said_once():
    out = plain(printed(several()))
    assert out.count("fixed by construction") == 1
    assert "flow attention, shapley attention: Total v(N) = 1" in out
    assert "flow relevance: Total v(N) = -0.350 logits" in out
    assert "side by side · attention capacities, residual 0.5 · minilm" in plain(printed(pair()))


def test_outputs_that_differ_are_all_named():
    one, two = pair()
    other = replace(two, targets=(replace(two.targets[0], label="negative", probability=0.4),))
    out = plain(printed(Comparison([one, other])))
    assert "positive / negative position 0, at [CLS]" in out
    assert "probability" not in out


def test_many_targets_are_a_table_of_pairs():
    out = printed(many())
    assert "9 targets down, pairs of results across" in out
    assert "1 and 2" in out
    assert "fewer than 7 targets" in out
    assert len(printed(like(results.many_targets(300), "flow", "shapley")).splitlines()) < 70


def test_top_and_width():
    out = printed(pair(), top=3)
    assert "12 players not in the table: lower in every result" in out
    for wrong in ({"top": 0}, {"width": 0}):
        with pytest.raises(OptionError, match="=0"):
            render(pair(), **wrong)


def test_ascii_consoles():
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    Console(file=file, width=80).print(render(several()))
    file.flush()
    assert b"####" in file.buffer.getvalue()


# -- the fragment ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", ALL)
def test_well_formed_silent_and_safe(make):
    source = fragment(make())
    parsed = Page(source)
    assert {tag for tag, _ in parsed.tags} <= ALLOWED | {"ol", "b"}
    for tag, attributes in parsed.tags:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert not {"src", "srcset", "href", "action", "poster", "background"} & set(attributes), tag
    assert not re.search(r"https?:|url\(|@import|//[a-z]+\.[a-z]", source)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", source)
    assert parsed.scripts == []
    assert "nan" not in re.sub(r"[a-z]nan|nan[a-z]", "", "".join(parsed.text))


def test_fragment_stays_in_its_scope():
    source = fragment(several())
    assert Page(source).tags[0][1]["class"] == "attnflow"
    for attributes in (a for _, a in Page(source).tags if "class" in a):
        assert all(name == "self" or name.startswith("attnflow") for name in attributes["class"].split())
    assert fragment(many()).count("<table>") == 1
    long = like(results.long(), "flow", "shapley")
    assert fragment(long).count("<tr>") <= 17
