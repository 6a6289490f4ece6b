"""A stand-in for CuPy that computes with NumPy and is stricter than CuPy itself.

Names and signatures are those of the real ``cupy`` package, which imports without a GPU, and
of the oldest version that the package allows, which are stored. What either lacks, an argument
it does not take, and a mix of host and device arrays fail.
Reading a value on the host (``float``, ``bool``, ``int``, ``get``) waits for the GPU: it is
counted, and so are transfers, matrix products and launches. A call that computes counts as one
launch, which is the least that it can be; a view counts as none. CUDA C runs on the processor.
"""

import inspect
import json
import re
import sys
import types
from contextlib import contextmanager
from functools import cache, partial, reduce
from pathlib import Path
from unittest import mock

import cupy as real
import numpy as np
import pytest

import capture
import shim

# Names and signatures of the oldest CuPy that the package allows, from data/make_cupy.py.
OLDEST = json.loads((Path(__file__).parent / "data" / "cupy13.json").read_text())

BINARY = "add sub mul truediv floordiv mod pow matmul lt le gt ge eq ne and or".split()
METHODS = (
    "astype copy reshape swapaxes transpose ravel sum mean max min any all std var argmax round "
    "fill".split()
)
# What hands out memory, or the same memory in another shape, and computes nothing.
VIEWS = set("reshape swapaxes transpose ravel split broadcast_to empty empty_like".split())
PRODUCTS = {"matmul", "__matmul__", "__rmatmul__"}


class Counts:
    """How often the host waited for the device, arrays crossed, and the device was asked."""

    syncs = 0
    uploads = 0
    downloads = 0
    products = 0
    launches = 0


def count(name):
    """Count a request to the device by the name of what it asks for."""
    if name in PRODUCTS:
        capture.refuse_library()
        Counts.products += 1
    elif name not in VIEWS:
        Counts.launches += 1


