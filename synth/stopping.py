"""Stopping on request: SIGINT and SIGTERM end a piece of work cleanly, a second one at once."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any


async def until_stopped(work: Coroutine[Any, Any, None]) -> bool:
    """Run some work to its end, or to a signal that asks to stop: then it is cancelled, and cleans up after itself.

    Returns:
        Whether it came to its end; False when it was stopped. Whatever the work raises goes on.
    """
    running = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    stopped = False

    def stop() -> None:
        nonlocal stopped
        if stopped:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        stopped = True
        running.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        await running
    except asyncio.CancelledError:
        if not stopped:
            raise
        return False
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return True


def first_of(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group of groups: one of several that came of one cause."""
    first = failures.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first
