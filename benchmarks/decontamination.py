"""How long looking for benchmark texts takes: `.venv/bin/python benchmarks/decontamination.py [TASKS] [BENCHMARKS]`.

Beside it the direct way: each benchmark's runs of words as a Python set of tuples, and every text asked of every set.
The direct way is timed on a hundredth of the texts and scaled up, since it takes minutes.
"""

import sys
import time
from itertools import pairwise
from random import Random

from taxonomy.benchmarks import Benchmark
from taxonomy.decontamination import LONG, MIDDLE, SHORT, Benchmarks

WORDS = 300
"""In each text."""
SAMPLED = 100
"""The direct way sees one text in this many."""


def runs(words: list[str], length: int) -> set[tuple[str, ...]]:
    """Every run of `length` words."""
    return set(zip(*(words[place:] for place in range(length)), strict=False))


def directly(texts: list[str], benchmarks: list[str]) -> int:
    """How many texts share a run of 13 words with a benchmark, or half of its runs of 3."""
    known = [{length: runs(text.split(), length) for length in (LONG, MIDDLE, SHORT)} for text in benchmarks]
    found = 0
    for text in texts:
        own = {length: runs(text.split(), length) for length in (LONG, MIDDLE, SHORT)}
        found += any(
            not own[LONG].isdisjoint(one[LONG])
            or len(own[MIDDLE] & one[MIDDLE]) >= 0.1 * len(one[MIDDLE])
            or len(own[SHORT] & one[SHORT]) >= 0.5 * len(one[SHORT])
            for one in known
        )
    return found


def main(count: int, known: int) -> None:
    rng = Random(7)
    words = [f"w{number}" for number in range(20_000)]
    benchmarks = [" ".join(rng.choices(words, k=WORDS)) for _ in range(known)]
    texts = [" ".join(rng.choices(words, k=WORDS)) for _ in range(count)]
    planted = range(0, count, SAMPLED)
    for number in planted:
        texts[number] = f"{texts[number]} {benchmarks[number % known]}"

    marks = [time.process_time()]
    index = Benchmarks([Benchmark(str(number), text) for number, text in enumerate(benchmarks)])
    marks.append(time.process_time())
    found = sum(index.match(text) is not None for text in texts)
    marks.append(time.process_time())
    assert found == len(planted), (found, len(planted))
    sample = texts[::SAMPLED]
    assert directly(sample, benchmarks) == len(sample)
    marks.append(time.process_time())

    indexed, matched, direct = (after - before for before, after in pairwise(marks))
    print(f"{count:,} texts of {WORDS} words against {known:,} benchmarks, seconds of one core")
    print(f"  index {indexed:.1f} + match {matched:.1f} = {indexed + matched:.1f}; {found:,} planted ones found")
    print(f"  directly: {direct * SAMPLED:,.0f} (from {direct:.1f} for {len(sample):,} texts)")


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:3]]
    main(*given, *(20_000, 500)[len(given) :])
