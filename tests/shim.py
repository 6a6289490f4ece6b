"""CUDA C run on the processor: kernels compiled as C++, their threads one after another.

Threads run in random order, so a kernel that reads what another thread writes gives other
numbers at every launch. What a kernel writes beside an array is seen in guard bytes; what it
reads there, by the address sanitizer, for which SANITIZE=1 compiles.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lstm.backend import Array

# What CUDA C has and C++ has not, for one thread at a time.
CUDA = r"""
#include <cmath>
#define __global__
#define __device__
static struct { unsigned x; } blockIdx, blockDim, threadIdx;
using std::tanh;
"""

# Runs every thread of a launch, in a given order.
LAUNCH = r"""
extern "C" void run_{name}(unsigned threads, const unsigned *order, unsigned all, {parameters})
{{
    blockDim.x = threads;
    for (unsigned n = 0; n < all; n++) {{
        blockIdx.x = order[n] / threads;
        threadIdx.x = order[n] % threads;
        {name}({names});
    }}
}}
"""
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wdouble-promotion", "-Wshadow", "-Werror"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
# Bytes before and after every array, and what they hold: an entry for every thread of the
# largest block. The sanitizer has guards of its own.
GUARD, PATTERN = 0 if os.environ.get("SANITIZE") else 8192, 0xA5

COMPILER = shutil.which("g++")
NEEDED = "g++ is needed to run the kernels on the processor, and is not installed"


def compiler(arguments: Sequence[str], text: str) -> str:
    """Return what g++ prints for a C++ program; a RuntimeError holds its complaints."""
    command = [str(COMPILER), "-x", "c++", "-std=c++11", *arguments, "-"]
    result = subprocess.run(command, input=text, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stderr)
    return result.stdout


def kernels_of(source: str, defined: Sequence[str]) -> dict[str, list[str]]:
    """Return the parameters of each kernel of a source, as they read once macros are gone."""
    text = compiler(["-E", "-P", *defined], source)
    found = re.findall(r"__global__ void (\w+)\(([^)]*)\)", text)
    return {name: [" ".join(p.split()) for p in part.split(",")] for name, part in found}


@cache
def library(source: str, defined: tuple[str, ...]) -> tuple[ctypes.CDLL, dict[str, list[str]]]:
    """Return a source as a library of ``run_...`` functions, and its kernels' parameters."""
    kernels, text = kernels_of(source, defined), CUDA + source
    for name, parameters in kernels.items():
        names = ", ".join(re.findall(r"\w+", p)[-1] for p in parameters)
        text += LAUNCH.format(name=name, parameters=", ".join(parameters), names=names)
    checks = SANITIZERS if os.environ.get("SANITIZE") else []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernels.so"
        made = ["-shared", "-fPIC", "-O1", "-ffp-contract=off", "-o", str(path)]
        compiler([*made, *WARNINGS, *checks, *defined], text)
        return ctypes.CDLL(str(path)), kernels


def guarded(array: Array) -> tuple[Array, Array]:
    """Return a copy of an array between guard bytes, and all the bytes."""
    memory = np.full(array.nbytes + 2 * GUARD, PATTERN, np.uint8)
    inner = memory[GUARD : GUARD + array.nbytes].view(array.dtype).reshape(array.shape)
    inner[...] = array
    return inner, memory


def real_of(defined: Sequence[str]) -> Any:
    """Return the dtype that a source is compiled for."""
    names = {"-DREAL=float": np.float32, "-DREAL=double": np.float64}
    return np.dtype(next(names[option] for option in defined if option in names))


def check_arguments(name: str, parameters: Sequence[str], given: Sequence[Any], real: Any) -> None:
    """Refuse what a kernel would take for something else: it sees memory, not arrays."""
    if len(given) != len(parameters):
        raise TypeError(f"{name} takes {len(parameters)} arguments, got {len(given)}")
    for parameter, value in zip(parameters, given):
        if "*" not in parameter:
            if not isinstance(value, np.int64):
                raise TypeError(f"{name} expected {parameter} as int64, got {type(value)}")
        elif not isinstance(value, np.ndarray) or value.dtype != real:
            got = getattr(value, "dtype", type(value))
            raise TypeError(f"{name} expected {parameter} of {real}, got {got}")
        elif not value.flags.c_contiguous:
            raise TypeError(f"{name} expected {parameter} to be contiguous")


class Kernel:
    """A kernel that runs on the processor, called as CuPy's are: grid, block, arguments.

    It works on copies between guard bytes; not `guarded`, on the arrays themselves, which is
    faster and sees no fault.
    """

    def __init__(
        self, source: str, name: str, defined: Sequence[str], seed: int = 0, guarded: bool = True
    ) -> None:
        loaded, kernels = library(source, tuple(defined))
        if name not in kernels:
            raise KeyError(f"no kernel {name} among {', '.join(kernels)}")
        self.name, self.parameters = name, kernels[name]
        self.real, self.rng = real_of(defined), np.random.default_rng(seed)
        self.guarded = guarded
        self.run: Callable[..., None] = getattr(loaded, f"run_{name}")

    def __call__(self, grid: tuple[int], block: tuple[int], arguments: tuple[Any, ...]) -> None:
        """Run all threads; with guards on copies, of which is put back what may be written."""
        check_arguments(self.name, self.parameters, arguments, self.real)
        passed, copies = [], []
        for parameter, value in zip(self.parameters, arguments):
            if "*" in parameter:
                inner, memory = guarded(value) if self.guarded else (value, value)
                copies.append((parameter, value, inner, memory))
                passed.append(ctypes.c_void_p(inner.ctypes.data))
            else:
                passed.append(ctypes.c_longlong(value))
        order = self.rng.permutation(grid[0] * block[0]).astype(np.uint32)
        self.run(block[0], ctypes.c_void_p(order.ctypes.data), len(order), *passed)
        if self.guarded:
            for parameter, value, inner, memory in copies:
                self.put_back(parameter, value, inner, memory)

    def put_back(self, parameter: str, value: Array, inner: Array, memory: Array) -> None:
        """Copy one result back; fail if the kernel wrote where it must not."""
        edges = np.concatenate([memory[:GUARD], memory[GUARD + value.nbytes :]])
        if (edges != PATTERN).any():
            raise AssertionError(f"{self.name} wrote outside {parameter}")
        if not parameter.startswith("const"):
            value[...] = inner
        elif inner.tobytes() != value.tobytes():
            raise AssertionError(f"{self.name} wrote to {parameter}")
