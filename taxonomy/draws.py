"""Balanced draws: which domain, topic and axis values the i-th task of a run is about.

So it is as long as nothing is turned away; what comes then `taxonomy.balance` says.

Nothing is remembered between draws. Each choice walks its values in blocks: within a block every value comes once, in
an order that a hash of the run's seed and the block's number decides. So draw i is the same alone and in a batch, any
whole block is perfectly even, and any first part of a run is even within one.
"""

import hashlib
from collections.abc import Iterable, Sequence

from taxonomy.catalog import Catalog
from taxonomy.task import Draw


def number(*parts: object) -> int:
    """A 256-bit number that depends on the parts alone; the same on every machine and Python."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest())


def _pick(values: Iterable[str], seed: int, purpose: str, position: int) -> tuple[str, int]:
    """The value at `position` of the endless walk over `values`, and the number of its block.

    Sorting by hash instead of shuffling makes the order independent of the order in which the values are given.
    """
    keys = sorted(values)
    block, place = divmod(position, len(keys))
    keys.sort(key=lambda key: number(seed, purpose, block, key))
    return keys[place], block


def draw(catalog: Catalog, domains: Sequence[str], seed: int, index: int, attempt: int = 0) -> Draw:
    """The draw at `index` of a run.

    Domains are walked in blocks of their number; within a domain its topics likewise; each axis by the index, apart
    from the others.

    Args:
        catalog: domains and axes; another catalog gives other draws.
        domains: keys to draw from, each once, in any order.
        seed: the run's seed, any integer.
        index: from 0.
        attempt: from 0; a later one differs from the first in its own seed alone. Runs from before draws leaned drew
            what was turned away again so.

    Returns:
        The draw, whose own `seed` (0 up to 2**31 - 1) follows from `seed`, `index` and `attempt`.

    Raises:
        UnknownDomainError: a domain is not in the catalog.
        ValueError: no domain, one given twice, or a negative index or attempt.
    """
    if not domains or len(set(domains)) != len(domains):
        raise ValueError("domains must be given, each once")
    if index < 0 or attempt < 0:
        raise ValueError(f"index and attempt must not be negative, but are {index} and {attempt}")
    for key in domains:
        catalog.domain(key)
    domain, visit = _pick(domains, seed, "domain", index)
    topic, _ = _pick(catalog.domain(domain).topics, seed, f"topic/{domain}", visit)
    axes = {name: _pick(values, seed, f"axis/{name}", index)[0] for name, values in catalog.axes.values().items()}
    own = number(seed, "seed", index, *([attempt] if attempt else [])) % 2**31
    return Draw(domain=domain, topic=topic, axes=axes, seed=own, index=index, attempt=attempt)
