"""Planted faults: each takes a healthy run and returns a sick one.

A fault is one function, as short as the mistake it stands for. The clinic's pages show these
functions, tests/test_diagnose.py plants them, and benchmarks/clinic.py counts how they are named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from lstm import Adam, Dropout, Regressor, clip_grad_norm, clip_grad_value
from lstm.recurrence import lstm_backward, lstm_forward
from lstm.rehearsal import Run, batches_of
from lstm.training import loss_to_ends

# --- in the model ---------------------------------------------------------------------------


def plain_updates(run: Run, count: int) -> None:
    """Train the run's model itself for some updates."""
    state = None
    for batch, _ in zip(batches_of(run), range(count)):
        state = None if batch.first else state
        _, _, state = run.update(batch, state)


def foreign_order(run: Run) -> Run:
    """Trained weights whose file has the gates in the order i, o, f, g."""
    plain_updates(run, 400)
    for p in run.model.recurrent.params.values():
        blocks = p.reshape(4, -1, *p.shape[1:]).copy()
        p[...] = blocks[[0, 3, 1, 2]].reshape(p.shape)
    return run


def forget_without_carry(run: Run) -> Run:
    """The forget gate's gradient from dh alone, without what later steps sent to the cell."""

    def step(dh: Any, dc: Any, dz: Any, dh_dc: Any, f: Any) -> None:
        own = dh * dh_dc
        dc += own
        dz[0] *= dc
        dz[1] *= own  # should be dc, as for the other two
        dz[2] *= dc
        dz[3] *= dh
        dc *= f

    def backward(*arguments: Any) -> Any:
        return lstm_backward(*arguments, step=step)

    run.model.recurrent.run_backward = backward
    return run


def two_pieces(model, x, y, state, optimizer, loss, clip_norm=None, lengths=None, carry=True):
    """One update through a sequence in two pieces, the gradient carried across the cut."""
    half = len(x) // 2
    first, middle = model(x[:half], state)
    second, last = model(x[half:], middle)
    value, dy = loss(np.concatenate([first, second]), y)
    _, dmiddle = model.backward(dy[half:])
    later = {name: g.copy() for name, g in model.grads.items()}
    model(x[:half], state)  # again, since a layer keeps one pass
    model.backward(dy[:half], dmiddle if carry else None)
    grads = {name: g + later[name] for name, g in model.grads.items()}
    norm = None if clip_norm is None else float(clip_grad_norm(grads, clip_norm))
    optimizer.step(grads)
    return float(value), norm, last


def drop_state_gradient(run: Run) -> Run:
    """A sequence in two pieces, and no gradient of the state from the second to the first."""

    def step(*arguments: Any, **named: Any) -> Any:
        return two_pieces(*arguments, carry=False, **named)

    return replace(run, step=step)


def half_precision_sigmoid(run: Run) -> Run:
    """Gates as exp(z) / (1 + exp(z)) in float16, on inputs that nobody scaled."""

    def naive(z: Any) -> Any:
        power = np.exp(z.astype(np.float16))  # infinite above 11.1
        return power / (1 + power)

    def step(z: Any, c_prev: Any, h: Any, c: Any, tanh_c: Any, scale: Any) -> None:
        z[0], z[1], z[2], z[3] = naive(z[0]), naive(z[1]), np.tanh(z[2]), naive(z[3])
        c[...] = z[1] * c_prev + z[0] * z[2]
        tanh_c[...] = np.tanh(c)
        h[...] = z[3] * tanh_c

    def forward(*arguments: Any) -> Any:
        with np.errstate(all="ignore"):
            return lstm_forward(*arguments, step=step)

    run.model.recurrent.run = forward
    return replace(run, x=50 * run.x)


def copy_gates(run: Run) -> Run:
    """All four blocks of every weight start with the same numbers."""
    for name in ("weight_ih_l0", "weight_hh_l0"):
        p = run.model.recurrent.params[name]
        p.reshape(4, -1)[...] = p.reshape(4, -1)[0]
    return run


def enlarge_weights(run: Run, factor: float = 8.0) -> Run:
    """Initial weights eight times as large as LeCun's."""
    for name in ("weight_ih_l0", "weight_hh_l0"):
        run.model.recurrent.params[name] *= factor
    return run


def shrink_weights(run: Run, factor: float = 0.01) -> Run:
    """Initial weights a hundredth of LeCun's."""
    return enlarge_weights(run, factor)


def forget_bias_zero(run: Run, bias: float = 0.0) -> Run:
    """A forget gate that starts at one half, on a task with a long lag."""
    run.model.recurrent.params["bias_l0"].reshape(4, -1)[1] = bias
    return run


