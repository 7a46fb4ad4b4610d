"""What the API takes and gives, as types that check and document themselves."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from attnflow.serve.jobs import State

Names = Annotated[list[str], Field(min_length=1, max_length=10)]
Output = int | Annotated[str, Field(max_length=200)]


class _Model(BaseModel):
    # By alias everywhere: events are not serialised by the framework's response models.
    model_config = ConfigDict(extra="forbid", protected_namespaces=(), serialize_by_alias=True)


class Message(_Model):
    """One message of a chat."""

    role: str = Field(max_length=40, examples=["user"])
    content: str


class Options(_Model):
    """How to explain; every field as in `attnflow.explain`, whose defaults hold where one is left out."""

    model: str = Field(description="Name of a model, one of `GET /api/models`.", examples=["sentiment"])
    method: str | Names | None = Field(
        None,
        description="`flow`, `shapley`, `central`, `rollout` or `attention`; a list gives a comparison.",
        examples=["flow"],
    )
    capacity: str | Names | None = Field(
        None,
        description="What an edge can carry: `attention`, `norm`, `gradient`, `attention-gradient` or `relevance`; "
        "a list gives a comparison.",
        examples=["relevance"],
    )
    residual: Annotated[float, Field(ge=0, lt=1)] | Literal["open"] | None = Field(
        None, description="Weight of the residual connection, or `open`; null for the capacity's own."
    )
    signed: bool = Field(
        False, description="Subtract what speaks against the output. Gradient capacities only."
    )
    steps: int = Field(1, ge=1, description="Average gradients over this many points.")
    baseline: Literal["mask", "pad", "zero"] | None = Field(None, description="Where the steps start.")
    heads: Literal["mean", "max"] | list[Annotated[int, Field(ge=0)]] = "mean"
    target: int | Annotated[list[int], Field(min_length=1)] | Literal["all"] | None = Field(
        None,
        description="Node position of the last group, a set of them, `all`, or null for what the model decides.",
    )
    output: Output | Annotated[list[Output], Field(min_length=2, max_length=2)] | None = Field(
        None,
        description="Class or token that gradient capacities ask about; a pair asks for the first rather than the "
        "second; null for the predicted one.",
    )
    players: Literal["tokens", "words", "sentences", "turns"] = "tokens"
    exclude: Literal["special"] | list[int | str] = Field(
        default_factory=list, description="Players to take out of the game, by number or text, or `special`."
    )
    generate: int | None = Field(
        None,
        ge=0,
        description="Tokens to generate and explain; left out, a bundled model that answers gives its answer.",
    )
    target_text: str | None = Field(None, description="Explain this continuation or output instead.")
    prefix: Literal["players", "closed"] = "players"
    bounds: bool = Field(True, description="Also compute each score's interval over all maximum flows.")
    samples: int | None = Field(None, ge=4, description="Orders to sample, for `shapley`.")
    stderr: float | None = Field(
        None, ge=0.0005, lt=1, description="Standard error to sample to, as a fraction of v(N)."
    )
    mu: float | None = Field(None, gt=0, description="A finite barrier, for `central`.")
    decay: bool = False
    seed: int = Field(0, ge=0, le=2**31 - 1)


class ExplainRequest(Options):
    """What to explain: a text, or a chat."""

    text: str | None = Field(None, examples=["The movie was not bad at all."])
    messages: list[Message] | None = Field(None, description="A chat, instead of a text.")


class PictureOptions(Options):
    """How to explain a picture, and the text that goes with it if the model reads one."""

    text: str | None = None


class Problem(_Model):
    """Why a request was refused, or a job failed."""

    kind: str = Field(description="Class of the error.", examples=["OptionError"])
    message: str = Field(description="One sentence: what was found, what was expected, what to do.")
    status: int = Field(description="The HTTP status that says the same.", examples=[422])


class Refusal(_Model):
    """Body of every answer that is no success."""

    error: Problem


class Links(_Model):
    """Where a saved result can be had."""

    page: str = Field(description="The permalink: a page for people.")
    view: str = Field(description="What the page draws, as JSON.")
    json_: str = Field(alias="json", description="The save format; `Attribution.load` reads it.")
    html: str = Field(description="One self-contained page.")
    svg: str = Field(description="A figure; see the parameters of `GET /api/results/{id}/svg`.")


class ResultView(_Model):
    """A saved result."""

    id: str
    kept: bool = Field(description="Whether it outlives the server.")
    links: Links


class JobView(_Model):
    """A job as it stands."""

    id: str
    state: State
    stage: str = Field(description="What it is doing, in words.")
    done: int = Field(description="How much of the stage is done.")
    total: int | None = Field(description="How much of it there is; null while unknown.")
    ahead: int = Field(description="Jobs before it in the queue.")
    seconds: float = Field(description="How long it has run.")
    result: ResultView | None = None
    error: Problem | None = None


class ModelView(_Model):
    """A model that can be explained."""

    name: str
    summary: str
    architecture: Literal["encoder", "decoder", "encoder-decoder"] | None = Field(
        description="null where that is not known before it is loaded."
    )
    inputs: list[Literal["text", "image"]]
    licence: str | None
    loaded: bool = Field(description="Whether it is in memory already.")


class LimitsView(_Model):
    """The most that one request may ask for."""

    characters: int
    tokens: int
    generate: int
    upload: int
    steps: int
    samples: int
    seconds: float


class ModelsView(_Model):
    """What a form needs to know."""

    models: list[ModelView]
    methods: list[str]
    capacities: list[str]
    gradient: list[str] = Field(description="Capacities that belong to one output.")
    defaults: dict[str, str] = Field(description="The method and capacity that are used when none is named.")
    limits: LimitsView
    kept: bool = Field(description="Whether saved results outlive the server.")
    version: str


def options_of(request: Options) -> dict[str, Any]:
    """Keyword arguments of `attnflow.explain` for a request, without model and input."""
    given = request.model_dump(exclude={"model", "text", "messages"}, exclude_none=True)
    if isinstance(given.get("output"), list):
        given["output"] = tuple(given["output"])
    return given
