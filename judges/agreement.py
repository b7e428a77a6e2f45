"""Shares with their intervals, and how far two raters agree beyond chance."""

import math
from collections.abc import Sequence

from pydantic import BaseModel

Z = 1.959963984540054
"""Of a two-sided 95 % interval."""

Interval = tuple[float, float]


class Share(BaseModel):
    """So many of so many."""

    count: int
    of: int
    value: float | None
    """None of none."""
    interval: Interval | None
    """95 %, by Wilson."""


class Agreement(BaseModel):
    """How far two raters say the same of the same items."""

    items: int
    """Those that both have rated."""
    observed: float | None
    """Share of items of which they say the same; None without items."""
    expected: float | None
    """The share that two raters with the same habits would reach by chance."""
    kappa: float | None
    """Cohen's: (observed - expected) / (1 - expected). Where chance alone expects full agreement (both say one and the
    same of everything) it is 1 by definition, since they agree; an `expected` of 1 says that this shows nothing."""
    interval: Interval | None
    """95 %, by the standard error of the same paper, cut at -1 and 1; None where chance expects full agreement."""


def wilson(c: int, n: int) -> Interval:
    """95 % interval of a share of which `c` of `n` were seen (Wilson 1927); n is at least 1."""
    part, spread = c / n, Z * Z / n
    middle = part + spread / 2
    half = Z * math.sqrt(part * (1 - part) / n + spread / (4 * n))
    low, high = (middle - half) / (1 + spread), (middle + half) / (1 + spread)
    return (0.0 if c == 0 else low), (1.0 if c == n else high)


def share(count: int, of: int) -> Share:
    """A share with its interval."""
    return Share(count=count, of=of, value=count / of if of else None, interval=wilson(count, of) if of else None)


def kappa(pairs: Sequence[tuple[bool, bool]]) -> Agreement:
    """Cohen's kappa of two raters who answer yes or no.

    Formula and standard error: J. Cohen, A coefficient of agreement for nominal scales, Educational and Psychological
    Measurement 20 (1960), equations 1 and 7.

    Args:
        pairs: for each item the answer of the one and of the other.
    """
    n = len(pairs)
    if not n:
        return Agreement(items=0, observed=None, expected=None, kappa=None, interval=None)
    observed = sum(one == other for one, other in pairs) / n
    first, second = sum(one for one, _ in pairs) / n, sum(other for _, other in pairs) / n
    expected = first * second + (1 - first) * (1 - second)
    if expected == 1:
        return Agreement(items=n, observed=observed, expected=expected, kappa=1.0, interval=None)
    value = (observed - expected) / (1 - expected)
    half = Z * math.sqrt(observed * (1 - observed) / n) / (1 - expected)
    ends = max(-1.0, value - half), min(1.0, value + half)
    return Agreement(items=n, observed=observed, expected=expected, kappa=value, interval=ends)