def bad_step(run: Run) -> Run:
    """One update with a learning rate of 10, before the training goes on as it should."""
    plain_updates(replace(run, optimizer=Adam(run.model.params, 10.0)), 1)
    return run


class HiddenDropout(Regressor):
    """A regressor with dropout before the readout, known to ``layers`` or not."""

    def __init__(self, recurrent: Any, size: int, known: bool, rng: Any) -> None:
        super().__init__(recurrent, size, rng=rng)
        self.dropout = Dropout(0.3, rng=rng)
        if known:
            self.layers = self.layers | {"dropout": self.dropout}

    def __call__(self, x: Any, state: Any = None, lengths: Any = None) -> Any:
        h, state = self.recurrent(x, state, lengths)
        return self.linear(self.dropout(h)), state

    def backward(self, dy: Any, dstate: Any = None) -> Any:
        dh = self.dropout.backward(self.linear.backward(dy))
        return self.recurrent.backward(dh, dstate)


def hide_dropout(run: Run, known: bool = False) -> Run:
    """A dropout that ``model.layers`` does not list, so that nothing turns it off."""
    model = HiddenDropout(run.model.recurrent, run.y.shape[2], known, 0)
    return replace(run, model=model, optimizer=Adam(model.params, run.optimizer.learning_rate))


# --- in the data ----------------------------------------------------------------------------


def swap_axes(run: Run) -> Run:
    """Arrays (batch, time, features) given to a model that reads (time, batch, features)."""
    return replace(run, x=run.x.swapaxes(0, 1).copy(), y=run.y.swapaxes(0, 1).copy())


def shuffle_with_state(run: Run) -> Run:
    """A stateful layer, and windows in a new order every epoch."""
    run.model.recurrent.stateful = True
    return replace(run, rng=np.random.default_rng(0))


def keep_state(run: Run) -> Run:
    """A stateful layer over series that have nothing to do with one another."""
    run.model.recurrent.stateful = True
    return replace(run, rng=None)


def padding_counted(run: Run) -> Run:
    """Sequences that end early, and a loss that does not know it."""

    def step(model, x, y, state, optimizer, loss, clip_norm=None, lengths=None):
        prediction, state = model(x, state, lengths)
        value, dy = loss(prediction, y)
        model.backward(dy)
        optimizer.step(model.grads)
        return float(value), None, state

    return replace(run, lengths=None) if run.y.ndim == 1 else replace(run, step=step)


def leaked_scaling(run: Run) -> Run:
    """Mean and deviation for the scaling from training and validation data together."""
    x, y, (later_x, later_y) = run.x, run.y, run.validation
    series = [a for u, v in ((x, y), (later_x, later_y)) for a in (u[0], u[1:, -1], v[-1, -1:])]
    mean, std = np.concatenate(series).mean(), np.concatenate(series).std()
    x, y, later_x, later_y = ((a - mean) / std for a in (x, y, later_x, later_y))
    return replace(run, x=x, y=y, validation=(later_x, later_y))


def target_shifted(run: Run) -> Run:
    """Targets one step early: the value to forecast is the one that was just read."""
    return replace(run, y=run.x.copy())


def unscaled(run: Run) -> Run:
    """Inputs in the units in which they came: around 500, give or take 100."""
    return replace(run, x=500 + 100 * run.x)


# --- in the training ------------------------------------------------------------------------


def without_mean(run: Run) -> Run:
    """A loss that divides its value by the batch, and its gradient not."""

    def loss(y: Any, target: Any) -> Any:
        value, dy = run.loss(y, target)
        return value, dy * y.shape[-2]

    return replace(run, loss=loss)


def double_mean(run: Run) -> Run:
    """A loss whose gradient is divided by the batch twice."""

    def loss(y: Any, target: Any) -> Any:
        value, dy = run.loss(y, target)
        return value, dy / y.shape[-2]

    return replace(run, loss=loss)


def broadcast(run: Run) -> Run:
    """One sequence, targets (T, 1) and predictions (T, 1, 1): a difference (T, T, 1)."""

    def loss(y: Any, target: Any) -> Any:
        difference = y - target
        dy = (2 * difference / difference.size).sum(1, keepdims=True)
        return (difference**2).mean(), dy

    return replace(run, x=run.x[:, :1], y=run.y[:, :1, 0], loss=loss, batch_size=None)


def rate_high(run: Run, factor: float = 300.0) -> Run:
    """A learning rate 300 times too high."""
    run.optimizer.learning_rate *= factor
    return run


