"""Figure "flow": a realised flow as ribbons, layers as columns, tokens as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnflow.attribution import Attribution
from attnflow.network import FlowNetwork
from attnflow.view import caption
from attnflow.view.figure.lanes import SUPPLY, Drawn, drawn
from attnflow.view.figure.lettering import HINTED, Lettering
from attnflow.view.figure.sheet import LINE, SMALL, WIDTH, Picture, Sheet
from attnflow.view.numbers import counted, digits_for, single
from attnflow.view.passage import label_of
from attnflow.view.realised import CHOICES
from attnflow.view.ribbons import KINDS, Realised, Ribbons, hidden, realised

if TYPE_CHECKING:
    from matplotlib.path import Path

#: Lanes at most, unless the caller asks for more; those that carry least are merged.
LANES = 40
#: Ribbons at most, however little that leaves visible.
MOST = 3000
#: Share of the flow over all ribbons that the weakest may carry and still be left out.
HIDE = 0.05
#: Widest names at the left of a stack and at the right of the target, in points.
NAME, GOAL = 104.0, 96.0
#: Distance of decoder and encoder beyond that of two layers, in layers: cross-attention bends there.
BETWEEN = 1.0
#: Width of a layer in points, and of a node.
LAYER, NODE = 34.0, 2.6
#: Thinnest ribbon in points that is still seen.
THINNEST = 0.35
#: What a legend calls each kind of ribbon.
NAMES = {
    "attention": "attention",
    "cross": "cross-attention",
    "residual": "residual and own attention",
    "closure": "a generated token, fed back",
}


@dataclass(frozen=True)
class Entry:
    """One entry of the legend: its text, and "cut", "amount" or the kind of ribbon that it explains."""

    text: str
    look: str


@dataclass(frozen=True, eq=False)
class Plan:
    """Where everything stands, in points.

    Attributes:
        x: `[groups]`, of each group's nodes; nan for groups that are not drawn.
        top: `[lanes]`, of each lane.
        height: `[lanes]`.
        scale: points per unit of flow.
        load: `[groups, lanes]`, flow through each node.
    """

    x: NDArray[np.float64]
    top: NDArray[np.float64]
    height: NDArray[np.float64]
    scale: float
    load: NDArray[np.float64]

    @property
    def middle(self) -> NDArray[np.float64]:
        """Vertical middle of each lane."""
        return self.top + self.height / 2


def flow(
    result: Attribution,
    target: int | Sequence[int] | None = None,
    player: int | None = None,
    top: int | None = None,
    hide: float = HIDE,
) -> Picture:
    """Composes the flow to one target.

    Args:
        result: the result, with its network.
        target: which target, by position; the first if left out.
        player: for method "flow": whose flow; None: the player's with the highest score.
        top: lanes at most; None: 40. Runs of players that carry least are merged.
        hide: largest share of the flow over all ribbons that the weakest, left out, may carry.

    Raises:
        OptionError: no flow stands for these scores; see `Attribution.realize`.
    """
    found = realised(result, target, player)
    every = drawn(result, found.ribbons, LANES if top is None else top)
    left_out, share = hidden(every.ribbons.flow, hide, MOST)
    least = float(every.ribbons.flow[left_out]) if left_out < len(every.ribbons) else 0.0
    shown = every.ribbons.pick(np.arange(len(every.ribbons)) >= left_out)
    network = found.ribbons.network
    columns = sum(group.stack != "player" for group in network.groups)
    two = network.architecture == "encoder-decoder"
    sentences = _sentences(result, found, every, left_out, share, least)
    goal = caption.heading(result.targets[found.row])

    key = _key(found, shown, _unit(result))

    def height(width: float, letters: Lettering) -> float:
        stacks = [lane.stack for lane in every.lanes]
        lanes = max(stacks.count("encoder"), stacks.count("decoder"))
        pitch = letters.size * 1.25
        around = _head(letters, network) + _key_height(letters, key, width)
        return lanes * pitch + min(max(0.5 * lanes * pitch, 80.0), 230.0) + around

    def draw(sheet: Sheet) -> None:
        _draw(sheet, result, found, every, shown, goal, key)

    return Picture(
        heading=goal,
        sentences=sentences,
        texts=(*(lane.label for lane in every.lanes), goal, "…", *NAMES.values(), *network.layers),
        height=height,
        draw=draw,
        width=min(max(WIDTH, ((2 if two else 1) * NAME + GOAL + LAYER * columns) / 72), 14.0),
    )


def _sentences(
    result: Attribution, found: Realised, every: Drawn, left_out: int, share: float, least: float
) -> tuple[str, ...]:
    """What is drawn, and what is not."""
    value = f"{single(found.ribbons.value)} {_unit(result)}".rstrip()
    if found.player is not None:
        first = f"The most that “{label_of(result.players[found.player])}” alone can send: {value}."
    else:
        first = caption.caption(result)
    said = [caption.place(result, found.row), first, CHOICES["flow" if found.player is not None else "split"]]
    gone = []
    if left_out:
        gone.append(
            f"Not drawn: {counted(left_out, 'ribbon')} below {single(least)}, {share:.1%} of what flows between layers."
        )
    if every.merged:
        gone.append(f"Merged: {counted(every.merged, 'position')} that carry least.")
    return (*said, " ".join(gone)) if gone else tuple(said)


def _draw(
    sheet: Sheet,
    result: Attribution,
    found: Realised,
    every: Drawn,
    shown: Ribbons,
    goal: str,
    key: Sequence[Entry],
) -> None:
    network = found.ribbons.network
    plan = _plan(sheet, network, every, key)
    _put_ribbons(sheet, plan, shown)
    _put_nodes(sheet, plan, shown)
    names = _put_names(sheet, plan, result, every)
    _put_goal(sheet, plan, found, every, goal, _unit(result), names)
    _put_layers(sheet, plan, network)
    _put_key(sheet, plan, key)


# -- where -------------------------------------------------------------------------------------------------


def _plan(sheet: Sheet, network: FlowNetwork, every: Drawn, key: Sequence[Entry]) -> Plan:
    """Lanes as high as what flows through them, columns as wide as there is room."""
    size = sheet.letters.size
    lanes, found = every.lanes, every.ribbons
    load = np.zeros((2, len(network.groups), len(lanes)))
    np.add.at(load[0], (found.source, found.tail), found.flow)
    np.add.at(load[1], (found.target, found.head), found.flow)
    load = load.max(axis=0)
    fed = np.zeros(len(lanes))  # what runs back above each lane, as a loop
    closure = found.kind == KINDS.index("closure")
    np.add.at(fed, found.head[closure], found.flow[closure])
    head = _head(sheet.letters, network)
    room = max(sheet.height - head - _key_height(sheet.letters, key, sheet.width), 1.0)
    widest = load.max(axis=0) + fed
    stacks = np.array([lane.stack for lane in lanes])
    gaps = np.where(fed > 0, 3.0, 0.0)
    pitch, scale = size * 1.25, np.inf
    for stack in dict.fromkeys(stacks.tolist()):
        own = stacks == stack
        pitch = min(pitch, max(room - gaps[own].sum(), 1.0) / (1.4 * own.sum()))
    for stack in dict.fromkeys(stacks.tolist()):
        own = stacks == stack
        left = max(room - pitch * own.sum() - gaps[own].sum(), 1.0)
        if widest[own].sum() > 0:
            scale = min(scale, left / widest[own].sum())
    scale = scale if np.isfinite(scale) else 0.0
    top, height = np.zeros(len(lanes)), pitch + scale * load.max(axis=0)
    for stack in dict.fromkeys(stacks.tolist()):
        own = stacks == stack
        above = gaps[own] + scale * fed[own]
        ends = np.cumsum(height[own] + above)
        top[own] = head + ends - height[own] + (room - ends[-1]) / 2
    return Plan(_columns(sheet, network, every), top, height, scale, load)


def _head(letters: Lettering, network: FlowNetwork) -> float:
    """Height of the layers' numbers."""
    return letters.size * SMALL * (3.0 if network.architecture == "encoder-decoder" else 1.9)


