"""Decontamination: does a text repeat what a benchmark asks?

Three signs, each of them exact. A run of 13 words that both have is the customary one (Brown et al. 2020, appendix C,
arXiv 2005.14165); runs of 8 words find a copy that was edited here and there; and a text that holds most of a
benchmark's word 3-grams tells the same thing, however it was edited or whatever it stands in (*containment*,
Broder 1997). Words that many benchmarks share - a format, a preamble - speak for none of them and do not count.

Runs of words are compared as 64-bit hashes in NumPy arrays, so that tens of thousands of texts take seconds.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from taxonomy.benchmarks import Benchmark

_Hashes = NDArray[np.uint64]

LONG, MIDDLE, SHORT = 13, 8, 3
"""Words in a run."""

MIDDLE_SHARE = 0.10
"""Share of a benchmark's runs of 8 words from which on a text counts as made from it."""
MIDDLE_LEAST = 4
"""And how many at least: a sentence that two authors happen to write has 8 words now and then."""

SHORT_SHARE = 0.50
"""Share of a benchmark's runs of 3 words from which on a text counts as telling the same."""
SHORT_LEAST = 20
"""A benchmark with fewer of them says too little to be recognised by so loose a sign."""

COMMON = 0.05
"""A run of words in more than this share of the benchmarks, and in more than `COMMON_LEAST`, is a format, no task."""
COMMON_LEAST = 3

_WORD = re.compile(r"\w+")
_EXCERPT = 300


@dataclass(frozen=True)
class Match:
    """That a text repeats a benchmark."""

    benchmark: str
    """Name of the benchmark's text."""
    kind: Literal["13-gram", "8-gram", "containment"]
    """The strongest sign that was seen."""
    share: float
    """Of the benchmark's runs of that length, how many the text has; 0 to 1."""
    ours: str
    """The text around the first place where both agree, 300 characters at most."""
    theirs: str
    """The benchmark's text around the same words."""

    def evidence(self) -> dict[str, JsonValue]:
        """As a Rejection carries it."""
        return {"benchmark": self.benchmark, "kind": self.kind, "share": round(self.share, 4), "ours": self.ours,
                "theirs": self.theirs}  # fmt: skip


class Benchmarks:
    """Benchmark texts, ready to be looked for in others."""

    def __init__(self, texts: Sequence[Benchmark]) -> None:
        """Index them; a text that is there twice counts once."""
        unique: dict[str, Benchmark] = {}
        for one in texts:
            unique.setdefault(" ".join(_words(one.text)), one)
        self._texts = list(unique.values())
        words = [_hashed(_words(one.text)) for one in self._texts]
        self._runs = {length: _Index(words, length) for length in (LONG, MIDDLE, SHORT)}

    def __len__(self) -> int:
        return len(self._texts)

    def match(self, text: str) -> Match | None:
        """The benchmark that a text repeats most plainly, or None.

        Args:
            text: a task, or everything that a trajectory's model and screens said.
        """
        if not self._texts:
            return None
        words = _hashed(_words(text))
        for length, kind in ((LONG, "13-gram"), (MIDDLE, "8-gram"), (SHORT, "containment")):
            index = self._runs[length]
            shared = index.shared(words)
            if not shared.size:
                continue
            share = np.divide(shared, index.sizes, out=np.zeros(len(shared)), where=index.sizes > 0)
            if length == MIDDLE:
                share[(share < MIDDLE_SHARE) | (shared < MIDDLE_LEAST)] = 0
            if length == SHORT:
                share[(share < SHORT_SHARE) | (index.sizes < SHORT_LEAST)] = 0
            best = int(share.argmax())
            if share[best] > 0:
                return self._matched(text, best, kind, float(share[best]), length)
        return None

    def _matched(self, text: str, which: int, kind: Any, share: float, length: int) -> Match:
        theirs = self._texts[which]
        known = set(np.intersect1d(self._runs[length].of(which), _runs(_hashed(_words(text)), length)).tolist())
        ours_at, theirs_at = (_first(one, known, length) for one in (text, theirs.text))
        return Match(theirs.name, kind, share, _excerpt(text, ours_at), _excerpt(theirs.text, theirs_at))


class _Index:
    """The runs of one length in all benchmarks, without those that are common."""

    def __init__(self, texts: Sequence[_Hashes], length: int) -> None:
        self.length = length
        runs = [np.unique(_runs(words, length)) for words in texts]
        hashes = np.concatenate([*runs, np.zeros(0, np.uint64)])
        owners = np.repeat(np.arange(len(runs)), [len(run) for run in runs])
        values, counts = np.unique(hashes, return_counts=True)
        common = values[counts > max(COMMON_LEAST, COMMON * len(texts))]
        kept = ~np.isin(hashes, common)
        order = np.argsort(hashes[kept], kind="stable")
        self._hashes, self._owners = hashes[kept][order], owners[kept][order]
        self.sizes = np.bincount(self._owners, minlength=len(texts))

    def shared(self, words: _Hashes) -> NDArray[np.int64]:
        """How many of each benchmark's runs a text has; an empty array where it has none of any."""
        runs = np.unique(_runs(words, self.length))
        first = np.searchsorted(self._hashes, runs, side="left")
        last = np.searchsorted(self._hashes, runs, side="right")
        hits = np.flatnonzero(last > first)
        if not hits.size:
            return np.zeros(0, np.int64)
        owners = np.concatenate([self._owners[first[hit] : last[hit]] for hit in hits])
        counts: NDArray[np.int64] = np.bincount(owners, minlength=len(self.sizes))
        return counts

    def of(self, which: int) -> _Hashes:
        """The runs of one benchmark."""
        own: _Hashes = self._hashes[self._owners == which]
        return own


def _words(text: str) -> list[str]:
    """Words without case, punctuation, markdown and compatibility forms."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


@lru_cache(maxsize=200_000)
def _hash(word: str) -> int:
    return int.from_bytes(blake2b(word.encode(errors="replace"), digest_size=8).digest())


def _hashed(words: Sequence[str]) -> _Hashes:
    return np.fromiter((_hash(word) for word in words), np.uint64, len(words))


def _runs(words: _Hashes, length: int) -> _Hashes:
    """A hash of each run of `length` words, in order: a polynomial in an odd constant, modulo 2**64."""
    count = len(words) - length + 1
    if count <= 0:
        return np.zeros(0, np.uint64)
    runs = np.zeros(count, np.uint64)
    for place in range(length):
        runs = runs * np.uint64(0x9E3779B97F4A7C15) + words[place : place + count]
    return runs


def _first(text: str, known: set[int], length: int) -> int:
    """Where in a text the first known run of words begins, in characters; 0 where there is none."""
    plain = unicodedata.normalize("NFKC", text)
    found = list(_WORD.finditer(plain))
    runs = _runs(_hashed([match[0].casefold() for match in found]), length)
    return next((found[place].start() for place, run in enumerate(runs.tolist()) if run in known), 0)


def _excerpt(text: str, start: int) -> str:
    plain = unicodedata.normalize("NFKC", text)
    begin = max(0, start - _EXCERPT // 6)
    return plain[begin : begin + _EXCERPT].strip()
