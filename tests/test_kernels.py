"""The CUDA kernels without a GPU: run on the processor, compiled for four architectures.

Nothing here says how fast they are.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import shim
from lstm import gates, kernels, variants

SIZES = [(1, 1), (5, 3), (1, 127), (128, 1), (43, 3), (7, 64), (3, 171)]  # 1 to 513 threads
DTYPES = ["float32", "float64"]
TOLERANCE = {"float32": {"rtol": 2e-6, "atol": 2e-6}, "float64": {"rtol": 1e-13, "atol": 1e-14}}
needs_compiler = pytest.mark.skipif(shim.COMPILER is None, reason=shim.NEEDED)


def kernel(name, dtype, options=(), source=kernels.SOURCE):
    """Return a kernel as `kernels.compiled` would define it, called with arrays and sizes."""
    defined = (f"-DREAL={kernels.REALS[dtype]}", *(f"-D{option}" for option in options))
    made = shim.Kernel(source, name, defined)

    def launch(*arrays, threads=kernels.THREADS, numbers=()):
        H, B = arrays[-1].shape[-2:]
        sizes = map(np.int64, (*numbers, H, B))
        made((H * B // threads + 1,), (threads,), (*arrays, *sizes))

    return launch


# --- executed: every kernel against the step in NumPy ----------------------------------------


def draw(size, dtype, *leading):
    """Return arrays of the size and dtype, some with more axes before, all entries random."""
    rng = np.random.default_rng(size[0])
    return [rng.normal(size=(*axes, *size)).astype(dtype) for axes in leading]


VARIANTS = {
    (): (gates.LSTM_SCALE, gates.lstm_step, gates.lstm_partials, gates.lstm_step_backward),
    ("PEEPHOLE",): (
        gates.LSTM_SCALE, variants.peephole_step, gates.lstm_partials,
        variants.peephole_step_backward,
    ),
    ("COUPLED",): (
        variants.COUPLED_SCALE, variants.coupled_step, variants.coupled_partials,
        gates.lstm_step_backward,
    ),
}  # fmt: skip


def lstm_case(size, dtype, options, source=kernels.SOURCE):
    """Return what a kernel of the LSTM gives, forward and backward, and what NumPy gives."""
    scale, step, partials, step_back = VARIANTS[options]
    blocks = (len(scale),)
    z, c_prev, dy, dh_next, dc = draw(size, dtype, blocks, (), (), (), ())
    p = np.random.default_rng(1).normal(size=(3, size[0])).astype(dtype)
    peepholes = (p,) if "PEEPHOLE" in options else ()
    if peepholes:
        step, step_back = (partial(f, p=p[:, :, None]) for f in (step, step_back))

    ours, expected = [z.copy()], [z.copy()]
    ours += list(np.zeros((3, *size), dtype))  # h, c, tanh_c
    expected += list(np.zeros((3, *size), dtype))
    kernel("lstm_forward", dtype, options, source)(ours[0], c_prev, *peepholes, *ours[1:])
    step(expected[0], c_prev, *expected[1:], gates.gate_scale(z, scale))

    activated, tanh_c = expected[0], expected[3]
    dz, dz2, dh_dc, dc2 = np.zeros_like(z), np.empty_like(z), np.empty_like(dc), dc.copy()
    partials(activated, c_prev, tanh_c, dz2, dh_dc)
    step_back(dy + dh_next, dc2, dz2, dh_dc, activated[-3])
    back = kernel("lstm_backward", dtype, options, source)
    back(dy, dh_next, activated, c_prev, tanh_c, *peepholes, dc, dz)
    return [*ours, dc, dz], [*expected, dc2, dz2]


def gru_case(size, dtype, options, source=kernels.SOURCE):
    z, product, h_prev, dy, back, dh = draw(size, dtype, (3,), (3,), (), (), (), ())
    bias_hn = np.random.default_rng(1).normal(size=size[0]).astype(dtype)
    ours = [z.copy(), np.zeros_like(h_prev), np.zeros_like(h_prev)]  # gates, zh_n, h
    forward = kernel("gru_forward", dtype, options, source)
    forward(ours[0], product, bias_hn, h_prev, *ours[1:])
    z[:2] += product[:2]
    zh_n, h = product[2] + bias_hn[:, None], np.empty_like(h_prev)
    gates.gru_step(z, zh_n, h_prev, h, gates.gate_scale(z, gates.GRU_SCALE))

    total = dh + dy + back
    dz, dz2 = np.zeros((2, 4, *size), dtype)
    gates.gru_partials(z, zh_n, h_prev, dz2)
    kernel("gru_backward", dtype, options, source)(dy, back, z, zh_n, h_prev, dh, dz)
    return [*ours, dh, dz], [z, zh_n, h, total * z[1], dz2 * total]


def rnn_case(size, dtype, options, source=kernels.SOURCE):
    dy, dh, h = draw(size, dtype, (), (), ())
    dz, slope = np.zeros((2, *size), dtype)
    kernel("rnn_backward", dtype, options, source)(dy, dh, h, dz)
    (variants.relu_slope_into if options else gates.tanh_slope_into)(h, slope)
    return [dz], [slope * (dy + dh)]


def product_case(size, dtype, options, source=kernels.SOURCE):
    """Return what the product gives, of a matrix and of a transposed one, and what NumPy gives."""
    (H, B), terms = size, 6
    rng = np.random.default_rng(H)
    a, x = (rng.normal(size=shape).astype(dtype) for shape in ((H, terms), (terms, B)))
    ours = list(np.zeros((2, H, B), dtype))
    times = kernel("product", dtype, options, source)
    strides = (terms, 1), (1, H)
    for given, (down, across), out in zip((a, a.T.copy()), strides, ours):
        times(given, x, out, numbers=(terms, down, across))
    return ours, [a @ x] * 2


CASES = [(lstm_case, options) for options in VARIANTS]
CASES += [(gru_case, ()), (rnn_case, ()), (rnn_case, ("RELU",)), (product_case, ())]


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("case", "options"), CASES)
def test_a_kernel_computes_what_numpy_does(case, options, size, dtype):
    for ours, expected in zip(*case(size, dtype, options), strict=True):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, expected, **TOLERANCE[dtype])


@needs_compiler
@pytest.mark.parametrize("threads", [1, 32, 100, 1024])
def test_the_result_does_not_depend_on_the_block(threads):
    z, c_prev = draw((9, 31), "float64", (4,), ())
    results = []
    for n in (kernels.THREADS, threads):
        made = [z.copy(), *np.zeros((3, 9, 31))]
        kernel("lstm_forward", "float64")(made[0], c_prev, *made[1:], threads=n)
        results.append(made)
    for a, b in zip(*results):
        np.testing.assert_array_equal(a, b)


FAULTS = {
    "no bound": (
        "if (k >= n)", "if (k >= 2 * n)", lstm_case, (), "lstm_forward wrote outside float"),
    "a bound one too high": (
        "if (k >= n)", "if (k > n)", lstm_case, (), "lstm_forward wrote"),
    "the next entry's result": (
        "h[k] = o * t;", "h[k] = o * tanh_c[(k + 1) % n];", lstm_case, (), "Not equal"),
    "a sigmoid that is not halved": (
        "tanh(REAL(0.5) * x)", "tanh(x)", gru_case, (), "Not equal"),
    "the output's peephole on the old cell": (
        "SEEN(2, cell)", "SEEN(2, before)", lstm_case, ("PEEPHOLE",), "Not equal"),
    "the batch's peephole": (
        "p[(row) * H + k / B]", "p[(row) * H + k % B % H]", lstm_case, ("PEEPHOLE",), "Not equal"),
    "a gate that is not coupled": (
        "d * (1 - f) * (1 - g * g)", "d * f * (1 - g * g)", lstm_case, ("COUPLED",), "Not equal"),
    "the GRU's carried part dropped": (
        "dh[k] = d * update;", "dh[k] = d;", gru_case, (), "Not equal"),
    "a product of the wrong column": (
        "*column = x + k % B", "*column = x + k / B", product_case, (), "Not equal"),
    "a product that stops early": (
        "m < terms", "m + 1 < terms", product_case, (), "Not equal"),
    "double in float": (
        "return REAL(0.5) * tanh(REAL(0.5) * x)", "return 0.5 * tanh(REAL(0.5) * x)", rnn_case, (),
        "error: conversion"),
    "an input written": (
        "c[k] = cell;", "c[k] = cell; ((REAL *)c_prev)[k] = 0;",
        lstm_case, (), r"lstm_forward wrote to const float \*c_prev"),
}  # fmt: skip


@needs_compiler
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_in_a_kernel_is_caught(fault):
    right, wrong, case, options, message = fault
    assert right in kernels.SOURCE
    source = kernels.SOURCE.replace(right, wrong)
    with pytest.raises((AssertionError, RuntimeError), match=message):
        for ours, expected in zip(*case((43, 3), "float32", options, source), strict=True):
            np.testing.assert_allclose(ours, expected, **TOLERANCE["float32"])


@needs_compiler
def test_arrays_that_a_kernel_would_misread_are_refused():
    dy, dh, h, dz = draw((4, 6), "float64", (), (), (), ())
    launch = kernel("rnn_backward", "float64")
    for wrong, message in [
        ((dy.T, dh, h, dz), r"rnn_backward expected const double \*dy to be contiguous"),
        ((dy, dh, h[:, ::2], dz), r"expected const double \*h to be contiguous"),
        ((dy.astype("float32"), dh, h, dz), r"expected const double \*dy of float64, got float32"),
        ((dy, dh, dz), "rnn_backward takes 6 arguments, got 5"),
    ]:
        with pytest.raises(TypeError, match=message):
            launch(*wrong)
    with pytest.raises(KeyError, match="no kernel gone among lstm_forward"):
        kernel("gone", "float64")


# --- executed under the address sanitizer ------------------------------------------------------

SANITIZED = """
import test_kernels as t
for case, options in t.CASES:
    for dtype in t.DTYPES:
        for size in t.SIZES:
            for ours, expected in zip(*case(size, dtype, options), strict=True):
                t.np.testing.assert_allclose(ours, expected, **t.TOLERANCE[dtype])
