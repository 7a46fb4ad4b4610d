"""Compiled games: what single players and coalitions can send to one target.

Players are stood for by their edges: the nodes these enter get what they can bring, and flow is made maximal from
there. Nothing of a player's own edges needs to be written down, for what is left at a node when no more can be sent
never gets anywhere later either.

Single players share work where a network is one stack of layers. All use the same network but for the edges that
leave themselves, so that a *base* flow is laid once, to the target: from a spread over the positions of an early
layer; what these cannot bring to it, from the layer before, and so on down. Where it starts it is owed what it sends,
and those debts are what a player has to pay. Most he pays without a search (`paying`); the rest goes by phases
through the whole network, whose base flow may be taken back like any other. When nothing more can be sent, what
leaves the nodes that he still reaches is all used and nothing owed is among them, so that what he sends equals a cut:
taking back what is still owed changes nothing on his side of it. His flow is therefore the maximum flow, and the
nodes are the side of his nearest minimum cut.

Where the residual stream is infinite, the target's own stream is the sink, a player's is the source, and a step
along a stream costs no distance.
"""

from __future__ import annotations

import numpy as np

from attnflow.maxflow.desk import (
    ALIVE,
    BASE_DEBTS,
    DEBTS,
    FULL,
    HELD,
    HIGH_END,
    HINT,
    LOW_END,
    MARKS,
    META,
    OWED,
    SINK,
    SOURCES,
    UNSEEN,
    WIDE,
    forget,
    keep,
    restore,
)
from attnflow.maxflow.loops import (
    bit_of,
    entry,
    get,
    get_double,
    inlined,
    put,
)
from attnflow.maxflow.net import (
    AFTER,
    AT,
    BASE,
    CAPACITY,
    FIRST,
    GROUP_COUNT,
    GROUPS,
    IN,
    KEYS,
    NARROW,
    NODES,
    SCALE,
    START,
    WAYS,
    WORD_COUNT,
    WORDS,
    add,
    remove,
    units_of,
)
from attnflow.maxflow.paying import pay, spread, supply
from attnflow.maxflow.phases import augment, cut_of


@inlined
def _owe(debts, nodes, marks, owed, node, amount):
    if amount > 0:
        put(debts, node, get(debts, node) + amount)
        add(marks, owed, nodes, node)


@entry
def owe(net, desk, begin, low, high, grand, targets, demands):
    """Lays the base flow, of v(N) at most: from the nodes of groups from low to high, each giving its share at most.

    What the last of these groups cannot bring to the target, earlier ones give; what they cannot either, few of the
    last one's nodes.

    Args:
        net, desk: the network and its scratch.
        begin: last group from which it starts; 0: what the targets can take is all that is owed.
        low, high: positions between which it starts.
        grand: v(N) in units.
        targets: target nodes.
        demands: what each can take.

    Returns:
        0, FULL or BROKEN.
    """
    groups, nodes, ways = get(net, GROUPS), get(net, NODES), get(net, WAYS)
    capacity, narrow, scale = get(net, CAPACITY), get(net, NARROW), get_double(get(net, SCALE), 0)
    held, debts, base_debts = get(desk, HELD), get(desk, DEBTS), get(desk, BASE_DEBTS)
    marks, meta, sources = get(desk, MARKS), get(desk, META), get(desk, SOURCES)
    forget(net, desk)
    words = get(net, WORD_COUNT)
    sink, owed = get(meta, SINK), OWED * words
    if sink >= 0:
        for g in range(2, get(net, GROUP_COUNT)):
            row = 16 * get(groups, 8 * g + IN)
            for k in range(get(ways, row + KEYS)):
                if k != sink:
                    edge = get(ways, row + BASE) + sink * get(ways, row + KEYS) + k
                    units = units_of(capacity, narrow, edge, scale)
                    _owe(debts, nodes, marks, owed, get(ways, row + FIRST) + k, units)
    else:
        for i in range(targets.size):
            _owe(debts, nodes, marks, owed, get(targets, i), get(demands, i))
    put(meta, HINT, -1)
    if begin > 0:
        laid = np.int64(0)
        for turn in range(begin + 1):
            start = get(groups, 8 * (begin - turn if turn < begin else begin) + START)
            # at last more than any of them gives, yet so much that what is left of it tells what each gave
            share = (grand - laid) // (high - low + 1) if turn < begin else 2 * grand
            count = np.int64(0)
            for k in range(low, high + 1):
                put(held, start + k, share)
                put(sources, count, start + k)
                count += 1
            phases = get(meta, WIDE) if turn == 0 else np.int64(0)
            found = augment(net, desk, count, grand - laid, phases)
            if found < 0:
                return found
            laid += found
            for k in range(low, high + 1):
                gave = share - get(held, start + k)  # owed only when all is laid
                put(base_debts, start + k, get(base_debts, start + k) + gave)
                put(held, start + k, 0)
        for g in range(1, begin + 1):
            for node in range(get(groups, 8 * g + START) + low, get(groups, 8 * g + START) + high + 1):
                _owe(debts, nodes, marks, owed, node, get(base_debts, node))
    put(meta, LOW_END, low)
    put(meta, HIGH_END, high)
    keep(net, desk)
    return 0


