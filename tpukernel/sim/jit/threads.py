"""Threads that wait for native work. They are made when they are first needed, and serve all machines of the process."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue
from threading import Lock, Thread

__all__ = ["Team", "processors", "team"]

Work = Callable[[int], object]
"""Called with the number of the thread."""


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Team:
    """The calling thread (number 0) and helpers.

    Args:
        threads: how many there are together.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._lock = Lock()
        self._tasks: list[SimpleQueue[Work]] = [SimpleQueue() for _ in range(1, threads)]
        self._done: SimpleQueue[int] = SimpleQueue()
        for number, tasks in enumerate(self._tasks, start=1):
            Thread(target=self._serve, args=(number, tasks), daemon=True, name=f"tpukernel-{number}").start()

    def _serve(self, number: int, tasks: SimpleQueue[Work]) -> None:
        while True:
            work = tasks.get()
            try:
                work(number)
            finally:
                self._done.put(number)

    def run(self, work: Work) -> None:
        """Let every thread of the team do the work, and wait for all of them."""
        with self._lock:
            for tasks in self._tasks:
                tasks.put(work)
            try:
                work(0)
            finally:
                for _ in self._tasks:
                    self._done.get()


@cache
def team(threads: int) -> Team:
    """The team of that size."""
    return Team(threads)
