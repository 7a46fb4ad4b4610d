"""`attnflow explain`: which inputs a prediction draws on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attnflow.commands import parsing
from attnflow.commands.parsing import Baseline, Figure, Prefix
from attnflow.commands.reporting import reporting

if TYPE_CHECKING:
    from attnflow.attribution import Attribution
    from attnflow.comparison import Comparison
    from attnflow.trace import Trace

Progress = Callable[[str, int, int | None], None]

EPILOG = """
**Examples**

`attnflow explain sentiment "The movie was not bad at all."`

`attnflow explain sentiment "The movie was not bad." --players words --bounds --html page.html`

`attnflow explain sentiment "The movie was not bad." --players words --figure flow --svg flow.svg`

`attnflow explain ./my-gpt "The keys to the cabinet" --generate 5 --target -1`

`attnflow explain ./my-chat --chat messages.json --generate 8 --players turns --exclude special`

`attnflow explain ./my-t5 - --method shapley,rollout < letter.txt`
"""

QUESTION = "The question"
FLOW = "How it is answered"
SAMPLING = "Sampling (method shapley)"
OUT = "What comes out"
RUN = "How it runs"


def explain(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A bundled model's name (see `attnflow models`), a local directory, or a hub id.",
        ),
    ],
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="The input text; `-` reads it from standard input.")
    ] = None,
    chat: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            exists=True,
            help="Explain a chat instead of a text: a JSON list of messages, each with `role` and `content`.",
            rich_help_panel=QUESTION,
        ),
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            exists=True,
            help="Explain a picture, or a text in which it stands. Repeat for several within a text.",
            rich_help_panel=QUESTION,
        ),
    ] = None,
    audio: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            exists=True,
            help="Explain a clip of sound, or a text in which it stands.",
            rich_help_panel=QUESTION,
        ),
    ] = None,
    processor: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Where the preprocessing of --image and --audio is. Default: beside the model.",
            rich_help_panel=QUESTION,
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="T",
            help="What to explain: a position (from 0; negative from the end), a set of them (`3,4,5`), "
            "`all`, their `mean`, or the text of a token that occurs once. Repeat for several. Default: what the "
            "model decides, such as its class or each generated token.",
            rich_help_panel=QUESTION,
        ),
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(
            metavar="O",
            help="Class or token, by number or text, that gradient capacities ask about. Twice: why the first rather "
            "than the second. Default: the predicted one.",
            rich_help_panel=QUESTION,
        ),
    ] = None,
    players: Annotated[
        str,
        typer.Option(
            metavar="P",
            help="What gets a score: `tokens` (of an image patches, of sound frames), `words`, `sentences`, `turns` of "
            "a chat; `blocks:2` for squares of 2 by 2 patches, `windows:0.2` for stretches of 0.2 seconds.",
            rich_help_panel=QUESTION,
        ),
    ] = "tokens",
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="E",
            help="Take a player out of the game: its number, its text, or `special` for all special tokens. "
            "Repeat for several. The result says what that cost.",
            rich_help_panel=QUESTION,
        ),
    ] = None,
    generate: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Tokens to generate and explain. Default: a bundled model that answers gives its answer, others none.",
            rich_help_panel=QUESTION,
        ),
    ] = None,
    sample: Annotated[
        bool,
        typer.Option(
            "--sample",
            help="Sample the tokens to generate, as --seed says, instead of taking the likeliest.",
            rich_help_panel=QUESTION,
        ),
    ] = False,
    temperature: Annotated[
        float | None,
        typer.Option(min=0, metavar="X", help="Temperature of --sample.", rich_help_panel=QUESTION),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="X",
            help="Let --sample choose among the likeliest tokens of this probability together.",
            rich_help_panel=QUESTION,
        ),
    ] = None,
    target_text: Annotated[
        str | None,
        typer.Option(
            metavar="S",
            help="Explain this continuation or translation instead of generating one.",
            rich_help_panel=QUESTION,
        ),
    ] = None,
    prefix: Annotated[
        Prefix,
        typer.Option(
            help="Generated tokens are `players` themselves, or `closed`: what they draw on is traced back "
            "to the prompt.",
            rich_help_panel=QUESTION,
        ),
    ] = Prefix.players,
    method: Annotated[
        str | None,
        typer.Option(
            metavar="M",
            help="`flow`, `shapley`, `central`, `rollout` or `attention`; several with commas are compared. "
            "Default: `flow`.",
            rich_help_panel=FLOW,
        ),
    ] = None,
    capacity: Annotated[
        str | None,
        typer.Option(
            metavar="C",
            help="What an edge can carry: `conserved`, `relevance`, `attention`, `norm`, `gradient` or "
            "`attention-gradient`; several with commas are compared. Default: the first of `conserved`, `relevance` "
            "and `attention` that the model and the other options allow; `attention` is the papers' attention flow.",
            rich_help_panel=FLOW,
        ),
    ] = None,
    residual: Annotated[
        str | None,
        typer.Option(
            metavar="R",
            help="Weight of the residual connection, a number from 0 up to 1, or `open`. "
            "Default: the capacity's own.",
            rich_help_panel=FLOW,
        ),
    ] = None,
    signed: Annotated[
        bool,
        typer.Option(
            "--signed",
            help="Subtract what speaks against the output. For gradient capacities.",
            rich_help_panel=FLOW,
        ),
    ] = False,
    steps: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="K",
            help="Average gradients over K points from a baseline to the input. For gradient capacities.",
            rich_help_panel=FLOW,
        ),
    ] = 1,
    baseline: Annotated[
        Baseline | None,
        typer.Option(
            help="Where --steps start: mask tokens, padding or zero. Default: the first the tokenizer has.",
            rich_help_panel=FLOW,
        ),
    ] = None,
    heads: Annotated[
        str,
        typer.Option(
            metavar="H",
            help="`mean` or `max` over heads, or head numbers such as `0,3`.",
            rich_help_panel=FLOW,
        ),
    ] = "mean",
    samples: Annotated[
        int | None,
        typer.Option(
            min=4,
            metavar="N",
            help="Orders to sample. Default: exact up to 12 players, else as many as --stderr needs.",
            rich_help_panel=SAMPLING,
        ),
    ] = None,
    stderr: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="Largest standard error to allow, as a fraction of the total. Default: 0.01.",
            rich_help_panel=SAMPLING,
        ),
    ] = None,
    mu: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="For `central`: stop at this finite barrier. Default: the limit, a maximum flow.",
            rich_help_panel=SAMPLING,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Same seed, same answer.", rich_help_panel=SAMPLING)
    ] = 0,
    bounds: Annotated[
        bool | None,
        typer.Option(
            "--bounds/--no-bounds",
            help="Show each score's interval over all maximum flows and its bottleneck layer; `--no-bounds` "
            "does not compute them at all. Default: computed, not shown.",
            show_default=False,
            rich_help_panel=OUT,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="K",
            help="Rows of the table: the K highest scores. Default: 15.",
            rich_help_panel=OUT,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", dir_okay=False, help="Also write a self-contained page.", rich_help_panel=OUT
        ),
    ] = None,
    svg: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="Also write a figure as SVG.", rich_help_panel=OUT),
    ] = None,
    pdf: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="Also write a figure as PDF.", rich_help_panel=OUT),
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="Also write a figure as PNG.", rich_help_panel=OUT),
    ] = None,
    figure: Annotated[
        Figure | None,
        typer.Option(
            help="What --svg, --pdf and --png draw: the text shaded by score, the flow as ribbons through the layers, "
            "targets by players, or intervals. Default: `tokens`; `matrix` for several targets.",
            show_default=False,
            rich_help_panel=OUT,
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="Also write the result, every number exact; `Attribution.load` reads it, or for several methods or "
            "capacities `Comparison.load`.",
            rich_help_panel=OUT,
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            help="Also write what the model attended to; `Trace.load` reads it.",
            rich_help_panel=OUT,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Default: one per processor.", rich_help_panel=RUN),
    ] = None,
    allow_partial: Annotated[
        bool,
        typer.Option(
            "--allow-partial",
            help="Let layers without attention count as identity; the result says so.",
            rich_help_panel=RUN,
        ),
    ] = False,
    trust_remote_code: Annotated[
        bool,
        typer.Option(
            "--trust-remote-code",
            help="Run modeling code that comes with a checkpoint. Only for sources you trust.",
            rich_help_panel=RUN,
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Print nothing but errors; write the files.", rich_help_panel=RUN),
    ] = False,
) -> None:
    """Explain what one prediction draws on.

    The text is printed with every token shaded by its score, then the numbers.
    """
    methods, capacities = parsing.names(method), parsing.names(capacity)
    wanted = [parsing.target(item) for item in target or ()]
    if "all" in wanted and len(wanted) > 1:
        raise typer.BadParameter("'all' leaves nothing for a second --target.", param_hint="--target")
    if bounds and (isinstance(methods, list) or isinstance(capacities, list)):
        raise typer.BadParameter(
            "a comparison shows no intervals: ask for one method and capacity.", param_hint="--bounds"
        )
    pictures = {"svg": svg, "pdf": pdf, "png": png}
    if figure is not None and not any(pictures.values()):
        raise typer.BadParameter("needs --svg, --pdf or --png to draw to.", param_hint="--figure")
    if figure is Figure.bounds and bounds is False:
        raise typer.BadParameter("--no-bounds leaves nothing to draw.", param_hint="--figure")
    files = {"--html": html, "--json": json, "--trace": trace}
    files |= {f"--{name}": path for name, path in pictures.items()}
    parsing.check_files(files)
    if (text is not None and chat is not None) or (text, chat, image, audio) == (None, None, None, None):
        raise typer.BadParameter(
            "expected either a text or --chat, or --image or --audio.", param_hint="TEXT"
        )
    sampling = parsing.sampling(sample, temperature, top_p)
    if sampling and not generate:
        raise typer.BadParameter("needs --generate N.", param_hint="--sample")
    options: dict[str, Any] = {
        "method": methods,
        "capacity": capacities,
        "residual": parsing.residual(residual),
        "heads": parsing.heads(heads),
        "players": parsing.players(players),
        "exclude": parsing.exclude(exclude or ()),
        "generate": generate,
        "target_text": target_text,
        "prefix": str(prefix),
        "bounds": bounds is not False,
        "samples": samples,
        "stderr": stderr,
        "mu": mu,
        "seed": seed,
        "threads": threads,
        "allow_partial": allow_partial,
        "trust_remote_code": trust_remote_code,
    }
    if sampling:
        options["generate_options"] = sampling
    media = {"image": [*image] if image else None, "audio": audio, "processor": processor}
    options |= {name: value for name, value in media.items() if value is not None}
    options |= parsing.question(output or (), signed, steps, baseline)
    with reporting(quiet):
        from attnflow.comparison import Comparison
        from attnflow.view.progress import progress_bars

        draw = _drawing(None if figure is None else str(figure)) if any(pictures.values()) else None
        source = parsing.read(text) if text is not None else None if chat is None else parsing.messages(chat)
        with progress_bars(quiet) as progress:
            answer = _explain(model, source, wanted, trace, options, progress)
        if not quiet:
            if isinstance(answer, Comparison):
                answer.show(top=top)
            else:
                answer.show(bounds=bool(bounds), top=top)
        for path, write in ((html, answer.to_html), (json, answer.save)):
            if path is not None:
                write(path)
        for name, path in pictures.items():
            if path is not None and draw is not None:
                draw(answer, name, path)
        if not quiet:
            for path in files.values():
                if path is not None:
                    typer.echo(f"Wrote {path}", err=True)


def _explain(
    model: str,
    text: Any,
    wanted: Sequence[int | str | tuple[int, ...]],
    trace: Path | None,
    options: dict[str, Any],
    progress: Progress | None,
) -> Attribution | Comparison:
    """The result, or several side by side, the model loaded once."""
    from attnflow.attribution import Attribution
    from attnflow.capacity import find
    from attnflow.comparison import Comparison
    from attnflow.explain import explain as answer
    from attnflow.trace import GRADIENT_RECORDS

    capacities = options["capacity"] or ()
    schemes = [find(name) for name in ([capacities] if isinstance(capacities, str) else capacities)]
    question = [name for name in ("output", "signed", "steps", "baseline") if name in options]
    if question and schemes:
        _check_output(question[0], [scheme.name for scheme in schemes])
    records = [scheme.record for scheme in schemes]
    gradient = any(record in GRADIENT_RECORDS for record in records)
    named = [item for item in wanted if isinstance(item, str) and item not in ("all", "mean")]
    loaded: dict[str, Any] = {"model": model}
    if named or trace is not None or len(wanted) > 1:
        from attnflow.capture import load_model

        if progress is not None:
            progress("loading the model", 0, None)
        network, tokenizer = load_model(model, trust_remote_code=options["trust_remote_code"])
        loaded = {"model": network, "tokenizer": tokenizer}
    if named or trace is not None:
        from attnflow.capture import capture

        names = (
            "target_text",
            "generate",
            "generate_options",
            "heads",
            "seed",
            "allow_partial",
            "image",
            "audio",
            "processor",
        )
        run = partial(
            capture,
            text=text,
            **loaded,
            **{name: options[name] for name in names if name in options},
            progress=None if progress is None else partial(progress, "running the model"),
        )
        held = run(record="attention" if gradient or not records else records)
        wanted = [
            _position(item, held) if isinstance(item, str) and item not in ("all", "mean") else item
            for item in wanted
        ]
        if trace is not None and gradient:
            _check_one_target(wanted)
    rows = [
        answer(text=text, target=item, progress=progress, **loaded, **options) for item in wanted or (None,)
    ]
    if trace is not None:
        if not records:  # the capacity that was taken
            first = rows[0] if isinstance(rows[0], Attribution) else rows[0][0]
            records = [find(str(first.capacity)).record]
        if any(record in GRADIENT_RECORDS for record in records):
            held = _of_one_target(run, wanted, records, {name: options[name] for name in question})
        held.save(trace)
    columns = [tuple(row) if isinstance(row, Comparison) else (row,) for row in rows]
    results = [
        parts[0] if len(parts) == 1 else Attribution.concat(parts) for parts in zip(*columns, strict=True)
    ]
    if "tokenizer" in loaded:  # a model handed over loaded has forgotten what the user called it
        results = [replace(result, provenance={**result.provenance, "model": model}) for result in results]
    return Comparison(tuple(results)) if isinstance(rows[0], Comparison) else results[0]


def _drawing(kind: str | None) -> Callable[[Attribution | Comparison, str, Path], None]:
    """What writes a figure; made before anything is computed, so that it is refused before."""
    from attnflow.files import write_whole
    from attnflow.view.figure import check_matplotlib, written

    check_matplotlib()

    def draw(answer: Attribution | Comparison, format: str, path: Path) -> None:
        write_whole(path, written(answer, format, kind))

    return draw


def _of_one_target(
    run: Callable[..., Trace],
    wanted: Sequence[Any],
    records: Sequence[str],
    question: dict[str, Any],
) -> Trace:
    """The trace that `--trace` writes where it belongs to one output."""
    _check_one_target(wanted)
    question.pop("signed", None)
    return run(record=records, target=wanted[0] if wanted else None, **question)


def _check_one_target(wanted: Sequence[Any]) -> None:
    from attnflow.errors import OptionError

    if len(wanted) > 1 or "all" in wanted:
        raise OptionError(
            "--trace with gradient capacities holds one target's gradients: name one --target, or leave out --trace."
        )


def _check_output(option: str, capacities: Sequence[str]) -> None:
    from attnflow.errors import OptionError
    from attnflow.view.caption import BLIND

    blind = [name for name in capacities if name in BLIND]
    if blind:
        raise OptionError(
            f"--{option} has no effect on {blind[0]!r} capacities, which are the same whatever output is asked "
            "about: leave it out, or choose a gradient capacity."
        )


def _position(name: str, trace: Trace) -> int:
    """The one position whose token reads `name`.

    Raises:
        OptionError: there is none, or more than one.
    """
    from attnflow.errors import OptionError
    from attnflow.view.passage import visible

    tokens = [token.text.strip() for token in trace.final_tokens]
    found = [at for at, token in enumerate(tokens) if token == name.strip()]
    if not found:
        found = [at for at, token in enumerate(tokens) if token.casefold() == name.strip().casefold()]
    if len(found) == 1:
        return found[0]
    if found:
        at = ", ".join(map(str, found[:20]))
        raise OptionError(
            f"Target {visible(name)!r} is ambiguous: the token stands at positions {at}. Name one of them."
        )
    listed = ", ".join(f"{at} {visible(token)!r}" for at, token in enumerate(tokens[:40]))
    more = f" and {len(tokens) - 40} more" if len(tokens) > 40 else ""
    raise OptionError(f"Target {visible(name)!r} is no token here, expected one of: {listed}{more}.")
