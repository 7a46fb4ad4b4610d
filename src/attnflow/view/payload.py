"""What the front end is given: one JSON-able description of a result, the same for page, notebook and web app.

Everything a reader sees is decided here, in words and numbers; the front end lays it out. Text is safe to show:
control characters and direction marks are replaced by visible signs. It is not escaped: whoever embeds the
payload in HTML uses `embedded`, and the front end sets text, never markup.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnflow.attribution import Attribution, Player, Target
from attnflow.comparison import Comparison
from attnflow.media import Medium
from attnflow.view import caption, comparison_caption
from attnflow.view.numbers import counted, digits_for, scientific, single
from attnflow.view.passage import blocks, has_two_stacks, label_of, place_of, reading_order, visible
from attnflow.view.realised import flows
from attnflow.view.shading import is_quiet
from attnflow.view.wording import in_words

#: Name and version of this format. A front end refuses others.
FORMAT = "attnflow-view/1"


def payload(
    result: Attribution | Comparison, *, flow_count: int | None = None, words: bool | None = None
) -> dict[str, Any]:
    """Returns everything the front end shows of a result, as plain dicts, lists, numbers and strings.

    Args:
        result: one result (also a signed one, or a difference of two), or several side by side.
        flow_count: how many flows to realise and hold for drawing, per result; each costs a maximum flow problem.
            None: a number that keeps work and size small; 0: none.
        words: also hold the result with words as players, for the reader to switch to. The scores of words are
            those of their own game, solved again for "flow" and "shapley". None: where that takes little.

    Returns:
        The payload, of format "attnflow-view/1"; its fields are listed in `docs/view.md`.

    Raises:
        AttnflowError: `words=True` for a result that cannot be grouped into words.
    """
    other = in_words(result, words)
    return {
        **_payload(result, flow_count),
        "words": None if other is None else _payload(other, flow_count),
    }


def _payload(result: Attribution | Comparison, flow_count: int | None) -> dict[str, Any]:
    comparison = result if isinstance(result, Comparison) else None
    parts = [result] if isinstance(result, Attribution) else list(result)
    first = parts[0]
    two = has_two_stacks(first)
    targets = [_target(first, target) for target in first.targets]
    if comparison is not None:
        for row, target in enumerate(targets):
            target["name"] = comparison_caption.heading(comparison, row)
            target["place"] = comparison_caption.subtitle(comparison, row)
    apart = caption.told_apart([target["name"] for target in targets], first.targets)
    targets = [{**target, "name": name} for target, name in zip(targets, apart, strict=True)]
    names = (visible(first.method),) if comparison is None else comparison_caption.names(comparison)
    return {
        "format": FORMAT,
        "headline": _headline(targets),
        "recipe": caption.recipe(first) if comparison is None else comparison_caption.recipe(comparison),
        "two_stacks": two,
        "players": [_player(player, stack=two) for player in first.players],
        "order": list(reading_order(first)),
        "excluded": [_player(player, stack=two) for player in first.excluded],
        "media": [_medium(medium) for medium in first.media],
        "sequences": _sequences(first),
        "passage": _passage(first),
        "targets": targets,
        "results": [
            _result(part, name, flow_count, len(parts)) for part, name in zip(parts, names, strict=True)
        ],
        "comparison": None if comparison is None else _comparison(comparison),
    }


def embedded(data: Mapping[str, Any]) -> str:
    """Returns a payload as JSON that cannot end a script element or start a comment in it."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


# -- what all results share --------------------------------------------------------------------------------


def _headline(targets: Sequence[Mapping[str, Any]]) -> str:
    if len(targets) == 1:
        return f"What “{targets[0]['name']}” draws on"
    return f"What {counted(len(targets), 'target')} draw on"


def _player(player: Player, *, stack: bool) -> dict[str, Any]:
    return {
        "label": label_of(player),
        "place": place_of(player, stack=stack),
        "nodes": [[name, position] for name, position in player.nodes],
        "kind": player.kind,
        "quiet": is_quiet(player),
        # Where attention that means nothing gathers: a decoder's first position.
        "sink": ("decoder", 0) in player.nodes,
        "role": None if player.role is None else visible(player.role),
        "turn": player.turn,
        "span": None if player.span is None else list(player.span),
        "medium": player.medium,
        "patches": [list(cell) for cell in player.patches],
        "time": None if player.time is None else list(player.time),
    }


def _target(result: Attribution, target: Target) -> dict[str, Any]:
    return {
        "name": caption.heading(target),
        "place": caption.subtitle(target),
        "positions": list(target.positions),
        "probability": target.probability,
    }


def _medium(medium: Medium) -> dict[str, Any]:
    """A picture or clip, small enough to stand in the page."""
    png = medium.png()
    return {
        "kind": medium.kind,
        "name": visible(medium.name),
        "grid": None if medium.grid is None else list(medium.grid),
        "size": None if medium.size is None else list(medium.size),
        "image": None if png is None else f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}",
        "duration": medium.duration,
        "envelope": None
        if medium.envelope is None
        else [round(float(value), 3) for value in medium.envelope],
    }


