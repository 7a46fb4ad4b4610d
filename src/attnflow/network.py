"""Flow networks: groups of nodes, edges between groups, players and targets.

A network is layered: each group holds one node per position of a sequence at one depth. Edges run from
key to query, from the input towards the output. Edges between two groups are either a dense `Block` (an
attention layer) or a `Link` (one edge per position: a residual past cross-attention, or the edge by which
a generated token feeds back). One builder per architecture; nothing here knows how flows are found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnflow.attribution import Player
from attnflow.capacity import Residual, Scheme, capacities, find
from attnflow.errors import NetworkError, OptionError
from attnflow.media import Medium
from attnflow.trace import Decision, Token, Trace

if TYPE_CHECKING:
    import igraph
    import networkx

    from attnflow.maxflow import MaxFlow

Prefix = Literal["players", "closed"]
Matrix = NDArray[np.floating[Any]]
Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Group:
    """The nodes of one sequence at one depth.

    Attributes:
        stack: "encoder", "decoder", or "middle": a decoder layer between self- and cross-attention.
        layer: 0 for the input, else the 1-based layer whose output it is.
        size: number of positions.
    """

    stack: str
    layer: int
    size: int


@dataclass(frozen=True, eq=False)
class Block:
    """Every edge of one attention layer.

    Attributes:
        source: index of the group of keys.
        target: index of the group of queries.
        capacity: `[queries, keys]`; 0 is an absent edge, np.inf an infinite one.
        layer: 1-based index into the network's `layers`.
    """

    source: int
    target: int
    capacity: Matrix
    layer: int

    @property
    def tails(self) -> Positions:
        """Key position of each edge, shaped to broadcast with `capacity`."""
        return np.arange(self.capacity.shape[1])[None, :]

    @property
    def heads(self) -> Positions:
        """Query position of each edge, shaped to broadcast with `capacity`."""
        return np.arange(self.capacity.shape[0])[:, None]


@dataclass(frozen=True, eq=False)
class Link:
    """One edge per position, from position `first + i` to position `first + i + shift`.

    Attributes:
        source: index of the group the edges leave.
        target: index of the group they enter.
        capacity: `[edges]`.
        first: source position of the first edge.
        shift: how many positions later each edge ends.
        layer: 1-based index into the network's `layers`, or 0 for edges that belong to none.
    """

    source: int
    target: int
    capacity: Matrix
    first: int = 0
    shift: int = 0
    layer: int = 0

    @property
    def tails(self) -> Positions:
        """Source position of each edge."""
        return np.arange(self.first, self.first + self.capacity.size)

    @property
    def heads(self) -> Positions:
        """Target position of each edge."""
        return self.tails + self.shift


@dataclass(frozen=True, eq=False)
class FlowNetwork:
    """A flow network spanned by attention. Build it with one of the class methods.

    Attributes:
        groups: input groups first, the last group last.
        edges: blocks and links.
        players: one per input position that supplies flow, in the order of every scores axis.
        layers: names of the attention layers, as `Attribution.bottleneck` counts them.
        architecture: "encoder", "decoder" or "encoder-decoder".
        prefix: "players" if every decoder position is a player, "closed" if generated positions are fed
            by the nodes that decided them.
        row_stochastic: True if every node's incoming capacities sum to at most 1.
        own: `[positions of the last group]` or None; when a position is a target, the capacity that
            replaces the infinite first-layer edge of its own column (open residual).
        decisions: default targets, from the trace.
        decides: per position of the last group the output it decides, or None; empty if unknown.
        tokens: text of the input token at each position of the last group.
        attention: last layer's head-averaged attention, `{"self": [n, n], "cross": [m, n] or absent}`,
            if the network was built from a trace that holds it.
        capacity: name of the capacity scheme, or None.
        residual: residual weight or "open", or None.
        unit: "share" or the capacities' own unit.
        text: source text that player spans refer to, or None.
        media: images and clips that players are parts of.
        notes: sentences that belong beside every result of this network.
        provenance: what made the trace it was built from.
    """

    groups: tuple[Group, ...]
    edges: tuple[Block | Link, ...]
    players: tuple[Player, ...]
    layers: tuple[str, ...]
    architecture: str
    prefix: Prefix = "players"
    row_stochastic: bool = False
    own: NDArray[np.float64] | None = None
    decisions: tuple[Decision, ...] = ()
    decides: tuple[str | None, ...] = ()
    tokens: tuple[str, ...] = ()
    attention: dict[str, Matrix] = field(default_factory=dict)
    capacity: str | None = None
    residual: Residual | None = None
    unit: str = "capacity"
    text: str | None = None
    media: tuple[Medium, ...] = ()
    notes: tuple[str, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.architecture not in ("encoder", "decoder", "encoder-decoder"):
            raise NetworkError(
                f"architecture={self.architecture!r}: expected 'encoder', 'decoder' or 'encoder-decoder'."
            )
        for number, edges in enumerate(self.edges):
            where = f"Edges {number}"
            if not all(0 <= group < len(self.groups) for group in (edges.source, edges.target)):
                raise NetworkError(f"{where}: expected groups from 0 to {len(self.groups) - 1}.")
            if not 0 <= edges.layer <= len(self.layers):
                raise NetworkError(f"{where}: layer {edges.layer} is none of the {len(self.layers)} layers.")
            keys, queries = self.groups[edges.source].size, self.groups[edges.target].size
            if isinstance(edges, Block):
                fits = edges.capacity.shape == (queries, keys)
            else:
                last = edges.first + edges.capacity.size
                fits = (
                    edges.capacity.ndim == 1
                    and 0 <= edges.first <= last <= keys
                    and 0 <= edges.first + edges.shift <= last + edges.shift <= queries
                )
            if not fits:
                raise NetworkError(
                    f"{where}: capacities of shape {list(edges.capacity.shape)} do not fit {keys} keys and "
                    f"{queries} queries."
                )
        sizes = {group.stack: group.size for group in self.groups if group.layer == 0}
        for player in self.players:
            for stack, position in player.nodes:
                if not 0 <= position < sizes.get(stack, 0):
                    raise NetworkError(
                        f"Player {player.label!r} stands at {stack} {position}, which is no input."
                    )

    # -- builders --------------------------------------------------------------------------------------

    @classmethod
    def encoder(
        cls, C: ArrayLike | Sequence[ArrayLike], *, tokens: Sequence[str | Token] | None = None
    ) -> FlowNetwork:
        """Builds the network of an encoder-only (or vision) model.

        Args:
            C: capacities `[L, n, n]`, `C[l, q, k]` from key k to query q, every residual already inside.
                np.inf is an infinite edge, 0 an absent one. Not copied if float64.
            tokens: names of the n positions.

        Returns:
            Groups E(0..L); every position of E(0) is a player; targets are positions of E(L).

        Raises:
            NetworkError: shapes that do not fit, NaN or negative capacities.
        """
        matrices = _square("encoder", C)
        n = matrices[0].shape[0]
        return cls(
            groups=tuple(Group("encoder", layer, n) for layer in range(len(matrices) + 1)),
            edges=tuple(Block(layer, layer + 1, matrix, layer + 1) for layer, matrix in enumerate(matrices)),
            players=_players("encoder", _named(tokens, n), n),
            layers=tuple(f"encoder {layer + 1}" for layer in range(len(matrices))),
            architecture="encoder",
            row_stochastic=_row_stochastic(matrices),
            tokens=tuple(token.text for token in _named(tokens, n)),
        )

    @classmethod
    def decoder(
        cls,
        C: ArrayLike | Sequence[ArrayLike],
        *,
        prompt: int | None = None,
        prefix: Prefix = "players",
        causal: bool = True,
        tokens: Sequence[str | Token] | None = None,
    ) -> FlowNetwork:
        """Builds the network of a decoder-only model.

        Args:
            C: capacities `[L, n, n]`, causal: `C[l, q, k] = 0` for k > q; see `causal`.
            prompt: number of leading positions that were given; default all. Only matters with
                `prefix="closed"`.
            prefix: "players": every position is a player. "closed": a generated position i >= prompt is
                no player; its input node is fed by D(L, i-1), the node that decided it, through an
                infinite edge, so that all flow starts at the prompt.
            causal: False for a decoder that reads its prompt in both directions (prefix-LM, images within a
                text; ours). F1 and F5 need no causality. With `prefix="closed"` no position may read a later one that
                was generated: what decided a token would draw on it.
            tokens: names of the n positions.

        Raises:
            NetworkError: shapes that do not fit, capacities towards earlier positions, NaN or negative
                capacities, a prompt outside 1..n.
        """
        matrices = _square("decoder", C)
        n, depth = matrices[0].shape[0], len(matrices)
        given = _prompt(n if prompt is None else prompt, n)
        _check_causal(matrices, 0 if causal else given if _closed(prefix) else n)
        edges: list[Block | Link] = [
            Block(layer, layer + 1, matrix, layer + 1) for layer, matrix in enumerate(matrices)
        ]
        playing = n
        if _closed(prefix):
            playing = given
            if given < n:
                edges.append(_closure(depth, 0, given, n))
        return cls(
            groups=tuple(Group("decoder", layer, n) for layer in range(depth + 1)),
            edges=tuple(edges),
            players=_players("decoder", _named(tokens, n, given), playing),
            layers=tuple(f"decoder {layer + 1}" for layer in range(depth)),
            architecture="decoder",
            prefix=prefix,
            row_stochastic=_row_stochastic(matrices),
            tokens=tuple(token.text for token in _named(tokens, n)),
        )

    @classmethod
    def encoder_decoder(
        cls,
        encoder: ArrayLike | Sequence[ArrayLike],
        decoder: ArrayLike | Sequence[ArrayLike],
        cross: ArrayLike | Sequence[ArrayLike],
        *,
        cross_residual: float | None,
        prefix: Prefix = "players",
        prompt: int = 1,
        causal: bool = True,
        tokens: Sequence[str | Token] | None = None,
        decoder_tokens: Sequence[str | Token] | None = None,
    ) -> FlowNetwork:
        """Builds the network of an encoder-decoder model.

        Every decoder layer m reads the same last encoder nodes: that is where flows compete. Between
        self-attention and cross-attention stands a middle node D'(m, i).

        Args:
            encoder: capacities `[Le, n, n]`.
            decoder: causal self-attention capacities `[Ld, m, m]`.
            cross: cross-attention capacities `[Ld, m, n]`, already scaled by 1 - cross_residual.
            cross_residual: capacity of D'(m, i) -> D(m, i); None: infinite.
            prefix: as in `decoder`.
            prompt: number of forced decoder positions (start token, language token ...).
            causal: False for a decoder whose positions read each other in both directions, such as object
                queries (ours); see `decoder`.
            tokens: names of the source positions.
            decoder_tokens: names of the decoder positions.

        Returns:
            Players are the source positions, then the decoder positions (closed: 0..prompt-1).

        Raises:
            NetworkError: as in `decoder`, or layers that do not match.
        """
        enc, dec = _square("encoder", encoder), _square("decoder", decoder)
        n, m = enc[0].shape[0], dec[0].shape[0]
        crs = _matrices("cross", cross)
        if len(crs) != len(dec) or any(matrix.shape != (m, n) for matrix in crs):
            raise NetworkError(
                f"cross: expected {len(dec)} layers of shape [{m}, {n}] (decoder x encoder positions), found "
                f"{len(crs)} of shapes {sorted({matrix.shape for matrix in crs})}."
            )
        if cross_residual is not None and not (np.isfinite(cross_residual) and cross_residual >= 0):
            raise NetworkError(
                f"cross_residual={cross_residual!r}: expected a number from 0 up, or None for infinite."
            )
        given = _prompt(prompt, m)
        _check_causal(dec, 0 if causal else given if _closed(prefix) else m)
        depth_e, depth_d = len(enc), len(dec)
        groups = [Group("encoder", layer, n) for layer in range(depth_e + 1)]
        first = len(groups)
        groups.append(Group("decoder", 0, m))
        edges: list[Block | Link] = [
            Block(layer, layer + 1, matrix, layer + 1) for layer, matrix in enumerate(enc)
        ]
        past = np.full(m, np.inf if cross_residual is None else float(cross_residual))
        for layer in range(depth_d):
            before, middle, after = first + 2 * layer, first + 2 * layer + 1, first + 2 * layer + 2
            groups += [Group("middle", layer + 1, m), Group("decoder", layer + 1, m)]
            edges.append(Block(before, middle, dec[layer], depth_e + layer + 1))
            edges.append(Block(depth_e, after, crs[layer], depth_e + depth_d + layer + 1))
            edges.append(Link(middle, after, past, layer=depth_e + depth_d + layer + 1))
        playing = m
        if _closed(prefix):
            playing = given
            if given < m:
                edges.append(_closure(len(groups) - 1, first, given, m))
        incoming = [matrix.sum(axis=1) + past for matrix in crs]
        return cls(
            groups=tuple(groups),
            edges=tuple(edges),
            players=_players("encoder", _named(tokens, n), n)
            + _players("decoder", _named(decoder_tokens, m, given), playing),
            layers=(
                *(f"encoder {layer + 1}" for layer in range(depth_e)),
                *(f"decoder {layer + 1}" for layer in range(depth_d)),
                *(f"cross {layer + 1}" for layer in range(depth_d)),
            ),
            architecture="encoder-decoder",
            prefix=prefix,
            row_stochastic=_row_stochastic([*enc, *dec])
            and all(bool((row <= 1 + 1e-9).all()) for row in incoming),
            tokens=tuple(token.text for token in _named(decoder_tokens, m)),
        )

    @classmethod
    def from_trace(
        cls,
        trace: Trace,
        capacity: str | Scheme = "attention",
        residual: Residual | None = None,
        prefix: Prefix = "players",
        layers: tuple[int, int] | None = None,
        heads: str | None = None,
        opposing: bool = False,
    ) -> FlowNetwork:
        """Builds the network of whatever architecture the trace has.

        Args:
            trace: what the forward pass attended to.
            capacity: name of a capacity scheme, or a scheme, see `attnflow.capacity.declared`.
            residual: residual weight in [0, 1), "open", or None for the scheme's own default.
            prefix: "players" or "closed"; ignored without a decoder only if "players".
            layers: `(first, last)`, 1-based: use only these layers, so that players are the positions
                at the input of layer `first`. Not for encoder-decoder models.
            heads: "mean" or "max" if the trace kept all heads.
            opposing: the network of what speaks against the output, for gradient schemes.

        Raises:
            OptionError: unknown names, or options that do not fit the architecture.
            NetworkError: see the builders.
        """
        C = capacities(trace, capacity, residual=residual, heads=heads, opposing=opposing)
        if _closed(prefix) and find(capacity).opposing_record is not None:
            raise OptionError(
                f"prefix='closed' with capacity {C.scheme!r}: one output's gradient says nothing about the earlier "
                "decisions; use prefix='players', or attention capacities."
            )
        first, last = _span(trace, layers)
        if first > 1 and any(own.any() for own in C.own.values()):
            raise OptionError(
                f"layers={layers} with an open residual: what a target's own column may carry is known for the input "
                "of layer 1 only. Start at layer 1, or choose a residual number."
            )
        extra: dict[str, Any] = {}
        if trace.architecture == "encoder":
            if _closed(prefix):
                raise OptionError("prefix='closed' needs a decoder: an encoder-only model generates nothing.")
            built = cls.encoder(C.encoder[first - 1 : last], tokens=trace.encoder_tokens)
        elif trace.architecture == "decoder":
            built = cls.decoder(
                C.decoder[first - 1 : last],
                prompt=trace.prompt,
                prefix=prefix,
                causal=trace.causal,
                tokens=trace.decoder_tokens,
            )
        else:
            built = cls.encoder_decoder(
                C.encoder,
                C.decoder,
                C.cross,
                cross_residual=C.cross_residual,
                prefix=prefix,
                prompt=trace.prompt or 1,
                causal=trace.causal,
                tokens=trace.encoder_tokens,
                decoder_tokens=trace.decoder_tokens,
            )
        if C.own:
            extra["own"] = C.own["encoder" if trace.architecture == "encoder" else "decoder"]
        if "attention" in trace.records and trace.heads == "mean":
            record = trace.records["attention"]
            own_layers = record.encoder if trace.architecture == "encoder" else record.decoder
            if layers is None or last == len(own_layers):
                extra["attention"] = {"self": own_layers[-1]}
                if record.cross:
                    extra["attention"]["cross"] = record.cross[-1]
        notes = []
        if trace.partial:
            notes.append(
                f"Partial: {len(trace.partial)} layers without attention count as identity: "
                f"{', '.join(trace.partial)}."
            )
        if _closed(prefix) and not any(token.generated for token in trace.decoder_tokens):
            notes.append(
                "A closed prefix changes nothing here: no token that the model decided is read again."
            )
        names = built.layers
        if layers is not None:
            names = tuple(f"{name.split()[0]} {first + index}" for index, name in enumerate(names))
            notes.append(
                f"Layers {first} to {last} only: players are the positions at the input of layer {first}."
            )
        return replace(
            built,
            layers=names,
            decisions=trace.decisions,
            decides=trace.decides,
            capacity=C.scheme,
            residual=C.residual,
            row_stochastic=C.row_stochastic,
            unit=C.unit,
            text=_given_text(trace) if _closed(prefix) else trace.text,
            media=trace.media,
            notes=tuple(notes),
            provenance=dict(trace.provenance),
            **extra,
        )

    # -- reading ---------------------------------------------------------------------------------------

    @property
    def final(self) -> int:
        """Index of the last group, whose positions targets name."""
        return len(self.groups) - 1

    @property
    def size(self) -> int:
        """Number of positions of the last group."""
        return self.groups[-1].size

    def input_group(self, stack: str) -> int:
        """Index of the input group of "encoder" or "decoder"."""
        for index, group in enumerate(self.groups):
            if group.stack == stack and group.layer == 0:
                return index
        raise NetworkError(f"A {self.architecture} network has no {stack}.")

    def positions(self, target: int | Sequence[int]) -> tuple[int, ...]:
        """Turns a target into non-negative positions of the last group.

        Args:
            target: a position (negative from the end) or several distinct ones.

        Raises:
            NetworkError: out of range, empty or repeated.
        """
        items: list[Any] = list(target) if np.iterable(target) else [target]
        if not items:
            raise NetworkError("An empty set of positions is no target: name at least one.")
        found = []
        for item in items:
            if isinstance(item, bool) or not isinstance(item, (int, np.integer)):
                raise NetworkError(f"Target {item!r}: expected a position, an integer.")
            if not -self.size <= item < self.size:
                raise NetworkError(
                    f"Target {int(item)} is out of range: expected {-self.size} to {self.size - 1}, a node position of "
                    "the last group."
                )
            found.append(int(item) % self.size)
        if len(set(found)) != len(found):
            raise NetworkError(f"Target {items} names a position twice.")
        return tuple(found)

    def max_flow(
        self,
        players: Sequence[int] | None = None,
        *,
        target: int | Sequence[int],
        weights: Sequence[float] | None = None,
    ) -> MaxFlow:
        """Finds a maximum flow from players to a target, exactly for the rounded capacities.

        Args:
            players: indices into `players`; None: all.
            target: a position of the last group, or a set of them joined by infinite edges.
            weights: for a set, one weight per position, summing to 1: each position then feeds the
                supersink with its weight as capacity.

        Returns:
            The flow with its minimum cut.

        Raises:
            NetworkError: target or players out of range, or a target that a player reaches over
                infinite edges alone.
        """
        from attnflow.maxflow import max_flow

        return max_flow(self, players, target=target, weights=weights)

    @cached_property
    def _graph(self) -> Any:
        """The network lowered to integers, made once and shared by every method."""
        from attnflow.maxflow.graph import lower

        return lower(self)

    @cached_property
    def digest(self) -> str:
        """Hash of the capacities, to tell whether two results speak of the same network."""
        found = hashlib.sha256()  # which processors have instructions for
        for edges in self.edges:
            found.update(repr((edges.source, edges.target, edges.capacity.shape)).encode())
            found.update(np.ascontiguousarray(edges.capacity).data)
        found.update(b"" if self.own is None else np.ascontiguousarray(self.own).data)
        return found.hexdigest()[:32]

    def to_networkx(self) -> networkx.DiGraph:
        """Returns a networkx graph: nodes `(stack, layer, position)`, edge attribute `capacity`.

        Infinite edges have no capacity attribute, as networkx expects.

        Raises:
            MissingExtraError: networkx is not installed.
        """
        from attnflow.exchange import to_networkx

        return to_networkx(self)

    def to_igraph(self) -> igraph.Graph:
        """Returns an igraph graph with vertex attributes stack, layer, position and edge capacity.

        Infinite edges have capacity inf.

        Raises:
            MissingExtraError: igraph is not installed.
        """
        from attnflow.exchange import to_igraph

        return to_igraph(self)


def _matrices(stack: str, C: ArrayLike | Sequence[ArrayLike]) -> list[Matrix]:
    """A list of checked capacity matrices, float64 unless float32 came in."""
    try:
        parts = [np.asarray(layer) for layer in C]  # type: ignore[union-attr]
    except (TypeError, ValueError) as error:
        raise NetworkError(
            f"{stack}: expected capacities [layers, queries, keys], found {type(C).__name__}."
        ) from error
    if not parts:
        raise NetworkError(f"{stack}: expected at least one layer of capacities, found none.")
    checked = []
    for number, part in enumerate(parts, start=1):
        where = f"{stack} layer {number}"
        if part.ndim != 2 or 0 in part.shape:
            raise NetworkError(
                f"{where}: expected capacities [queries, keys], found shape {list(part.shape)}."
            )
        if part.dtype.kind not in "fiu":
            raise NetworkError(f"{where}: expected real numbers, found dtype {part.dtype}.")
        matrix = part if part.dtype in (np.float32, np.float64) else part.astype(np.float64)
        least = matrix.min()
        if np.isnan(least):
            raise NetworkError(f"{where}: found NaN among the capacities.")
        if least < 0:
            raise NetworkError(
                f"{where}: found a negative capacity ({least:.3g}); expected values from 0 up."
            )
        checked.append(matrix)
    return checked


def _square(stack: str, C: ArrayLike | Sequence[ArrayLike]) -> list[Matrix]:
    matrices = _matrices(stack, C)
    n = matrices[0].shape[0]
    for number, matrix in enumerate(matrices, start=1):
        if matrix.shape != (n, n):
            raise NetworkError(
                f"{stack} layer {number}: expected shape [{n}, {n}], found {list(matrix.shape)}."
            )
    return matrices


def _check_causal(matrices: Sequence[Matrix], first: int) -> None:
    """Checks that no position reads a later one among those from `first` on."""
    for number, matrix in enumerate(matrices, start=1):
        if np.triu(matrix, k=1)[:, first:].any():
            after = "" if first == 0 else f" that was generated (positions from {first} on)"
            raise NetworkError(
                f"decoder layer {number}: found capacity from a later position{after} to an earlier one; decoder "
                "self-attention must be causal (C[q, k] = 0 for k > q); causal=False says it is not."
            )


def _row_stochastic(matrices: Sequence[Matrix]) -> bool:
    return all(bool((matrix.sum(axis=1, dtype=np.float64) <= 1 + 1e-6).all()) for matrix in matrices)


def _closed(prefix: str) -> bool:
    if prefix not in ("players", "closed"):
        from attnflow.errors import unknown_name

        raise unknown_name("prefix", prefix, ("players", "closed"))
    return prefix == "closed"


def _prompt(prompt: int, size: int) -> int:
    if isinstance(prompt, bool) or not isinstance(prompt, (int, np.integer)) or not 1 <= prompt <= size:
        raise NetworkError(f"prompt={prompt!r}: expected a number of decoder positions from 1 to {size}.")
    return int(prompt)


def _closure(final: int, first: int, prompt: int, size: int) -> Link:
    """Infinite edges from the node that decided each generated token to that token's input node."""
    return Link(final, first, np.full(size - prompt, np.inf), first=prompt - 1, shift=1)


