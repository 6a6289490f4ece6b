"""Findings: each a small function from what was measured to the name of a fault, or None.

The thresholds are the constants. Those called derived follow from the arithmetic that is
given; those called measured lie between the healthy and the sick runs of tasks A in
tests/patients.py, and the two numbers are the ends of the gap.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from .datafacts import DataFacts
from .modelfacts import ForwardFacts, WeightFacts
from .stepfacts import GradientFacts, LossFacts, StepFacts, TrialFacts

SEVERITIES = ("error", "warning", "note")  # the most severe first

# Pages, as addresses below that of the site; the sections have the findings' names.
DATA = "book/debugging/clinic.html"
MODEL = "book/debugging/clinic_model.html"
TRAINING = "book/debugging/clinic_training.html"
DIAGNOSE = "book/debugging/diagnose.html"


@dataclass(frozen=True)
class Finding:
    """A fault that was found.

    Attributes
    ----------
    name : what it is
    severity : ``"error"``, ``"warning"`` or ``"note"``
    evidence : the numbers that say so
    advice : what to try
    page : where the book explains it
    """

    name: str
    severity: str
    evidence: Mapping[str, float | str]
    advice: str
    page: str

    def __str__(self) -> str:
        """Return name, numbers, advice and page, each from a line of its own on."""
        numbers = "; ".join(
            f"{k}: {v:.3g}" if isinstance(v, float) else f"{k}: {v}"
            for k, v in self.evidence.items()
        )
        where = f"{self.page}#{self.name.replace(' ', '-')}"
        wrapped = [
            textwrap.fill(part, 78, initial_indent="  ", subsequent_indent="    ")
            for part in (numbers, self.advice, where)
        ]
        return "\n".join([f"{self.severity}: {self.name}", *wrapped])


# --- from the data ------------------------------------------------------------

NOISE = 0.5  # derived: roughness 1 is noise; half of it is closer to noise than to a curve
SMOOTHER = 0.25  # measured: batch over time, healthy from 0.97, swapped curves 0.09
MATCH = 0.9  # derived: a copy from another sequence correlates with 1; a tenth for noise
COPIED = 0.99  # derived: all targets, but for one in a hundred that was mended by hand
LEAKED = 0.01  # derived: a training part of 200 values leaves its mean in the second digit
OFF_CENTER = 3.0  # derived: z = W x is then above 3, where a sigmoid is flat
WIDE = 10.0  # derived: z is then mostly beyond 3 to either side; measured: healthy to 1


def data_not_finite(facts: DataFacts) -> Finding | None:
    """There is a NaN or an infinity in x or y."""
    if facts.finite:
        return None
    return Finding(
        "data not finite", "error", {"NaN or infinity in": "x or y"},
        "Find it with numpy.isfinite; drop or fill these steps before training.", DATA,
    )


def axes_swapped(facts: DataFacts) -> Finding | None:
    """From step to step the data is noise, and from sequence to sequence it is a curve."""
    curve = facts.rough_time > NOISE and facts.rough_batch < SMOOTHER * facts.rough_time
    target = facts.match_batch > MATCH and facts.match_time < 1 - NOISE
    if not (curve or target):
        return None
    return Finding(
        "axes swapped", "error",
        {"roughness along time": facts.rough_time, "along batch": facts.rough_batch,
         "match along time": facts.match_time, "match along batch": facts.match_batch},
        "x and y must be (time, batch, features): x.swapaxes(0, 1), and y too.", DATA,
    )


def target_in_input(facts: DataFacts) -> Finding | None:
    """The target of a step is an input of the same step."""
    if facts.copied < COPIED:
        return None
    return Finding(
        "target in the input", "error", {"targets equal to the input": facts.copied},
        "Shift y: y[t] comes after x[t]. Or drop the input that is the target.", DATA,
    )


def padding_in_loss(data: DataFacts, step: StepFacts | None) -> Finding | None:
    """Steps past the ends of sequences count."""
    past = step.padded if step is not None else 0.0
    if not (data.padded > 0.0 or past > 0.0):
        return None
    return Finding(
        "padding in the loss", "error",
        {"steps that look like padding": data.padded, "counted in the step": past},
        "Pass lengths, and take the loss before the ends only (loss_to_ends).", TRAINING,
    )


def scaling_leaks(facts: DataFacts) -> Finding | None:
    """Training and validation data have mean 0 and deviation 1 together, not each."""
    if not facts.leaked > LEAKED:
        return None
    return Finding(
        "scaling leaks", "error", {"training data off by": facts.leaked},
        "Fit the scaling on the training part alone, and apply it to both.", DATA,
    )


def input_not_scaled(facts: DataFacts) -> Finding | None:
    """The input is far from mean 0 and deviation 1."""
    if not (facts.center > OFF_CENTER or facts.spread > WIDE):
        return None
    return Finding(
        "input not scaled", "warning",
        {"mean over deviation": facts.center, "deviation": facts.spread},
        "In each feature subtract the training part's mean, divide by its deviation.", DATA,
    )


# --- from the parameters ------------------------------------------------------

LARGE = 4.0  # measured: LeCun's 0.96 to 1.01, trained to 1.5, planted from 7.7
SMALL = 0.1  # measured: LeCun's from 0.96, trained from 0.92, planted 0.01
ALIKE = 0.99  # derived: equal blocks correlate with 1, independent ones with 1 / H
HELD = 0.5  # derived: every gate's bias alone shuts or opens half its units


def parameters_not_finite(facts: WeightFacts) -> Finding | None:
    """There is a NaN or an infinity in a parameter."""
    if facts.finite:
        return None
    return Finding(
        "parameters not finite", "error", {"NaN or infinity in": "a parameter"},
        "Go back to a checkpoint: no update mends it.", MODEL,
    )


def gates_alike(facts: WeightFacts) -> Finding | None:
    """Two gates, or two units, have the same weights."""
    if not (facts.alike > ALIKE or facts.twins > ALIKE / 2):
        return None
    return Finding(
        "gates alike", "error",
        {"correlation of two gates": facts.alike, "equal units": facts.twins},
        "Draw every row of every gate by itself.", MODEL,
    )


def gates_saturated(facts: WeightFacts) -> Finding | None:
    """Biases hold all gates open or shut."""
    if not facts.held > HELD:
        return None
    return Finding(
        "gates saturated", "error",
        {"units held by their bias": facts.held, "size of weights": facts.largest},
        "Go back to before the bad step; clip gradients; lower the rate.", MODEL,
    )


def weights_too_large(facts: WeightFacts) -> Finding | None:
    """Recurrent weights are several times LeCun's."""
    if not facts.largest > LARGE:
        return None
    return Finding(
        "weights too large", "warning", {"size over LeCun's": facts.largest},
        "Draw initial weights of variance 1 / fan-in (lecun_normal).", MODEL,
    )


