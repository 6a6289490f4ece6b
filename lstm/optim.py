"""Optimizers, clipping of gradients, learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .backend import Array, Module, device_of, get_array_module, to_device
from .checks import check_arrays, check_count, check_fraction, check_positive, check_size

Params = Mapping[str, Array]


def ask_for_memory(params: Params) -> None:
    """Raise a MemoryError if the largest parameter's update would find no room.

    An update needs at most three arrays of its parameter's size at a time besides its
    state. CuPy keeps what is given back here for those who ask next.
    """
    largest = max(params.values(), key=lambda p: p.size, default=np.empty(0))
    spare = [get_array_module(largest).empty_like(largest) for _ in range(3)]
    del spare


class Optimizer:
    """What all optimizers share: the parameters they change in place, and their state.

    Parameters
    ----------
    params : ``model.params``
    learning_rate : above 0; may be set again at any time
    """

    def __init__(self, params: Params, learning_rate: float) -> None:
        self.params, self.steps = dict(params), 0
        self.slots: dict[str, Array] = {}
        self.learning_rate = learning_rate

    @property
    def learning_rate(self) -> float:
        """The rate of the next step; setting it to what is not above 0 is a ValueError."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._learning_rate = check_positive(type(self).__name__, "learning_rate", value)

    def slot(self, kind: str) -> dict[str, Array]:
        """Return an array of zeros for each parameter, part of the state from now on."""
        zeros = {k: get_array_module(p).zeros_like(p) for k, p in self.params.items()}
        self.slots |= {f"{kind}.{name}": array for name, array in zeros.items()}
        return zeros

    def step(self, grads: Params) -> None:
        """Change every parameter in place, by ``model.grads``."""
        check_arrays(f"{type(self).__name__}.step", grads, self.params)
        ask_for_memory(self.params)
        self.steps += 1
        for name, gradient in grads.items():
            self.update(name, gradient)

    def update(self, name: str, gradient: Array) -> None:
        """Change one parameter in place."""
        raise NotImplementedError(f"{type(self).__name__} must define update")

    def state_dict(self) -> dict[str, Array]:
        """Return copies of all that the next step depends on, besides the parameters."""
        numbers = {"learning_rate": np.array(self.learning_rate, np.float64),
                   "steps": np.array(self.steps, np.int64)}
        return numbers | {name: array.copy() for name, array in self.slots.items()}

    def load_state_dict(self, state: Params) -> None:
        """Go on from a `state_dict`; a ValueError leaves everything as it was."""
        owner = f"{type(self).__name__}.load_state_dict"
        check_arrays(owner, state, self.state_dict())
        self.learning_rate = float(state["learning_rate"])
        self.steps = int(state["steps"])
        for name, array in self.slots.items():
            array[...] = to_device(state[name], device_of(array))


class SGD(Optimizer):
    """Gradient descent: p -= learning_rate * dp.

    Parameters
    ----------
    params, learning_rate : as in `Optimizer`
    """

    def __init__(self, params: Params, learning_rate: float = 0.01) -> None:
        super().__init__(params, learning_rate)

    def update(self, name: str, gradient: Array) -> None:
        """Change one parameter in place."""
        self.params[name] -= self.learning_rate * gradient


class Momentum(Optimizer):
    """Gradient descent along a running sum of gradients: u = momentum * u + dp.

    Parameters
    ----------
    params, learning_rate : as in `Optimizer`
    momentum : what is left of the sum at each step, from 0 to below 1
    nesterov : step along dp + momentum * u, the sum as the next step would have it if
        the gradient stayed

    References
    ----------
    Sutskever et al. (2013), in PyTorch's form, where the rate multiplies the sum.
    """

    def __init__(
        self, params: Params, learning_rate: float, momentum: float = 0.9,
        nesterov: bool = False,
    ) -> None:
        super().__init__(params, learning_rate)
        self.momentum = check_fraction("Momentum", "momentum", momentum)
        self.nesterov, self.u = nesterov, self.slot("u")

    def update(self, name: str, gradient: Array) -> None:
        """Change one parameter in place."""
        u = self.u[name]
        u *= self.momentum
        u += gradient
        direction = gradient + self.momentum * u if self.nesterov else u
        self.params[name] -= self.learning_rate * direction


