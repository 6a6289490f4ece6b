"""Exercises of *Your GPU*."""

from __future__ import annotations

from lstm_student.exercise import Exercise

LOOPS = (  # T, a, g, p, q
    (100, 5e-6, 1e-6, 3e-6, 4e-6),  # requests are the cost
    (100, 5e-6, 1e-6, 5e-5, 5e-4),  # products are
    (1, 5e-6, 1e-6, 3e-6, 4e-6),  # the graph's own request counts
    (100, 5e-6, 1e-6, 9e-6, 1.2e-5),  # asking and computing overlap
    (100, 5e-6, 3e-6, 3e-6, 6e-6),  # two gaps a step
    (100, 5e-6, 1e-6, 5e-5, 3e-5),  # the library's product sets the pace
)
DELTAS = (2e-4, 3e-13), (2e-4, 1.9e-4), (2e-4, 1e-6), (5e-2, 4e-11)  # float32, float64


def pays(T, a, g, p, q):
    return a + T * (2 * g + q) < T * max(2 * a, p)


def line(per_step):
    """Return the slope and the rest of a known line, in microseconds."""
    slope, rest = per_step(20, 3e-4 + 20 * 1e-5, 60, 3e-4 + 60 * 1e-5)
    return 1e6 * float(slope), 1e6 * float(rest)


def straight(T1, t1, T2, t2):
    slope = (t2 - t1) / (T2 - T1)
    return slope, t1 - slope * T1


def answers(function, cases):
    """Return yes or no for each case."""
    return [bool(function(*case)) for case in cases]


EXERCISES = {
    1: Exercise(
        "that a graph saves requests and pays with a slower product",
        lambda pays: answers(pays, LOOPS),
        right=pays,
        wrong=[
            (
                lambda T, a, g, p, q: a < 2 * T * a,
                "the requests alone: what does our product cost?",
            ),
            (
                lambda T, a, g, p, q: T * (2 * g + q) < T * max(2 * a, p),
                "the graph is a request too: with one step that shows",
            ),
            (
                lambda T, a, g, p, q: a + T * (2 * g + q) < T * (2 * a + p),
                "asking and computing overlap: they do not add up",
            ),
            (
                lambda T, a, g, p, q: a + T * (g + q) < T * max(2 * a, p),
                "a step has two kernels: how many gaps is that?",
            ),
            (
                lambda T, a, g, p, q: a + T * (2 * g + q) < 2 * T * a,
                "where the library's product takes longer than asking, it sets the pace",
            ),
            (
                lambda *loop: not pays(*loop),
                "the other way round: it pays where it takes less time",
            ),
        ],
        explain=lambda found: (
            f"{sum(f == pays(*loop) for f, loop in zip(found, LOOPS))}"
            f" of {len(LOOPS)} loops are right: compare both times for one of your own"
        ),
    ),
    2: Exercise(
        "that what depends on the length is a slope, told from what does not",
        line,
        right=straight,
        wrong=[
            (
                lambda T1, t1, T2, t2: (t2 / T2, 0.0),
                "what does not depend on T is charged to the steps",
            ),
            (lambda *given: straight(*given)[::-1], "both are right, in the other order"),
            (
                lambda T1, t1, T2, t2: (straight(T1, t1, T2, t2)[0], t1),
                "a step is right; the shorter time has T1 steps in it, the rest has none",
            ),
            (
                lambda T1, t1, T2, t2: (t2 - t1, t1),
                "the difference belongs to more than one step",
            ),
        ],
        explain=lambda found: (
            f"a step takes 10 us and the rest 300, not {found[0]:.3g} and {found[1]:.3g}"
        ),
    ),
    3: Exercise(
        "that rounding falls with the dtype and a mistake does not",
        lambda rounding: answers(rounding, DELTAS),
        right=lambda delta32, delta64: delta64 < 1e-5 * delta32,
        wrong=[
            (
                lambda delta32, delta64: delta32 < 1e-3,
                "float32 alone cannot tell: what does the other dtype say?",
            ),
            (
                lambda delta32, delta64: delta64 < delta32,
                "any fall counts here; by what factor does one rounding fall?",
            ),
            (
                lambda delta32, delta64: delta64 <= 1e-11,
                "a limit alone: sums that cancel may pass it by rounding, in both dtypes",
            ),
            (
                lambda delta32, delta64: delta64 >= 1e-5 * delta32,
                "exchanged: this says which pairs speak for a mistake",
            ),
        ],
        explain=lambda found: f"for the pairs {DELTAS} it says {found}",
    ),
}
