"""Baselines of a character model: counted n-grams, and two programs that pack files."""

from __future__ import annotations

import gzip
import lzma

import numpy as np

PACKERS = {"gzip": lambda data: gzip.compress(data, 9, mtime=0),
           "xz": lambda data: lzma.compress(data, preset=9)}  # fmt: skip


def codes(tokens, length, places, count):
    """Name each run of tokens that ends at one of the places by one number."""
    runs = np.stack([tokens[places - back] for back in range(length)])
    return count ** np.arange(length) @ runs


def tally(names, wanted):
    """Return how often each of the wanted names occurs."""
    found, times = np.unique(names, return_counts=True)
    at = np.minimum(np.searchsorted(found, wanted), len(found) - 1)
    return np.where(found[at] == wanted, times[at], 0)


def witten_bell(train, test, count, orders=5):
    """Return bits a character on a test, of models that look at 1, 2, ... characters.

    An order n model sees the n - 1 characters before. Its share of what followed them in
    training is mixed with the model of order n - 1, which weighs as much as the number of
    different characters that have followed (Witten and Bell, 1991); order 0 is uniform.
    """
    known, asked = (np.arange(orders - 1, len(part)) for part in (train, test))
    p, bits = np.full(len(asked), 1 / count), []
    for n in range(1, orders + 1):
        pairs = codes(train, n, known, count)  # the last character in the lowest place
        wanted = codes(test, n, asked, count)
        often = tally(pairs, wanted)
        times = tally(pairs // count, wanted // count)
        kinds = tally(np.unique(pairs) // count, wanted // count)
        p = np.where(times, (often + kinds * p) / np.maximum(times + kinds, 1), p)
        bits.append(-np.log2(p).mean())
    return bits


def packed(pack, before, text):
    """Return bits a character that a text adds to a packed file."""
    size = [len(pack(part.encode())) for part in (before, before + text)]
    return 8 * (size[1] - size[0]) / len(text)