def weights_too_small(facts: WeightFacts) -> Finding | None:
    """Recurrent weights are a small part of LeCun's."""
    if not facts.smallest < SMALL:
        return None
    return Finding(
        "weights too small", "warning", {"size over LeCun's": facts.smallest},
        "Draw initial weights of variance 1 / fan-in (lecun_normal).", MODEL,
    )


# --- from a forward pass ------------------------------------------------------

SAME = 1e-6  # derived: float32 repeats itself exactly on one machine; room for threads
CONTINUES = 0.5  # measured: series of their own to 0.35; 1 for one that goes on
ORDER_GAIN = 0.39  # measured: healthy from 0.46, planted to 0.34
ORDER_APART = 0.71  # measured: healthy from 0.93, planted to 0.54
ORDER_TRIVIAL = 0.37  # measured: healthy from 0.67, planted to 0.21
FORGOTTEN = 1e-4  # derived: 1e5 updates to be seen; measured: healthy from 0.09, sick 2e-8


def overflow(facts: ForwardFacts) -> Finding | None:
    """Finite inputs and parameters give an output that is not finite."""
    if facts.overflow < 0:
        return None
    return Finding(
        "overflow in the forward pass", "error", {"first at step": float(facts.overflow)},
        "Write the sigmoid so that exp cannot overflow; scale the input.", MODEL,
    )


def dropout_in_evaluation(facts: ForwardFacts) -> Finding | None:
    """Two evaluations of the same input from the same state differ."""
    if not facts.random > SAME:
        return None
    return Finding(
        "dropout in evaluation", "error", {"two evaluations differ by": facts.random},
        "List the dropout in model.layers, where evaluating() turns it off.", MODEL,
    )


