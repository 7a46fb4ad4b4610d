"""Results as files: versioned JSON whose numbers survive exactly."""

from __future__ import annotations

import base64
import json
import math
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attnflow.attribution import Attribution, Player, Target
from attnflow.errors import AttnflowError, FormatError, InputError
from attnflow.files import write_whole
from attnflow.media import Medium
from attnflow.trace import decision_of, medium_of

if TYPE_CHECKING:
    from attnflow.network import FlowNetwork

FORMAT = "attnflow-attribution"
VERSION = 1


def to_dict(result: Attribution, *, network: bool = False) -> dict[str, Any]:
    """Turns a result into plain dicts, lists, numbers and strings: the save format.

    Args:
        result: the result.
        network: also include the network's capacities.

    Raises:
        InputError: `network=True` for a result that has none.
    """
    if network and not result._networks():
        raise InputError("This result was loaded without its network, so it cannot be saved with it.")
    return {
        "format": FORMAT,
        "version": VERSION,
        "method": result.method,
        "capacity": result.capacity,
        "residual": result.residual,
        "unit": result.unit,
        "estimated": result.estimated,
        "samples": result.samples,
        "error_bound": result.error_bound,
        "gap": _listed(result.gap),
        "text": result.text,
        "media": [_medium_dict(medium) for medium in result.media],
        "players": [vars(player) for player in result.players],
        "targets": [vars(target) for target in result.targets],
        "layers": list(result.layers),
        "scores": _listed(result.scores),
        "total": _listed(result.total),
        "lower": _listed(result.lower),
        "upper": _listed(result.upper),
        "stderr": _listed(result.stderr),
        "bottleneck": _listed(result.bottleneck),
        "supporting": _listed(result.supporting),
        "opposing": _listed(result.opposing),
        "excluded": [vars(player) for player in result.excluded],
        "excluded_cost": _listed(result.excluded_cost),
        "notes": list(result.notes),
        "provenance": _plain(result.provenance),
        "network": _network_dict(result.network) if network and result.network is not None else None,
        "networks": [_network_dict(part) for part in result.networks]
        if network and result.networks
        else None,
    }


