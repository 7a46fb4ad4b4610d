"""Results as files: exact round trips, and everything that is no result."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import networks
from attnflow.attribution import Attribution
from attnflow.errors import FormatError, InputError, OptionError
from attnflow.files import write_whole
from attnflow.methods import attribute
from attnflow.network import FlowNetwork
from attnflow.storage import VERSION, from_dict
from attnflow.tables import bottleneck_name
from attnflow.trace import Decision, Trace

ARRAYS = (
    "scores",
    "total",
    "lower",
    "upper",
    "bottleneck",
    "stderr",
    "excluded_cost",
    "supporting",
    "opposing",
)


def same_arrays(one: np.ndarray | None, two: np.ndarray | None) -> None:
    assert (one is None) == (two is None)
    if one is not None:
        assert one.dtype == two.dtype
        assert one.shape == two.shape
        assert one.tobytes() == two.tobytes()


def same(one: Attribution, two: Attribution) -> None:
    for name in ARRAYS:
        same_arrays(getattr(one, name), getattr(two, name))
    for name in vars(one).keys() - {*ARRAYS, "network", "networks"}:
        assert getattr(one, name) == getattr(two, name), name


def same_networks(one: FlowNetwork, two: FlowNetwork) -> None:
    skipped = {"edges", "own", "attention", "_graph", "digest"}
    for name in vars(one).keys() - skipped:
        assert getattr(one, name) == getattr(two, name), name
    same_arrays(one.own, two.own)
    assert one.attention.keys() == two.attention.keys()
    for name in one.attention:
        same_arrays(one.attention[name], two.attention[name])
    assert len(one.edges) == len(two.edges)
    for before, after in zip(one.edges, two.edges):
        assert type(before) is type(after)
        same_arrays(np.ascontiguousarray(before.capacity), np.ascontiguousarray(after.capacity))
        for name in vars(before).keys() - {"capacity"}:
            assert getattr(before, name) == getattr(after, name)
    assert one.digest == two.digest


@pytest.fixture(scope="module")
def network() -> FlowNetwork:
    rng = np.random.default_rng(0)
    trace = Trace.from_arrays(
        networks.softmax(rng, 2, 4, 4).astype(np.float32), tokens=["a", "é", "\u202e", "\ud7ff"], text="aé"
    )
    return FlowNetwork.from_trace(trace)


@pytest.fixture(scope="module")
def result(network) -> Attribution:
    return attribute(
        network,
        method="shapley",
        targets=[0, [1, 2]],
        weights=[None, [0.25, 0.75]],
        samples=8,
        exclude=[3],
        decay=False,
    )


def test_round_trip_is_exact(result, tmp_path):
    result.save(tmp_path / "result.json")
    loaded = Attribution.load(tmp_path / "result.json")
    same(result, loaded)
    assert loaded.network is None
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "result.json").read_bytes()


@given(networks.networks(max_size=3, max_depth=2), st.data())
def test_round_trip_with_every_kind_of_network(network, data):
    target = data.draw(networks.sets_of(network))
    result = attribute(network, method="shapley", targets=[target])
    text = json.dumps(result.to_dict(network=True), allow_nan=False)
    loaded = from_dict(json.loads(text))
    same(result, loaded)
    same_networks(result.network, loaded.network)
    flow = loaded.realize()
    assert flow.verify()
    assert flow.outflow == pytest.approx(result.scores[0], rel=1e-9, abs=1e-9 + 4 * result.error_bound)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=4, max_size=4))
def test_every_float_survives(values):
    players = networks.encoder(np.random.default_rng(0), 4, 1).players
    made = attribute(networks.encoder(np.random.default_rng(0), 4, 1), method="flow", targets=[0])
    result = Attribution("flow", np.array([values]), np.array(values[:1]), players, made.targets)
    loaded = from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False)))
    same(result, loaded)


def test_without_bounds_and_of_other_methods(network, tmp_path):
    for method in ("flow", "rollout", "attention"):
        result = attribute(network, method=method, targets=[0], bounds=False)
        result.save(tmp_path / "result.json")
        same(result, Attribution.load(tmp_path / "result.json"))


def test_decisions_survive():
    trace = Trace.from_arrays(networks.softmax(np.random.default_rng(0), 1, 2, 2))
    from dataclasses import replace

    trace = replace(trace, decisions=(Decision((0, 1), "x", (0.5, 0.5), 0.75, 3), Decision((1,))))
    network = FlowNetwork.from_trace(trace)
    result = attribute(network, method="flow", targets=[[0, 1]], weights=[[0.5, 0.5]])
    loaded = from_dict(json.loads(json.dumps(result.to_dict(network=True))))
    assert loaded.network.decisions == trace.decisions
    assert loaded.targets[0].label == "x"
    assert loaded.targets[0].weights == (0.5, 0.5)


def test_every_targets_own_network_survives(tmp_path):
    parts = [networks.encoder_gradient(np.random.default_rng(seed), 4, 2) for seed in (0, 1)]
    joined = Attribution.concat(
        [attribute(part, method="shapley", targets=[t]) for t, part in enumerate(parts)]
    )
    joined.save(tmp_path / "result.json", network=True)
    loaded = Attribution.load(tmp_path / "result.json")
    same(joined, loaded)
    for part, found in zip(parts, loaded.networks):
        same_networks(part, found)
    assert all(loaded.realize(t).verify() for t in (0, 1))


def test_realize_needs_the_network(result, tmp_path):
    result.save(tmp_path / "without.json")
    loaded = Attribution.load(tmp_path / "without.json")
    with pytest.raises(OptionError, match=r"loaded without its network.*network=True"):
        loaded.realize(0)
    with pytest.raises(InputError, match="without its network, so it cannot be saved with it"):
        loaded.save(tmp_path / "x.json", network=True)
    assert not (tmp_path / "x.json").exists()
    result.save(tmp_path / "with.json", network=True)
    assert Attribution.load(tmp_path / "with.json").realize(0).verify()


def test_numpy_integers_as_options(network, tmp_path):
    result = attribute(network, method="flow", targets=np.array([0, 1]), exclude=np.array([2]))
    result.save(tmp_path / "result.json", network=True)
    same(result, Attribution.load(tmp_path / "result.json"))


@pytest.mark.parametrize(
    "options", [{"seed": np.int64(3)}, {"samples": np.int64(8)}, {"stderr": np.float32(0.5)}]
)
def test_numpy_numbers_in_the_provenance(network, tmp_path, options):
    result = attribute(network, method="shapley", targets=[0], **options)
    result.save(tmp_path / "result.json")
    same(result, Attribution.load(tmp_path / "result.json"))


# -- refused -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(result) -> dict:
    return json.loads(json.dumps(result.to_dict(network=True)))


def test_newer_versions(saved, tmp_path):
    path = tmp_path / "result.json"
    for version in (VERSION + 1, 99, "1", None):
        path.write_text(json.dumps({**saved, "version": version}))
        with pytest.raises(FormatError, match=r"result.json'?: Attribution format .*reads up to 1: upgrade"):
            Attribution.load(path)


@pytest.mark.parametrize("content", ["", "{", "nonsense", "\xff", '{"format": '])
def test_no_json(tmp_path, content):
    path = tmp_path / "result.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(FormatError, match="is not JSON"):
        Attribution.load(path)


@pytest.mark.parametrize("content", ["{}", "[]", "3", "null", '"text"', '{"format": "attnflow-trace"}'])
def test_other_json(tmp_path, content):
    path = tmp_path / "result.json"
    path.write_text(content)
    with pytest.raises(FormatError, match="Not a saved attribution"):
        Attribution.load(path)


def test_no_file(tmp_path):
    with pytest.raises(FormatError, match=r"Cannot read .*No such file"):
        Attribution.load(tmp_path / "nothing.json")
    with pytest.raises(FormatError, match="Cannot read"):
        Attribution.load(tmp_path)


def test_every_missing_field(saved):
    assert (
        from_dict({key: value for key, value in saved.items() if key != "media"}).media == ()
    )  # an older file
    for name in saved.keys() - {"format", "version", "media"}:
        with pytest.raises(FormatError, match=f"damaged attribution.*{name}"):
            from_dict({key: value for key, value in saved.items() if key != name})
    for name in saved["network"]:
        network = {key: value for key, value in saved["network"].items() if key != name}
        if name in (
            "text",
            "notes",
            "provenance",
            "capacity",
            "residual",
            "unit",
            "row_stochastic",
            "prefix",
        ):
            continue  # plain fields with defaults may be absent
        with pytest.raises(FormatError, match="damaged attribution"):
            from_dict({**saved, "network": network})


def _set(*path):
    *way, last, value = path

    def change(data):
        for step in way:
            data = data[step]
        data[last] = value

    return change


DAMAGES = {
    "a score less": lambda data: data["scores"][0].pop(),
    "a row less": lambda data: data["scores"].pop(),
    "scores of words": _set("scores", 0, 0, "much"),
    "players of words": _set("players", "abc"),
    "a player without nodes": lambda data: data["players"][0].pop("nodes"),
    "an unknown field": _set("players", 0, "colour", "red"),
    "targets of numbers": _set("targets", [1, 2]),
    "totals too many": lambda data: data["total"].append(1.0),
    "no base64": _set("network", "edges", 0, "capacity", "zlib", "A"),
    "no zlib": _set("network", "edges", 0, "capacity", "zlib", "AAAA"),
    "another shape": _set("network", "edges", 0, "capacity", "shape", [4, 5]),
    "another dtype": _set("network", "edges", 0, "capacity", "dtype", "<f4"),
    "objects": _set("network", "edges", 0, "capacity", "dtype", "|O"),
    "integers": _set("network", "edges", 0, "capacity", "dtype", "<i4"),
    "attention as a list": _set("network", "attention", [1]),
    "groups as numbers": _set("network", "groups", [1, 2, 3]),
    "an unknown part": _set("network", "colour", "red"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files(saved, tmp_path, damage):
    data = copy.deepcopy(saved)
    DAMAGES[damage](data)
    path = tmp_path / "result.json"
    path.write_text(json.dumps(data))
    with pytest.raises(FormatError, match=r"result.json.*damaged"):
        Attribution.load(path)


INCONSISTENT = {
    "groups of another size": _set("network", "groups", 1, "size", 9),
    "edges from nowhere": _set("network", "edges", 0, "source", 9),
    "edges of an unknown layer": _set("network", "edges", 0, "layer", 99),
    "players of an unknown stack": _set("network", "players", 0, "nodes", [["decoder", 0]]),
    "players beyond the input": _set("network", "players", 0, "nodes", [["encoder", 99]]),
    "not an architecture": _set("network", "architecture", "mamba"),
    "provenance as a number": _set("provenance", 3),
    "no score": _set("scores", 0, 0, None),
}


@pytest.mark.parametrize("damage", INCONSISTENT)
def test_inconsistent_files(saved, damage):
    data = copy.deepcopy(saved)
    INCONSISTENT[damage](data)
    with pytest.raises(FormatError):
        from_dict(data)


# -- whole or not at all -------------------------------------------------------------------------------


def _disk_full(*_):
    raise OSError(28, "No space left on device")


def _interrupted(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(("step", "owner"), [("replace", os), ("chmod", os)])
@pytest.mark.parametrize("failure", [_disk_full, _interrupted])
def test_a_failed_write_leaves_what_was_there(result, tmp_path, monkeypatch, step, owner, failure):
    path = tmp_path / "result.json"
    path.write_text("before")
    monkeypatch.setattr(owner, step, failure)
    with pytest.raises((InputError, KeyboardInterrupt)):
        result.save(path)
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]
    path.unlink()
    with pytest.raises((InputError, KeyboardInterrupt)):
        result.save(path)
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_json_cannot_hold_leaves_what_was_there(result, tmp_path):
    from dataclasses import replace

    path = tmp_path / "result.json"
    path.write_text("before")
    with pytest.raises(ValueError, match=r"JSON|nan"):
        replace(result, error_bound=np.nan).save(path)
    assert path.read_text() == "before"


def test_no_folder_and_no_permission(result, tmp_path):
    with pytest.raises(InputError, match=r"Cannot write .*No such file or directory"):
        result.save(tmp_path / "nowhere" / "result.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="Cannot write"):
        result.save(tmp_path / "folder")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


def test_permissions_follow_the_umask(result, tmp_path):
    before = os.umask(0o027)
    try:
        result.save(tmp_path / "result.json")
    finally:
        os.umask(before)
    assert (tmp_path / "result.json").stat().st_mode & 0o777 == 0o640


def test_text_and_bytes(tmp_path):
    write_whole(tmp_path / "a", "é")
    write_whole(str(tmp_path / "b"), b"\xff")
    assert (tmp_path / "a").read_bytes() == "é".encode()
    assert (tmp_path / "b").read_bytes() == b"\xff"
    assert Path(tmp_path / "a").stat().st_size == 2


# -- frames --------------------------------------------------------------------------------------------


def test_to_frame(result):
    frame = result.to_frame()
    assert len(frame) == 2 * 3
    assert frame["score"].to_numpy().reshape(2, 3).tolist() == result.scores.tolist()
    for name in ("lower", "upper", "stderr"):
        assert (frame[name].to_numpy().reshape(2, 3) == getattr(result, name)).all()
    assert frame["player"].tolist()[:3] == [player.label for player in result.players]
    assert frame["target_position"].tolist() == ["0"] * 3 + ["1 2"] * 3
    assert set(frame["bottleneck"].dropna()) <= {*result.layers, "target weights"}


def test_bottleneck_names():
    narrow = FlowNetwork.encoder([np.eye(2), np.diag([0.25, 2.0])])
    result = attribute(narrow, method="flow", targets=[0])
    assert bottleneck_name(result, 0, 0) == "encoder 2"
    assert bottleneck_name(result, 0, 1) is None
    weighted = attribute(narrow, method="flow", targets=[[0, 1]], weights=[[0.1, 0.9]])
    assert bottleneck_name(weighted, 0, 0) == "target weights"
    without = attribute(narrow, method="flow", targets=[0], bounds=False)
    assert bottleneck_name(without, 0, 0) is None
