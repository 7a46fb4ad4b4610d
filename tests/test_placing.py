"""Blocks of patches and windows of time as players."""

from __future__ import annotations

import numpy as np
import pytest

from attnflow.attribution import Player
from attnflow.errors import InputError, OptionError
from attnflow.media import Medium
from attnflow.methods import attribute
from attnflow.network import FlowNetwork
from attnflow.players import player_groups
from attnflow.trace import Token, Trace


def patches(rows, columns):
    cls = Player("[CLS]", (("encoder", 0),), kind="special")
    cells = [(r, c) for r in range(rows) for c in range(columns)]
    return [cls] + [
        Player(f"patch {r},{c}", (("encoder", index),), kind="patch", medium=0, patches=((r, c),))
        for index, (r, c) in enumerate(cells, start=1)
    ]


def frames(count, step=0.02, heard=None):
    return [
        Player(
            f"{index}",
            (("encoder", index),),
            kind="special" if heard is not None and index >= heard else "frame",
            medium=0,
            time=(index * step, (index + 1) * step),
        )
        for index in range(count)
    ]


def test_blocks():
    found = player_groups(patches(3, 4), None, ("blocks", 2))
    assert found.labels == (
        "[CLS]",
        "patches 0,0 to 1,1",
        "patches 0,2 to 1,3",
        "patches 2,0 to 2,1",
        "patches 2,2 to 2,3",
    )
    assert found.groups[1] == (1, 2, 5, 6)
    assert sorted(index for group in found.groups for index in group) == list(range(13))
    assert len(player_groups(patches(3, 4), None, ("blocks", 1))) == 13


def test_windows():
    found = player_groups(frames(25, heard=20), None, ("windows", 0.1))
    assert found.labels == ("0.00-0.10 s", "0.10-0.20 s", "0.20-0.30 s", "0.30-0.40 s", "0.40-0.50 s")
    assert found.groups[-1] == (20, 21, 22, 23, 24)  # the padding
    assert found.groups[0] == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    "how", [("blocks", 0), ("blocks", 1.5), ("windows", -1), ("windows", "x"), ("windows", True)]
)
def test_sizes_that_are_none(how):
    with pytest.raises(OptionError, match="expected a"):
        player_groups(patches(2, 2), None, how)


def test_nothing_to_group():
    with pytest.raises(InputError, match="needs patches of an image, and no token is one"):
        player_groups(frames(3), None, ("blocks", 2))
    with pytest.raises(InputError, match="needs stretches of time"):
        player_groups(patches(2, 2), None, ("windows", 0.1))
    with pytest.raises(OptionError, match=r"'block'.*did you mean 'blocks'"):
        player_groups(patches(2, 2), None, ("block", 2))


def test_a_game_of_blocks():
    """Scores of blocks are those of the same groups by hand, and say where they are."""
    tokens = [Token(f"patch {r},{c}", medium=0, patch=(r, c)) for r in range(2) for c in range(4)]
    weights = np.random.default_rng(1).dirichlet(np.ones(8), (2, 8))
    trace = Trace.from_arrays(weights, tokens=tokens, media=[Medium("image", grid=(2, 4))])
    network = FlowNetwork.from_trace(trace)
    found = player_groups(network.players, None, ("blocks", 2))
    result = attribute(
        network, method="shapley", targets=[0], players=found.groups, labels=found.labels, bounds=False
    )
    assert [player.patches for player in result.players] == [
        ((0, 0), (0, 1), (1, 0), (1, 1)),
        ((0, 2), (0, 3), (1, 2), (1, 3)),
    ]
    by_hand = attribute(
        network, method="shapley", targets=[0], players=[(0, 1, 4, 5), (2, 3, 6, 7)], bounds=False
    )
    np.testing.assert_array_equal(result.scores, by_hand.scores)