def _named(tokens: Sequence[str | Token] | None, size: int, prompt: int | None = None) -> tuple[Token, ...]:
    if tokens is None:
        tokens = [str(position) for position in range(size)]
    if len(tokens) != size:
        raise NetworkError(f"Found {len(tokens)} token names for {size} positions.")
    limit = size if prompt is None else prompt
    return tuple(
        token if isinstance(token, Token) else Token(str(token), generated=position >= limit)
        for position, token in enumerate(tokens)
    )


def _players(stack: str, tokens: Sequence[Token], count: int) -> tuple[Player, ...]:
    return tuple(
        Player(
            label=token.text,
            nodes=((stack, position),),
            span=token.span,
            kind=_kind(token),
            role=token.role,
            turn=token.turn,
            medium=token.medium,
            patches=() if token.patch is None else (token.patch,),
            time=token.time,
        )
        for position, token in enumerate(tokens[:count])
    )


def _given_text(trace: Trace) -> str | None:
    """The text that a closed network's players are tokens of: without what was generated."""
    starts = [token.span[0] for token in trace.decoder_tokens if token.generated and token.span is not None]
    return trace.text[: min(starts)] if trace.text is not None and starts else trace.text


def _kind(token: Token) -> str:
    if token.generated:
        return "generated"
    if token.template or token.special:
        return "template" if token.template else "special"
    if token.patch is not None or token.time is not None:
        return "patch" if token.patch is not None else "frame"
    return "text" if token.medium is None else "part"


def _span(trace: Trace, layers: tuple[int, int] | None) -> tuple[int, int]:
    depth = max(
        len(getattr(record, stack)) for record in trace.records.values() for stack in ("encoder", "decoder")
    )
    if layers is None:
        return 1, depth
    if trace.architecture == "encoder-decoder":
        raise OptionError("layers=(first, last) is not defined for encoder-decoder models: leave it out.")
    whole = isinstance(layers, Sequence) and len(layers) == 2 and all(isinstance(end, int) for end in layers)
    first, last = layers if whole else (0, 0)
    if not 1 <= first <= last <= depth:
        raise OptionError(f"layers={layers}: expected (first, last) with 1 <= first <= last <= {depth}.")
    return first, last