print("clean")
"""
OVERREAD = """
import test_kernels as t
source = t.kernels.SOURCE.replace("before = c_prev[k]", "before = c_prev[k + n]")
t.lstm_case((5, 3), "float64", (), source)
print("clean")
"""


def sanitized(program):
    """Run a program with kernels that the address sanitizer watches."""
    found = [
        subprocess.run(["g++", f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    if not all(Path(path).is_absolute() for path in found):
        pytest.skip("g++ has no address sanitizer here (libasan, libubsan)")
    environment = os.environ | {
        "SANITIZE": "1", "LD_PRELOAD": " ".join(found), "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    }  # fmt: skip
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@needs_compiler
def test_no_kernel_reads_or_writes_outside_its_arrays():
    result = sanitized(SANITIZED)
    assert result.stdout == "clean\n", result.stdout + result.stderr


@needs_compiler
def test_the_sanitizer_sees_a_read_outside():
    result = sanitized(OVERREAD)
    assert result.returncode and "heap-buffer-overflow" in result.stderr, result.stderr


# --- compiled for GPUs that are not here -------------------------------------------------------

ARCHITECTURES = ["sm_75", "sm_80", "sm_90", "sm_100"]
OPTIONS = [(), ("PEEPHOLE",), ("COUPLED",), ("RELU",)]


@pytest.fixture(scope="module")
def nvrtc():
    """Return NVIDIA's run-time compiler, which needs no driver, from its package on PyPI."""
    try:
        spec = importlib.util.find_spec("nvidia.cuda_nvrtc")
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        pytest.skip("nvidia-cuda-nvrtc-cu12, which compiles CUDA C without a GPU, is not installed")
    folders = [Path(place) / "lib" for place in spec.submodule_search_locations]
    return ctypes.CDLL(str(next(p for f in folders for p in f.glob("libnvrtc.so.*"))))


