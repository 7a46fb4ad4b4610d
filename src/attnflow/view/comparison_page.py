"""Results side by side as HTML: one self-contained page, and a fragment for notebooks.

Like the page of one result it makes no request, and reads without JavaScript, which only adds the readout of
one player and the order of the table; targets are switched by the style sheet alone. Every string that a
model, tokenizer or user wrote is escaped here, once, on its way out.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from string import Template

from attnflow.attribution import Attribution
from attnflow.comparison import Comparison
from attnflow.view import caption, comparison_caption
from attnflow.view.html import FRAGMENT_TARGETS, FRAGMENT_TOP, asset, items, provenance
from attnflow.view.numbers import counted, digits_for, single
from attnflow.view.passage import Piece, blocks, has_two_stacks, label_of, place_of, reading_order
from attnflow.view.shading import is_quiet, scale_for

#: Characters of the text in one line, which stands once per result.
LINE = 72
#: Tokens of all laid out targets and results; targets beyond it are in the table of all targets only.
TOKENS = 30_000
#: Pairs of results in the table of all targets.
PAIRS = 10


def page(comparison: Comparison) -> str:
    """Returns a complete HTML page for a comparison.

    Args:
        comparison: what to show.

    Returns:
        The page as one string, without references to anything outside it.
    """
    script = asset("comparison.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    targets = len(comparison[0].targets)
    laid = min(targets, max(TOKENS // (len(comparison[0].players) * len(comparison)), 1))
    one = f"What “{comparison_caption.heading(comparison, 0)}” draws on"
    headline = one if targets == 1 else f"What {counted(targets, 'target')} draw on"
    units = comparison_caption.units(comparison)
    return Template(asset("comparison.html")).substitute(
        style=f"{asset('page.css')}\n\n{asset('comparison.css')}",
        choices=_choices(laid),
        script=script,
        script_hash=f"sha256-{digest}",
        title=escape(f"{headline} · attnflow"),
        recipe=escape(comparison_caption.recipe(comparison)),
        headline=escape(headline),
        results="\n".join(
            f"<li><b>{escape(name)}</b>: {escape(caption.caption(result))}</li>"
            for name, result in _named(comparison)
        ),
        switch=_switch(comparison, laid) if laid > 1 else "",
        options=_options(comparison),
        targets="\n".join(_target(comparison, row, solo=targets == 1) for row in range(laid)),
        matrix=_matrix(comparison, laid) if targets > 1 and len(comparison) > 1 else "",
        remarks=items([*([units] if units else []), *comparison_caption.remarks(comparison)]),
        provenance="\n".join(
            f"<h3>{escape(name)}</h3>\n<dl>\n{provenance(result)}\n</dl>"
            for name, result in _named(comparison)
        ),
    )


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


def _choices(laid: int) -> str:
    """Style rules that show the chosen target; a browser that cannot choose shows all of them."""
    if laid == 1:
        return ""
    shown = ",\n".join(f":root:has(#choice-{row}:checked) #target-{row}" for row in range(laid))
    return f"@supports selector(:has(a)) {{\nsection.target {{ display: none; }}\n{shown} {{ display: block; }}\n}}"


def _switch(comparison: Comparison, laid: int) -> str:
    choices = "".join(
        f'<label title="{escape(comparison_caption.subtitle(comparison, row))}"><input type="radio" name="target" '
        f'id="choice-{row}" autocomplete="off"{" checked" if row == 0 else ""}>'
        f"<bdi>{escape(comparison_caption.heading(comparison, row))}</bdi>"
        f"<small>{comparison[0].targets[row].positions[0]}</small></label>\n"
        for row in range(laid)
    )
    return f'<fieldset class="switch"><legend>Target</legend><div>\n{choices}</div></fieldset>'


def _options(comparison: Comparison) -> str:
    if not any(map(is_quiet, comparison[0].players)):
        return ""
    return (
        '<div class="options"><label><input type="checkbox" id="shade-special" autocomplete="off">'
        " Shade special tokens</label></div>"
    )


def _target(comparison: Comparison, row: int, *, solo: bool) -> str:
    name, place = comparison_caption.heading(comparison, row), comparison_caption.subtitle(comparison, row)
    solo_class = ' class="solo"' if solo else ""
    note = f'<p class="scales">{escape(comparison_caption.SCALES)}</p>' if len(comparison) > 1 else ""
    return (
        f'<section class="target" id="target-{row}" aria-labelledby="target-{row}-name">\n'
        f'<h2 id="target-{row}-name"{solo_class}><span dir="auto">{escape(name)}</span> '
        f"<small>{escape(place)}</small></h2>\n"
        f'<ul class="key">{_key(comparison, row)}</ul>\n'
        f"{note}\n"
        f"{_strips(comparison, row)}\n"
        '<p class="readout" aria-live="polite" hidden></p>\n'
        f"{_numbers(comparison, row)}\n"
        f"{_agreement(comparison, row)}\n"
        f'<ul class="sentences">\n{items(comparison_caption.sentences(comparison, row))}\n</ul>\n'
        "</section>"
    )


def _key(comparison: Comparison, row: int) -> str:
    parts = []
    for name, result in _named(comparison):
        text, everyone = (single(scale_for(result, [row], quiet=quiet).most) for quiet in (False, True))
        low, bar, (below, above) = "<span>0</span>", "<i></i>", map(escape, caption.ends(result))
        if caption.has_two_signs(result):
            bar = '<i class="both"></i>'
            low = f'<span class="text">-{text}</span><span class="all">-{everyone}</span>'
        parts.append(
            f'<li><b>{escape(name)}</b> <span class="scale">{below} {low}{bar}<span class="text">{text}</span>'
            f'<span class="all">{everyone}</span> {above}</span></li>'
        )
    return "".join(parts)


def _strips(comparison: Comparison, row: int) -> str:
    """The running text in lines, each line once per result."""
    views = [_shades(result, row) for result in comparison]
    names = comparison_caption.names(comparison)
    first = comparison[0]

    def span(piece: Piece, r: int) -> str:
        if piece.player is None:
            excluded = f'<span class="excluded">{escape(piece.text)}</span>'
            return excluded if piece.excluded else escape(piece.text)
        j = piece.player
        text, everyone, number = views[r][j]
        classes = ["token"]
        classes += ["quiet"] if is_quiet(first.players[j]) else []
        classes += ["against"] if everyone < 0 else []
        classes += ["here"] if piece.target else []
        return (
            f'<span class="{" ".join(classes)}" data-player="{j}" '
            f'title="{escape(f"{label_of(first.players[j])}: {number}")}" '
            f'style="--t:{abs(text):g};--a:{abs(everyone):g}">{escape(piece.text)}</span>'
        )

    parts = []
    for block in blocks(first, first.targets[row]):
        if block.label is not None:
            parts.append(f"<h3>{escape(block.label)}</h3>")
        for pieces in _lines(block.pieces):
            strips = "".join(
                f'<div class="strip" data-result="{r}"><span>{escape(name)}</span>'
                f'<p lang="" dir="auto">{"".join(span(piece, r) for piece in pieces)}</p></div>'
                for r, name in enumerate(names)
            )
            parts.append(f'<div class="line">{strips}</div>')
    return (
        '<div class="strips" role="group" aria-label="Text, once per result, shaded by score" '
        f'style="--who:{max(map(len, names))}ch">'
        f"{''.join(parts)}</div>"
    )


def _shades(result: Attribution, row: int) -> list[tuple[float, float, str]]:
    """Per player its fraction of the scale of the text, of the scale of everything, and its score as text."""
    scores = result.scores[row].tolist()
    digits = digits_for(scores, () if result.stderr is None else result.stderr[row].tolist())
    text, everyone = scale_for(result, [row]), scale_for(result, [row], quiet=True)
    return [
        (round(text.fraction(score), 3) + 0.0, round(everyone.fraction(score), 3) + 0.0, digits(score))
        for score in scores
    ]


def _lines(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Splits a block where its text breaks, and at spaces so that lines are about as long."""
    line: list[Piece] = []
    length = 0
    for piece in pieces:
        spaced = piece.text[:1].isspace() or (bool(line) and line[-1].text[-1:].isspace())
        if line and spaced and length + len(piece.text.rstrip()) > LINE:
            yield line
            line, length = [], 0
        if line or piece.text.strip():
            line.append(piece)
            length += len(piece.text)
        if "\n" in piece.text and line:
            line[-1] = Piece(piece.text.replace("\n", " "), piece.player, piece.excluded, piece.target)
            yield line
            line, length = [], 0
    if line:
        yield line