@cache
def signature_of(function):
    """Return a signature; of compiled functions, as the first line of their docstring gives it."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        line = function.__doc__.strip().splitlines()[0].replace("\\", "")
        arguments = re.search(r"\((.*)\)", line).group(1)
        arguments = re.sub(r"\b\w+ (?=\w)", "", arguments)  # C types
        return inspect.signature(eval(f"lambda {arguments}: None"))


def earlier_signature_of(name):
    """Return the signature that a function, such as ``ndarray.sum``, has in `OLDEST`."""
    place, _, last = name.rpartition(".")
    text = OLDEST[place][last]  # KeyError where that version has no such name
    return eval(f"lambda {text[1:-1]}: None") if text else (lambda *_, **__: None)


@cache
def check_call(function, name, positional, names):
    """Refuse so many arguments by position and these names, if the real function does.

    Both do: the one that is installed, and that of the oldest version.
    """
    for found in (signature_of(function), inspect.signature(earlier_signature_of(name))):
        found.bind(*[None] * positional, **dict.fromkeys(names))


def bind(function, name, arguments, options):
    """Refuse arguments that the real function does not take."""
    check_call(function, name, len(arguments), tuple(options))


def lower(value):
    """Return the NumPy array behind a device array; refuse a host array with axes."""
    if type(value) is ndarray:
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError("implicit conversion of a NumPy array to a CuPy array")
    if isinstance(value, (tuple, list)):
        return type(value)([lower(v) for v in value])
    return value


def lift(value):
    """Return results as device arrays, zero-dimensional ones too, as CuPy does."""
    if isinstance(value, (np.ndarray, np.generic)):
        return ndarray(np.asarray(value))
    if isinstance(value, (tuple, list)):
        return type(value)([lift(v) for v in value])
    return value


def compute(function, arguments, options):
    count(function.__name__)
    run = partial(function, *map(lower, arguments), **{k: lower(v) for k, v in options.items()})
    out = options.get("out")
    if out is not None:
        capture.submit(run)
        return out
    if function.__name__ not in VIEWS - {"empty", "empty_like"}:
        capture.refuse("requests for memory")
    return lift(run())


class ndarray:
    """A device array: the names of cupy.ndarray, over a NumPy array."""

    __array_ufunc__ = None  # a NumPy array on the left leaves the operation to us, which refuse it

    def __init__(self, host):
        self._host = host
        capture.hand_out(host)

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    flags = property(lambda self: self._host.flags)
    data = property(lambda self: types.SimpleNamespace(ptr=self._host.ctypes.data))
    T = property(lambda self: lift(self._host.T))

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (lift(part) for part in self._host)

    def __getitem__(self, key):
        keys = key if type(key) is tuple else (key,)
        if ndarray in map(type, keys):
            count("take")
            # The host must know how many entries a mask picks before it can ask for memory.
            Counts.syncs += any(type(k) is ndarray and k.dtype == bool for k in keys)
        return lift(self._host[lower(key)])

    def __setitem__(self, key, value):
        count("copy")
        capture.submit(partial(self._host.__setitem__, lower(key), lower(value)))

    def __neg__(self):
        count("negative")
        return lift(-self._host)

    def __invert__(self):
        count("invert")
        return lift(~self._host)

    def __abs__(self):
        count("abs")
        return lift(abs(self._host))

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def _read(self, kind):
        capture.refuse("synchronous API calls")
        Counts.syncs += 1
        return kind(self._host)

    def __float__(self):
        return self._read(float)

    def __int__(self):
        return self._read(int)

    def __bool__(self):
        return self._read(bool)

    def get(self):
        capture.refuse("synchronous API calls")
        Counts.syncs += 1
        Counts.downloads += 1
        return self._host.copy()

    def __repr__(self):
        return repr(self.get())

    def __str__(self):
        return str(self.get())

    def __format__(self, kind):
        return format(self.get(), kind)


def _install():
    def method(name):
        def call(self, *arguments, **options):
            bind(getattr(real.ndarray, name), f"ndarray.{name}", (self, *arguments), options)
            return compute(getattr(np.ndarray, name), (self, *arguments), options)

        return call

    def operator(name):
        def call(self, other):
            return compute(getattr(self._host, name), (other,), {})

        return call

    def in_place(name):
        def call(self, other):
            count(name)
            capture.submit(partial(getattr(self._host, name), lower(other)))
            return self

        return call

    for name in METHODS:
        assert hasattr(real.ndarray, name)
        setattr(ndarray, name, method(name))
    for name in BINARY:
        for prefix in ("", "r"):
            full = f"__{prefix}{name}__"
            if hasattr(np.ndarray, full) and hasattr(real.ndarray, full):
                setattr(ndarray, full, operator(full))
        full = f"__i{name}__"
        if hasattr(np.ndarray, full) and hasattr(real.ndarray, full):
            setattr(ndarray, full, in_place(full))


_install()


def _asarray(a, dtype=None):
    if isinstance(a, ndarray):
        return a if dtype in (None, a.dtype) else ndarray(a._host.astype(dtype))
    capture.refuse("H2D transfers")
    Counts.uploads += 1
    return ndarray(np.array(a, dtype=dtype))


class RawKernel:
    """A kernel: takes device arrays and NumPy's whole numbers, and is one launch."""

    def __init__(self, run):
        self.run = run

    def __call__(self, *arguments, **options):
        bind(real.RawKernel.__call__, "RawKernel.__call__", (self, *arguments), options)
        Counts.launches += 1
        capture.submit(partial(self.run, *arguments[:2], lower(arguments[2])))


class RawModule:
    """CUDA C, compiled for the processor by `shim` with the definitions among the options."""

    guarded = True  # False: faster, and blind to what a kernel writes beside its arrays

    def __init__(self, *arguments, **options):
        bind(real.RawModule, "RawModule", arguments, options)
        if shim.COMPILER is None:
            pytest.skip(shim.NEEDED)
        self.code, self.defined = options["code"], options["options"]
        assert all(option.startswith("-D") for option in self.defined), self.defined

    def get_function(self, name):
        return RawKernel(shim.Kernel(self.code, name, self.defined, guarded=self.guarded))


