"""Every name of CuPy that the package uses is there in the oldest version allowed and in the newest."""

import ast
import sys
from functools import reduce

import pytest

import strict_cupy
from weave import ROOT

MODULES = sorted((ROOT / "lstm").glob("*.py"))
# How the package calls the module: the name it goes by, or what returns it.
BASES = {"xp", "cupy", "sys.modules['cupy']"}


def chain(node):
    """Return the dotted names behind a module of arrays, ``cuda.runtime``; None elsewhere."""
    if isinstance(node, ast.Attribute):
        before = chain(node.value)
        return None if before is None else f"{before}.{node.attr}".lstrip(".")
    text = ast.unparse(node.func if isinstance(node, ast.Call) else node)
    return "" if text in ({"get_array_module"} if isinstance(node, ast.Call) else BASES) else None


def used(text):
    """Return the names of CuPy in a module's source, the longest of each chain."""
    tree = ast.parse(text)
    inner = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    found = [
        chain(n) for n in ast.walk(tree) if isinstance(n, ast.Attribute) and id(n) not in inner
    ]
    return {name for name in found if name}


USED = sorted(set().union(*(used(path.read_text()) for path in MODULES)))


def in_oldest(name):
    """Say whether the oldest version has a name; parts of a function are those of a ufunc."""
    place, _, last = name.rpartition(".")
    if place in strict_cupy.OLDEST:
        return last in strict_cupy.OLDEST[place]
    return in_oldest(place) and last in strict_cupy.OLDEST["ufunc"]


def in_newest(name):
    try:
        reduce(getattr, name.split("."), strict_cupy.real)
    except AttributeError:
        return False
    return True


def test_the_versions_are_the_oldest_allowed_and_the_installed_one():
    oldest = next(
        line
        for line in (ROOT / "pyproject.toml").read_text().splitlines()
        if line.startswith("cuda = ")
    )
    assert f'>={strict_cupy.OLDEST["version"].split(".")[0]}"' in oldest
    assert int(strict_cupy.real.__version__.split(".")[0]) >= 14


def test_the_list_is_that_of_the_package():
    assert {"matmul", "add.at", "cuda.runtime.getDeviceCount", "RawModule", "asarray"} <= set(USED)
    assert used(
        "xp.a(1).b; cupy.c.d.e; get_array_module(x).f; get_array_module(x).f(1).i; sys.modules['cupy'].g; np.h"
    ) == {"a", "c.d.e", "f", "g"}


@pytest.mark.parametrize("name", USED)
def test_both_versions_have_it(name):
    assert in_oldest(name) and in_newest(name)


def test_both_versions_have_what_the_stand_in_gives_an_array():
    names = [
        n for n in vars(strict_cupy.ndarray) if n not in ("__module__", "__dict__", "__weakref__")
    ]
    names = [n for n in names if not n.startswith("_") or n.startswith("__")]
    # Python adds these itself, the last when an object is copied or pickled.
    names = [n for n in names if n not in ("__firstlineno__", "__static_attributes__", "__slotnames__")]
    assert [
        n for n in names if not in_oldest(f"ndarray.{n}") or not in_newest(f"ndarray.{n}")
    ] == []


def test_a_name_or_an_argument_of_one_version_alone_is_refused(monkeypatch):
    assert not in_oldest("no_such") and not in_newest("no_such") and not in_oldest("matmul.no_such")
    monkeypatch.setitem(sys.modules, "cupy", cupy := strict_cupy.StrictCuPy())
    monkeypatch.setitem(strict_cupy.OLDEST[""], "zeros", "(shape)")
    monkeypatch.delitem(strict_cupy.OLDEST[""], "ones")
    strict_cupy.check_call.cache_clear()
    with pytest.raises(TypeError):
        cupy.zeros(3, dtype=float)
    with pytest.raises(KeyError):
        cupy.ones(3)
    strict_cupy.check_call.cache_clear()