def from_dict(data: Mapping[str, Any]) -> Attribution:
    """Turns the save format back into a result.

    Raises:
        FormatError: not a result, or of a newer version.
    """
    from attnflow import comparison

    if isinstance(data, Mapping) and data.get("format") == comparison.FORMAT:
        raise FormatError(
            "A saved comparison, not a single attribution: load it with attnflow.Comparison.load."
        )
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise FormatError(f"Not a saved attribution: expected a JSON object with format {FORMAT!r}.")
    version = data.get("version")
    if not isinstance(data.get("provenance"), Mapping):
        raise FormatError("A damaged attribution: its provenance is no object.")
    if not isinstance(version, int) or version > VERSION:
        raise FormatError(
            f"Attribution format {version!r}; this attnflow reads up to {VERSION}: upgrade attnflow."
        )
    try:
        media = tuple(_medium(item) for item in data.get("media", ()))
        return Attribution(
            method=data["method"],
            scores=_matrix(data["scores"], len(data["players"])),
            total=np.array(data["total"], dtype=np.float64),
            players=tuple(_player(item) for item in data["players"]),
            targets=tuple(_target(item) for item in data["targets"]),
            lower=_optional(data["lower"], len(data["players"])),
            upper=_optional(data["upper"], len(data["players"])),
            bottleneck=None
            if data["bottleneck"] is None
            else np.array(data["bottleneck"], dtype=np.int64).reshape(-1, len(data["players"])),
            stderr=_optional(data["stderr"], len(data["players"])),
            supporting=_optional(data["supporting"], len(data["players"])),
            opposing=_optional(data["opposing"], len(data["players"])),
            estimated=data["estimated"],
            samples=data["samples"],
            error_bound=data["error_bound"],
            gap=None if data["gap"] is None else np.array(data["gap"], dtype=np.float64),
            capacity=data["capacity"],
            residual=data["residual"],
            unit=data["unit"],
            layers=tuple(data["layers"]),
            excluded=tuple(_player(item) for item in data["excluded"]),
            excluded_cost=None
            if data["excluded_cost"] is None
            else np.array(data["excluded_cost"], dtype=np.float64),
            notes=tuple(data["notes"]),
            text=data["text"],
            media=media,
            provenance=data["provenance"],
            network=None if data["network"] is None else _network(data["network"], media),
            networks=None
            if data["networks"] is None
            else tuple(_network(part, media) for part in data["networks"]),
        )
    except AttnflowError as error:
        raise FormatError(f"A damaged attribution: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError, zlib.error) as error:
        raise FormatError(f"A damaged attribution: {type(error).__name__} {error}.") from error


def save(result: Attribution, path: str | os.PathLike[str], *, network: bool = False) -> None:
    """Writes a result as JSON. See `Attribution.save`."""
    write_whole(path, json.dumps(to_dict(result, network=network), indent=1, allow_nan=False) + "\n")


def load(path: str | os.PathLike[str]) -> Attribution:
    """Reads a result. See `Attribution.load`."""
    data = read_json(path)
    try:
        return from_dict(data)
    except FormatError as error:
        raise FormatError(f"{os.fspath(path)!r}: {error}") from error


def read_json(path: str | os.PathLike[str]) -> Any:
    """Reads a JSON file.

    Raises:
        FormatError: it cannot be read, or is no JSON.
    """
    try:
        return json.loads(Path(path).read_bytes())
    except OSError as error:
        raise FormatError(f"Cannot read {os.fspath(path)!r}: {error.strerror}.") from error
    except ValueError as error:
        raise FormatError(f"{os.fspath(path)!r} is not JSON: {error}.") from error


def _plain(value: Any) -> Any:
    """Options as JSON has them: numpy numbers as numbers, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _listed(array: NDArray[Any] | None) -> Any:
    return None if array is None else array.tolist()


def _matrix(rows: Sequence[Any], columns: int) -> NDArray[np.float64]:
    return np.array(rows, dtype=np.float64).reshape(-1, columns)


def _optional(rows: Sequence[Any] | None, columns: int) -> NDArray[np.float64] | None:
    return None if rows is None else _matrix(rows, columns)


def _player(item: Mapping[str, Any]) -> Player:
    pairs = {
        "nodes": tuple((stack, int(position)) for stack, position in item["nodes"]),
        "span": None if item["span"] is None else tuple(item["span"]),
        "patches": tuple((int(row), int(column)) for row, column in item.get("patches", ())),
        "time": None if item.get("time") is None else tuple(item["time"]),
    }
    return Player(**{**item, **pairs})


def _medium_dict(medium: Medium) -> dict[str, Any]:
    arrays = {"thumbnail": medium.thumbnail, "envelope": medium.envelope}
    return {
        **vars(medium),
        **{name: None if part is None else _packed(part) for name, part in arrays.items()},
    }


def _medium(item: Mapping[str, Any]) -> Medium:
    kinds = {"thumbnail": "u", "envelope": "f"}
    arrays = {
        name: None if item[name] is None else _unpacked(item[name], kind) for name, kind in kinds.items()
    }
    return medium_of({**item, **arrays})


def _target(item: Mapping[str, Any]) -> Target:
    weights = None if item["weights"] is None else tuple(item["weights"])
    return Target(**{**item, "positions": tuple(item["positions"]), "weights": weights})


def _network_dict(network: FlowNetwork) -> dict[str, Any]:
    from attnflow.network import Block

    edges = []
    for part in network.edges:
        item: dict[str, Any] = {"source": part.source, "target": part.target, "layer": part.layer}
        if not isinstance(part, Block):
            item |= {"first": part.first, "shift": part.shift}
        edges.append({**item, "capacity": _packed(part.capacity)})
    return {
        "groups": [vars(group) for group in network.groups],
        "edges": edges,
        "players": [vars(player) for player in network.players],
        "layers": list(network.layers),
        "architecture": network.architecture,
        "prefix": network.prefix,
        "row_stochastic": network.row_stochastic,
        "own": None if network.own is None else _packed(network.own),
        "decisions": [vars(decision) for decision in network.decisions],
        "decides": list(network.decides),
        "tokens": list(network.tokens),
        "attention": {name: _packed(matrix) for name, matrix in network.attention.items()},
        "capacity": network.capacity,
        "residual": network.residual,
        "unit": network.unit,
        "text": network.text,
        "notes": list(network.notes),
        "provenance": network.provenance,
    }


def _network(data: Mapping[str, Any], media: tuple[Medium, ...]) -> FlowNetwork:
    from attnflow.network import Block, FlowNetwork, Group, Link

    edges = tuple(
        (Link if "first" in item else Block)(**{**item, "capacity": _unpacked(item["capacity"])})
        for item in data["edges"]
    )
    if any(not (part.capacity >= 0).all() for part in edges):
        raise FormatError("A damaged network: capacities must be numbers from 0 up.")
    decisions = tuple(decision_of(item) for item in data["decisions"])
    return FlowNetwork(
        **{
            **data,
            "groups": tuple(Group(**item) for item in data["groups"]),
            "edges": edges,
            "players": tuple(_player(item) for item in data["players"]),
            "layers": tuple(data["layers"]),
            "own": None if data["own"] is None else _unpacked(data["own"]),
            "decisions": decisions,
            "decides": tuple(data["decides"]),
            "tokens": tuple(data["tokens"]),
            "attention": {name: _unpacked(item) for name, item in data["attention"].items()},
            "notes": tuple(data["notes"]),
            "media": media,
        }
    )


def _packed(array: NDArray[Any]) -> dict[str, Any]:
    """An array as compressed base64, exact, little-endian."""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    data = base64.b64encode(zlib.compress(little.tobytes(), 6)).decode("ascii")
    return {"dtype": little.dtype.str, "shape": list(array.shape), "zlib": data}


def _unpacked(item: Mapping[str, Any], kind: str = "f") -> NDArray[Any]:
    raw = zlib.decompress(base64.b64decode(item["zlib"]))
    shape = tuple(item["shape"])
    dtype = np.dtype(item["dtype"])
    if dtype.kind != kind or len(raw) != math.prod(shape) * dtype.itemsize:
        raise FormatError("A damaged file: an array does not have the size or type it states.")
    return np.frombuffer(raw, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="))