def shuffled_state(facts: ForwardFacts) -> Finding | None:
    """The model carries its state from call to call, and the sequences are shuffled."""
    if not (facts.stateful > SAME and facts.shuffled):
        return None
    return Finding(
        "state carried across shuffled sequences", "error",
        {"output changed by the state before": facts.stateful},
        "Set stateful=False; or pass no rng, and keep the sequences in their order.", MODEL,
    )


def state_never_reset(facts: ForwardFacts) -> Finding | None:
    """The model carries its state to sequences that do not continue the ones before."""
    if not (facts.stateful > SAME and not facts.shuffled and facts.continues < CONTINUES):
        return None
    return Finding(
        "state never reset", "error",
        {"output changed by the state before": facts.stateful,
         "continues the batch before": facts.continues},
        "Set stateful=False, or call reset_state() before a new series.", MODEL,
    )


def wrong_order(facts: ForwardFacts) -> Finding | None:
    """With its gates in another order the model is good, and now it is not."""
    if not (
        facts.order_gain < ORDER_GAIN and facts.order_apart < ORDER_APART
        and facts.order_trivial < ORDER_TRIVIAL
    ):
        return None
    return Finding(
        "gates in the wrong order", "error",
        {"blocks that fit": facts.order, "loss with them, over now": facts.order_gain,
         "over the fourth best": facts.order_apart,
         "over the best constant": facts.order_trivial},
        "Put the blocks of all weights and biases in the order that fits.", MODEL,
    )


def memory_too_short(facts: ForwardFacts) -> Finding | None:
    """What the target needs is further back than the gradient reaches."""
    if not facts.reach < FORGOTTEN:
        return None
    return Finding(
        "memory too short", "error",
        {"lag in the data": float(facts.lag), "gradient there": facts.reach,
         "mean forget gate": facts.forget},
        "Start with a forget bias near log(lag), or with chrono_bias.", MODEL,
    )


# --- from the loss and the gradients ------------------------------------------

DOUBLED = 2**0.5  # derived: 1 for a mean, 2 for a sum, 1/2 for a mean of a mean
SPILL = 0.5  # derived: most of a target's effect lies at other predictions
WRONG = 5e-3  # measured: errors of right gradients to 2e-3, of wrong ones from 2e-2


def loss_broadcasts(facts: LossFacts) -> Finding | None:
    """A target is compared with predictions that are not its own."""
    if not (facts.refused or facts.spill > SPILL):
        return None
    return Finding(
        "loss broadcasts", "error",
        {"effect on other predictions": facts.spill,
         "with two sequences": facts.refused or "no error"},
        "Give y and target the same shape, and let the loss refuse others.", DATA,
    )


def mean_missing(facts: LossFacts) -> Finding | None:
    """Twice the sequences give twice the gradient."""
    if not facts.doubled > DOUBLED:
        return None
    return Finding(
        "mean missing", "error", {"gradient of the batch twice, over once": facts.doubled},
        "Take the mean over the batch, in the loss and in its gradient.", DATA,
    )


def mean_twice(facts: LossFacts) -> Finding | None:
    """Twice the sequences give half the gradient."""
    if not facts.doubled < 1 / DOUBLED:
        return None
    return Finding(
        "mean taken twice", "error",
        {"gradient of the batch twice, over once": facts.doubled},
        "Divide by the size of the batch once, in the loss and in its gradient.", DATA,
    )


def forget_gradient(facts: GradientFacts) -> Finding | None:
    """Of all gates in one step the forget gate alone has a wrong gradient."""
    wrong = [gate for gate, error in facts.gates.items() if error > WRONG]
    if wrong != ["f"]:
        return None
    return Finding(
        "gradient of the forget gate wrong", "error",
        {"error of f": facts.gates["f"], "largest of the others":
         max(error for gate, error in facts.gates.items() if gate != "f")},
        "dz_f takes the whole dc, with what came from the step after.", TRAINING,
    )


def state_gradient_lost(facts: GradientFacts) -> Finding | None:
    """Gradients are right within a piece, and wrong across pieces."""
    handed = facts.step > WRONG and facts.passes > 1 and not facts.carried
    model = facts.joined > WRONG
    if facts.alone > WRONG or not (handed or model):
        return None
    return Finding(
        "gradient of the state lost", "error",
        {"error of the step": facts.step, "of the model with a state": facts.joined,
         "without": facts.alone, "backward passes in a step": float(facts.passes)},
        "Hand dstate of the later piece to backward of the piece before.", TRAINING,
    )