class RMSprop(Optimizer):
    """Gradient descent by the gradient over the root of its running mean square.

    Parameters
    ----------
    params, learning_rate : as in `Optimizer`
    alpha : decay of the running mean of the square, from 0 to below 1
    eps : added to the root, above 0

    References
    ----------
    Hinton, Srivastava and Swersky (2012), in PyTorch's form.
    """

    def __init__(
        self, params: Params, learning_rate: float = 0.01, alpha: float = 0.99,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, learning_rate)
        self.alpha = check_fraction("RMSprop", "alpha", alpha)
        self.eps, self.v = check_positive("RMSprop", "eps", eps), self.slot("v")

    def update(self, name: str, gradient: Array) -> None:
        """Change one parameter in place."""
        xp, v = get_array_module(gradient), self.v[name]
        v += (1 - self.alpha) * (gradient * gradient - v)
        self.params[name] -= self.learning_rate * gradient / (xp.sqrt(v) + self.eps)


class Adam(Optimizer):
    """Adam: a step of about the learning rate, whatever the gradient's scale.

    Parameters
    ----------
    params, learning_rate : as in `Optimizer`
    betas : decay of the running means of the gradient and of its square, from 0 to below 1
    eps : added to the root of the bias-corrected mean square, above 0

    References
    ----------
    Kingma and Ba (2015), Algorithm 1.
    """

    def __init__(
        self, params: Params, learning_rate: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
    ) -> None:
        super().__init__(params, learning_rate)
        owner = type(self).__name__
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{owner} expected betas from 0 to below 1, got {betas}")
        self.betas, self.eps = betas, check_positive(owner, "eps", eps)
        self.m, self.v = self.slot("m"), self.slot("v")

    def update(self, name: str, gradient: Array) -> None:
        """Change one parameter in place."""
        xp, m, v = get_array_module(gradient), self.m[name], self.v[name]
        beta1, beta2 = self.betas
        m += (1 - beta1) * (gradient - m)
        v += (1 - beta2) * (gradient * gradient - v)
        rate = self.learning_rate / (1 - beta1**self.steps)
        correction = 1 - beta2**self.steps
        self.params[name] -= rate * m / (xp.sqrt(v / correction) + self.eps)


class AdamW(Adam):
    """Adam, and beside it a decay that draws every parameter towards 0.

    Parameters
    ----------
    params, learning_rate, betas, eps : as in `Adam`
    weight_decay : each step first multiplies p by 1 - learning_rate * weight_decay;
        at least 0

    References
    ----------
    Loshchilov and Hutter (2019), in PyTorch's form, with the rate in the decay.
    """

    def __init__(
        self, params: Params, learning_rate: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, learning_rate, betas, eps)
        if not 0 <= weight_decay < float("inf"):
            raise ValueError(
                f"AdamW expected weight_decay at least 0 and finite, got {weight_decay!r}"
            )
        self.weight_decay = weight_decay

    def update(self, name: str, gradient: Array) -> None:
        """Change one parameter in place."""
        self.params[name] *= 1 - self.learning_rate * self.weight_decay
        super().update(name, gradient)


def grad_norm(grads: Params) -> Array:
    """Return the joint norm of all gradients: a scalar array, on their device."""
    xp = get_array_module(*grads.values())
    norm: Array = xp.sqrt(sum((g * g).sum() for g in grads.values()))
    return norm


def clip_grad_norm(grads: Params, max_norm: float, norm: Array | None = None) -> Array:
    """Scale all gradients in place so that their joint norm is at most max_norm.

    Parameters
    ----------
    grads : ``model.grads``; their direction is kept
    max_norm : above 0
    norm : ``grad_norm(grads)``, where it is known already

    Returns
    -------
    The norm before clipping, a scalar array.

    References
    ----------
    Pascanu, Mikolov and Bengio (2013), Algorithm 1.
    """
    check_positive("clip_grad_norm", "max_norm", max_norm)
    norm = grad_norm(grads) if norm is None else norm
    scale = max_norm / get_array_module(norm).maximum(norm, max_norm)
    for gradient in grads.values():
        gradient *= scale
    return norm


def clip_grad_value(grads: Params, max_value: float) -> None:
    """Limit every entry of all gradients, in place, to -max_value to max_value.

    Parameters
    ----------
    grads : ``model.grads``; their direction may turn
    max_value : above 0
    """
    check_positive("clip_grad_value", "max_value", max_value)
    for gradient in grads.values():
        get_array_module(gradient).clip(gradient, -max_value, max_value, out=gradient)


def check_schedule(owner: str, rate: float, warmup: int, floor: float) -> None:
    """Raise an error unless a schedule's highest rate, warm-up and floor make sense.

    Raises
    ------
    TypeError, ValueError
        If rate is not above 0, warmup no int of at least 0, or floor not from 0 to rate.
    """
    check_positive(owner, "rate", rate)
    check_count(owner, "warmup", warmup)
    if not 0 <= floor <= rate:
        raise ValueError(
            f"{owner} expected floor from 0 to the rate {rate!r}, got {floor!r}"
        )