def rate_low(run: Run, factor: float = 1 / 3000) -> Run:
    """A learning rate 3000 times too low."""
    return rate_high(run, factor)


def decayed_per_step(run: Run, decay: float = 0.9) -> Run:
    """A decay of 0.9 that was meant for every epoch, applied at every update."""

    def step(model: Any, x: Any, y: Any, state: Any, optimizer: Any, *rest: Any, **named: Any) -> Any:
        result = run.step(model, x, y, state, optimizer, *rest, **named)
        optimizer.learning_rate *= decay
        return result

    return replace(run, step=step)


class Uncorrected(Adam):
    """Adam with running means that start at zero and are not corrected for it."""

    def update(self, name: str, gradient: Any) -> None:
        m, v, (beta1, beta2) = self.m[name], self.v[name], self.betas
        m += (1 - beta1) * (gradient - m)
        v += (1 - beta2) * (gradient * gradient - v)
        self.params[name] -= self.learning_rate * m / (v**0.5 + self.eps)


def no_correction(run: Run) -> Run:
    """Adam without its bias correction."""
    return replace(run, optimizer=Uncorrected(run.model.params, run.optimizer.learning_rate))


def clipped_copy(run: Run) -> Run:
    """Clipping applied to copies of the gradients."""

    def step(model, x, y, state, optimizer, loss, clip_norm=None, lengths=None):
        prediction, state = model(x, state, lengths)
        value, dy = loss_to_ends(loss, prediction, y, lengths)
        model.backward(dy)
        copies = {name: g.copy() for name, g in model.grads.items()}
        norm = None if clip_norm is None else float(clip_grad_norm(copies, clip_norm))
        optimizer.step(model.grads)
        return float(value), norm, state

    return replace(run, step=step, clip_norm=1.0)


def clipped_by_value(run: Run, limit: float = 1e-3) -> Run:
    """Every entry of the gradients limited to one thousandth, whatever the others are."""

    def step(model, x, y, state, optimizer, loss, clip_norm=None, lengths=None):
        prediction, state = model(x, state, lengths)
        value, dy = loss_to_ends(loss, prediction, y, lengths)
        model.backward(dy)
        clip_grad_value(model.grads, limit)
        optimizer.step(model.grads)
        return float(value), None, state

    return replace(run, step=step)


class Fault(NamedTuple):
    """A fault: how it is planted, and the tasks on which it can be."""

    plant: Callable[..., Run]
    tasks: tuple[str, ...]


# Kinds of tasks: forecasts of independent series, of windows of one series with a validation
# set, recall of an input many steps later, labels of whole sequences and forecasts with lengths.
ALL = ("waves", "series", "recall", "labels", "ends")
STEPS = ("waves", "series", "recall")  # a target at every step, no lengths

# The keys are the names of the findings.
FAULTS = {
    "gates in the wrong order": Fault(foreign_order, ("waves", "series", "ends")),
    "gradient of the forget gate wrong": Fault(forget_without_carry, ALL),
    "gradient of the state lost": Fault(drop_state_gradient, STEPS),
    "overflow in the forward pass": Fault(half_precision_sigmoid, STEPS),
    "gates alike": Fault(copy_gates, ALL),
    "weights too large": Fault(enlarge_weights, ALL),
    "weights too small": Fault(shrink_weights, ALL),
    "memory too short": Fault(forget_bias_zero, ("recall",)),
    "gates saturated": Fault(bad_step, ALL),
    "dropout in evaluation": Fault(hide_dropout, STEPS),
    "axes swapped": Fault(swap_axes, ("waves", "recall")),
    "state carried across shuffled sequences": Fault(shuffle_with_state, ("waves", "series", "labels")),
    "state never reset": Fault(keep_state, ("waves", "labels", "ends")),
    "padding in the loss": Fault(padding_counted, ("labels", "ends")),
    "scaling leaks": Fault(leaked_scaling, ("series",)),
    "target in the input": Fault(target_shifted, ("waves", "series")),
    "input not scaled": Fault(unscaled, STEPS),
    "mean missing": Fault(without_mean, ALL),
    "mean taken twice": Fault(double_mean, ALL),
    "loss broadcasts": Fault(broadcast, STEPS),
    "rate too high": Fault(rate_high, ALL),
    "rate too low": Fault(rate_low, ALL),
    "rate decays within an epoch": Fault(decayed_per_step, ALL),
    "no bias correction": Fault(no_correction, ALL),
    "clipping without effect": Fault(clipped_copy, ALL),
    "clipping turns the gradient": Fault(clipped_by_value, ALL),
}
