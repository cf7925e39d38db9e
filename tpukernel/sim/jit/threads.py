"""Threads that wait for native work. They are made when they are first needed, and serve all machines of the process."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from queue import SimpleQueue
from threading import Lock, Thread

from tpukernel.sim.errors import EngineChoiceError

__all__ = ["THREADS", "Team", "default_threads", "processors", "team"]

Work = Callable[[int], object]
"""Called with the number of the thread."""


THREADS = "TPUKERNEL_THREADS"
"""Environment variable: threads to compute with where the program does not say."""


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_threads() -> int:
    """What the environment variable says, or else one for each of the `processors`.

    Raises:
        EngineChoiceError: the variable holds no whole number from 1 on.
    """
    wanted = os.environ.get(THREADS, "")
    if not wanted:
        return processors()
    if not wanted.isdecimal() or int(wanted) < 1:
        raise EngineChoiceError(f"{THREADS} is {wanted!r}", help="set it to a whole number of threads, 1 or more, or do not set it")
    return int(wanted)


class Team:
    """The calling thread (number 0) and helpers.

    Args:
        threads: how many there are together.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._lock = Lock()
        self._tasks: list[SimpleQueue[Work]] = [SimpleQueue() for _ in range(1, threads)]
        for number, tasks in enumerate(self._tasks, start=1):
            Thread(target=self._serve, args=(number, tasks), daemon=True, name=f"tpukernel-{number}").start()

    def _serve(self, number: int, tasks: SimpleQueue[Work]) -> None:
        while True:
            tasks.get()(number)

    def run(self, work: Work, stop: Callable[[], object], *, wait: bool = False) -> None:
        """Let every thread of the team do the work, and wait for all of them.

        Args:
            work: what they do.
            stop: called when an exception (Ctrl-C) comes to the calling thread: makes the others end their work without it.
            wait: the calling thread does nothing but wait, so that Ctrl-C comes to it at once; the helpers are numbers 0, 1, ... then.
        """
        with self._lock:
            done: SimpleQueue[int] = SimpleQueue()

            def share(number: int) -> None:
                try:
                    work(number - 1 if wait else number)
                finally:
                    done.put(number)

            try:
                for tasks in self._tasks:
                    tasks.put(share)
                if not wait:
                    work(0)
                for _ in self._tasks:
                    done.get()
            except BaseException:
                stop()
                self._settle()
                raise

    def _settle(self) -> None:
        """Wait until no helper works any more, however often Ctrl-C is pressed: whoever called must not see the memory change."""
        while True:
            with suppress(KeyboardInterrupt):
                done: SimpleQueue[int] = SimpleQueue()
                for tasks in self._tasks:
                    tasks.put(done.put)  # its turn comes when the helper has done everything before it
                for _ in self._tasks:
                    done.get()
                return


@cache
def team(threads: int) -> Team:
    """The team of that size."""
    return Team(threads)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=team.cache_clear)  # a child process has no threads but the one that forked