def gradient_wrong(facts: GradientFacts) -> Finding | None:
    """Gradients differ from central differences, and no better name is known."""
    if state_gradient_lost(facts) or forget_gradient(facts):
        return None
    if not max(facts.alone, facts.joined, facts.step) > WRONG:
        return None
    return Finding(
        "gradient wrong", "error",
        {"error of the model": facts.alone, "with a state": facts.joined,
         "of the step": facts.step},
        "If the step's alone is wrong, check the loss's own gradient and the step; else "
        "gradient_check names the parameter.", TRAINING,
    )


# --- from the updates ---------------------------------------------------------

TURNED = 0.9  # measured: cosine before and after clipping, healthy 1, by value to 0.41
UNCLIPPED = 1.01  # derived: clipping leaves the norm that was asked for; 10 if it does not
FIRST = 1.5  # derived: a new Adam's first change is one rate, 3.2 or 32 uncorrected
DECAY = 0.8  # derived: by this share an epoch, a tenth of the rate is left after ten
JUMP = 0.3  # derived: three such changes are as long as the parameters; healthy to 0.014
STILL = 3e-5  # measured: healthy from 2e-3, other faults from 1e-4, planted to 3e-6


def clipping_turns(facts: TrialFacts) -> Finding | None:
    """The optimizer is given another direction than that of the gradient."""
    updates = facts.present.updates
    cosines = [u.cosine for u in updates if u.given > 0]
    if facts.passes > 1 or not cosines or not min(cosines) < TURNED:
        return None
    return Finding(
        "clipping turns the gradient", "warning",
        {"least cosine": min(cosines), "entries at the limit": updates[0].largest},
        "Clip the norm (clip_grad_norm). If nothing clips, look for what else changes the "
        "gradients before the optimizer gets them.", TRAINING,
    )


def clipping_without_effect(facts: StepFacts) -> Finding | None:
    """The optimizer is given gradients longer than clip_norm."""
    if not facts.clipped > UNCLIPPED:
        return None
    return Finding(
        "clipping without effect", "error",
        {"norm given, over the one asked for": facts.clipped},
        "Clip the arrays that the optimizer gets, in place, before its step.", TRAINING,
    )


def no_bias_correction(facts: StepFacts) -> Finding | None:
    """The first change of a new Adam is not one learning rate."""
    if not (facts.first > FIRST or facts.first < 1 / FIRST):
        return None
    return Finding(
        "no bias correction", "warning", {"first change, in rates": facts.first},
        "Divide m by 1 - beta1**steps and v by 1 - beta2**steps.", TRAINING,
    )


def rate_decays(facts: TrialFacts) -> Finding | None:
    """The learning rate falls from update to update."""
    updates = [u for u in facts.present.updates if u.epoch == 0]
    if len(updates) < 2 or facts.per_epoch < 2:
        return None
    left = (updates[-1].rate / updates[0].rate) ** (facts.per_epoch / (len(updates) - 1))
    if not left < DECAY:
        return None
    return Finding(
        "rate decays within an epoch", "error",
        {"rate left after one epoch": left, "updates in an epoch": float(facts.per_epoch)},
        "Call the schedule once an epoch, or give it the number of updates.", TRAINING,
    )


def rate_too_high(facts: TrialFacts) -> Finding | None:
    """Updates are as long as the parameters, or break the loss where a tenth does not."""
    present, slower = facts.present, facts.slower
    change = max((u.change for u in present.updates), default=0.0)
    if not (change > JUMP or (present.broken and not slower.broken)):
        return None
    return Finding(
        "rate too high", "error",
        {"largest change over the parameters": change, "loss before": present.before,
         "after": present.after, "with a tenth of the rate": slower.after},
        "Try a tenth of the learning rate; clip gradients if it still jumps.", TRAINING,
    )


def rate_too_low(facts: TrialFacts) -> Finding | None:
    """Updates hardly move the parameters, and a hundred times the rate does better."""
    present, faster = facts.present, facts.faster
    changes = sorted(u.change for u in present.updates)
    if not changes or not changes[len(changes) // 2] < STILL:
        return None
    if not faster.after < present.after:
        return None
    return Finding(
        "rate too low", "warning",
        {"change over the parameters": changes[len(changes) // 2],
         "loss before": present.before, "after": present.after,
         "with a hundred times the rate": faster.after},
        "Try a hundred times the learning rate; then rate_range_test.", TRAINING,
    )
