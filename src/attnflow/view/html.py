"""A result as HTML: one self-contained page, and a fragment for notebooks.

The page makes no request: styles, script and data are inside it, and its own content security policy
allows nothing else to run or load. It reads without JavaScript, which only adds switching between targets,
the readout of one token and the order of the table. Every string that a model, tokenizer or user wrote is
escaped here, once, on its way out.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from html import escape
from importlib import resources
from string import Template
from typing import Any

import numpy as np

from attnflow.attribution import Attribution
from attnflow.view import caption
from attnflow.view.numbers import Digits, counted, digits_for, single
from attnflow.view.passage import Piece, blocks, has_two_stacks, label_of, place_of, reading_order, visible
from attnflow.view.shading import Scale, is_quiet, scale_for

#: Cells of the target x player table; beyond it the columns are the highest-scoring players.
MATRIX_CELLS = 20_000
#: Targets that a fragment lays out in full; more become a table.
FRAGMENT_TARGETS = 6
#: Players in a fragment's tables.
FRAGMENT_TOP = 15


def page(result: Attribution) -> str:
    """Returns a complete HTML page for a result.

    Args:
        result: what to show.

    Returns:
        The page as one string, without references to anything outside it.
    """
    script = asset("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    first = result.targets[0]
    many = len(result.targets) > 1
    name = caption.heading(first)
    headline = f"What {counted(len(result.targets), 'target')} draw on" if many else f"What “{name}” draws on"
    views = [_target(result, row) for row in range(len(result.targets))]
    return Template(asset("page.html")).substitute(
        style=asset("page.css"),
        script=script,
        script_hash=f"sha256-{digest}",
        title=_text(f"{headline} · attnflow"),
        recipe=_text(caption.recipe(result)),
        headline=_text(headline),
        caption=_text(caption.caption(result)),
        switch=_switch(result) if many else "",
        solo="" if many else ' class="solo"',
        name=_text(name),
        place=_text(caption.subtitle(first)),
        options=_options(result, views[0]),
        passage=_passage(result, views[0]),
        sentences=items(views[0]["sentences"]),
        table=_table(result, views[0]),
        matrix=_matrix(result) if many else "",
        remarks=items([*caption.remarks(result), *([caption.BOUNDS] if result.upper is not None else [])]),
        provenance=provenance(result),
        data=_json(
            {
                "players": [label_of(player) for player in result.players],
                "places": [place_of(player, stack=has_two_stacks(result)) for player in result.players],
                "layers": ["–", *map(visible, result.layers), "target weights"],
                "unit": caption.measure(result),
                "targets": views,
            }
        ),
    )


def fragment(result: Attribution) -> str:
    """Returns a result as a piece of HTML for notebooks: scoped styles, no script.

    Args:
        result: what to show.

    Returns:
        One `div` with its own `style` element.
    """
    parts = [
        f'<p class="attnflow-soft">{_text(caption.recipe(result))}<br>{_text(caption.caption(result))}</p>'
    ]
    if len(result.targets) > FRAGMENT_TARGETS:
        parts.append(_fragment_matrix(result))
    else:
        for row in range(len(result.targets)):
            parts.extend(_fragment_target(result, row))
    totals = dict.fromkeys(caption.total(result, row) for row in range(len(result.targets)))
    sentences = [*(totals if len(totals) == 1 else ()), *caption.remarks(result)]
    parts.extend(f'<p class="attnflow-soft">{_text(sentence)}</p>' for sentence in sentences)
    return f'<div class="attnflow"><style>{asset("fragment.css")}</style>{"".join(parts)}</div>'


# -- data for one target -----------------------------------------------------------------------------------


def _target(result: Attribution, row: int) -> dict[str, Any]:
    """Returns everything that changes with the target, numbers already written as a reader sees them."""
    target, scores = result.targets[row], result.scores[row].tolist()
    errors = None if result.stderr is None else result.stderr[row].tolist()
    sides = caption.sides(result, row)
    digits = digits_for([*scores, *(side for part in sides.values() for side in part)], errors or ())
    text, everyone = scale_for(result, [row]), scale_for(result, [row], quiet=True)
    here = sorted(
        {
            piece.player
            for block in blocks(result, target)
            for piece in block.pieces
            if piece.target and piece.player is not None
        }
    )
    return {
        "name": caption.heading(target),
        "place": caption.subtitle(target),
        "sentences": [caption.total(result, row), *caption.warnings(result, row)],
        "scores": [digits(score) for score in scores],
        "errors": None if errors is None else [digits(error) for error in errors],
        "sides": {name: [digits(side) for side in part] for name, part in sides.items()},
        "intervals": None if result.upper is None else caption.intervals(result, row),
        "layers": None if result.bottleneck is None else result.bottleneck[row].tolist(),
        "bars": _fractions(everyone, scores),
        "text": _fractions(text, scores),
        "all": _fractions(everyone, scores),
        "ends": {"text": single(text.most), "all": single(everyone.most)},
        "here": here,
    }


def _fractions(scale: Scale, scores: Sequence[float]) -> list[float]:
    return [round(scale.fraction(score), 3) + 0.0 for score in scores]


# -- parts of the page -------------------------------------------------------------------------------------


def _switch(result: Attribution) -> str:
    choices = "".join(
        f'<label title="{_text(caption.subtitle(target))}"><input type="radio" name="target" value="{row}"'
        f"{' checked' if row == 0 else ''}><bdi>{_text(caption.heading(target))}</bdi>"
        f"<small>{target.positions[0]}</small></label>\n"
        for row, target in enumerate(result.targets)
    )
    return f'<fieldset class="switch" hidden><legend>Target</legend><div>\n{choices}</div></fieldset>'


def _options(result: Attribution, view: Mapping[str, Any]) -> str:
    parts = []
    if any(map(is_quiet, result.players)):
        parts.append(
            '<label><input type="checkbox" id="shade-special" autocomplete="off">'
            " Shade special tokens</label>"
        )
    if result.upper is not None:
        what = "intervals" if result.bottleneck is None else "intervals and bottlenecks"
        parts.append(
            f'<label><input type="checkbox" id="show-bounds" autocomplete="off"> Show {what}</label>'
        )
    ends = view["ends"]
    low, bar, (below, above) = "<span>0</span>", "<i></i>", map(_text, caption.ends(result))
    if caption.has_two_signs(result):
        bar = '<i class="both"></i>'
        low = (
            f'<span class="text" data-low="1">-{ends["text"]}</span>'
            f'<span class="all" data-low="1">-{ends["all"]}</span>'
        )
    high = f'<span class="text">{ends["text"]}</span><span class="all">{ends["all"]}</span>'
    parts.append(f'<span class="scale">Shade {below} {low}{bar}{high} {above}</span>')
    return "\n".join(parts)


def _passage(result: Attribution, view: Mapping[str, Any]) -> str:
    def span(piece: Piece) -> str:
        if piece.player is None:
            return (
                f'<span class="excluded">{_text(piece.text)}</span>' if piece.excluded else _text(piece.text)
            )
        j = piece.player
        classes = ["token"]
        classes += ["quiet"] if is_quiet(result.players[j]) else []
        classes += ["against"] if view["all"][j] < 0 else []
        classes += ["here"] if j in view["here"] else []
        title = _text(f"{label_of(result.players[j])}: {view['scores'][j]}")
        return (
            f'<span class="{" ".join(classes)}" data-player="{j}" title="{title}" '
            f'style="--t:{abs(view["text"][j]):g};--a:{abs(view["all"][j]):g}">{_text(piece.text)}</span>'
        )

    parts = []
    for block in blocks(result, result.targets[0]):
        if block.label is not None:
            parts.append(f"<h3>{_text(block.label)}</h3>")
        parts.append(f'<p lang="" dir="auto">{"".join(map(span, block.pieces))}</p>')
    # The passage keeps white space, so nothing may stand between its elements.
    return f'<div class="passage" role="group" aria-label="Text, shaded by score">{"".join(parts)}</div>'


def _table(result: Attribution, view: Mapping[str, Any]) -> str:
    two = has_two_stacks(result)
    heads = ['<th scope="col" class="place">Position</th>', '<th scope="col" class="name">Player</th>']
    sides = list(view["sides"])
    heads.append(f'<th scope="col">Score <small>{_text(caption.measure(result))}</small></th>')
    if result.stderr is not None:
        heads.append('<th scope="col">± error</th>')
    heads += [f'<th scope="col">{_text(name.capitalize())}</th>' for name in sides]
    heads.append('<td class="bar" aria-hidden="true"></td>')
    if result.upper is not None:
        heads.append('<th scope="col" class="bound">Interval</th>')
    if result.bottleneck is not None:
        heads.append('<th scope="col" class="bound">Bottleneck</th>')
    layers = ["–", *map(visible, result.layers), "target weights"]
    rows = []
    for j in reading_order(result):
        player, bar = result.players[j], view["bars"][j]
        kind = "against" if bar < 0 else "zero" if bar == 0 else ""
        cells = [f'<td class="place">{_text(place_of(player, stack=two))}</td>']
        cells.append(f'<th scope="row" class="name"><bdi>{_text(label_of(player))}</bdi></th>')
        cells.append(f'<td class="score">{_text(view["scores"][j])}</td>')
        if result.stderr is not None:
            cells.append(f'<td class="error">{_text(view["errors"][j])}</td>')
        cells += [
            f'<td class="side" data-side="{name}">{_text(view["sides"][name][j])}</td>' for name in sides
        ]
        cells.append(
            f'<td class="bar" aria-hidden="true"><i class="{kind}" style="--w:{abs(bar):g}"></i></td>'
        )
        if result.upper is not None:
            cells.append(f'<td class="bound interval">{_text(view["intervals"][j])}</td>')
        if result.bottleneck is not None:
            cells.append(f'<td class="bound layer">{_text(layers[view["layers"][j]])}</td>')
        quiet = ' class="quiet"' if is_quiet(player) else ""
        rows.append(f'<tr data-player="{j}"{quiet}>{"".join(cells)}</tr>')
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Scores of one target">'
        '<table class="players"><caption>Scores of the players for this target</caption>\n'
        f"<thead><tr>{''.join(heads)}</tr></thead>\n<tbody>\n{chr(10).join(rows)}\n</tbody></table></div>"
    )


def _matrix(result: Attribution) -> str:
    columns = _columns(result, MATRIX_CELLS // len(result.targets))
    scale = scale_for(result, range(len(result.targets)))
    digits = digits_for([scale.most], [] if result.stderr is None else result.stderr.ravel().tolist())
    left_out = len(result.players) - len(columns)
    most = f"{single(scale.most)} {caption.measure(result)}".rstrip()
    key = f"Rows are targets, columns are players; one shade scale, to {most}."
    if left_out:
        key += f" The {counted(left_out, 'player')} with the lowest scores left out."
    rows = _matrix_rows(result, columns, scale, digits, against="against", none="none")
    return (
        '<section class="matrix" aria-labelledby="matrix-name"><h2 id="matrix-name">All targets</h2>\n'
        '<div class="scroll" tabindex="0" role="region" aria-label="Scores of all targets"><table>'
        f"<caption><span>{_text(key)}</span></caption>\n"
        f"<thead><tr>{_matrix_head(result, columns)}</tr></thead>\n"
        f"<tbody>\n{chr(10).join(rows)}\n</tbody></table></div></section>"
    )


def _columns(result: Attribution, limit: int) -> list[int]:
    """Returns at most `limit` players, those with the highest score for any target, in reading order."""
    peak = np.abs(result.scores).max(axis=0)
    best = set(np.argsort(-peak, kind="stable")[: max(limit, 1)].tolist())
    return [j for j in reading_order(result) if j in best]


def _matrix_head(result: Attribution, columns: Sequence[int]) -> str:
    two = has_two_stacks(result)
    heads = ['<th scope="col">Target</th>']
    for j in columns:
        name, place = label_of(result.players[j]), place_of(result.players[j], stack=two)
        heads.append(f'<th scope="col" title="{_text(name)}, {_text(place)}"><bdi>{_text(name)}</bdi></th>')
    return "".join(heads)


def _matrix_rows(
    result: Attribution, columns: Sequence[int], scale: Scale, digits: Digits, *, against: str, none: str
) -> Iterator[str]:
    quiet = [is_quiet(player) for player in result.players]
    for row, target in enumerate(result.targets):
        cells = []
        for j in columns:
            score = float(result.scores[row, j])
            fraction = 0.0 if quiet[j] else scale.fraction(score)
            names = " ".join(name for name, on in ((against, fraction < 0), (none, score == 0)) if on)
            style = f' style="--s:{abs(fraction):.3g}"' if fraction else ""
            kind = f' class="{names}"' if names else ""
            cells.append(f"<td{kind}{style}>{_text(digits(score))}</td>")
        yield f'<tr><th scope="row"><bdi>{_text(caption.heading(target))}</bdi></th>{"".join(cells)}</tr>'


def provenance(result: Attribution) -> str:
    """Returns how a result was made, as the terms and descriptions of a list."""
    facts: dict[str, object] = {"method": result.method}
    if result.capacity is not None:
        facts["capacity"] = result.capacity
    if result.residual is not None:
        facts["residual"] = result.residual
    if result.samples is not None:
        facts["sampled orders"] = result.samples
    if result.error_bound:
        facts["error bound"] = f"{result.error_bound:.1e}"
    for key, value in result.provenance.items():
        if isinstance(value, Mapping):
            facts[str(key)] = ", ".join(f"{name} {part}" for name, part in value.items())
        else:
            facts[str(key)] = value
    return "\n".join(
        f"<dt>{_text(visible(key))}</dt><dd>{_text(visible(str(value)[:500]))}</dd>"
        for key, value in facts.items()
    )


def items(sentences: Iterable[str]) -> str:
    """Returns sentences as list items."""
    return "\n".join(f"<li>{_text(sentence)}</li>" for sentence in sentences)


# -- parts of the fragment ---------------------------------------------------------------------------------


def _fragment_target(result: Attribution, row: int) -> Iterator[str]:
    target, view = result.targets[row], _target(result, row)
    yield (
        f'<p class="attnflow-name"><bdi>{_text(view["name"])}</bdi> '
        f'<span class="attnflow-soft" style="font-weight:400">{_text(view["place"])}</span></p>'
    )

    def span(piece: Piece) -> str:
        if piece.player is None:
            excluded = f'<span class="attnflow-excluded">{_text(piece.text)}</span>'
            return excluded if piece.excluded else _text(piece.text)
        j = piece.player
        quiet = is_quiet(result.players[j])
        classes = ["attnflow-token"]
        classes += ["attnflow-quiet"] if quiet else []
        classes += ["attnflow-against"] if view["text"][j] < 0 else []
        classes += ["attnflow-here"] if piece.target else []
        title = _text(f"{label_of(result.players[j])}: {view['scores'][j]}")
        shade = 0 if quiet else abs(view["text"][j])
        head = f'<span class="{" ".join(classes)}" title="{title}" style="--s:{shade:g}">'
        return f"{head}{_text(piece.text)}</span>"

    for block in blocks(result, target):
        if block.label is not None:
            yield f'<p class="attnflow-soft">{_text(block.label)}</p>'
        yield f'<div class="attnflow-text" lang="" dir="auto">{"".join(map(span, block.pieces))}</div>'
    shown = set(np.argsort(-np.abs(result.scores[row]), kind="stable")[:FRAGMENT_TOP].tolist())
    numbers = view["scores"]
    if view["errors"]:
        numbers = [f"{score} ± {error}" for score, error in zip(numbers, view["errors"], strict=True)]
    columns = [numbers, *view["sides"].values()]
    rows = "".join(
        f'<tr><th scope="row"><bdi>{_text(label_of(result.players[j]))}</bdi></th>'
        f"{''.join(f'<td>{_text(column[j])}</td>' for column in columns)}</tr>"
        for j in reading_order(result)
        if j in shown
    )
    heads = [f"Score {caption.measure(result)}".rstrip(), *map(str.capitalize, view["sides"])]
    cells = "".join(f'<th scope="col">{_text(head)}</th>' for head in heads)
    size = len(result.players)
    title = f"Scores, highest {len(shown)} of {size}" if len(shown) < size else "Scores"
    yield (
        f"<details><summary>{title}</summary><table><thead>"
        f'<tr><th scope="col">Player</th>{cells}</tr></thead>'
        f"<tbody>{rows}</tbody></table></details>"
    )
    sentences = view["sentences"] if len(set(result.total.tolist())) > 1 else view["sentences"][1:]
    for sentence in sentences:
        yield f'<p class="attnflow-soft">{_text(sentence)}</p>'


def _fragment_matrix(result: Attribution) -> str:
    columns = _columns(result, FRAGMENT_TOP)
    scale = scale_for(result, range(len(result.targets)))
    rows = _matrix_rows(
        result, columns, scale, digits_for([scale.most]), against="attnflow-against", none="attnflow-quiet"
    )
    return (
        f'<div class="attnflow-scroll"><table><thead><tr>{_matrix_head(result, columns)}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


# -- leaving safely ----------------------------------------------------------------------------------------


def _text(text: str) -> str:
    """Returns `text` escaped for element content and for quoted attributes."""
    return escape(text, quote=True)


def _json(data: object) -> str:
    """Returns `data` as JSON that cannot end a script element or start a comment in it."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def asset(name: str) -> str:
    """Returns a file of the folder `assets` as text."""
    return (resources.files("attnflow.view") / "assets" / name).read_text(encoding="utf-8").rstrip("\n")
