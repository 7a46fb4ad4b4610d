"""What a result looks like in a terminal: everything said, nothing acted upon."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

import results
from attnflow.attribution import Player, Target
from attnflow.errors import OptionError
from attnflow.view import shading
from attnflow.view.caption import caption, is_uniform
from attnflow.view.numbers import digits_for, probability, single
from attnflow.view.passage import blocks, label_of, place_of, visible
from attnflow.view.terminal import ground_of, render

CONTROL = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printed(result, *, width=100, terminal=False, no_color=False, system="truecolor", **options):
    """The text that `render` puts on a console."""
    file = io.StringIO()
    console = Console(
        file=file,
        width=width,
        force_terminal=terminal,
        color_system=system if terminal else None,
        no_color=no_color,
    )
    console.print(render(result, **options))
    return file.getvalue()


def passage(result, target=None):
    return "\n".join("".join(piece.text for piece in block.pieces) for block in blocks(result, target))


# -- the running text ----------------------------------------------------------------------------------


def test_text_keeps_its_spacing_and_punctuation():
    assert passage(results.single_target()) == f"[CLS] {results.SENTENCE} [SEP]"


def test_decoder_follows_source_in_its_own_block():
    result = results.encoder_decoder()
    source, decoder = blocks(result, result.targets[0])
    assert (source.label, decoder.label) == ("source", "decoder")
    assert passage(result) == "[CLS] Where is the station? [SEP]\n<s> Wo ist der Bahnhof?"
    assert [piece.text for piece in decoder.pieces if piece.target] == ["Wo"]


def test_generated_tokens_that_bring_their_spaces_keep_them():
    text = "The keys"
    players = [Player("The", (("decoder", 0),), (0, 3)), Player(" keys", (("decoder", 1),), (3, 8))]
    players += [
        Player(label, (("decoder", i),), None, "generated")
        for i, label in enumerate([" are", " un", "locked", "."], 2)
    ]
    result = results.result_of(players, [np.ones(6)], [Target((5,))], text=text)
    assert passage(result) == "The keys are unlocked."


def test_pieces_of_one_character_are_all_there():
    players = [Player("a", (("encoder", 0),), (0, 1))]
    players += [Player("\ufffd", (("encoder", i),), (2, 3)) for i in (1, 2, 3)]
    result = results.result_of(players, [np.ones(4)], [Target((0,))], text="a 🙂!")
    assert passage(result) == "a 🙂··!"
    assert [
        piece.player for block in blocks(result) for piece in block.pieces if piece.player is not None
    ] == [0, 1, 2, 3]


def test_excluded_players_keep_their_place():
    result = results.estimated()
    assert passage(result).startswith("[CLS] The")
    assert next(piece for block in blocks(result) for piece in block.pieces).excluded


def test_line_breaks_break_and_roles_head_blocks():
    text = "Hi\nthere"
    players = [
        Player("Hi", (("decoder", 0),), (0, 2), role="user"),
        Player("\n", (("decoder", 1),), (2, 3), role="user"),
        Player("there", (("decoder", 2),), (3, 8), role="assistant"),
    ]
    result = results.result_of(players, [np.ones(3)], [Target((2,))], text=text)
    assert [block.label for block in blocks(result)] == ["user", "assistant"]
    assert passage(result) == "Hi↵\nthere"


def test_players_without_text_stand_apart():
    players = [Player(name, (("encoder", i),)) for i, name in enumerate("abc")]
    assert passage(results.result_of(players, [np.ones(3)], [Target((0,))])) == "a b c"


def test_groups_of_positions():
    player = Player("x", tuple(("encoder", i) for i in (3, 4, 5, 9)))
    assert place_of(player) == "3–5, 9"
    assert (
        place_of(replace(player, nodes=(("decoder", 1), ("encoder", 0))), stack=True) == "source 0; decoder 1"
    )


# -- safety --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("terminal", [False, True])
def test_nothing_in_a_token_acts(terminal):
    out = printed(results.awkward(), terminal=terminal, width=120, top=30)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out) if terminal else out
    assert not CONTROL.search(plain)
    assert "[bold red]markup[/bold red]" in plain
    assert "left⟨U+202E⟩right" in plain
    assert "⟨U+001B⟩[31mred" in plain
    assert "\x1b[31mred" not in out
    assert "\x1b[2J" not in out
    plain.encode("utf-8")


def test_every_kind_of_invisible_character_shows():
    assert (
        visible("a\u200bb\ufeff\u00ad\u2028\x85\x00") == "a⟨U+200B⟩b⟨U+FEFF⟩⟨U+00AD⟩⟨U+2028⟩⟨U+0085⟩⟨U+0000⟩"
    )
    assert visible("👩\u200d🔬 می\u200cخواهم") == "👩\u200d🔬 می\u200cخواهم"
    assert visible("a\u200db") == "a⟨U+200D⟩b"
    assert label_of(Player("\u0301", ())) == "◌\u0301"
    assert label_of(Player("  ", ())) == "␣␣"
    assert label_of(Player("", ())) == "(empty)"


def test_wide_characters_are_measured():
    lines = printed(results.awkward(), width=100).splitlines()
    bars = {
        label: line for line in lines for label in ("東京", "{{x}}") if f" {label}" in line and "█" in line
    }
    columns = {cell_len(line[: line.index("█")]) for line in bars.values()}
    assert len(bars) == 2
    assert len(columns) == 1


@pytest.mark.parametrize("width", [30, 40, 60, 80, 200])
@pytest.mark.parametrize(
    "make",
    [results.single_target, results.awkward, results.long, results.many_targets, results.encoder_decoder],
)
def test_no_line_is_wider_than_asked(make, width):
    out = printed(make(), width=200)
    assert max(map(cell_len, printed(make(), width=width).splitlines())) <= width
    file = io.StringIO()
    Console(file=file, width=200).print(render(make(), width=width))
    assert max(map(cell_len, file.getvalue().splitlines())) <= 200
    assert out


# -- shades --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ground", list(shading.RAMPS))
@pytest.mark.parametrize("sign", [1, -1])
def test_text_on_any_shade_is_readable(ground, sign):
    for step in range(1, 101):
        background, foreground = shading.chip(sign * step / 100, ground)
        assert shading.contrast(background, foreground) >= 4.5


def test_shade_grows_with_the_score_and_zero_has_none():
    result = results.single_target()
    scale = shading.scale_for(result, [0])
    assert scale.fraction(0.0) == 0
    assert scale.fraction(float(result.scores[0, 12])) == 1  # the highest that is not special
    assert shading.scale_for(result, [0], quiet=True).most == result.scores.max()
    assert shading.scale_for(replace(result, scores=result.scores * 0), [0]).fraction(0.5) == 0


def test_without_colour_the_marks_are_attributes():
    out = printed(results.single_target(), terminal=True, no_color=True)
    assert "\x1b[7m" in out  # reverse
    assert not re.search(r"\x1b\[[0-9;]*[34]8;", out)
    assert "\x1b[7m" in printed(results.single_target(), terminal=True, system="standard")


def test_without_a_terminal_there_is_no_escape_and_every_number():
    out = printed(results.single_target())
    assert "\x1b" not in out
    for score in results.single_target().scores[0]:
        assert f"{score:.3f}" in out


def test_ascii_consoles_get_ascii_bars():
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    Console(file=file, width=80).print(render(results.single_target()))
    file.flush()
    assert b"####" in file.buffer.getvalue()


def test_what_the_environment_says_of_the_ground():
    assert [ground_of(value) for value in ("15;0", "0;15", "0;default;7", "", "x")] == [
        "dark", "light", "light", "unknown", "unknown",
    ]  # fmt: skip


# -- numbers -------------------------------------------------------------------------------------------


def test_a_column_shares_its_digits():
    digits = digits_for([0.1234567, 0.01, 0.00004, 0.0])
    assert [digits(value) for value in (0.1234567, 0.01, 0.00004, 0.0, -0.00004)] == [
        "0.123", "0.010", "<0.001", "0", ">-0.001",
    ]  # fmt: skip
    assert digits_for([1234.5])(1234.5) == "1,234"
    assert digits_for([1.23e-9])(1.23e-9) == "1.23×10⁻⁹"
    assert digits_for([0.5], [0.04])(0.512345) == "0.512"
    assert digits_for([0.5], [0.2])(0.512345) == "0.51"
    assert digits_for([float("inf"), 1.0])(float("inf")) == "∞"


def test_single_numbers_and_probabilities():
    assert [single(value) for value in (1.0000000001, 0.75, 2.345678, 0.0)] == ["1", "0.750", "2.35", "0"]
    assert [probability(value) for value in (0.99999, 0.00001, 0.5, 1.0, 0.0)] == [
        ">0.999",
        "<0.001",
        "0.500",
        "1",
        "0",
    ]


def test_never_nine_digits():
    for make in (results.single_target, results.many_targets, results.estimated, results.signed):
        assert not re.search(r"\d\.\d{5,}", printed(make()))


# -- what is said --------------------------------------------------------------------------------------


def test_caption_says_what_attention_flow_is_not():
    sentence = "share of attention flow; unsigned, the same whatever class is asked about"
    assert caption(results.single_target()) == sentence
    assert sentence in printed(results.single_target())
    assert "negative speaks against" in caption(results.signed())


def test_total_of_row_stochastic_capacities_says_nothing():
    assert "v(N) = 1: fixed by construction" in " ".join(printed(results.single_target()).split())
    assert "v(N) = 3.20 logits: the most that" in " ".join(printed(results.relevance()).split())
    short = replace(results.single_target(), total=np.array([0.8]))
    assert "paid to nothing" in " ".join(printed(short).split())


def test_nearly_uniform_is_said_only_when_it_is():
    assert is_uniform(results.uniform(), 0)
    assert "Nearly uniform" in printed(results.uniform())
    assert "Nearly uniform" not in printed(results.single_target())
    spread = results.single_target()
    unreachable = replace(
        spread, scores=np.where(np.arange(15) < 8, 0.125, 0.0)[None], upper=None, bottleneck=None
    )
    assert is_uniform(unreachable, 0)  # players that cannot reach the target do not count


def test_special_tokens_do_not_hide_a_uniform_text():
    result = results.single_target()
    scores = np.where(np.arange(15) == 0, 0.6, 0.4 / 14)[None]
    assert "The text is nearly uniform" in printed(replace(result, scores=scores))
    assert "nearly uniform" not in printed(result)


def test_notes_exclusions_and_sampling_are_said():
    out = " ".join(printed(results.estimated(), width=200).split())
    assert "Most players are held at the first layer." in out
    assert "Excluded from the game: [CLS]." in out
    assert "lower by 0.250, 25% of what everyone could send" in out
    assert "512 sampled orders" in out
    assert "0.170 0.003 " in out


def test_sampling_noise_is_no_ranking():
    result = results.estimated()
    assert "two standard errors" not in printed(result)
    noisy = " ".join(printed(replace(result, stderr=result.stderr * 40)).split())
    assert "differ by no more than two standard errors" in noisy


def test_a_free_exclusion_is_said_to_be_free():
    free = replace(results.estimated(), excluded_cost=np.array([0.0]))
    assert "costs nothing" in printed(free)


def test_long_model_paths_are_shortened():
    named = replace(results.single_target(), provenance={"model": "/usr/lib/python/site-packages/some/model"})
    assert "…/some/model" in printed(named)
    assert "site-packages" not in printed(named)


def test_bounds_only_on_request():
    result = results.single_target()
    assert "bottleneck" not in printed(result)
    out = printed(result, bounds=True)
    assert "interval" in out
    assert "encoder 1" in out
    assert "0 – 1.00" in out
    with pytest.raises(OptionError, match="no bounds"):
        render(results.estimated(), bounds=True)


@pytest.mark.parametrize("width", [24, 30, 44, 60, 80, 120])
def test_narrow_tables_leave_numbers_out_but_never_cut_them(width):
    out = printed(results.single_target(), bounds=True, width=width)
    for score in results.single_target().scores[0]:
        assert f"{score:.3f}" in out
    assert "0.…" not in out
    assert ("bottleneck" in out.split("Total")[0]) == (width >= 44)


def test_upper_ends_alone_are_said_as_such():
    result = replace(results.single_target(), lower=None, bottleneck=None)
    assert "up to 0.68" in printed(result, bounds=True)


def test_top_keeps_the_highest_in_text_order():
    out = printed(results.single_target(), top=3)
    rows = [line.split()[1] for line in out.splitlines() if re.match(r"\s+\d+\s", line)]
    assert rows == ["[CLS]", "bad", "brilliant"]
    assert "12 players with lower scores" in out
    with pytest.raises(OptionError, match="top=0"):
        render(results.single_target(), top=0)


def test_long_inputs_keep_all_text_and_few_rows():
    result = results.long()
    out = printed(result)
    assert sum("█" in line for line in out.splitlines()) <= 15
    assert "497 players with lower scores" in out
    assert result.text.split() == [word for word in passage(result).split() if word not in ("[CLS]", "[SEP]")]


def test_one_block_per_target_until_there_are_many():
    few = printed(results.many_targets(6))
    assert few.count("probability") == 6
    many = printed(results.many_targets(9))
    assert "9 targets down, players across" in many
    assert "probability" not in many
    assert "0.95" in many


def test_hundreds_of_targets_stay_usable():
    out = printed(results.many_targets(300))
    assert len(out.splitlines()) < 70
    assert "260 targets not shown" in out


def test_show_prints(capsys):
    results.single_target().show(width=80)
    assert "brilliant" in capsys.readouterr().out


@pytest.mark.parametrize("make", [results.single_target, results.many_targets])
def test_all_zero_scores(make):
    result = make()
    out = printed(replace(result, scores=result.scores * 0), terminal=True)
    assert "nan" not in out