def _columns(sheet: Sheet, network: FlowNetwork, every: Drawn) -> NDArray[np.float64]:
    """The place of each group, in steps of one layer: middle nodes stand between two, the decoder apart."""
    first, second = (_names_width(sheet, every, stack) for stack in ("encoder", "decoder"))
    steps = np.full(len(network.groups), np.nan)
    at, apart = 0.0, 0
    for number, group in enumerate(network.groups):
        if group.stack == "player":
            continue
        if group.stack == "decoder" and group.layer == 0 and number > 0 and at > 0:
            apart = number
        elif group.stack == "middle":
            at += 0.55
        elif group.layer > 0:
            at += 0.7 if group.stack == "decoder" and network.groups[number - 1].stack == "middle" else 1.0
        steps[number] = at
    name = first if apart else max(first, second)
    right = min(GOAL, sheet.width * 0.2) + (second + 6 if apart else 0.0)
    if apart:
        steps[apart:] += BETWEEN
        at += BETWEEN
    return name + steps * (sheet.width - name - right) / max(at, 1.0)


# -- ribbons -----------------------------------------------------------------------------------------------


def _looks(sheet: Sheet) -> dict[str, tuple[str, float, float]]:
    """Colour, opacity and order of each kind of ribbon."""
    return {
        "closure": (sheet.palette.faded(0.42), 0.6, 1.0),
        "residual": (sheet.palette.faded(0.22), 0.85, 1.2),
        "cross": (sheet.palette.hue("cross"), 0.55, 2.0),
        "attention": (sheet.palette.hue("attention"), 0.55, 2.2),
    }


