"""Figures draw what they are given."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402

import lstm  # noqa: E402
from lstm import diagnostics, plotting  # noqa: E402


@pytest.fixture(autouse=True)
def closed():
    with matplotlib.rc_context():
        plotting.use_book_style()
        yield
    plt.close("all")


def test_losses_and_baselines():
    axes = plotting.plot_losses({"a": [1.0, 0.1], "b": [2.0, 0.2]}, {"doing nothing": 0.5})
    assert [line.get_label() for line in axes.lines[:2]] == ["a", "b"]
    assert axes.lines[1].get_xydata().tolist() == [[1, 2.0], [2, 0.2]]
    assert axes.lines[2].get_ydata()[0] == 0.5 and axes.texts[0].get_text() == "doing nothing"
    assert axes.get_yscale() == "log"


def test_gates_show_time_to_the_right_and_units_down():
    layer = lstm.LSTM(2, 5, rng=0)
    layer(np.random.default_rng(0).normal(size=(7, 3, 2)))
    axes = plotting.plot_gates(layer.trace(), sequence=1, units=4)
    assert [ax.get_ylabel() for ax in axes] == ["i", "f", "g", "o", "c", "h"]
    for ax, values in zip(axes, layer.trace()):
        np.testing.assert_array_equal(ax.images[0].get_array(), values[:, 1, :4].T)
    assert axes[0].images[0].get_clim() == (0, 1) and axes[2].images[0].get_clim() == (-1, 1)


def test_norms_run_back_from_the_end():
    axes = plotting.plot_norms_over_time({"rnn": np.array([1e-3, 1e-2, 1e-1])})
    assert axes.lines[0].get_xydata().tolist() == [[0, 1e-1], [1, 1e-2], [2, 1e-3]]


def test_statistics_have_a_place_each():
    found = {"i": diagnostics.Statistics(0.5, 0.1, 0.2, 0.9), "c": diagnostics.Statistics(0, 1, -2, 2)}
    axes = plotting.plot_statistics(found)
    assert [t.get_text() for t in axes.get_xticklabels()] == ["i", "c"]
    assert axes.lines[0].get_ydata().tolist() == [0.2, 0.9]
    np.testing.assert_allclose(axes.lines[1].get_ydata(), [0.4, 0.6])


def test_saturation_fills_each_bar():
    found = {"i": diagnostics.Saturation(0.25, 0.5), "f": diagnostics.Saturation(0.0, 1.0)}
    axes = plotting.plot_saturation(found)
    assert [t.get_text() for t in axes.get_yticklabels()] == ["i", "f"]
    widths = [[bar.get_width() for bar in bars] for bars in axes.containers]
    assert widths == [[0.25, 0.0], [0.25, 0.0], [0.5, 1.0]]
    assert [bars[0].get_x() for bars in axes.containers] == [0.0, 0.25, 0.5]


def test_influence_is_drawn_in_powers_of_ten():
    axes = plotting.plot_influence(np.array([[10.0, 0.0], [0.1, 1e-9]]), powers=4)
    image = axes.images[0]
    np.testing.assert_allclose(image.get_array(), [[0, -4], [-2, -4]])
    assert image.get_clim() == (-4, 0) and "input" in axes.get_xlabel()
    plotting.plot_influence(np.zeros((2, 2)))


def test_update_ratios_by_update():
    axes = plotting.plot_update_ratios({"a": [1e-3, 2e-3], "b": [0.5, 0.1]})
    assert [line.get_xydata().tolist() for line in axes.lines] == [[[1, 1e-3], [2, 2e-3]], [[1, 0.5], [2, 0.1]]]
    assert [line.get_label() for line in axes.lines] == ["a", "b"] and axes.get_yscale() == "log"
