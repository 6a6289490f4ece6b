"""For the stand-in: streams that record CUDA graphs, and memory that ends.

A stream that records runs nothing. As CuPy's, it refuses products of cuBLAS and whatever waits or
crosses; stricter than CuPy, it refuses to hand out memory. A graph repeats on the same memory.
"""

import weakref

import cupy as real
import numpy as np

# A part of what `getDeviceProperties` tells of a GPU.
PROPERTIES = {"name": b"A stand-in", "major": 9, "minor": 0, "totalGlobalMem": 2**34}


class Recording:
    """What the stream that records now has been asked for; None where none records."""

    kept = None
    graphs = 0  # launched


def refuse(what):
    """Fail as CuPy does where a stream that records is asked for what a graph cannot hold."""
    if Recording.kept is not None:
        raise RuntimeError(f"the current stream is capturing, so {what} are disallowed")


def submit(run):
    """Run a request that writes to given memory, or keep it for the graph."""
    if Recording.kept is None:
        run()
    else:
        Recording.kept.append(run)


def refuse_library():
    """Fail as `cupy_backends.cuda.libs.cublas.setStream` does, in CuPy 13 and 14."""
    if Recording.kept is not None:
        raise NotImplementedError(
            "calling cuBLAS API during stream capture is currently unsupported"
        )


class Graph:
    """Requests in order; each launch makes them again, on the memory that they were made for."""

    def __init__(self, runs):
        assert hasattr(real.cuda.Graph, "launch")
        self.runs = runs

    def launch(self, stream=None):
        refuse("launches of graphs")
        Recording.graphs += 1
        for run in self.runs:
            run()

    def __reduce__(self):
        raise TypeError("no default __reduce__ due to non-trivial __cinit__")


class Stream:
    """A stream; only one that does not block may record, and only while it is current."""

    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        self.may_record, self.current = non_blocking and not null, False

    def __enter__(self):
        self.current = True
        return self

    def __exit__(self, *_):
        self.current = False
        assert Recording.kept is None, "a stream was left while it recorded"

    def begin_capture(self, mode=None):
        assert hasattr(real.cuda.Stream, "begin_capture")
        if not self.may_record:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        assert self.current and Recording.kept is None
        Recording.kept = []

    def end_capture(self):
        runs, Recording.kept = Recording.kept, None
        return Graph(runs)


class Memory:
    """Bytes of device memory in use since a limit was set, and those that a failure lacked."""

    limit, used, needed, live = None, 0, 0, set()


def give_back(key, size):
    if key in Memory.live:
        Memory.live.discard(key)
        Memory.used -= size


def hand_out(host):
    """Count the memory behind a new array, unless it is counted already; fail over the limit."""
    while isinstance(host.base, np.ndarray):
        host = host.base
    if Memory.limit is None or id(host) in Memory.live or not host.flags.owndata:
        return
    if Memory.used + host.nbytes > Memory.limit:
        Memory.needed = Memory.used + host.nbytes
        raise real.cuda.memory.OutOfMemoryError(host.nbytes, Memory.used, Memory.limit)
    Memory.live.add(id(host))
    Memory.used += host.nbytes
    weakref.finalize(host, give_back, id(host), host.nbytes)


class limited:
    """Let so many bytes of new memory be handed out, in a with-block."""

    def __init__(self, limit):
        self.limit = limit

    def __enter__(self):
        Memory.limit, Memory.used, Memory.live = self.limit, 0, set()

    def __exit__(self, *_):
        Memory.limit, Memory.live = None, set()