def _put_ribbons(sheet: Sheet, plan: Plan, shown: Ribbons) -> None:
    """Draws ribbons as strokes, so that steep ones do not thin out; where they are too wide to bend, as bands."""
    from matplotlib.collections import PathCollection

    starts = _stacked(plan, shown, leaving=True)
    ends = _stacked(plan, shown, leaving=False)
    thick = np.maximum(shown.flow * plan.scale, THINNEST)
    for name, (colour, alpha, order) in _looks(sheet).items():
        strokes, widths, bands = [], [], []
        for number in np.flatnonzero(shown.kind == KINDS.index(name)).tolist():
            x0 = float(plan.x[shown.source[number]]) + NODE / 2
            x1 = float(plan.x[shown.target[number]]) - NODE / 2
            y0, y1, wide = float(starts[number]), float(ends[number]), float(thick[number])
            if name == "closure":
                channel = float(plan.top[shown.head[number]]) - wide / 2 - 1.5
                strokes.append(_loop(x0, y0, x1, y1, channel, wide))
                widths.append(wide)
            elif wide < 0.3 * abs(x1 - x0):
                strokes.append(_curve(x0, y0, x1, y1))
                widths.append(wide)
            else:
                bands.append(_band(x0, y0, x1, y1, wide))
        for paths, look in (
            (strokes, {"facecolors": "none", "edgecolors": colour, "linewidths": widths, "capstyle": "butt"}),
            (bands, {"facecolors": colour, "linewidths": 0}),
        ):
            if paths:
                collection = PathCollection(paths, alpha=alpha, zorder=order, **look)
                collection.set_gid(f"ribbons {name}")
                sheet.ax.add_collection(collection, autolim=False)
    _put_cut(sheet, plan, shown, starts, ends, thick)


def _stacked(plan: Plan, shown: Ribbons, *, leaving: bool) -> NDArray[np.float64]:
    """The middle of each ribbon where it leaves or enters its node: one under the other, as their far ends lie."""
    group, lane = (shown.source, shown.tail) if leaving else (shown.target, shown.head)
    far_group, far_lane = (shown.target, shown.head) if leaving else (shown.source, shown.tail)
    order = np.lexsort((plan.middle[far_lane], far_group, lane, group))
    places = np.zeros(len(shown))
    node = group[order] * (shown.tail.max(initial=0) + shown.head.max(initial=0) + 2) + lane[order]
    for first, last in _runs(node):
        members = order[first:last]
        thick = shown.flow[members] * plan.scale
        # Near straight ribbons cross least if the farther group's ribbons lie in the order of the lanes too.
        members = members[np.argsort(plan.middle[far_lane[members]], kind="stable")]
        thick = shown.flow[members] * plan.scale
        begin = plan.middle[lane[members[0]]] - thick.sum() / 2
        places[members] = begin + np.cumsum(thick) - thick / 2
    return places


