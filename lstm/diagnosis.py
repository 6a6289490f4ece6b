"""`diagnose`: what is wrong with a training, from a few updates of a copy of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import findings
from .backend import Array, Module
from .datafacts import DataFacts, data_facts
from .findings import DIAGNOSE, SEVERITIES, Finding
from .modelfacts import ForwardFacts, WeightFacts, forward_facts, weight_facts
from .optim import Optimizer
from .rehearsal import Run
from .stepfacts import (
    GradientFacts,
    LossFacts,
    StepFacts,
    TrialFacts,
    gradient_facts,
    loss_facts,
    step_facts,
    trial_facts,
)


@dataclass
class Facts:
    """All that was measured of a run; None where it could not be.

    Attributes
    ----------
    failed : for each part that could not be measured, the error
    """

    failed: dict[str, str]
    data: DataFacts | None = None
    weights: WeightFacts | None = None
    forward: ForwardFacts | None = None
    loss: LossFacts | None = None
    gradient: GradientFacts | None = None
    step: StepFacts | None = None
    trial: TrialFacts | None = None


def measure(run: Run) -> Facts:
    """Take all measurements of a run that can be taken.

    A sick run may raise an error anywhere. It is kept, and the other parts are measured.
    """
    facts = Facts({})
    parts: dict[str, Callable[[], Any]] = {
        "data": lambda: data_facts(run),
        "weights": lambda: weight_facts(run),
        "forward": lambda: forward_facts(run, facts.data.lag if facts.data else -1),
        "loss": lambda: loss_facts(run),
        "gradient": lambda: gradient_facts(run),
        "step": lambda: step_facts(run),
        "trial": lambda: trial_facts(run),
    }
    with np.errstate(all="ignore"):
        for name, part in parts.items():
            try:
                setattr(facts, name, part())
            except Exception as error:  # whatever it is, it is the patient's
                facts.failed[name] = f"{type(error).__name__}: {error}"
    return facts


# In the order of cause and effect: what comes first explains symptoms of what comes later.
JUDGES: tuple[tuple[str, Callable[..., Finding | None]], ...] = (
    ("data step", findings.padding_in_loss), ("data", findings.data_not_finite),
    ("weights", findings.parameters_not_finite), ("forward", findings.overflow),
    ("data", findings.axes_swapped), ("data", findings.target_in_input),
    ("data", findings.scaling_leaks), ("forward", findings.dropout_in_evaluation),
    ("forward", findings.shuffled_state), ("forward", findings.state_never_reset),
    ("loss", findings.loss_broadcasts), ("loss", findings.mean_missing),
    ("loss", findings.mean_twice), ("gradient", findings.forget_gradient),
    ("gradient", findings.state_gradient_lost), ("weights", findings.gates_saturated),
    ("weights", findings.gates_alike), ("step", findings.clipping_without_effect),
    ("trial", findings.rate_decays), ("forward", findings.wrong_order),
    ("forward", findings.memory_too_short), ("trial", findings.rate_too_high),
    ("gradient", findings.gradient_wrong), ("data", findings.input_not_scaled),
    ("weights", findings.weights_too_large), ("weights", findings.weights_too_small),
    ("step", findings.no_bias_correction), ("trial", findings.clipping_turns),
    ("trial", findings.rate_too_low),
)


def judge(facts: Facts) -> list[Finding]:
    """Return the findings of all judges, most severe first, causes before effects.

    A judge whose first part could not be measured is not asked.
    """
    found = []
    for names, one in JUDGES:
        parts = [getattr(facts, name) for name in names.split()]
        if parts[0] is not None and (finding := one(*parts)) is not None:
            found.append(finding)
    if facts.failed:
        advice = "The errors are the run's own; mend the first and diagnose again."
        found.append(Finding("not measured", "note", facts.failed, advice, DIAGNOSE))
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


@dataclass(frozen=True)
class Report:
    """What `diagnose` returns: findings, most severe first, and all that was measured."""

    findings: list[Finding]
    facts: Facts

    def __str__(self) -> str:
        """Return the losses of the first updates and the findings."""
        lines = [str(finding) for finding in self.findings] or ["nothing found"]
        trial = self.facts.trial
        if trial is not None:
            lines.insert(
                0, f"{len(trial.present.updates)} updates: loss {trial.present.before:.3g} "
                f"-> {trial.present.after:.3g}; with a tenth of the rate "
                f"{trial.slower.after:.3g}, with a hundred times {trial.faster.after:.3g}"
            )
        return "\n".join(lines)

    def plot(self) -> Any:
        """Draw the first updates; see `plotting.plot_diagnosis`."""
        from lstm.plotting import plot_diagnosis  # matplotlib: not needed to diagnose

        return plot_diagnosis(self)


def diagnose(
    model: Module, x: Array, y: Array, optimizer: Optimizer, **options: Any
) -> Report:
    """Say what is wrong with a training, from a few updates of a copy of it.

    Parameters
    ----------
    model, x, y, optimizer : as in `fit`, at the moment to be looked at; none is changed
    **options : those of `rehearsal.Run`: bptt_length, batch_size, lengths, loss, clipping,
        schedule and rng as they are given to `fit`, a step of one's own, a validation set

    Returns
    -------
    `Report`; ``print`` it, or ``plot`` it
    """
    facts = measure(Run(model, x, y, optimizer, **options))
    return Report(judge(facts), facts)
