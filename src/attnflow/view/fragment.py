"""A result as a piece of HTML for notebooks, without script: what shows where no widget runs.

Every string that a model, tokenizer or user wrote is escaped here, once, on its way out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from html import escape
from importlib import resources
from typing import Any

import numpy as np

from attnflow.attribution import Attribution
from attnflow.view import caption
from attnflow.view.numbers import Digits, digits_for
from attnflow.view.passage import Piece, blocks, has_two_stacks, label_of, place_of, reading_order
from attnflow.view.shading import Scale, is_quiet, scale_for

#: Targets that a fragment lays out in full; more become a table.
FRAGMENT_TARGETS = 6
#: Players in a fragment's tables.
FRAGMENT_TOP = 15


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
    scale = scale_for(result, [row])
    return {
        "name": caption.heading(target),
        "place": caption.subtitle(target),
        "sentences": [caption.total(result, row), *caption.warnings(result, row)],
        "scores": [digits(score) for score in scores],
        "errors": None if errors is None else [digits(error) for error in errors],
        "sides": {name: [digits(side) for side in part] for name, part in sides.items()},
        "text": [round(scale.fraction(score), 3) + 0.0 for score in scores],
    }


# -- parts of the fragment ---------------------------------------------------------------------------------


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


@cache
def asset(name: str) -> str:
    """Returns a file of the folder `assets` as text."""
    return (resources.files("attnflow.view") / "assets" / name).read_text(encoding="utf-8").rstrip("\n")
