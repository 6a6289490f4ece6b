"""Write the names and signatures of an installed CuPy, for the oldest that the package allows.

The tests run with a newer one. In an environment with numpy, pytest and `cupy-cuda12x==13.6.0`:

    PYTHONPATH=tests:. python tests/data/make_cupy.py
"""

import inspect
import json
import types
from functools import reduce
from pathlib import Path

from strict_cupy import real, signature_of

PLACES = [
    "",
    "ndarray",
    "ufunc",
    "RawKernel",
    "RawModule",
    "cuda",
    "cuda.runtime",
    "linalg",
    "random",
]


def arguments_of(function):
    """Return a signature without types and values of defaults; None for what has none."""
    try:
        found = signature_of(function)
    except Exception:  # a number, say, or a class of the runtime
        return None
    empty = inspect.Parameter.empty
    plain = [
        p.replace(annotation=empty, default=empty if p.default is empty else None)
        for p in found.parameters.values()
    ]
    return str(found.replace(parameters=plain, return_annotation=empty))


def names_of(place):
    """Return the names in a module, public ones, or in a class, all, with their arguments."""
    owner = reduce(getattr, filter(None, place.split(".")), real)
    hidden = "_" if isinstance(owner, types.ModuleType) else " "
    names = [name for name in dir(owner) if not name.startswith(hidden)]
    return {name: arguments_of(getattr(owner, name)) for name in names}


if __name__ == "__main__":
    stored = {"version": real.__version__} | {place: names_of(place) for place in PLACES}
    path = Path(__file__).with_name(f"cupy{real.__version__.split('.')[0]}.json")
    path.write_text(json.dumps(stored, indent=0) + "\n")
    print(path.name, *(f"{place or 'cupy'}: {len(stored[place])}" for place in PLACES))