def gpu_code(nvrtc, source, options):
    """Return the machine code of a source, and what the compiler says about it."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    given = [option.encode() for option in options]
    made = nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None)
    assert made == 0
    failed = nvrtc.nvrtcCompileProgram(program, len(given), (ctypes.c_char_p * len(given))(*given))
    texts = []
    for what in ("ProgramLog", "CUBIN"):
        if failed and what == "CUBIN":
            break
        assert getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)) == 0
        memory = ctypes.create_string_buffer(size.value)
        assert getattr(nvrtc, f"nvrtcGet{what}")(program, memory) == 0
        texts.append(memory.raw)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return texts[1] if len(texts) > 1 else None, texts[0].rstrip(b"\0\n").decode()


@pytest.mark.parametrize("standard", ["c++11", "c++17"])  # the defaults of CuPy 13 and 14
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_source_compiles_without_a_warning(nvrtc, architecture, standard):
    names = "lstm_forward lstm_backward gru_forward gru_backward rnn_backward product".split()
    for real in kernels.REALS.values():
        for options in OPTIONS:
            defined = [f"-DREAL={real}", *(f"-D{name}" for name in options)]
            flags = [f"--gpu-architecture={architecture}", f"-std={standard}", *defined]
            code, log = gpu_code(nvrtc, kernels.SOURCE, flags)
            assert log == "" and code[:4] == b"\x7fELF"
            assert all(name.encode() in code for name in names)


def test_the_compiler_complains_about_a_faulty_source(nvrtc):
    flags = ["--gpu-architecture=sm_80", "-DREAL=float"]
    code, log = gpu_code(nvrtc, kernels.SOURCE.replace("tanh(cell)", "tanh(cel)"), flags)
    assert code is None and "cel" in log
    unused = kernels.SOURCE.replace("    ENTRY\n", "    ENTRY\n    int unused;\n", 1)
    assert "never referenced" in gpu_code(nvrtc, unused, flags)[1]


def test_the_processor_never_loads_the_kernels():
    program = (
        "import sys, numpy as np, lstm\n"
        "layer = lstm.LSTM(1, 2, rng=0)\ny, s = layer(np.ones((3, 1, 1)))\nlayer.backward(y, s)\n"
        "assert not {'lstm.kernels', 'cupy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
