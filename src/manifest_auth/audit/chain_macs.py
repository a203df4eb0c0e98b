"""The heads of the audit trail's chains, and their MACs: what shows that only who has the secret key wrote them. Pure.

An event's hash needs no key, so whoever can write the store could cut a chain's end off, or write it anew, and mend its
head. The head's MAC takes that away. A head that none of the keys made is never taken for good: its successor carries
it along as a doubt, under its own MAC, until somebody with the right key finds that it was right after all.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from manifest_auth.runtime.sealing import Macs

MOST_DOUBTS = 8  # carried along; a chain that has more stays in doubt
LONGEST_DOUBTS = 10_000  # characters: far more than so many take


class Head(NamedTuple):
    """Where a chain has come to. ``previous_chain``: the one that was begun before it; of the installation's chain, the
    one that was begun last. ``doubts``: JSON, see above; empty: none."""

    sequence: int
    hash: str
    at: int = 0
    previous_chain: int = 0
    gone_at: int | None = None
    doubts: str = ""
    mac: str = ""


#: Before the first event.
NOTHING = Head(0, "0" * 64)


def made(macs: Macs, chain: int, head: Head) -> Head:
    """The head with its MAC."""
    return head._replace(mac=macs.make(_message(chain, head)))


def is_ours(macs: Macs, chain: int, head: Head) -> bool:
    """Whether one of the keys made the MAC. What stands before it, see :func:`in_doubt`."""
    try:
        return macs.fits(_message(chain, head), head.mac)
    except TypeError:  # something that we never write
        return False


def is_newest(macs: Macs, chain: int, head: Head) -> bool:
    """Whether the newest key made it, and nothing is in doubt."""
    return not head.doubts and macs.is_newest(_message(chain, head), head.mac)


def followed(macs: Macs, chain: int, head: Head, after: Head) -> Head:
    """``after``, which follows ``head`` in the store, with what is in doubt and its MAC."""
    if not is_ours(macs, chain, head):
        doubts = _doubted(head)
    elif head.doubts and in_doubt(macs, chain, head):
        doubts = head.doubts
    else:
        doubts = ""
    return made(macs, chain, after._replace(doubts=doubts))


def in_doubt(macs: Macs, chain: int, head: Head) -> list[int]:
    """Numbers of those earlier heads, carried along by one that is ours, that none of the keys made."""
    found = []
    states = orjson.loads(head.doubts) if head.doubts else []
    for place, state in enumerate(states):
        before = orjson.dumps(states[:place]).decode() if place else ""
        if state is None:  # there were too many to carry along
            found.append(-1)
        elif not is_ours(macs, chain, Head._make([*state[:5], before, state[5]])):
            found.append(state[0] if isinstance(state[0], int) else -1)
    return found


def anchor_mac(macs: Macs, chain: int, sequence: int, hashed: str) -> str:
    """The MAC of the point where what retention left of a chain begins."""
    return macs.make(_anchor(chain, sequence, hashed))


def is_our_anchor(macs: Macs, chain: int, sequence: int, hashed: str, mac: str) -> bool:
    """Whether retention put it there."""
    try:
        return macs.fits(_anchor(chain, sequence, hashed), mac)
    except TypeError:
        return False


def is_newest_anchor(macs: Macs, chain: int, sequence: int, hashed: str, mac: str) -> bool:
    """Whether its MAC is of the newest key."""
    return macs.is_newest(_anchor(chain, sequence, hashed), mac)


def _message(chain: int, head: Head) -> bytes:
    return orjson.dumps(["head", chain, *head[:-1]])


def _anchor(chain: int, sequence: int, hashed: str) -> bytes:
    return orjson.dumps(["anchor", chain, sequence, hashed])


def _doubted(head: Head) -> str:
    """The doubts of the one behind a head that is not ours. Those that it carries itself are part of its own MAC."""
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
    except (ValueError, TypeError):  # something that we never write
        return orjson.dumps([None, [*NOTHING[:5], ""]]).decode()


def _is_state(state: Any) -> bool:
    return state is None or (isinstance(state, list) and len(state) == 6)
