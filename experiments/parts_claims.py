"""What Greff et al. (2017) say about the parts of an LSTM, judged by the table of `parts`."""

from __future__ import annotations

import numpy as np

from .claims import Claim, Finding, below, rounded, values

TASKS = ("adding", "stream", "vowels")
CHANGED = ("NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP", "FGR")
PAGE = "evidence/parts"


def compared(rows, task, kind):
    """Return the test errors of the ten seeds that chose nothing."""
    later = [row for row in rows if int(row["seed"]) >= 3]
    return values(later, "test", task=task, kind=kind)


def better(rows, task, kind):
    """Say whether a variant's errors are significantly below those of the vanilla LSTM."""
    return below(compared(rows, task, kind), compared(rows, task, "V"))


def worse(rows, task, kind):
    """Say whether a variant's errors are significantly above those of the vanilla LSTM."""
    return below(compared(rows, task, "V"), compared(rows, task, kind))


def ratio(rows, task, kind):
    """Return a variant's median error over that of the vanilla LSTM."""
    return float(np.median(compared(rows, task, kind)) / np.median(compared(rows, task, "V")))


def ratios(rows, kinds, tasks=TASKS):
    """Return these ratios as text, in the order of the tasks."""
    texts = [f"{kind} " + ", ".join(rounded(ratio(rows, task, kind)) for task in tasks)
             for kind in kinds]  # fmt: skip
    return f"median error over vanilla's on {', '.join(tasks)}: {'; '.join(texts)}"


def improved(rows):
    found = [f"{kind} on {task} ({rounded(ratio(rows, task, kind))} of vanilla's error)"
             for task in TASKS for kind in CHANGED if better(rows, task, kind)]  # fmt: skip
    parts = [not any(better(rows, task, kind) for kind in CHANGED) for task in TASKS]
    names = ", ".join(found) or "none"
    return Finding(f"of 24 comparisons {len(found)} are improvements: {names}", tuple(parts))


def hurt(rows, kinds, tasks=TASKS):
    """Judge that each of some kinds is worse than vanilla on each of some tasks."""
    parts = tuple(worse(rows, task, kind) for task in tasks for kind in kinds)
    return Finding(f"worse in {sum(parts)} of {len(parts)}; {ratios(rows, kinds, tasks)}", parts)


def unhurt(rows, kinds):
    """Judge that each of some kinds is not significantly worse than vanilla on each task."""
    parts = tuple(not worse(rows, task, kind) for task in TASKS for kind in kinds)
    text = f"significantly worse in {len(parts) - sum(parts)} of {len(parts)}"
    return Finding(f"{text}; {ratios(rows, kinds)}", parts)


def last_two(rows, task):
    """Return the two changed kinds with the highest median errors on a task."""
    return sorted(CHANGED, key=lambda kind: ratio(rows, task, kind))[-2:]


def critical(rows):
    places = {task: last_two(rows, task) for task in TASKS}
    text = "; ".join(ratios(rows, kinds, (task,)) for task, kinds in places.items())
    parts = tuple(kind in kinds for kinds in places.values() for kind in ("NFG", "NOAF"))
    return Finding(f"the two highest: {text}", parts)


STUDY = ("three real data sets (speech frames, handwriting, music), 5400 runs of a random search; "
         "ours: three small tasks, three rates and ten seeds")  # fmt: skip
CLAIMS = [
    Claim("No variant improves significantly on the vanilla LSTM", "greff2017",
          f"{PAGE}#parts-better", improved, f"The same, on {STUDY}"),
    Claim("Without its forget gate, or without the tanh on its output, the LSTM is "
          "significantly worse on every task", "greff2017", f"{PAGE}#parts-critical",
          lambda rows: hurt(rows, ("NFG", "NOAF")),
          f"Both worse on {STUDY}. Two of our tasks begin with an empty cell and soon end"),
    Claim("The forget gate and the tanh on the output are the two most critical parts",
          "greff2017", f"{PAGE}#parts-critical", critical, f"On {STUDY}"),
    Claim("Coupling the input and the forget gate, or leaving out the peepholes, does not "
          "hurt significantly", "greff2017", f"{PAGE}#parts-unhurt",
          lambda rows: unhurt(rows, ("CIFG", "NP")), f"Neither hurt on {STUDY}"),
    Claim("On real-valued data the input gate, the output gate and the tanh of the candidate "
          "are needed too", "greff2017", f"{PAGE}#parts-critical",
          lambda rows: hurt(rows, ("NIG", "NOG", "NIAF"), ("adding", "vowels")),
          f"Each missed on speech and handwriting, not on music, of {STUDY}"),
]  # fmt: skip
