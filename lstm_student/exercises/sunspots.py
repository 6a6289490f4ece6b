"""Exercises of *Sunspots*."""

from __future__ import annotations

import numpy as np

from lstm.data import sunspots
from lstm_student.exercise import Exercise

CUTS = 1780, 1850, 1960


def errors_of(cut, *, end=None, power=0.5, first=1, order=9):
    """Return the RMSE of a regression and of persistence over the 40 years after a cut."""
    years, numbers = sunspots()
    u, rows, values, forecasts, last = numbers**power, [], [], [], []
    for place in range(22, len(years)):
        past = [*u[place - order : place], 1.0]
        if years[place] <= (end or cut):
            rows.append(past)
            values.append(u[place])
        if cut + first <= years[place] <= cut + 40:
            forecasts.append((past, numbers[place]))
            last.append(numbers[place - 1])
    weights = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
    true = np.array([number for _, number in forecasts])
    forecast = np.maximum([past @ weights for past, _ in forecasts], 0) ** (1 / power)
    return [np.sqrt(np.mean((guess - true) ** 2)) for guess in (forecast, np.array(last))]


def relative(cut, **slip):
    model, persistence = errors_of(cut, **slip)
    return model / persistence


def at_three_cuts(function):
    """Return a relative error after each of three cuts."""
    return [float(function(cut)) for cut in CUTS]


def word(answer):
    """Return one of three words."""
    if answer not in ("better", "between", "worse"):
        raise ValueError(f"expected 'better', 'between' or 'worse', got {answer!r}")
    return str(answer)


def five(errors):
    """Return what five errors one year ahead say: their spread, and where their median is."""
    errors = np.asarray(errors, float)
    if errors.shape != (5,) or not np.isfinite(errors).all():
        raise ValueError(f"expected five errors, one a seed, got {errors}")
    median = float(np.median(errors))
    places = {12.0: "below all others", 18.5: "near the line", 30.0: "as before"}
    return {
        "different": bool(errors.max() > errors.min()),
        "median": next((place for top, place in places.items() if median < top), "far off"),
    }


EXERCISES = {
    1: Exercise(
        "that a forecast two years ahead may use the forecast of the next, not its value",
        float,
        right=19.8,
        wrong=[
            (22.4, "in 1920 the number of 1921 was not known: use its forecast"),
            (4.444, "this is the root of the number"),
            (24.0, "this is the forecast for 1921: go on from it"),
            (10.2, "the year before the last is 1920 by now, not 1919"),
        ],
        explain=lambda number: f"{number:.1f} is off by {abs(number - 19.8):.1f}",
        rtol=0.01,
    ),
    2: Exercise(
        "that a test is honest only if the fit ends where the test years begin",
        at_three_cuts,
        right=relative,
        wrong=[
            (
                lambda cut: relative(cut, end=2008),
                "this is fitted to all years, the test years among them",
            ),
            (
                lambda cut: relative(cut, first=0),
                "the year of the cut was fitted to: the forty years begin after it",
            ),
            (lambda cut: errors_of(cut)[0], "this is an error in sunspots: persistence is missing"),
            (lambda cut: 1 / relative(cut), "upside down: below 1 is to mean better"),
            (
                lambda cut: relative(cut, power=1.0),
                "this is fitted to the numbers; the models of this page see their roots",
            ),
        ],
        explain=lambda found: f"not the relative errors after {CUTS}: {np.round(found, 3)}",
    ),
    3: Exercise(
        "that a mean of forecasts helps only where their errors differ in sign",
        word,
        right="between",
        wrong=[
            ("better", "a mean cancels errors of different sign: which sign have the two?"),
            ("worse", "a mean of two never has a larger RMSE than the worse of the two"),
        ],
    ),
    4: Exercise(
        "that a bound can be moved by asking for something else, and what that then shows",
        five,
        right=[15.0, 15.4, 15.5, 16.0, 17.4],
        wrong=[
            (
                [18.0, 18.6, 19.5, 19.7, 21.4],
                "no better than before: is the forecast still bound to a level?",
            ),
            (
                [15.4, 15.4, 15.4, 15.4, 15.4],
                "five times the same: the seed has to reach the weights and the batches",
            ),
            (
                [9.0, 9.2, 9.5, 9.9, 11.0],
                "better than anything on this page: does a window hold a year of its test?",
            ),
        ],
        explain=lambda found: "far off: was what the network gives added to the last value?",
    ),
}