def _runs(values: NDArray[np.int64]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(values)) + 1
    bounds = [0, *edges.tolist(), len(values)]
    return [(first, last) for first, last in pairwise(bounds) if last > first]


def _curve(x0: float, y0: float, x1: float, y1: float) -> Path:
    """The middle of a ribbon that leaves and arrives level."""
    from matplotlib.path import Path

    mid = (x0 + x1) / 2
    return Path([(x0, y0), (mid, y0), (mid, y1), (x1, y1)], [Path.MOVETO, *[Path.CURVE4] * 3])


def _band(x0: float, y0: float, x1: float, y1: float, thick: float) -> Path:
    """The outline of a ribbon that leaves and arrives level."""
    from matplotlib.path import Path

    half, mid = thick / 2, (x0 + x1) / 2
    points = [
        (x0, y0 - half), (mid, y0 - half), (mid, y1 - half), (x1, y1 - half),
        (x1, y1 + half), (mid, y1 + half), (mid, y0 + half), (x0, y0 + half), (x0, y0 - half),
    ]  # fmt: skip
    C = Path.CURVE4
    return Path(points, [Path.MOVETO, C, C, C, Path.LINETO, C, C, C, Path.CLOSEPOLY])


def _loop(x0: float, y0: float, x1: float, y1: float, channel: float, thick: float) -> Path:
    """The middle of a ribbon that leaves to the right, runs back above the lane it feeds, and enters from the left."""
    from matplotlib.path import Path

    reach = 9.0 + thick
    points = [
        (x0, y0), (x0 + reach, y0), (x0 + reach, channel), (x0, channel),
        (x1, channel),
        (x1 - reach, channel), (x1 - reach, y1), (x1, y1),
    ]  # fmt: skip
    C = Path.CURVE4
    return Path(points, [Path.MOVETO, C, C, C, Path.LINETO, C, C, C])


def _put_cut(
    sheet: Sheet,
    plan: Plan,
    shown: Ribbons,
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    thick: NDArray[np.float64],
) -> None:
    """A bar across every ribbon that the minimum cut crosses."""
    crossed = np.flatnonzero(shown.cut)
    if not len(crossed):
        return
    x = (plan.x[shown.source[crossed]] + plan.x[shown.target[crossed]]) / 2
    y = (starts[crossed] + ends[crossed]) / 2
    reach = thick[crossed] / 2 + 2.2
    sheet.ax.vlines(
        x, y - reach, y + reach, color=sheet.palette.hue("cut"), linewidth=1.3, zorder=4, gid="minimum cut"
    )


# -- what stands beside them -------------------------------------------------------------------------------


def _put_nodes(sheet: Sheet, plan: Plan, shown: Ribbons) -> None:
    """Draws the nodes that a ribbon touches, as high as what flows through them."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    bars = []
    touched = {
        *zip(shown.source.tolist(), shown.tail.tolist()),
        *zip(shown.target.tolist(), shown.head.tolist()),
    }
    for group, lane in sorted(touched):
        high = max(plan.load[group, lane] * plan.scale, THINNEST)
        bars.append(Rectangle((plan.x[group] - NODE / 2, plan.middle[lane] - high / 2), NODE, high))
    sheet.ax.add_collection(
        PatchCollection(bars, facecolors=sheet.palette.faded(0.7), linewidths=0, zorder=3), autolim=False
    )


def _put_names(sheet: Sheet, plan: Plan, result: Attribution, every: Drawn) -> float:
    """Names the lanes with what each sends: left of their stack, right of a decoder that stands beside its encoder.

    Cross-attention runs from one stack to the other, and so over no name.

    Returns:
        Where the names at the right end, in points; without any, where the nodes of the last layer do.
    """
    letters, palette = sheet.letters, sheet.palette
    network = every.ribbons.network
    room = min(NAME, sheet.width * 0.22) - 6
    lowest = float(np.min(plan.height)) if len(every.lanes) else 1.0
    fit = min(1.0, lowest / (letters.size * 1.1))
    most = float(every.supply.max(initial=0.0))
    digits = digits_for([most])
    end = float(plan.x[network.final])
    ends = {"left": float(np.nanmin(plan.x)) - 5, "right": end + 12 + _loops(plan, every)}
    for number, lane in enumerate(every.lanes):
        y = float(plan.middle[number])
        sends = float(every.supply[number])
        amount = digits(sends) if sends >= 0.005 * most else ""
        wide = letters.width(amount, scale=SMALL * fit)
        empty = not plan.load[:, number].any()
        colour = palette.faded(0.45) if empty else palette.soft if lane.quiet else palette.ink
        name = letters.fitting(sheet.letters.shown(lane.label), room - wide - 5, scale=fit)
        beside = lane.stack == "decoder" and network.architecture == "encoder-decoder"
        x, way = (ends["right"], 1) if beside else (ends["left"], -1)
        style: dict[str, Any] = {
            "va": "center_baseline",
            "ha": "left" if beside else "right",
            "zorder": 5,
        }
        parts = [(name, colour, fit), (amount, palette.soft, SMALL * fit)]
        for text, ink, scale in parts if beside else parts[::-1]:
            sheet.write(x, y, text, colour=ink, scale=scale, **style)
            x += way * (letters.width(text, scale=scale) * HINTED + 5 if text else 0)
        end = max(end, x if beside else end)
    return end


def _names_width(sheet: Sheet, every: Drawn, stack: str) -> float:
    """Room for the names of a stack's lanes and what each sends."""
    letters = sheet.letters
    digits = digits_for([float(every.supply.max(initial=0.0))])
    widest = [
        letters.width(letters.shown(lane.label)) + letters.width(digits(float(sent)), scale=SMALL)
        for lane, sent in zip(every.lanes, every.supply, strict=True)
        if lane.stack == stack
    ]
    return min(max(widest, default=0.0) * HINTED + 16, NAME, sheet.width * 0.22)


