"""Figures show the numbers of the result, whatever the tokens try to be."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import warnings
from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

import networks
import results
from attnflow.comparison import Comparison
from attnflow.errors import OptionError
from attnflow.methods import attribute
from attnflow.network import FlowNetwork
from attnflow.trace import Trace
from attnflow.view import caption
from attnflow.view.figure import written
from attnflow.view.figure.lettering import MISSING, lettering
from attnflow.view.shading import contrast, scale_for

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def _quiet():
    """A figure warns of nothing, leaves settings alone, and no figure is left open."""
    before = dict(matplotlib.rcParams)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert dict(matplotlib.rcParams) == before
    plt.close("all")


def of_trace(n=7, layers=3, seed=0, **options):
    rng = np.random.default_rng(seed)
    tokens = [f"w{position}" for position in range(n)]
    trace = Trace.from_arrays(encoder=networks.softmax(rng, layers, 2, n, n), tokens=tokens)
    return attribute(FlowNetwork.from_trace(trace), targets=[0], **{"method": "central", **options})


def texts(ax):
    return [text.get_text() for text in ax.texts]


def shades(ax):
    """The colour behind each player, by column of the scores."""
    return {
        int(patch.get_gid().split()[1]): patch.get_facecolor()[:3]
        for patch in ax.patches
        if (patch.get_gid() or "").startswith("player")
    }


def ribbons(ax, kind=None):
    """Widths of the ribbons in points: of strokes their line, of bands their ends."""
    widths = []
    for collection in ax.collections:
        name = collection.get_gid() or ""
        if not name.startswith("ribbons") or (kind and not name.endswith(kind)):
            continue
        if len(collection.get_facecolor()):
            widths += [path.vertices[4, 1] - path.vertices[3, 1] for path in collection.get_paths()]
        else:
            widths += list(collection.get_linewidth())
    return np.array(widths)


# -- tokens ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["default", "dark_background"])
def test_tokens_are_shaded_in_the_order_of_their_scores(style):
    result = results.single_target()
    with plt.style.context(style):
        ax = result.plot()
    ground = (0.0, 0.0, 0.0) if style == "dark_background" else (1.0, 1.0, 1.0)
    found = shades(ax)
    apart = {j: sum(abs(a - b) for a, b in zip(shade, ground, strict=True)) for j, shade in found.items()}
    assert sorted(found, key=lambda j: (apart[j], j)) == sorted(found, key=lambda j: (result.scores[0, j], j))
    assert set(found) == set(range(len(result.players)))
    # Special tokens are dimmed on request.
    assert set(found) - set(shades(result.plot(special=False))) == {0, 14}


def test_every_token_is_written_once_in_reading_order():
    result = results.long(300)
    ax = result.plot()
    words = [text for text in texts(ax) if re.fullmatch(r"\w+", text)]
    assert words[:298] == results.long(300).text.split(" ")[:298]
    boxes = [text.get_window_extent() for text in ax.texts]
    page = ax.get_figure().bbox
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 for box in boxes)


def test_tokens_do_not_overlap():
    for result in (results.single_target(), results.awkward(), results.many_targets()[3]):
        ax = result.plot()
        ax.get_figure().canvas.draw()
        boxes = [text.get_window_extent() for text in ax.texts if text.get_text().strip()]
        for number, one in enumerate(boxes):
            for other in boxes[number + 1 :]:
                wide = min(one.x1, other.x1) - max(one.x0, other.x0)
                high = min(one.y1, other.y1) - max(one.y0, other.y0)
                assert wide < 3 or high < 3


def test_signed_scores_have_two_hues():
    result = results.signed()
    found = shades(result.plot())
    red, _, blue = found[5]
    assert red > blue  # `bad` speaks against
    red, _, blue = found[12]
    assert blue > red
    text = " ".join(texts(result.plot()))
    most = scale_for(result, [0]).most
    assert f"against −{most:.2f}" in text
    assert f"{most:.2f} for (logit)" in text


def test_one_target_of_several_and_the_default_kind():
    result = results.many_targets(4)
    assert result.plot(target=2).get_title(loc="left") == caption.heading(result.targets[2])
    assert result.plot().get_title(loc="left") == "What 4 targets draw on"
    first = result.plot("tokens")
    assert first.get_title(loc="left") == caption.heading(result.targets[0])
    assert any("target 1 of 4" in line for line in texts(first))


def test_text_fits_an_axes_of_the_callers():
    _figure, (left, right) = plt.subplots(1, 2, figsize=(6, 2.5))
    assert results.single_target().plot(ax=left) is left
    results.long(200).plot(ax=right)
    box = right.get_window_extent()
    for text in right.texts:
        if re.fullmatch(r"\w+", text.get_text()):
            extent = text.get_window_extent()
            assert box.x0 - 2 <= extent.x0
            assert extent.x1 <= box.x1 + 4
            assert extent.y0 >= box.y0 - 2
    assert any("more players do not fit" in text for text in texts(right))


# -- letters -----------------------------------------------------------------------------------------------


def test_mathematics_in_a_token_is_text():
    players = results.players_of("x", special=False)
    tokens = ["$x_1$", r"\frac{1}{2}", "a_b^c", "100%", "$"]
    players = [
        replace(players[0], label=token, nodes=(("encoder", i),), span=None) for i, token in enumerate(tokens)
    ]
    result = results.result_of(players, [[0.1, 0.2, 0.3, 0.2, 0.2]], [results.Target((0,), label="$y$")])
    for kind in ("tokens", "bounds", "matrix"):
        content = written(result, "svg", kind).decode()
        for token in tokens:
            assert f">{token}</text>" in content


def test_what_no_font_has_is_one_sign():
    letters = lettering(["a東京", "👩‍🔬 ok", "x\ue123"])
    assert letters.shown("a東京") in ("a東京", f"a{MISSING}{MISSING}")
    assert letters.shown("x\ue123") == f"x{MISSING}"
    assert letters.shown("👩‍🔬 ok") in ("👩‍🔬 ok", f"{MISSING} ok")


@pytest.mark.parametrize("kind", ["tokens", "bounds", "matrix"])
def test_awkward_tokens_are_drawn(kind):
    content = written(results.awkward(), "svg", kind).decode()
    assert "<img" not in content
    assert "<script" not in content
    assert written(results.awkward(), "png", kind).startswith(b"\x89PNG")


# -- bounds and matrix -------------------------------------------------------------------------------------


def test_bounds_are_the_results():
    result = results.single_target()
    ax = result.plot("bounds")
    dots = next(part for part in ax.collections if part.get_label() == "score").get_offsets()
    np.testing.assert_allclose(dots[:, 0], result.scores[0])
    lines = next(part for part in ax.collections if "interval" in str(part.get_label())).get_segments()
    np.testing.assert_allclose(
        [line[:, 0] for line in lines], np.stack([result.lower[0], result.upper[0]], axis=1)
    )
    assert [label.get_text() for label in ax.get_yticklabels()] == [player.label for player in result.players]


def test_standard_errors_are_drawn():
    result = replace(
        results.estimated(), lower=results.single_target().lower[:, 1:], upper=np.full((1, 14), 0.5)
    )
    bars = next(
        part for part in result.plot("bounds").collections if "standard error" in str(part.get_label())
    )
    np.testing.assert_allclose([np.ptp(line[:, 0]) for line in bars.get_segments()], 2 * 0.0031)


def test_long_results_say_what_the_bounds_leave_out():
    result = results.long()
    ax = result.plot("bounds", top=20)
    dots = next(part for part in ax.collections if part.get_label() == "score").get_offsets()
    assert sorted(dots[:, 0]) == sorted(result.scores[0])[-20:]
    assert "Not shown: 492 players with lower scores." in texts(ax)


def test_bounds_that_are_not_there_are_refused():
    with pytest.raises(OptionError, match="a signed score has none"):
        results.signed().plot("bounds")
    with pytest.raises(OptionError, match="bounds=False"):
        replace(results.single_target(), upper=None).plot("bounds")


def test_matrix_is_the_scores():
    result = results.encoder_decoder()
    ax = result.plot("matrix")
    np.testing.assert_allclose(ax.collections[0].get_array(), result.scores)
    blank = result.plot("matrix", special=False).collections[0].get_array()
    quiet = [player.kind == "special" for player in result.players]
    assert (blank.mask == np.broadcast_to(quiet, result.scores.shape)).all()
    np.testing.assert_allclose(blank.compressed(), result.scores[:, ~np.array(quiet)].ravel())
    assert [label.get_text() for label in ax.get_yticklabels()] == [target.label for target in result.targets]
    assert ax.get_images() == []  # vector, for papers


def test_names_of_columns_do_not_overlap_and_favour_the_highest():
    ax = results.long().plot("matrix")
    ax.get_figure().canvas.draw()
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert all(one.x1 <= other.x0 + 2 for one, other in itertools.pairwise(boxes))
    named = [int(tick - 0.5) for tick in ax.get_xticks()]
    assert int(results.long().scores[0].argmax()) in named


# -- flow --------------------------------------------------------------------------------------------------


def test_ribbons_are_as_wide_as_the_flow():
    result = of_trace()
    ax = result.plot("flow", hide=0)
    flow = result.realize()
    widths = ribbons(ax)
    every = np.concatenate([part[part > 0] for part in flow.flows])
    thin = 0.35  # points, below which nothing could be seen
    assert len(widths) == len(every)
    scale = widths.max() / every.max()
    np.testing.assert_allclose(np.sort(widths), np.maximum(np.sort(every) * scale, thin), rtol=1e-3)
    diagonal = sum(np.diag(part).sum() for part in flow.flows)
    residual = ribbons(ax, "residual")
    assert residual[residual > thin].sum() == pytest.approx(diagonal * scale, rel=0.02)


def test_what_is_hidden_is_said():
    result = of_trace(12, 4)
    ax = result.plot("flow", hide=0.1)
    every = np.sort(np.concatenate([part[part > 0] for part in result.realize().flows]))
    count = int(np.searchsorted(np.cumsum(every) / every.sum(), 0.1, side="right"))
    assert len(ribbons(ax)) == len(every) - count
    share = every[:count].sum() / every.sum()
    said = " ".join(texts(ax))
    assert f"Not drawn: {count} ribbons" in said
    assert f"{share:.1%} of what flows between layers" in said
    assert not any("Not drawn" in text for text in texts(result.plot("flow", hide=0)))


def test_the_minimum_cut_is_marked():
    result = of_trace()
    ax = result.plot("flow", hide=0)
    marks = next(part for part in ax.collections if part.get_gid() == "minimum cut")
    assert len(marks.get_segments()) == 7  # with a row-stochastic target alone: its incoming edges
    assert "minimum cut (7 edges)" in texts(ax)


def test_long_inputs_are_merged_and_said():
    result = of_trace(90, 2, method="flow")
    ax = result.plot("flow", top=25)
    said = " ".join(texts(ax))
    merged = int(re.search(r"Merged: (\d+) positions", said).group(1))
    names = [text for text in texts(ax) if re.fullmatch(r"w\d+|… \d+ more", text)]
    assert sum(int(name.split()[1]) for name in names if name.startswith("…")) == merged
    lanes = [name for name in names if name.startswith("…")] + sorted(
        {name for name in names if name[0] == "w"}
    )
    assert len(lanes) <= 25
    assert merged + len({name for name in names if name[0] == "w"}) == 90


def test_an_encoder_decoder_has_two_panels_and_loops():
    rng = np.random.default_rng(2)
    C = np.array([[[1.0, 0, 0], [0.5, 0.5, 0], [0, 1.0, 0]]])
    network = FlowNetwork.encoder_decoder(
        networks.merged(networks.softmax(rng, 2, 4, 4)),
        C,
        0.5 * networks.softmax(rng, 1, 3, 4),
        cross_residual=0.5,
        prefix="closed",
        prompt=1,
    )
    ax = attribute(network, method="shapley", targets=[2]).plot("flow", hide=0)
    names = {part.get_gid() for part in ax.collections}
    assert {"ribbons cross", "ribbons closure", "ribbons attention"} <= names
    assert {"encoder", "decoder", "cross-attention", "a generated token, fed back"} <= set(texts(ax))
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    for part in ax.collections:
        if (part.get_gid() or "").startswith("ribbons"):
            for path in part.get_paths():
                line = ax.transData.transform_path(path).interpolated(40).vertices
                assert not any(box.contains(*point) for box in boxes for point in line), (
                    "a name lies on a ribbon"
                )


def test_words_are_lanes():
    rng = np.random.default_rng(5)
    trace = Trace.from_arrays(
        encoder=networks.softmax(rng, 2, 2, 4, 4), tokens=["un", "believ", "able", "film"]
    )
    network = FlowNetwork.from_trace(trace)
    result = attribute(
        network, method="shapley", targets=[3], players=[[0, 1, 2], [3]], labels=["unbelievable", "film"]
    )
    written_names = texts(result.plot("flow"))
    assert any(name.startswith("unbel") for name in written_names)  # cut short where the font is wide
    assert "believ" not in written_names


def test_flows_that_cannot_be_drawn_are_refused():
    with pytest.raises(OptionError, match="loaded without its network"):
        results.single_target().plot("flow")
    with pytest.raises(OptionError, match="signed"):
        results.signed().plot("flow")


# -- all kinds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tokens", "flow", "matrix", "bounds"])
@pytest.mark.parametrize("n", [1, 2, 40])
def test_any_length(kind, n):
    result = of_trace(n, 2)
    content = written(result, "svg", kind)
    assert b"<text" in content
    assert content == written(result, "svg", kind)


@pytest.mark.parametrize("style", ["default", "dark_background", "ggplot", "grayscale"])
@pytest.mark.parametrize("kind", ["tokens", "flow", "matrix", "bounds"])
def test_writing_is_readable_in_the_style_in_force(style, kind):
    with plt.style.context(style):
        ax = of_trace().plot(kind)
        background = [round(255 * part) for part in to_rgb(ax.get_figure().get_facecolor())]
        ink = [round(255 * part) for part in to_rgb(ax._left_title.get_color())]
    assert contrast(tuple(ink), tuple(background)) >= 4.5


def test_files_are_whole_and_their_text_is_text(tmp_path):
    result = results.single_target()
    for name in ("a.svg", "a.pdf", "a.png"):
        result.plot("tokens", path=tmp_path / name)
    assert ">brilliant</text>" in (tmp_path / "a.svg").read_text()
    assert b"/Subtype /Type0" in (tmp_path / "a.pdf").read_bytes()  # fonts as outlines of letters, not type 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png", "a.svg"]
    with pytest.raises(OptionError, match=r"ends in .svg, .pdf, .png"):
        result.plot(path=tmp_path / "a.jpeg")


def test_options_that_mean_nothing_are_refused():
    result = results.single_target()
    with pytest.raises(OptionError, match="hide= means nothing to the figure 'tokens'"):
        result.plot("tokens", hide=0.1)
    with pytest.raises(OptionError, match="did you mean 'matrix'"):
        result.plot("matrx")
    with pytest.raises(OptionError, match="has a size already"):
        result.plot(ax=plt.figure().add_subplot(), figsize=(3, 3))
    with pytest.raises(OptionError, match="make it higher"):
        result.plot("bounds", figsize=(5, 0.5))


def test_a_comparison_is_small_multiples():
    comparison = Comparison(results.several())
    axes = comparison.plot()
    assert len(axes) == 3
    assert len({id(ax.get_figure()) for ax in axes}) == 1
    assert [ax.get_title(loc="left").split("  ·  ")[0] for ax in axes] == list(comparison.names)
    tops = [ax.get_position().y1 for ax in axes]
    assert tops == sorted(tops, reverse=True)


def test_importing_the_library_does_not_load_matplotlib():
    code = "import sys, attnflow, attnflow.view.figure; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"attnflow\[plot\]"):
        results.single_target().plot()