@entry
def play_single(
    net,
    desk,
    targets,
    demands,
    floors,
    member_start,
    members,
    chosen,
    first,
    limit,
    units,
    by_layer,
    bottleneck,
):
    """Finds v({j}) of the chosen players.

    Args:
        net, desk: the network, and scratch with a base flow.
        targets: target nodes.
        demands: what each can take, INFINITE for any amount.
        floors: `[positions]`, the least position that flow from each can get to; all 0 if the network is no stack.
        member_start: `[players + 1]`, into `members`.
        members: input nodes of each player.
        chosen: players.
        first: place in `chosen` to begin with.
        limit: no value is larger.
        units: `[chosen]`, filled with the values.
        by_layer: `[layers + 2]`, scratch for the cuts' shares; empty for no cuts.
        bottleneck: `[chosen]`, filled with the layer of the largest share of the nearest minimum cut, 0 if
            the flow is 0; -1 if flow and cut differ.

    Returns:
        The number of players, or the place at which the scratch tables did not suffice, or BROKEN.
    """
    groups, nodes, words = get(net, GROUPS), get(net, NODES), get(net, WORD_COUNT)
    marks, meta = get(desk, MARKS), get(desk, META)
    for place in range(first, chosen.size):
        j = get(chosen, place)
        own = members[get(member_start, j) : get(member_start, j + 1)]
        restore(net, desk)
        for i in range(own.size):  # what comes back to him does not count
            node = get(own, i)
            while node >= 0:
                remove(marks, ALIVE * words, nodes, node)
                # where streams are open, his are himself
                node = get(nodes, 8 * node + AFTER) if get(meta, SINK) >= 0 else -1
        floor = get(floors, get(meta, LOW_END))
        for i in range(own.size):
            floor = min(floor, get(floors, get(nodes, 8 * get(own, i) + AT)))
        if floor > 0:  # nothing gets there
            for g in range(get(net, GROUP_COUNT)):
                word = ALIVE * words + get(groups, 8 * g + WORDS)
                for w in range(floor >> 6):
                    put(marks, word + w, 0)
                word += floor >> 6
                put(marks, word, get(marks, word) & ~(bit_of(floor) - 1))
        count, total = supply(net, desk, own, np.int64(0))
        if get(meta, SINK) >= 0 or get(meta, HIGH_END) > 0:  # one stack, with something owed on the way
            count, paid = pay(net, desk)
            total += paid
            sent_on = spread(net, desk, count, total)
            if sent_on == FULL:
                return place
            total += sent_on
        put(meta, HINT, get(nodes, 8 * get(own, 0) + AT))
        more = augment(net, desk, count, limit - total, np.int64(0))
        if more < 0:
            return place if more == FULL else more
        total += more
        put(units, place, total)
        if by_layer.size > 0:
            cut = cut_of(net, desk, own, targets, demands, by_layer)
            widest = 0
            for layer in range(by_layer.size):
                if get(by_layer, layer) > get(by_layer, widest):
                    widest = layer
            put(bottleneck, place, -1 if cut != total else widest)
    return chosen.size


@entry
def play(net, desk, member_start, members, supplies, themselves, rounds, steps, chosen, first, limit, gains):
    """Plays rounds of the game: in each, players join step by step, and the flow is made maximal again.

    After a search that meets no target, nothing it has seen can reach the target, and flow added later
    never passes there: those nodes are out for the rest of the round.

    Args:
        net: the network.
        desk: scratch in which the targets are owed what they can take; after the last round it holds that
            round's flow.
        member_start: `[players + 1]`, into `members`.
        members: input nodes of each player.
        supplies: `[players]`, what the players may send, INFINITE for any amount.
        themselves: True if the players' nodes send, so that flow on their edges is kept.
        rounds: `[rounds + 1]`, into `steps`.
        steps: `[steps + 1]`, into `chosen`.
        chosen: players that join in each step.
        first: round to begin with.
        limit: value at which a round may stop; the rest of its steps gain nothing.
        gains: `[steps]`, filled with what each step adds.

    Returns:
        The number of rounds, or the round for which the scratch tables did not suffice, or BROKEN.
    """
    nodes, words = get(net, NODES), get(net, WORD_COUNT)
    held, marks, meta, sources = get(desk, HELD), get(desk, MARKS), get(desk, META), get(desk, SOURCES)
    for number in range(first, rounds.size - 1):
        restore(net, desk)
        total = np.int64(0)
        for step in range(get(rounds, number), get(rounds, number + 1)):
            put(gains, step, 0)
            if total == limit:
                continue
            count = np.int64(0)
            for c in range(get(steps, step), get(steps, step + 1)):
                j = get(chosen, c)
                own = members[get(member_start, j) : get(member_start, j + 1)]
                if themselves:
                    for i in range(own.size):
                        put(held, get(own, i), get(supplies, j))
                        put(sources, count, get(own, i))
                        count += 1
                else:
                    count, _ = supply(net, desk, own, count)
                put(meta, HINT, get(nodes, 8 * get(own, 0) + AT))
            more = augment(net, desk, count, limit - total, np.int64(0))
            if more < 0:
                return number if more == FULL else more
            for i in range(count):
                put(held, get(sources, i), 0)
            put(gains, step, more)
            total += more
            if total < limit and step + 1 < get(rounds, number + 1):
                for w in range(words):
                    put(marks, ALIVE * words + w, get(marks, UNSEEN * words + w))
    return rounds.size - 1
