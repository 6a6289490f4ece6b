"""The machine and the versions that a measurement belongs to."""

from __future__ import annotations

import hashlib
import os
import platform
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("numba", "numpy", "numpy-ml", "onnxruntime", "torch")
LSTM = Path(__file__).resolve().parents[1] / "lstm"


def processor() -> str:
    """Return the processor's name as the system has it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def describe() -> dict[str, object]:
    """Return the processor, its number of cores, the system and all versions."""
    source = b"".join(path.read_bytes() for path in sorted(LSTM.glob("*.py")))
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "digest of lstm/": hashlib.sha256(source).hexdigest()[:12],
    }