def _numbers(comparison: Comparison, row: int) -> str:
    first = comparison[0]
    two, plain = has_two_stacks(first), comparison_caption.units(comparison) is None
    size = comparison_caption.top_size(comparison)
    views = [_shades(result, row) for result in comparison]
    places = comparison_caption.places(comparison, row)
    heads = ['<th scope="col" class="place">Position</th>', '<th scope="col" class="name">Player</th>']
    for r, (name, result) in enumerate(_named(comparison)):
        measure = caption.measure(result) or ("" if plain else "share")
        heads.append(
            f'<th scope="col" data-result="{r}" data-name="{escape(name)}">{escape(name)}'
            f"{f' <small>{escape(measure)}</small>' if measure else ''}</th>"
        )
    rows = []
    order = {j: at for at, j in enumerate(comparison_caption.standing(comparison, row))}
    for j in reading_order(first):
        player = first.players[j]
        cells = [
            f'<td class="place">{escape(place_of(player, stack=two))}</td>',
            f'<th scope="row" class="name"><bdi>{escape(label_of(player))}</bdi></th>',
        ]
        for view, place, result in zip(views, places, comparison, strict=True):
            _, fraction, number = view[j]
            tag = "b" if place[j] else "span"
            cells.append(
                f'<td class="num{" against" if fraction < 0 else ""}" style="--w:{abs(fraction):g}" '
                f'data-value="{float(result.scores[row, j])!r}"><{tag} class="score">{escape(number)}</{tag}>'
                f"<small>{place[j]}</small></td>"
            )
        quiet = ' class="quiet"' if is_quiet(player) else ""
        rows.append(
            f'<tr data-player="{j}" data-order="{order.get(j, len(order))}"{quiet}>{"".join(cells)}</tr>'
        )
    key = f"Scores for this target; bars on each result's own scale. Bold, with their place: the top {size} of each."
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Scores of every result">'
        f'<table class="numbers"><caption>{escape(key)}</caption>\n'
        f"<thead><tr>{''.join(heads)}</tr></thead>\n<tbody>\n{chr(10).join(rows)}\n</tbody></table></div>"
    )


# -- agreement ---------------------------------------------------------------------------------------------


def _agreement(comparison: Comparison, row: int) -> str:
    if len(comparison) == 1:
        return ""
    if len(comparison) == 2:
        return f'<ul class="sentences">{items([comparison_caption.agreement(comparison, row)])}</ul>'
    tables = "".join(f'<div class="scroll">{table}</div>' for table in _agreement_tables(comparison, row))
    return f'<div class="agreement">{tables}</div>'


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


def _matrix(comparison: Comparison, laid: int) -> str:
    targets = len(comparison[0].targets)
    rest = (
        ""
        if laid == targets
        else f'<p class="caption">The text and the numbers above are those of the first {counted(laid, "target")}.</p>'
    )
    return (
        '<section class="matrix" aria-labelledby="matrix-name"><h2 id="matrix-name">All targets</h2>\n'
        f"{rest}"
        '<div class="scroll" tabindex="0" role="region" aria-label="Agreement for all targets">'
        f"{_overview(comparison, 'against')}</div></section>"
    )


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
