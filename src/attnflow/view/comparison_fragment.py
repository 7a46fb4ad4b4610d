"""Results side by side as a piece of HTML for notebooks, without script.

Every string that a model, tokenizer or user wrote is escaped here, once, on its way out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from attnflow.attribution import Attribution
from attnflow.comparison import Comparison
from attnflow.view import caption, comparison_caption
from attnflow.view.fragment import FRAGMENT_TARGETS, FRAGMENT_TOP, asset
from attnflow.view.numbers import digits_for, single
from attnflow.view.passage import Piece, blocks, label_of, reading_order
from attnflow.view.shading import is_quiet, scale_for

#: Pairs of results in the table of all targets.
PAIRS = 10


def fragment(comparison: Comparison) -> str:
    """Returns a comparison as a piece of HTML for notebooks: scoped styles, no script.

    Args:
        comparison: what to show.

    Returns:
        One `div` with its own `style` element.
    """
    lines = [comparison_caption.recipe(comparison)]
    lines += [f"{name}: {caption.caption(result)}" for name, result in _named(comparison)]
    parts = [f'<p class="attnflow-soft">{"<br>".join(map(escape, lines))}</p>']
    targets = len(comparison[0].targets)
    if targets > FRAGMENT_TARGETS and len(comparison) > 1:
        parts.append(f'<div class="attnflow-scroll">{_overview(comparison, "attnflow-against")}</div>')
    else:
        for row in range(min(targets, FRAGMENT_TARGETS)):
            parts.extend(_fragment_target(comparison, row))
    units = comparison_caption.units(comparison)
    sentences = [*([units] if units else []), *comparison_caption.remarks(comparison)]
    parts.extend(_soft(sentence) for sentence in sentences)
    return f'<div class="attnflow"><style>{asset("fragment.css")}</style>{"".join(parts)}</div>'


# -- parts of the page -------------------------------------------------------------------------------------


def _named(comparison: Comparison) -> Iterator[tuple[str, Attribution]]:
    yield from zip(comparison_caption.names(comparison), comparison, strict=True)


def _shades(result: Attribution, row: int) -> list[tuple[float, float, str]]:
    """Per player its fraction of the scale of the text, of the scale of everything, and its score as text."""
    scores = result.scores[row].tolist()
    digits = digits_for(scores, () if result.stderr is None else result.stderr[row].tolist())
    text, everyone = scale_for(result, [row]), scale_for(result, [row], quiet=True)
    return [
        (round(text.fraction(score), 3) + 0.0, round(everyone.fraction(score), 3) + 0.0, digits(score))
        for score in scores
    ]


# -- agreement ---------------------------------------------------------------------------------------------


def _agreement_tables(comparison: Comparison, row: int, prefix: str = "") -> Iterator[str]:
    """Yields the table of rank correlations and that of overlaps."""
    found = comparison_caption.correlations(comparison, row)
    meaning = comparison_caption.CORRELATION
    if any("–" in line for line in found):
        meaning += f" {comparison_caption.NO_ORDER}"
    shares = comparison.top_overlap(comparison_caption.top_size(comparison), row)
    for sentence, matrix, values in (
        (meaning, found, comparison.rank_correlation(row)),
        (comparison_caption.overlap(comparison), comparison_caption.overlaps(comparison, row), shares),
    ):
        names = comparison_caption.names(comparison)
        heads = "".join(
            f'<th scope="col" title="{escape(name)}" abbr="{escape(name)}">{number}</th>'
            for number, name in enumerate(names, start=1)
        )
        rows = "".join(
            f'<tr><th scope="row">{a + 1} {escape(name)}</th>'
            + "".join(
                _cell(text, 0.0 if a == b else float(values[a, b]), "self" if a == b else "", prefix)
                for b, text in enumerate(matrix[a])
            )
            + "</tr>"
            for a, name in enumerate(names)
        )
        yield (
            f"<table><caption>{escape(sentence)}</caption><thead><tr><td></td>{heads}</tr></thead>"
            f"<tbody>{rows}</tbody></table>"
        )


def _cell(text: str, value: float, kind: str, prefix: str) -> str:
    shade = 0.0 if value != value else value
    names = " ".join(filter(None, (f"{prefix}against" if shade < 0 else "", kind)))
    style = f' style="--s:{abs(shade):.3g}"' if shade else ""
    return f"<td{f' class={chr(34)}{names}{chr(34)}' if names else ''}{style}>{text}</td>"


def _overview(comparison: Comparison, against: str) -> str:
    """A table of all targets: how pairs of results agree."""
    pairs = list(comparison_caption.pairs(comparison, PAIRS))
    names = comparison_caption.names(comparison)
    heads = "".join(f'<th scope="col">{escape(names[a])} and {escape(names[b])}</th>' for a, b in pairs)
    prefix = against.removesuffix("against")
    rows = []
    for row in range(len(comparison[0].targets)):
        found, shared = (
            comparison_caption.correlations(comparison, row),
            comparison_caption.overlaps(comparison, row),
        )
        values = comparison.rank_correlation(row)
        cells = "".join(
            _cell(f"{found[a][b]} <small>{shared[a][b]}</small>", float(values[a, b]), "", prefix)
            for a, b in pairs
        )
        name = comparison_caption.heading(comparison, row)
        rows.append(f'<tr><th scope="row"><bdi>{escape(name)}</bdi></th>{cells}</tr>')
    key = f"{comparison_caption.CORRELATION} Then: {comparison_caption.overlap(comparison)}"
    return (
        f"<table><caption><span>{escape(key)}</span></caption>\n"
        f'<thead><tr><th scope="col">Target</th>{heads}</tr></thead>\n'
        f"<tbody>\n{chr(10).join(rows)}\n</tbody></table>"
    )


# -- parts of the fragment ---------------------------------------------------------------------------------


def _fragment_target(comparison: Comparison, row: int) -> Iterator[str]:
    first = comparison[0]
    yield (
        f'<p class="attnflow-name"><bdi>{escape(comparison_caption.heading(comparison, row))}</bdi> '
        f'<span class="attnflow-soft" style="font-weight:400">{escape(comparison_caption.subtitle(comparison, row))}'
        "</span></p>"
    )
    views = [_shades(result, row) for result in comparison]

    def span(piece: Piece, view: Sequence[tuple[float, float, str]]) -> str:
        if piece.player is None:
            excluded = f'<span class="attnflow-excluded">{escape(piece.text)}</span>'
            return excluded if piece.excluded else escape(piece.text)
        fraction, _, number = view[piece.player]
        quiet = is_quiet(first.players[piece.player])
        classes = ["attnflow-token"]
        classes += ["attnflow-quiet"] if quiet else []
        classes += ["attnflow-against"] if fraction < 0 else []
        classes += ["attnflow-here"] if piece.target else []
        title = escape(f"{label_of(first.players[piece.player])}: {number}")
        shade = 0 if quiet else abs(fraction)
        head = f'<span class="{" ".join(classes)}" title="{title}" style="--s:{shade:g}">'
        return f"{head}{escape(piece.text)}</span>"

    laid = blocks(first, first.targets[row])
    for (name, result), view in zip(_named(comparison), views, strict=True):
        most = single(scale_for(result, [row]).most)
        scale = f"from -{most} to {most}" if caption.has_two_signs(result) else f"up to {most}"
        yield _soft(f"{name}, shaded {scale} {caption.measure(result)}".rstrip())
        for block in laid:
            if block.label is not None:
                yield f'<p class="attnflow-soft">{escape(block.label)}</p>'
            text = "".join(span(piece, view) for piece in block.pieces)
            yield f'<div class="attnflow-text" lang="" dir="auto">{text}</div>'
    shown = set(comparison_caption.standing(comparison, row)[:FRAGMENT_TOP])
    places = comparison_caption.places(comparison, row)
    heads = "".join(
        f'<th scope="col">{escape(f"{name} {caption.measure(result)}".rstrip())}</th>'
        for name, result in _named(comparison)
    )
    rows = "".join(
        f'<tr><th scope="row"><bdi>{escape(label_of(first.players[j]))}</bdi></th>'
        + "".join(
            _cell(f"{escape(view[j][2])} {place[j]}".rstrip(), view[j][1], "", "attnflow-")
            for view, place in zip(views, places, strict=True)
        )
        + "</tr>"
        for j in reading_order(first)
        if j in shown
    )
    size = len(first.players)
    title = f"Scores, highest {len(shown)} of {size}" if len(shown) < size else "Scores"
    yield (
        f'<details><summary>{title}</summary><div class="attnflow-scroll"><table><thead><tr>'
        f'<th scope="col">Player</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div></details>'
    )
    if len(comparison) == 2:
        yield _soft(comparison_caption.agreement(comparison, row))
    elif len(comparison) > 2:
        tables = "".join(_agreement_tables(comparison, row, "attnflow-"))
        yield f'<div class="attnflow-scroll">{tables}</div>'
    yield from map(_soft, comparison_caption.sentences(comparison, row))


def _soft(sentence: str) -> str:
    return f'<p class="attnflow-soft">{escape(sentence)}</p>'
