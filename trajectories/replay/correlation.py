"""How two columns of figures go together: Pearson's r on the values, Spearman's rho on their ranks."""

from collections.abc import Sequence

from pydantic import BaseModel

LEAST = 3
"""Pairs of values below which a correlation says nothing."""
FEW = 10
"""Pairs below which it says little."""


class Correlation(BaseModel):
    """What was found between two columns of equal length."""

    n: int
    """Pairs of values."""
    pearson: float | None
    """None below `LEAST` pairs, or where one column is the same throughout."""
    spearman: float | None
    note: str
    """What keeps it from saying much; empty where nothing does."""


def correlate(left: Sequence[float], right: Sequence[float]) -> Correlation:
    """Correlate two columns, pair by pair."""
    n = len(left)
    if n < LEAST:
        return Correlation(n=n, pearson=None, spearman=None, note=f"fewer than {LEAST} pairs say nothing")
    pearson, spearman = _pearson(left, right), _pearson(ranks(left), ranks(right))
    if pearson is None or spearman is None:
        return Correlation(n=n, pearson=None, spearman=None, note="one of the two is the same throughout")
    note = f"{n} pairs say little" if n < FEW else ""
    return Correlation(n=n, pearson=round(pearson, 4), spearman=round(spearman, 4), note=note)


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of theirs."""
    import numpy as np

    _, place, count = np.unique(np.asarray(values, dtype=float), return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return [float(one) for one in (last - (count - 1) / 2)[place]]


def _pearson(left: Sequence[float], right: Sequence[float]) -> float | None:
    import numpy as np

    x, y = np.asarray(left, dtype=float), np.asarray(right, dtype=float)
    # By value, not by variance: the mean of equal floats may differ from them in the last place.
    if (x == x[0]).all() or (y == y[0]).all():
        return None
    return float(np.clip(np.corrcoef(x, y)[0, 1], -1.0, 1.0))
