"""Figures of the book; the only module that imports matplotlib (the extra ``plot``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes

from .backend import Array, to_numpy
from .findings import JUMP, STILL

# Okabe and Ito's palette: told apart by colour-blind readers; line styles differ too.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
LINES = ("-", "--", "-.", ":", "-", "--", "-.")


def use_book_style() -> None:
    """Set matplotlib to the book's look: 7 by 3.5 inches, text as large as the page's."""
    plt.rcParams.update({
        "figure.figsize": (7.0, 3.5), "figure.dpi": 100, "savefig.dpi": 200,
        "figure.constrained_layout.use": True, "figure.facecolor": "white",
        "font.size": 12, "axes.titlesize": 13, "axes.titlelocation": "left",
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
        "grid.color": "#dddddd", "lines.linewidth": 2.0, "legend.frameon": False,
        "axes.prop_cycle": cycler(color=COLORS) + cycler(linestyle=LINES),
    })


def plot_losses(
    losses: Mapping[str, Sequence[float]], baselines: Mapping[str, float] | None = None
) -> Axes:
    """Draw losses by epoch on a logarithmic axis, and trivial baselines as gray lines.

    Parameters
    ----------
    losses : for each name, the loss of every epoch
    baselines : for each name, a loss
    """
    _, axes = plt.subplots()
    for name, values in losses.items():
        axes.semilogy(range(1, len(values) + 1), values, label=name)
    for name, value in (baselines or {}).items():
        axes.axhline(value, color="#767676", linestyle=":")
        axes.annotate(
            name, (1.0, value), xycoords=("axes fraction", "data"), ha="right", va="bottom"
        )
    axes.set(xlabel="epoch", ylabel="mean squared error")
    axes.legend()
    return axes


def plot_history(history: Any) -> Array:
    """Draw what `fit` saw by epoch: its losses, the learning rate, the gradients' norm.

    Parameters
    ----------
    history : from `training.fit`; what it does not hold is left out

    Returns
    -------
    The axes, one below the other; all but the rate's are logarithmic.
    """
    rows = {
        "loss": {"training": history.loss, "validation": history.validation_loss},
        "learning rate": {"rate": history.learning_rate},
        "largest norm": {"before clipping": history.grad_norm},
    }
    rows = {label: lines for label, lines in rows.items() if any(lines.values())}
    heights = [2, 1, 1][: len(rows)]
    _, axes = plt.subplots(
        len(rows), 1, sharex=True, squeeze=False, height_ratios=heights,
        figsize=(7.0, 1.5 * sum(heights)),
    )
    for ax, (label, lines) in zip(axes[:, 0], rows.items()):
        for name, values in lines.items():
            if values:
                ax.plot(range(1, len(values) + 1), values, label=name)
        ax.set(ylabel=label, yscale="linear" if label == "learning rate" else "log")
    axes[0, 0].legend()
    axes[-1, 0].set_xlabel("epoch")
    return axes[:, 0]


def plot_gates(trace: Any, *, sequence: int = 0, units: int = 20) -> Array:
    """Draw a trace as one image a gate or state: time to the right, units down.

    Parameters
    ----------
    trace : from ``layer.trace()``
    sequence : which sequence of the batch
    units : how many units to show

    Returns
    -------
    The axes, one a field.
    """
    fields = trace._asdict()
    figure, axes = plt.subplots(
        len(fields), 1, sharex=True, figsize=(7.0, 1.3 * len(fields)), squeeze=False
    )
    for ax, (name, values) in zip(axes[:, 0], fields.items()):
        image = to_numpy(values)[:, sequence, :units].T
        low, high = (0, 1) if image.min() >= 0 and image.max() <= 1 else (-1, 1)
        shown = ax.imshow(image, aspect="auto", cmap="viridis", vmin=low, vmax=high)
        figure.colorbar(shown, ax=ax, ticks=[low, high])
        ax.set_ylabel(name, rotation=0, labelpad=12, va="center")
        ax.set_yticks([])
        ax.grid(False)
    axes[-1, 0].set_xlabel("time step")
    return axes[:, 0]


def plot_norms_over_time(norms: Mapping[str, Array]) -> Axes:
    """Draw gradient norms by the number of steps back from the end, on a logarithmic axis.

    Parameters
    ----------
    norms : for each name, the norm at every time step (T,), the last step last
    """
    _, axes = plt.subplots()
    for name, values in norms.items():
        axes.semilogy(np.arange(len(values)), values[::-1], label=name)
    axes.set(xlabel="steps back from the loss", ylabel="norm of the gradient")
    axes.legend()
    return axes


def plot_statistics(statistics: Mapping[str, Any]) -> Axes:
    """Draw the mean, standard deviation (bar) and range (line) of each gate and state.

    Parameters
    ----------
    statistics : from `diagnostics.statistics`
    """
    _, axes = plt.subplots()
    for place, s in enumerate(statistics.values()):
        axes.plot(
            [place, place], [s.min, s.max], color=COLORS[0], linestyle="-", linewidth=1.0
        )
        axes.plot([place, place], [s.mean - s.std, s.mean + s.std], linestyle="-",
                  color=COLORS[0], linewidth=8.0, alpha=0.5, solid_capstyle="butt")
        axes.plot(place, s.mean, "o", color=COLORS[1])
    axes.set_xticks(range(len(statistics)), list(statistics))
    axes.set(ylabel="value")
    return axes


def plot_diagnosis(report: Any) -> Array:
    """Draw the first updates of a diagnosis: their losses, and how far each one goes.

    Parameters
    ----------
    report : from `diagnosis.diagnose`

    Returns
    -------
    The two axes: losses by update with three learning rates, and the changes of the
    parameters over their norm, with the thresholds between which they are sound.
    """
    trial = report.facts.trial
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.0, 3.5), layout="constrained")
    names = ("rate / 10", "rate as it is", "rate x 100")
    for name, seen in zip(names, (trial.slower, trial.present, trial.faster)):
        places = range(1, len(seen.updates) + 1)
        left.semilogy(places, [u.loss for u in seen.updates], label=name)
        right.semilogy(places, [u.change for u in seen.updates], label=name)
    for threshold in (STILL, JUMP):
        right.axhline(threshold, color="#767676", linestyle=":")
    left.set(xlabel="update", ylabel="loss")
    right.set(xlabel="update", ylabel="change / parameters")
    handles = left.get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3)
    first = report.findings[0].name if report.findings else "nothing found"
    left.set_title(f"First finding: {first}")
    return np.array([left, right])


def plot_saturation(shares: Mapping[str, Any]) -> Axes:
    """Draw, a bar a gate, the shares of its values near either end and between them.

    Parameters
    ----------
    shares : from `diagnostics.saturation`
    """
    _, axes = plt.subplots()
    low = np.array([s.low for s in shares.values()])
    high = np.array([s.high for s in shares.values()])
    bars = {"near its lower end": low, "between": 1 - low - high,
            "near its upper end": high}
    left = np.zeros(len(shares))
    for (name, width), color in zip(bars.items(), (COLORS[0], "#dddddd", COLORS[1])):
        axes.barh(list(shares), width, left=left, color=color, label=name)
        left = left + width
    axes.invert_yaxis()
    axes.set(xlabel="share of values", ylabel="gate", xlim=(0, 1))
    axes.set_axisbelow(True)
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.2), ncols=3)
    return axes


def plot_influence(influence: Array, powers: float = 6.0) -> Axes:
    """Draw the influence of each input on each output: input to the right, output down.

    Parameters
    ----------
    influence : from `memory.influence`
    powers : how many powers of ten below the largest value the colours reach
    """
    figure, axes = plt.subplots(figsize=(7.0, 4.5))
    largest = influence.max()
    shares = np.maximum(influence / largest if largest > 0 else influence, 10.0**-powers)
    options: dict[str, Any] = {"cmap": "viridis", "vmin": -powers, "vmax": 0}
    shown = axes.imshow(np.log10(shares), aspect="auto", **options)
    figure.colorbar(shown, ax=axes, label="power of ten, largest = 0")
    axes.set(xlabel="time step of the input", ylabel="time step of the output")
    axes.locator_params(integer=True)
    axes.grid(False)
    return axes


def plot_update_ratios(
    ratios: Mapping[str, Sequence[float]], band: tuple[float, float] = (1e-4, 1e-2)
) -> Axes:
    """Draw the size of each update over the parameter's own, on a logarithmic axis.

    Parameters
    ----------
    ratios : by parameter, from `diagnostics.recorded_updates`
    band : drawn in gray, for the eye
    """
    _, axes = plt.subplots()
    axes.axhspan(*band, color="#eeeeee")
    for name, values in ratios.items():
        axes.semilogy(range(1, len(values) + 1), values, label=name)
    axes.set(xlabel="update", ylabel="update / parameter (norms)")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return axes
