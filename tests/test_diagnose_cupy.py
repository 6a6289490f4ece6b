"""`diagnose` on the strict stand-in for CuPy: the same findings, and the same numbers."""

import sys
from dataclasses import replace

import numpy as np
import pytest

import lstm
import strict_cupy
from lstm.diagnosis import judge, measure
from lstm.rehearsal import Run
from patients import noisy_tones

if sys.platform == "darwin":  # CuPy, from which the stand-in takes its names, has no build for it
    pytest.skip("no CuPy", allow_module_level=True)


def training(kind, device):
    x, lengths, labels = noisy_tones(0, 16, 12)
    options = {"rng": 0, "dtype": np.float64, "device": device}
    if kind == "labels":
        model, y, loss = lstm.LSTMClassifier(1, 5, 3, **options), labels, lstm.cross_entropy
    else:
        model, y, loss = lstm.LSTMRegressor(1, 5, 1, **options), np.roll(x, -1, 0), lstm.mean_squared_error
    x, y = (lstm.to_device(a, device) for a in (x.astype(np.float64), y.astype(np.float64) if y.ndim > 1 else y))
    return Run(model, x, y, lstm.Adam(model.params, 3e-3), batch_size=4, rng=np.random.default_rng(0),
               lengths=lengths, loss=loss, clip_norm=1.0)  # fmt: skip


@pytest.mark.parametrize("kind", ["labels", "steps"])
def test_the_same_is_measured_on_the_device(monkeypatch, kind):
    monkeypatch.setitem(sys.modules, "cupy", strict_cupy.StrictCuPy())
    host, device = (measure(training(kind, d)) for d in ("cpu", "cuda"))
    assert host.failed == device.failed == {}
    for part in ("data", "weights", "forward", "loss", "step"):
        a, b = getattr(host, part), getattr(device, part)
        for name, value in a._asdict().items():
            if isinstance(value, float):
                np.testing.assert_allclose(getattr(b, name), value, rtol=1e-7, atol=1e-12, err_msg=name)
            else:
                assert getattr(b, name) == value, name
    for a, b in zip(host.trial.present.updates, device.trial.present.updates, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-7, atol=1e-10)
    assert max(device.gradient.step, device.gradient.joined, *device.gradient.gates.values()) < 1e-6
    assert judge(device) == []


def test_a_fault_is_named_on_the_device(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", strict_cupy.StrictCuPy())
    run = training("steps", "cuda")
    run = replace(run, lengths=None)
    run.model.recurrent.params["weight_hh_l0"] *= 9.0
    assert [f.name for f in judge(measure(run))] == ["padding in the loss", "weights too large"]
