"""Heads of audit chains and their MACs, which prove that a holder of the secret key wrote them.

An event's hash needs no key, so an attacker who can write to the store could cut a chain's end off, or rewrite it, and
adapt the head; the head's MAC prevents that. A head without a valid MAC is never accepted: its successor carries it
along as a doubt, under its own MAC, until it is verified with the right key.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from manifest_auth.runtime.sealing import Macs

MOST_DOUBTS = 8  # carried along; a chain with more stays in doubt
LONGEST_DOUBTS = 10_000  # characters: more than that many take


class Head(NamedTuple):
    """The tip of a chain. ``previous_chain``: the chain that was created before it; for the installation's chain, the
    newest one. ``doubts``: JSON, see above; empty: none."""

    sequence: int
    hash: str
    at: int = 0
    previous_chain: int = 0
    gone_at: int | None = None
    doubts: str = ""
    mac: str = ""


#: Before the first event.
NOTHING = Head(0, "0" * 64)


def with_mac(macs: Macs, chain: int, head: Head) -> Head:
    """The head with its MAC."""
    return head._replace(mac=macs.make(_message(chain, head)))


def has_valid_mac(macs: Macs, chain: int, head: Head) -> bool:
    """Whether one of the keys made the MAC. Earlier heads: see :func:`in_doubt`."""
    try:
        return macs.is_valid(_message(chain, head), head.mac)
    except TypeError:  # a value that this server never writes
        return False


def is_newest(macs: Macs, chain: int, head: Head) -> bool:
    """Whether the newest key made the MAC, and nothing is in doubt."""
    return not head.doubts and macs.is_newest(_message(chain, head), head.mac)


def successor_of(macs: Macs, chain: int, head: Head, after: Head) -> Head:
    """``after``, which follows ``head`` in the store, with its doubts and MAC."""
    if not has_valid_mac(macs, chain, head):
        doubts = _doubted(head)
    elif head.doubts and in_doubt(macs, chain, head):
        doubts = head.doubts
    else:
        doubts = ""
    return with_mac(macs, chain, after._replace(doubts=doubts))


def in_doubt(macs: Macs, chain: int, head: Head) -> list[int]:
    """The numbers of earlier heads, carried along by a valid one, that no key made; -1 where unknown."""
    found = []
    states = orjson.loads(head.doubts) if head.doubts else []
    for place, state in enumerate(states):
        before = orjson.dumps(states[:place]).decode() if place else ""
        if state is None:  # there were too many to carry along
            found.append(-1)
        elif not has_valid_mac(macs, chain, Head._make([*state[:5], before, state[5]])):
            found.append(state[0] if isinstance(state[0], int) else -1)
    return found


def anchor_mac(macs: Macs, chain: int, sequence: int, hashed: str) -> str:
    """The MAC of an anchor: the point after which retention left a chain's events."""
    return macs.make(_anchor(chain, sequence, hashed))


def has_valid_anchor_mac(macs: Macs, chain: int, sequence: int, hashed: str, mac: str) -> bool:
    """Whether one of the keys made the anchor's MAC."""
    try:
        return macs.is_valid(_anchor(chain, sequence, hashed), mac)
    except TypeError:
        return False


def is_newest_anchor(macs: Macs, chain: int, sequence: int, hashed: str, mac: str) -> bool:
    """Whether the newest key made the anchor's MAC."""
    return macs.is_newest(_anchor(chain, sequence, hashed), mac)


def _message(chain: int, head: Head) -> bytes:
    return orjson.dumps(["head", chain, *head[:-1]])


def _anchor(chain: int, sequence: int, hashed: str) -> bytes:
    return orjson.dumps(["anchor", chain, sequence, hashed])


def _doubted(head: Head) -> str:
    """The doubts of the successor of a head without a valid MAC. The head's own doubts are part of its MAC."""
    states: list[Any] = []
    try:
        if head.doubts:
            states = orjson.loads(head.doubts) if len(head.doubts) < LONGEST_DOUBTS else [None]
        if not isinstance(states, list) or not all(_is_state(state) for state in states):
            states = [None]
        states.append([*head[:5], head.mac])
        if len(states) > MOST_DOUBTS:
            states = [None, states[-1]]
        return orjson.dumps(states).decode()
    except (ValueError, TypeError):  # a value that this server never writes
        return orjson.dumps([None, [*NOTHING[:5], ""]]).decode()


def _is_state(state: Any) -> bool:
    return state is None or (isinstance(state, list) and len(state) == 6)
