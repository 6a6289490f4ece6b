"""Files of arrays: written whole or not at all, read with suspicion."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .backend import Array, to_numpy
from .checks import check_size

VERSION = 1  # of what the files hold; raised when an older package could not read it
KEY = "lstm"  # the one entry of a file's metadata, so that its bytes have one order

# What values of other types, names or depths than expected raise where they are used.
FAULTS = (AttributeError, KeyError, RecursionError, TypeError, ValueError)


def require_safetensors() -> Any:
    """Return the module ``safetensors.numpy``, or say in an ImportError what to do."""
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "files of weights need safetensors: run `pip install safetensors`"
        ) from error
    return safetensors.numpy


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that its name stands for the old content or the new, never a part.

    The content goes to another file of the same folder, down to the disk, and takes the
    name in one step. What a process that was killed leaves behind ends in ``.tmp``.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def write_arrays(
    path: Path, arrays: Mapping[str, Array], kind: str, content: Mapping[str, Any]
) -> None:
    """Write arrays, and what can be said in JSON, as one safetensors file.

    Parameters
    ----------
    arrays : of any device
    kind : what the file is, ``"model"`` or ``"checkpoint"``
    content : goes to the file's metadata, with the kind and the format's version
    """
    library = require_safetensors()
    said = {**content, "kind": kind, "version": VERSION}
    text = json.dumps(said, sort_keys=True, default=lambda array: array.tolist())
    whole = {name: to_numpy(array).copy(order="C") for name, array in arrays.items()}
    write_atomically(path, library.save(whole, {KEY: text}))


def read_arrays(path: Path, kind: str) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays of a file that `write_arrays` wrote, and its content.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none; if it is no safetensors file or not whole, or of another kind, or
        from a newer version of the format. The error names the file.
    """
    library = require_safetensors()
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        missing = f"expected a {kind} of this package, got no file of this name"
        raise FileNotFoundError(error.errno, missing, str(path)) from error
    try:
        arrays = {name: a.copy() for name, a in library.load(data).items()}
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except Exception as error:  # the library raises its own kind, derived from no other
        raise ValueError(
            f"{path}: expected a whole safetensors file of float and integer arrays, got "
            f"{len(data)} bytes that are not ({type(error).__name__}: {error})"
        ) from error
    try:
        content = json.loads(header["__metadata__"][KEY])
        found = content["kind"]
        version = check_size("the file", "version", content["version"])
    except FAULTS as error:
        raise ValueError(
            f"{path}: expected a {kind} of this package, got a safetensors file without "
            f"its metadata; arrays of other programs are for lstm.load_torch_state_dict"
        ) from error
    if version > VERSION:
        raise ValueError(
            f"{path}: expected version {VERSION} of the format or an older one, got "
            f"{version}; a newer lstm can read it"
        )
    if found != kind:
        raise ValueError(f"{path}: expected a {kind}, got a {found}")
    return arrays, content