def _sequences(result: Attribution) -> list[dict[str, Any]]:
    """Per stack the name of every position that is known, whether it is a player or not."""
    known: dict[str, dict[int, tuple[str, str]]] = {}
    sources: list[Player] = [*result.players, *result.excluded]
    networks = result._networks()
    for player in (*sources, *(networks[0].players if networks else ())):  # tokens overwrite words
        for stack, position in player.nodes:
            known.setdefault(stack, {})[position] = (label_of(player), player.kind)
    if networks:
        stack = networks[0].groups[-1].stack
        for position, text in enumerate(networks[0].tokens):
            known.setdefault(stack, {}).setdefault(
                position, (label_of(Player(text, ((stack, position),))), "generated")
            )
    return [
        {
            "stack": stack,
            "tokens": [
                {"position": position, "label": label, "kind": kind}
                for position, (label, kind) in sorted(known[stack].items())
            ],
        }
        for stack in ("encoder", "decoder")
        if stack in known
    ]


def _passage(result: Attribution) -> list[dict[str, Any]]:
    """The running text in blocks of pieces; a piece with a player index is shaded with its score."""
    return [
        {
            "label": block.label,
            "pieces": [
                {
                    "text": piece.text,
                    "player": piece.player,
                    **({"excluded": True} if piece.excluded else {}),
                }
                for piece in block.pieces
            ],
        }
        for block in blocks(result)
    ]


# -- one result --------------------------------------------------------------------------------------------


def _result(result: Attribution, name: str, flow_count: int | None, sharing: int) -> dict[str, Any]:
    rows = range(len(result.targets))
    below, above = caption.ends(result)
    return {
        "name": name,
        "method": visible(result.method),
        "recipe": caption.recipe(result),
        "caption": caption.caption(result),
        "unit": caption.measure(result),
        "two_signs": caption.has_two_signs(result),
        "ends": [below, above],
        "layers": [*map(visible, result.layers), "target weights"],
        "scores": _matrix(result.scores),
        "stderr": _matrix(result.stderr),
        "lower": _matrix(result.lower),
        "upper": _matrix(result.upper),
        "bottleneck": None if result.bottleneck is None else result.bottleneck.tolist(),
        "supporting": _matrix(result.supporting),
        "opposing": _matrix(result.opposing),
        "total": [float(f"{value:.6g}") for value in result.total],
        "decimals": [_decimals(result, row) for row in rows],
        "sentences": [[caption.total(result, row), *caption.warnings(result, row)] for row in rows],
        "remarks": [
            *caption.remarks(result),
            *([caption.bounds(result)] if result.upper is not None else []),
        ],
        "estimated": result.estimated,
        "flows": flows(result, flow_count, sharing),
        "provenance": provenance(result),
    }


def _matrix(values: NDArray[np.float64] | None) -> list[list[float]] | None:
    """Numbers to four digits more than any column shows of the largest."""
    if values is None:
        return None
    return [[float(f"{value:.6g}") for value in line] for line in values.tolist()]


def _decimals(result: Attribution, row: int) -> int | None:
    """Digits after the point for every score of a target; None for scientific notation."""
    sides = caption.sides(result, row)
    scores = [*result.scores[row].tolist(), *(side for part in sides.values() for side in part)]
    errors = () if result.stderr is None else result.stderr[row].tolist()
    return digits_for(scores, errors).decimals


def provenance(result: Attribution) -> list[list[str]]:
    """Returns how a result was made, as terms and their descriptions."""
    facts: dict[str, object] = {"method": result.method}
    if result.capacity is not None:
        facts["capacity"] = result.capacity
    if result.residual is not None:
        facts["residual"] = result.residual
    if result.samples is not None:
        facts["sampled orders"] = result.samples
    if result.error_bound:
        facts["error bound"] = scientific(result.error_bound, 2)
    facts.update(result.provenance)
    return [
        [visible(str(key).replace("_", " ")), visible(_told(value)[:500])]
        for key, value in facts.items()
        if value is not None
    ]


def _told(value: object) -> str:
    """A fact as a reader wants it: numbers with few digits, nothing of what was not asked."""
    if isinstance(value, Mapping):
        return ", ".join(
            f"{str(name).replace('_', ' ')} {_told(part)}" for name, part in value.items() if part is not None
        )
    if isinstance(value, (list, tuple)):
        return ("; " if any(isinstance(part, Mapping) for part in value) else ", ").join(map(_told, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return single(value) if isinstance(value, float) and isfinite(value) else str(value)


# -- several results ---------------------------------------------------------------------------------------


def _comparison(comparison: Comparison) -> dict[str, Any]:
    rows = range(len(comparison[0].targets))
    pairs = rows if len(comparison) > 1 else range(0)
    return {
        "names": list(comparison_caption.names(comparison)),
        "units": comparison_caption.units(comparison),
        "scales": comparison_caption.SCALES if len(comparison) > 1 else None,
        "sentences": [comparison_caption.sentences(comparison, row) for row in rows],
        "remarks": comparison_caption.remarks(comparison),
        "correlation": comparison_caption.CORRELATION,
        "no_order": comparison_caption.NO_ORDER,
        "overlap": comparison_caption.overlap(comparison),
        "correlations": [comparison_caption.correlations(comparison, row) for row in pairs],
        "overlaps": [comparison_caption.overlaps(comparison, row) for row in pairs],
        "places": [comparison_caption.places(comparison, row) for row in rows],
    }