class StrictCuPy(types.ModuleType):
    """The module: any name of the real one, computed by NumPy's function of that name."""

    ndarray = ndarray
    __version__ = real.__version__
    cuda = types.SimpleNamespace(
        Stream=capture.Stream,
        runtime=types.SimpleNamespace(
            getDeviceCount=lambda: 1, CUDARuntimeError=real.cuda.runtime.CUDARuntimeError,
            driverGetVersion=lambda: 12040, runtimeGetVersion=lambda: 12090,
            getDeviceProperties=lambda device: capture.PROPERTIES,
        ),
    )

    def __init__(self, names=real, computing=np):
        super().__init__(names.__name__)
        self._names, self._computing = names, computing

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        target = getattr(self._names, name)  # AttributeError where CuPy has no such name
        if name in ("asarray", "RawModule"):
            return {"asarray": _asarray, "RawModule": RawModule}[name]
        if isinstance(target, types.ModuleType):
            return StrictCuPy(target, getattr(self._computing, name))
        if not callable(target) or isinstance(target, type):
            return target

        prefix = self.__name__.removeprefix("cupy").lstrip(".") and f"{self.__name__[5:]}."

        def call(*arguments, **options):
            bind(target, f"{prefix}{name}", arguments, options)
            if name == "take_along_axis":  # where an index is too large, CuPy begins anew
                a, index, axis = arguments
                arguments = a, index % a.shape[axis], axis
            if name == "split" and isinstance(arguments[1], np.ndarray):  # places: host numbers
                arguments = arguments[0], arguments[1].tolist(), *arguments[2:]
            return compute(getattr(self._computing, name), arguments, options)

        if isinstance(target, real.ufunc):
            call.at = lambda a, *rest: count(name) or getattr(np, name).at(*lower((a, *rest)))
            assert hasattr(target, "at")
        return call


@contextmanager
def counted():
    """Give a dict that holds, at the end, by how much each of `Counts` has risen."""
    names = [name for name in vars(Counts) if not name.startswith("_")]
    before, found = [getattr(Counts, name) for name in names], {}
    yield found
    found |= {name: getattr(Counts, name) - n for name, n in zip(names, before)}


def on_ufunc(self, ufunc, method, *arguments, **options):
    """Let CuPy compute what a ufunc of NumPy is asked of its arrays, as the real one does."""
    if method != "__call__" or not hasattr(real, ufunc.__name__):
        return NotImplemented
    return getattr(sys.modules["cupy"], ufunc.__name__)(*arguments, **options)


def on_function(self, function, kinds, arguments, options):
    """Let CuPy compute what another function of NumPy is asked of its arrays, likewise."""
    names = [*function.__module__.split(".")[1:], function.__name__]
    try:
        found = reduce(getattr, names, sys.modules["cupy"])
    except AttributeError:
        return NotImplemented
    return found(*arguments, **options)


@contextmanager
def as_in_a_notebook():
    """Be as lenient as CuPy, which answers when NumPy's functions get its arrays, and fast.

    The package asks `get_array_module` instead, and without this the stand-in insists.
    """
    with (
        mock.patch.object(ndarray, "__array_ufunc__", on_ufunc),
        mock.patch.object(ndarray, "__array_function__", on_function, create=True),
        mock.patch.object(RawModule, "guarded", False),
    ):
        yield


@contextmanager
def without_waiting(uploads=1):
    """Fail if the host reads from the device, or sends arrays to it more than so often."""
    syncs, sent = Counts.syncs, Counts.uploads
    yield
    assert Counts.syncs == syncs, f"the host waited {Counts.syncs - syncs} times"
    assert Counts.uploads - sent <= uploads, f"{Counts.uploads - sent} arrays were sent"
