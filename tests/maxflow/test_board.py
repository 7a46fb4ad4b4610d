"""Games of several targets on one board: scratch that was another game's changes nothing."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import networks
from attnflow import FlowNetwork
from attnflow.errors import NetworkError
from attnflow.maxflow import Solver
from attnflow.maxflow.board import Board


def answers(game: Solver, order: np.ndarray) -> list[object]:
    """Everything a game can be asked, in an order that uses its scratch in turn for single players and coalitions."""
    grand = game.grand()
    units, bottleneck = game.singles()
    value, flow, side = game.flow({0: int(units[0])})
    return [
        grand,
        units.tolist(),
        bottleneck.tolist(),
        game.without(grand, units).tolist(),
        game.singles_up_to(grand).tolist(),
        game.orders(order, grand).tolist(),
        value,
        side.tolist(),
        flow.sum() >= value,
        game.outgoing().tolist(),
    ]


@pytest.mark.parametrize("kind", sorted(networks.KINDS))
@pytest.mark.parametrize("scratch", ["ample", "tiny"])
def test_targets_in_turn_and_at_once(kind: str, scratch: str) -> None:
    rng = np.random.default_rng(len(kind))
    network = networks.KINDS[kind](rng, 20, 5)
    targets = rng.permutation(network.size)[:4].tolist()
    board = Board(network)
    if scratch == "tiny":  # grows under one target, and is handed on to the next
        board._edges, board._distances = 4, 3
    order = np.array([rng.permutation(board.players) for _ in range(2)])
    alone = [answers(Solver(network, target), order) for target in targets]
    games = [Solver(network, target, board=board) for target in targets]
    assert [answers(game, order) for game in games] == alone
    assert [answers(game, order) for game in reversed(games)] == alone[::-1]
    for call in ("grand", "outgoing", "grand"):  # from target to target
        expected = [getattr(Solver(network, target), call)() for target in targets]
        assert np.array_equal([getattr(game, call)() for game in games], expected)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda game: answers(game, order), games * 2)) == alone * 2


def test_a_board_of_other_players_is_refused() -> None:
    network, other = (FlowNetwork.encoder(np.full((2, 3, 3), 1 / 3)) for _ in range(2))
    with pytest.raises(NetworkError, match="network of its own"):
        Solver(network, 0, board=Board(other))
    with pytest.raises(NetworkError, match="no groups"):
        Solver(network, 0, groups=[(0, 1)], board=Board(network))


def test_a_used_game_is_copied_without_its_scratch(tmp_path: Path) -> None:
    """Scratch holds addresses, and another process has not called the loops that need to be made ready."""
    game = Solver(FlowNetwork.encoder(np.random.default_rng(0).random((3, 9, 9))), 0)
    grand, (units, _) = game.grand(), game.singles()
    (tmp_path / "game").write_bytes(pickle.dumps(game))
    copied = pickle.loads(pickle.dumps(game))
    del game
    assert copied.grand() == grand
    assert np.array_equal(copied.singles()[0], units)
    code = "import pickle, sys; game = pickle.load(open(sys.argv[1], 'rb')); print(game.grand(), game.singles()[0])"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "game"], capture_output=True, text=True)
    assert done.stdout == f"{grand} {units}\n", done.stderr


def test_what_leaves_players_cannot_be_written_to() -> None:
    game = Solver(FlowNetwork.encoder(np.full((2, 3, 3), 1 / 3)), 0)
    with pytest.raises(ValueError, match="read-only"):
        game.outgoing()[:] = 0
