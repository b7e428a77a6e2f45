"""Another time, another time zone, other random numbers: run in every check's process before the check.

A verdict that comes out otherwise under it depends on when it was given. Programs that a check starts see the time
zone and the seed of hashes, but the machine's own clock.
"""

# It runs in the container, with the Python that is there: 3.9 or later.
# ruff: noqa: N801, UP017
from __future__ import annotations

import datetime as _datetime
import os as _os
import random as _random
import time as _time
from typing import Any

SECONDS = 400 * 86400


def _shift() -> None:
    now, now_ns, clock = _time.time, _time.time_ns, _time.clock_gettime

    class Instances(type):
        """What the standard library made of the real classes before is an instance of these as well."""

        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, cls.__mro__[1])

        def __subclasscheck__(cls, other: type) -> bool:
            return issubclass(other, cls.__mro__[1])

    class date(_datetime.date, metaclass=Instances):
        @classmethod
        def today(cls) -> Any:
            return cls.fromtimestamp(_time.time())

    class datetime(_datetime.datetime, metaclass=Instances):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls.fromtimestamp(_time.time(), tz)

        @classmethod
        def today(cls) -> Any:
            return cls.now()

        @classmethod
        def utcnow(cls) -> Any:
            return cls.now(_datetime.timezone.utc).replace(tzinfo=None)

    def filled(real: Any, position: int, missing: Any) -> Any:
        def shifted(*given: Any) -> Any:
            if len(given) > position and given[position] is not None:
                return real(*given)
            return real(*given[:position], missing())

        return shifted

    _datetime.date, _datetime.datetime = date, datetime  # type: ignore[misc]
    _time.time = lambda: now() + SECONDS
    _time.time_ns = lambda: now_ns() + SECONDS * 10**9
    _time.clock_gettime = lambda which: clock(which) + (SECONDS if which == _time.CLOCK_REALTIME else 0)
    for name in ("localtime", "gmtime", "ctime"):
        setattr(_time, name, filled(getattr(_time, name), 0, lambda: _time.time()))
    for name, position in (("asctime", 0), ("strftime", 1)):
        setattr(_time, name, filled(getattr(_time, name), position, lambda: _time.localtime()))
    _os.environ.update(TZ="<+14>-14", PYTHONHASHSEED="4242")
    _time.tzset()
    _random.seed(4242)


_shift()
