"""Character models: what a unit follows against counts by hand, drawn text, the kept model."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from experiments import characters as grid
from experiments.characters import character_model, read, streams
from experiments.sampling import KEPT, MODEL, keep, load, sample, temper
from experiments.sweep import ROOT
from experiments.sweep import read as table
from experiments.tracking import agreement, best, properties, rankdata, scores
from lstm import cross_entropy

RNG = np.random.default_rng


# --- properties ------------------------------------------------------------------------------


def test_properties_by_hand():
    quotes, brackets, column, indent = properties('a("b")\n  c d\n').T
    assert quotes.tolist() == [0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert brackets.tolist() == [0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert column.tolist() == [1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 0]
    assert indent.tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 0]


def test_brackets_nest_and_an_empty_line_ends_what_is_open():
    quotes, brackets, _, _ = properties('[({x})] )"\n"\n("\n\nz').T
    assert brackets.tolist() == [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0]
    assert quotes.tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0]


# --- scores ------------------------------------------------------------------------------------


def test_agreement_with_a_property_of_two_values_counts_pairs():
    rng = RNG(0)
    states, wanted = rng.integers(0, 6, (40, 3)), rng.integers(0, 2, 40)
    pairs = np.sign(states[wanted == 1][:, None] - states[wanted == 0][None])
    found = agreement(rankdata(states, axis=0), wanted)
    assert found == pytest.approx(pairs.mean((0, 1)))


def test_agreement_with_a_number_is_spearmans():
    rng = RNG(1)
    wanted = rng.integers(0, 5, 50)
    states = np.column_stack([wanted**3, -wanted, rng.normal(size=50), np.zeros(50)])
    found = agreement(rankdata(states, axis=0), wanted)
    expected = spearmanr(states[:, 2], wanted).statistic
    assert found == pytest.approx([1, -1, expected, 0])


def test_the_best_is_chosen_and_signed_on_one_part_and_judged_on_the_other():
    rng = RNG(2)
    wanted = rng.integers(0, 2, (2, 3000))
    known, fresh = rng.normal(size=(2, 3000, 20))
    k, score = best(rankdata(known, axis=0), fresh, *wanted)
    chosen = abs(agreement(rankdata(known, axis=0), wanted[0]))[k]
    assert chosen > 0.04 > abs(score)  # the best of noise, chosen and judged apart
    known[:, 7], fresh[:, 7] = -wanted
    assert best(rankdata(known, axis=0), fresh, *wanted) == (7, 1.0)
    assert best(rankdata(known, axis=0), -fresh, *wanted) == (7, -1.0)


def test_a_unit_and_a_direction_are_told_apart():
    rng = RNG(3)
    two, nine = rng.integers(0, 2, (2, 1500, 2)), rng.integers(0, 9, (2, 1500, 2))
    wanted = np.concatenate([two, nine], -1)
    states = rng.normal(size=(2, 1500, 30))
    states[:, :, 4] += 4 * wanted[:, :, 0]  # one unit follows the quotes
    states[:, :, 5:] += 0.5 * wanted[:, :, 1:2] * rng.choice([-1, 1], 25)  # many the brackets
    found = {name: float(v) for name, v in scores(*states, *wanted, rng).items()}
    assert found["quotes_unit"] > 0.97 > 0.9 > found["quotes_random"]
    assert found["brackets_unit"] < 0.6 and found["brackets_all"] > 0.8
    assert abs(found["column_unit"]) < 0.15 and abs(found["indentation_all"]) < 0.15


# --- text in, text out ---------------------------------------------------------------------------


def test_streams_hold_the_text_side_by_side():
    x, y = streams(np.arange(11), 3)
    assert x.T.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert (y == x + 1).all()


def test_reading_in_pieces_is_reading():
    model = character_model("GRU", 5, 0)
    tokens = grid.text.test[:301]
    logits, _ = model(tokens[:-1, None])
    expected = cross_entropy(logits, tokens[1:, None])[0] / np.log(2)
    states = model.layers["recurrent"].trace().h[:, 0]
    for stretch in (7, 1000):
        bits, found = read(model, tokens, stretch=stretch)
        assert bits == pytest.approx(expected, rel=1e-5)
        assert np.allclose(found, states, atol=1e-6)
    _, cold = read(model, tokens, count=2)
    assert np.allclose(cold[:150], states[:150], atol=1e-6)  # text order; the second starts cold
    assert not np.allclose(cold[150], states[150], atol=1e-3)


def test_temperature_by_hand():
    logits = np.log([0.8, 0.2]) + 5
    assert temper(logits, 1.0) == pytest.approx([0.8, 0.2])
    assert temper(logits, 0.5) == pytest.approx([0.64 / 0.68, 0.04 / 0.68])
    assert temper(logits * 1e4, 1e-3).tolist() == [1, 0]
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="^temper expected temperature above 0"):
            temper(logits, wrong)


def test_a_text_is_drawn_from_what_the_model_expects():
    seen = []

    def model(tokens, state):  # after k comes k + 1 or k + 2, and the state counts characters
        seen.append(state)
        logits = np.full((*tokens.shape, 5), -np.inf)
        for ahead in (1, 2):
            logits[np.arange(len(tokens)), 0, (tokens[:, 0] + ahead) % 5] = 0.0
        return logits, (state or 0) + len(tokens)

    said = sample(model, "abcde", "abc", 200, 1.0, RNG(0))
    steps = {(ord(b) - ord(a)) % 5 for a, b in zip("c" + said, said)}
    assert len(said) == 200 and steps == {1, 2} and seen == [None, *range(3, 202)]
    assert said == sample(model, "abcde", "abc", 200, 1.0, RNG(0))
    assert said != sample(model, "abcde", "abc", 200, 1.0, RNG(1))
    with pytest.raises(ValueError, match="^sample expected a start of at least one character"):
        sample(model, "abcde", "", 3, 1.0, RNG(0))


# --- the kept model -------------------------------------------------------------------------------


def test_a_kept_model_comes_back_with_16_bits(tmp_path):
    model = character_model("LSTM", 4, 0)
    keep(tmp_path / "m.npz", model, "abc")
    again, source = load(tmp_path / "m.npz")
    assert source == "abc" and again.params.keys() == model.params.keys()
    for name, p in model.params.items():
        assert again.params[name].dtype == np.float64
        assert np.array_equal(again.params[name], p.astype(np.float16))


def test_the_kept_model_is_that_of_the_table():
    head, rows = table(ROOT / grid.FILE)
    (row,) = [row for row in rows if KEPT.items() <= row.items()]
    model, source = load(ROOT / MODEL)
    assert head.endswith(f"source {source}")
    assert read(model, grid.text.test)[0] == pytest.approx(float(row["test"]), abs=0.01)
    assert (ROOT / MODEL).stat().st_size < 300_000