def warmup_exponential(
    rate: float, decay: float, *, warmup: int = 0, floor: float = 0.0
) -> Callable[[int], float]:
    """Schedule: linear from rate / warmup to rate, then rate * decay**k, not below floor.

    Parameters
    ----------
    rate : highest learning rate, above 0
    decay : factor of each step after the warm-up, above 0, at most 1
    warmup : steps of warm-up, 0 for none
    floor : lowest rate after the warm-up, from 0 to rate

    Returns
    -------
    A function from the step's number, counted from 0 (an epoch, in `fit`), to a rate.
    """
    check_schedule("warmup_exponential", rate, warmup, floor)
    if not 0 < decay <= 1:
        raise ValueError(
            f"warmup_exponential expected decay above 0 and at most 1, got {decay!r}"
        )

    def schedule(step: int) -> float:
        if step < warmup:
            return rate * (step + 1) / warmup
        return max(floor, rate * decay ** (step - warmup))

    return schedule


def cosine(
    rate: float, steps: int, *, warmup: int = 0, floor: float = 0.0
) -> Callable[[int], float]:
    """Schedule: linear from rate / warmup to rate, then half a cosine down to floor.

    Parameters
    ----------
    rate : highest learning rate, above 0
    steps : steps of the whole training, more than warmup; from this number on, floor
    warmup, floor : as in `warmup_exponential`

    Returns
    -------
    A function from the step's number, counted from 0, to a rate.

    References
    ----------
    Loshchilov and Hutter (2017), without restarts.
    """
    check_schedule("cosine", rate, warmup, floor)
    if check_size("cosine", "steps", steps) <= warmup:
        raise ValueError(f"cosine expected steps above warmup {warmup}, got {steps}")

    def schedule(step: int) -> float:
        if step < warmup:
            return rate * (step + 1) / warmup
        way = min(1.0, (step - warmup) / (steps - warmup))
        return floor + (rate - floor) * (1 + math.cos(math.pi * way)) / 2

    return schedule


class Watch:
    """What `Plateau` and `EarlyStopping` share: the smallest loss so far.

    Attributes
    ----------
    best : the smallest loss so far
    waited : losses since then
    """

    def __init__(self) -> None:
        self.best, self.waited = math.inf, 0

    def improved(self, loss: float, threshold: float = 0.0) -> bool:
        """Take in a loss; return whether it is a new best one. NaN never is.

        Parameters
        ----------
        threshold : share of the best loss by which a new one must be below it
        """
        better = loss < self.best * (1 - threshold)
        self.best, self.waited = (loss, 0) if better else (self.best, self.waited + 1)
        return better

    def state_dict(self) -> dict[str, Array]:
        """Return copies of all that the next call depends on, as arrays."""
        return {"best": np.array(self.best, np.float64), "waited": np.array(self.waited)}

    def load_state_dict(self, state: Params) -> None:
        """Go on from a `state_dict`."""
        self.best, self.waited = float(state["best"]), int(state["waited"])


class Plateau(Watch):
    """A callback of `fit`: lowers the learning rate when the loss has stopped falling.

    The loss is that of the validation, or without one that of the training. It takes the
    place of a schedule, which would set the rate again.

    Parameters
    ----------
    factor : what is left of the rate when it falls, above 0 and below 1
    patience : epochs in a row without an improvement that change nothing, at least 0;
        the next one lowers the rate
    threshold : an improvement is below the best loss by more than this share of it,
        from 0 to below 1
    floor : lowest rate, at least 0
    """

    def __init__(
        self, *, factor: float = 0.1, patience: int = 10, threshold: float = 1e-4,
        floor: float = 0.0,
    ) -> None:
        super().__init__()
        check_positive("Plateau", "factor", check_fraction("Plateau", "factor", factor))
        self.factor, self.patience = factor, check_count("Plateau", "patience", patience)
        self.threshold = check_fraction("Plateau", "threshold", threshold)
        if not 0 <= floor < math.inf:
            raise ValueError(f"Plateau expected floor from 0 and finite, got {floor!r}")
        self.floor = floor

    def __call__(
        self, epoch: int, model: Module, optimizer: Optimizer, history: Any
    ) -> None:
        """Take in an epoch's loss, and set the rate of the next."""
        loss, unseen = history.loss, history.validation_loss
        loss = (unseen if len(unseen) == len(loss) else loss)[-1]
        if not self.improved(loss, self.threshold) and self.waited > self.patience:
            rate, self.waited = optimizer.learning_rate, 0
            optimizer.learning_rate = min(rate, max(self.floor, rate * self.factor))
