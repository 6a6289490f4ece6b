"""Optimizers, clipping of gradients, learning-rate schedules."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .backend import Array, device_of, get_array_module, to_device
from .checks import check_positive

Params = Mapping[str, Array]


class Optimizer:
    """What `SGD` and `Adam` share: the parameters they change in place, a learning rate.

    Parameters
    ----------
    params : ``model.params``
    learning_rate : above 0; may be set again at any time
    """

    def __init__(self, params: Params, learning_rate: float) -> None:
        self.params, self.steps = dict(params), 0
        self.learning_rate = learning_rate

    @property
    def learning_rate(self) -> float:
        """The rate of the next step; setting it to what is not above 0 is a ValueError."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._learning_rate = check_positive(type(self).__name__, "learning_rate", value)

    def step(self, grads: Params) -> None:
        """Change every parameter in place, by ``model.grads``."""
        raise NotImplementedError(f"{type(self).__name__} must define step")

    def memory(self) -> dict[str, Array]:
        """Return the arrays, besides the parameters, that a step reads and changes."""
        return {}

    def state_dict(self) -> dict[str, Array]:
        """Return copies of all that the next step depends on besides the parameters."""
        own = {name: array.copy() for name, array in self.memory().items()}
        rate, steps = np.array(self.learning_rate), np.array(self.steps, np.int64)
        return {"learning_rate": rate, "steps": steps, **own}

    def load_state_dict(self, state: Params) -> None:
        """Go on from what `state_dict` returned; a ValueError names all that differ."""
        given = {name: a.shape for name, a in state.items()}
        expected = {name: a.shape for name, a in self.state_dict().items()}
        if given != expected:
            owner = f"{type(self).__name__}.load_state_dict"
            raise ValueError(f"{owner} expected arrays {expected}, got {given}")
        self.learning_rate = float(state["learning_rate"])
        self.steps = int(state["steps"])
        for name, array in self.memory().items():
            array[...] = to_device(state[name], device_of(array))

    def matched(self, grads: Params) -> Params:
        """Return the gradients, or refuse them if one is missing, unknown or misshapen."""
        given = {name: g.shape for name, g in grads.items()}
        expected = {name: p.shape for name, p in self.params.items()}
        if given != expected:
            raise ValueError(
                f"{type(self).__name__}.step expected gradients {expected}, got {given}"
            )
        return grads


class SGD(Optimizer):
    """Gradient descent: p -= learning_rate * dp.

    Parameters
    ----------
    params, learning_rate : as in `Optimizer`
    """

    def __init__(self, params: Params, learning_rate: float = 0.01) -> None:
        super().__init__(params, learning_rate)

    def step(self, grads: Params) -> None:
        """Change every parameter in place, by ``model.grads``."""
        for name, gradient in self.matched(grads).items():
            self.params[name] -= self.learning_rate * gradient


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
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"Adam expected betas from 0 to below 1, got {betas}")
        self.betas, self.eps = betas, check_positive("Adam", "eps", eps)
        zeros = {k: get_array_module(p).zeros_like(p) for k, p in self.params.items()}
        self.m, self.v = zeros, {k: z.copy() for k, z in zeros.items()}

    def memory(self) -> dict[str, Array]:
        """Return both running means of every parameter."""
        return {f"{kind}.{k}": a for kind in "mv" for k, a in getattr(self, kind).items()}

    def step(self, grads: Params) -> None:
        """Change every parameter in place, by ``model.grads``."""
        self.matched(grads)
        self.steps += 1
        beta1, beta2 = self.betas
        rate, correction = (
            self.learning_rate / (1 - beta1**self.steps),
            1 - beta2**self.steps,
        )
        for name, gradient in grads.items():
            xp, m, v = get_array_module(gradient), self.m[name], self.v[name]
            m += (1 - beta1) * (gradient - m)
            v += (1 - beta2) * (gradient * gradient - v)
            self.params[name] -= rate * m / (xp.sqrt(v / correction) + self.eps)


def clip_grad_norm(grads: Params, max_norm: float) -> Array:
    """Scale all gradients in place so that their joint norm is at most max_norm.

    Parameters
    ----------
    grads : ``model.grads``; their direction is kept
    max_norm : above 0

    Returns
    -------
    The norm before clipping, a scalar array.

    References
    ----------
    Pascanu, Mikolov and Bengio (2013), Algorithm 1.
    """
    check_positive("clip_grad_norm", "max_norm", max_norm)
    xp = get_array_module(*grads.values())
    norm = xp.sqrt(sum((g * g).sum() for g in grads.values()))
    for gradient in grads.values():
        gradient *= max_norm / xp.maximum(norm, max_norm)
    return norm


def warmup_exponential(
    rate: float, decay: float, *, warmup: int = 0, floor: float = 0.0
) -> Callable[[int], float]:
    """Schedule: linear from rate / warmup to rate, then rate * decay**k, not below floor.

    Parameters
    ----------
    rate : highest learning rate, above 0
    decay : factor of each step after the warm-up, above 0, at most 1
    warmup : steps of warm-up, 0 for none
    floor : lowest rate after the warm-up, at least 0

    Returns
    -------
    A function from the step's number, counted from 0 (an epoch, in `fit`), to a rate.
    """
    check_positive("warmup_exponential", "rate", rate)
    if not 0 < decay <= 1:
        raise ValueError(
            f"warmup_exponential expected decay above 0 and at most 1, got {decay!r}"
        )

    def schedule(step: int) -> float:
        if step < warmup:
            return rate * (step + 1) / warmup
        return max(floor, rate * decay ** (step - warmup))

    return schedule
