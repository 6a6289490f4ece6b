"""Ranks that are threads of one process, with the part of mpi4py's interface that is needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

SECONDS = 20  # after which a rank that waits for another has waited in vain


class ThreadComm:
    """A communicator of one of several threads, which share a board and a barrier."""

    def __init__(self, rank: int, board: list[Any], barrier: threading.Barrier) -> None:
        self.rank, self.size = rank, len(board)
        self.board, self.barrier, self.messages = board, barrier, []

    def allgather(self, value: Any) -> list[Any]:
        self.board[self.rank] = value
        self.barrier.wait()
        found = list(self.board)
        self.barrier.wait()
        return found

    def Allgather(self, mine: Any, found: Any) -> None:
        found[...] = self.allgather(mine.copy())
        self.messages.append(mine.nbytes)

    def Allreduce(self, mine: Any, total: Any) -> None:
        total[...] = np.sum(self.allgather(mine.copy()), axis=0)
        self.messages.append(mine.nbytes)


def run_ranks(size: int, function: Callable[[ThreadComm], Any]) -> list[Any]:
    """Return what a function returns, or raises, on each of some ranks."""
    board, barrier = [None] * size, threading.Barrier(size, timeout=SECONDS)
    found: list[Any] = [None] * size

    def one(rank: int) -> None:
        try:
            found[rank] = function(ThreadComm(rank, board, barrier))
        except BaseException as error:
            found[rank] = error

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found