def _loops(plan: Plan, every: Drawn) -> float:
    """How far what runs back reaches beyond the last layer, in points."""
    back = every.ribbons.flow[every.ribbons.kind == KINDS.index("closure")]
    return 9 + float(back.max()) * plan.scale if len(back) else 0.0


def _put_goal(
    sheet: Sheet, plan: Plan, found: Realised, every: Drawn, goal: str, unit: str, names: float
) -> None:
    """Names what the flow decides, at the right of the target's nodes, and of their names, which end at `names`."""
    network = found.ribbons.network
    arriving = every.ribbons.target == network.final
    received = np.bincount(
        every.ribbons.head[arriving], every.ribbons.flow[arriving], minlength=len(every.lanes)
    )
    stack = network.groups[-1].stack
    held = np.array(
        [
            lane.stack == stack and bool(set(lane.positions) & set(found.ribbons.positions))
            for lane in every.lanes
        ]
    )
    weights = np.where(held, received, 0.0)
    y = (
        float((plan.middle * weights).sum() / weights.sum())
        if weights.sum() > 0
        else float(plan.middle.mean())
    )
    x = float(plan.x[network.final])
    room = min(GOAL, sheet.width * 0.2)
    text = max(x, names) + 12
    fits = sheet.letters.fitting(sheet.letters.shown(goal), room - 12, bold=True)
    sheet.ax.scatter(
        np.full(int((weights > 0).sum()), x + 6.5),
        plan.middle[weights > 0],
        s=16,
        marker="<",
        color=sheet.palette.ink,
        linewidths=0,
        zorder=5,
    )
    sheet.write(text, y, fits, bold=True, va="center_baseline", zorder=5)
    below = y + sheet.letters.size * 1.25
    said = f"receives {single(found.ribbons.value)} {unit}".rstrip()
    for line in sheet.letters.wrapped(said, room - 12, scale=SMALL):
        sheet.write(text, below, line, colour=sheet.palette.soft, scale=SMALL, va="center_baseline", zorder=5)
        below += sheet.letters.size * LINE * SMALL


def _put_layers(sheet: Sheet, plan: Plan, network: FlowNetwork) -> None:
    """Numbers the layers above their columns, as many as have room."""
    size = sheet.letters.size * SMALL
    style: dict[str, Any] = {"colour": sheet.palette.soft, "scale": SMALL, "va": "baseline", "ha": "center"}
    two = network.architecture == "encoder-decoder"
    for stack in ("encoder", "decoder"):
        groups = [number for number, group in enumerate(network.groups) if group.stack == stack]
        if not groups:
            continue
        last = -np.inf
        for number in groups:
            layer = network.groups[number].layer
            name = "input" if layer == 0 else _layer_name(network, number)
            wide = sheet.letters.width(name, scale=SMALL) + 5
            if plan.x[number] - wide / 2 > last or number == groups[-1]:
                sheet.write(float(plan.x[number]), size * 2.3 if two else size * 1.3, name, **style)
                last = plan.x[number] + wide / 2
        if two:
            middle = float(plan.x[groups[0]] + plan.x[groups[-1]]) / 2
            sheet.write(middle, size, stack, **style)


