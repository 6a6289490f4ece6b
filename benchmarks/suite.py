"""What is measured: groups of tasks, and the subjects that take turns at each of them.

A task is what a worker is asked: ``make`` names the function of a subject's module that
returns what is to be timed, ``call`` one whose result is itself the answer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Size = tuple[int, int, int, int]  # T, B, I, H
Task = dict[str, Any]

SUBJECTS = {  # each a module of `subjects`
    "lstm": "package", "fast": "fast", "PyTorch": "pytorch", "products": "products",
    "numpy-ml": "numpy_ml_cell", "tutorial": "tutorial", "ONNX Runtime": "onnx_runtime",
}  # fmt: skip
SIZES: list[Size] = [
    (10, 1, 1, 20), (50, 32, 1, 64), (100, 32, 64, 128), (35, 20, 200, 200),
    (200, 16, 32, 256), (50, 64, 256, 512), (35, 64, 1024, 1024),
]  # fmt: skip
MIDDLE: list[Size] = [(100, 32, 64, 128), (200, 16, 32, 256), (50, 64, 256, 512)]
LONG: list[Size] = [(100, *size[1:]) for size in SIZES]
VARIANTS: dict[str, Task] = {
    "GRU": {"kind": "GRU"},
    "RNN": {"kind": "RNN"},
    "two layers": {"num_layers": 2},
    "two directions": {"bidirectional": True},
    "lengths from T/2": {"shortest": 0.5},
    "lengths from 1": {"shortest": 0.0},
}
GROWTH: dict[str, tuple[Size, list[int]]] = {  # an axis, the size, the values the axis takes
    "T": ((0, 8, 32, 32), [10 * 2**k for k in range(11)]),
    "B": ((20, 0, 32, 32), [2**k for k in range(11)]),
    "H": ((10, 4, 32, 0), [2 * 2**k for k in range(11)]),
}
SINE_EPOCHS = 5  # of the recipe's 100, which are all alike


class Group(NamedTuple):
    """Tasks by name, the subjects that take turns at them, how often and on how many threads."""

    subjects: tuple[str, ...]
    tasks: dict[str, Task]
    rounds: int = 7
    threads: int = 2


def name(size: Size) -> str:
    """Return a size as the results name it: "10, 1, 1, 20"."""
    return ", ".join(map(str, size))


def tasks(sizes: list[Size], **task: Any) -> dict[str, Task]:
    """Return one task for each size."""
    return {name(size): {"size": size} | task for size in sizes}


def variants() -> dict[str, Task]:
    """Return a task for each variant of the layer and each middle size."""
    return {
        f"{variant}: {name(size)}": {"make": "training", "size": size} | options
        for variant, options in VARIANTS.items() for size in MIDDLE
    }  # fmt: skip


def growth() -> dict[str, Task]:
    """Return a task for each value of each axis that grows."""
    return {
        f"{axis} = {value}": {"make": "training", "size": [n or value for n in size]}
        for axis, (size, values) in GROWTH.items() for value in values
    }  # fmt: skip


GROUPS: dict[str, Group] = {
    "equality": Group(("numpy-ml", "tutorial"), {"difference": {"call": "difference"}}, 1),
    "kernels": Group(tuple(SUBJECTS), {"kernels": {"call": "kernels"}}, 1),
    "calls": Group(("lstm",), {"a step": {"call": "calls_per_step"}}, 1),
    "memory": Group(("lstm",), tasks([*SIZES, *LONG], call="memory_of_step"), 1),
    "import": Group(("lstm",), {"import": {"call": "import_seconds"}}),
    "training": Group(("lstm", "fast", "PyTorch", "products"), tasks(SIZES, make="training")),
    "others": Group(("lstm", "numpy-ml", "tutorial", "products"), tasks(SIZES, make="training"), 3),
    "inference": Group(("lstm", "PyTorch", "ONNX Runtime", "products"), tasks(SIZES, make="inference")),
    "variants": Group(("lstm", "PyTorch"), variants(), 5),
    "sine": Group(("lstm", "PyTorch"), {"sine": {"make": "sine", "epochs": SINE_EPOCHS}}),
    "growth": Group(("lstm",), growth(), 5),
    "parts": Group(("lstm",), tasks(SIZES, call="parts"), 3, 1),
    "one-thread": Group(("lstm", "PyTorch", "products"), tasks(SIZES, make="training"), 3, 1),
    "one-thread-forward": Group(
        ("lstm", "PyTorch", "ONNX Runtime", "products"), tasks(SIZES, make="inference"), 3, 1
    ),
}  # fmt: skip