def _layer_name(network: FlowNetwork, group: int) -> str:
    """A group's number among the model's layers: that of the last edges into it."""
    layer = max((part.layer for part in network.edges if part.target == group), default=0)
    return network.layers[layer - 1].rsplit(" ", 1)[-1] if layer else ""


def _unit(result: Attribution) -> str:
    """The unit beside an amount; nothing for shares, and for units that have no name."""
    unit = caption.measure(result)
    return "" if unit == "capacity" else unit


def _key(found: Realised, shown: Ribbons, unit: str) -> tuple[Entry, ...]:
    """What a reader has to tell apart: the kinds of ribbon that are drawn, the cut, and how wide an amount is."""
    entries = [
        Entry(NAMES[name], name)
        for name in ("attention", "cross", "residual", "closure")
        if (shown.kind == KINDS.index(name)).any()
    ]
    crossed = int(found.ribbons.cut[found.ribbons.kind != SUPPLY].sum())
    if crossed:
        entries.append(Entry(f"minimum cut ({counted(crossed, 'edge')})", "cut"))
    return (*entries, Entry(unit, "amount"))


def _key_rows(letters: Lettering, key: Sequence[Entry], width: float) -> list[list[Entry]]:
    rows: list[list[Entry]] = [[]]
    x = 0.0
    for entry in key:
        wide = _entry_width(letters, entry)
        if x + wide > width and rows[-1]:
            rows.append([])
            x = 0.0
        rows[-1].append(entry)
        x += wide
    return rows


def _entry_width(letters: Lettering, entry: Entry) -> float:
    text = f"0.000 {entry.text}" if entry.look == "amount" else entry.text
    return letters.width(text, scale=SMALL) * HINTED + 32


def _key_height(letters: Lettering, key: Sequence[Entry], width: float) -> float:
    return letters.size * (1.0 + len(_key_rows(letters, key, width)) * LINE * SMALL)


def _put_key(sheet: Sheet, plan: Plan, key: Sequence[Entry]) -> None:
    from matplotlib.patches import Rectangle

    palette, letters = sheet.palette, sheet.letters
    size = letters.size * SMALL
    rows = _key_rows(letters, key, sheet.width)
    looks = _looks(sheet)
    for number, row in enumerate(rows):
        x = 0.0
        line = sheet.height - size * 0.4 - (len(rows) - 1 - number) * size * LINE
        middle = line - size * 0.32
        for entry in row:
            text = entry.text
            if entry.look == "cut":
                sheet.ax.vlines(
                    x + 7, middle - size / 2, middle + size / 2, color=palette.hue("cut"), linewidth=1.3
                )
            elif entry.look == "amount":
                amount = _round_amount(size * 1.1 / plan.scale) if plan.scale > 0 else 0.0
                text = f"{amount:g} {entry.text}".rstrip()
                ends = (middle - amount * plan.scale / 2, middle + amount * plan.scale / 2)
                sheet.ax.vlines(x + 7, ends[0], ends[1], color=palette.ink, linewidth=0.9)
                sheet.ax.hlines(ends, x + 4, x + 10, color=palette.ink, linewidth=0.9)
            else:
                colour, alpha, _ = looks[entry.look]
                box = Rectangle(
                    (x, middle - size * 0.32), 14, size * 0.64, color=colour, alpha=alpha, linewidth=0
                )
                sheet.ax.add_patch(box)
            sheet.write(x + 19, line, text, colour=palette.soft, scale=SMALL, va="baseline")
            x += _entry_width(letters, entry)


def _round_amount(value: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `value`."""
    if not value > 0:
        return 0.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(max(step * power for step in (1, 2, 5) if step * power <= value * (1 + 1e-9)))
