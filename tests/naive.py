"""Textbook versions, written row by row and gate by gate: the oracle of the fast ones.

Nothing here is shared with the package: sigmoids are quotients, products are dots of rows.
"""

import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def lstm(x, h, c, weight_ih, weight_hh, bias):
    """Return y (T, B, H) and the last h and c (B, H)."""
    T, B, _ = x.shape
    H = h.shape[1]
    W, U, b = weight_ih.reshape(4, H, -1), weight_hh.reshape(4, H, H), bias.reshape(4, H)
    y, h, c = np.empty((T, B, H), x.dtype), h.copy(), c.copy()
    for t in range(T):
        for row in range(B):
            a_i, a_f, a_g, a_o = (W[k] @ x[t, row] + U[k] @ h[row] + b[k] for k in range(4))
            c[row] = sigmoid(a_f) * c[row] + sigmoid(a_i) * np.tanh(a_g)
            y[t, row] = sigmoid(a_o) * np.tanh(c[row])
        h = y[t].copy()
    return y, h, c


def rnn(x, h, weight_ih, weight_hh, bias):
    """Return y (T, B, H) and the last h (B, H)."""
    y = np.empty((*x.shape[:2], h.shape[1]), x.dtype)
    for t in range(len(x)):
        for row in range(x.shape[1]):
            y[t, row] = np.tanh(weight_ih @ x[t, row] + weight_hh @ h[row] + bias)
        h = y[t]
    return y, h


def gru(x, h, weight_ih, weight_hh, bias, bias_hn):
    """Return y (T, B, H) and the last h (B, H)."""
    H = h.shape[1]
    W, U, b = weight_ih.reshape(3, H, -1), weight_hh.reshape(3, H, H), bias.reshape(3, H)
    y = np.empty((*x.shape[:2], H), x.dtype)
    for t in range(len(x)):
        for row in range(x.shape[1]):
            v, s = x[t, row], h[row]
            r = sigmoid(W[0] @ v + U[0] @ s + b[0])
            z = sigmoid(W[1] @ v + U[1] @ s + b[1])
            n = np.tanh(W[2] @ v + b[2] + r * (U[2] @ s + bias_hn))
            y[t, row] = (1 - z) * n + z * s
        h = y[t]
    return y, h


def peephole_lstm(x, h, c, weight_ih, weight_hh, bias, peepholes):
    """Return y (T, B, H) and the last h and c (B, H); peepholes (3, H) of i, f, o."""
    H = h.shape[1]
    W, U, b = weight_ih.reshape(4, H, -1), weight_hh.reshape(4, H, H), bias.reshape(4, H)
    y, h, c = np.empty((*x.shape[:2], H), x.dtype), h.copy(), c.copy()
    for t in range(len(x)):
        for row in range(x.shape[1]):
            a_i, a_f, a_g, a_o = (W[k] @ x[t, row] + U[k] @ h[row] + b[k] for k in range(4))
            i = sigmoid(a_i + peepholes[0] * c[row])
            f = sigmoid(a_f + peepholes[1] * c[row])
            c[row] = f * c[row] + i * np.tanh(a_g)
            y[t, row] = sigmoid(a_o + peepholes[2] * c[row]) * np.tanh(c[row])
        h = y[t].copy()
    return y, h, c


def coupled_lstm(x, h, c, weight_ih, weight_hh, bias):
    """Return y (T, B, H) and the last h and c (B, H); blocks f, g, o, and i = 1 - f."""
    H = h.shape[1]
    W, U, b = weight_ih.reshape(3, H, -1), weight_hh.reshape(3, H, H), bias.reshape(3, H)
    y, h, c = np.empty((*x.shape[:2], H), x.dtype), h.copy(), c.copy()
    for t in range(len(x)):
        for row in range(x.shape[1]):
            a_f, a_g, a_o = (W[k] @ x[t, row] + U[k] @ h[row] + b[k] for k in range(3))
            f = sigmoid(a_f)
            c[row] = f * c[row] + (1 - f) * np.tanh(a_g)
            y[t, row] = sigmoid(a_o) * np.tanh(c[row])
        h = y[t].copy()
    return y, h, c


def zoneout_lstm(x, h, c, weight_ih, weight_hh, bias, keep_h, keep_c):
    """Return y (T, B, H) and the last h and c (B, H); keep_h, keep_c (T, B, H) or numbers."""
    H = h.shape[1]
    W, U, b = weight_ih.reshape(4, H, -1), weight_hh.reshape(4, H, H), bias.reshape(4, H)
    y, h, c = np.empty((*x.shape[:2], H), x.dtype), h.copy(), c.copy()
    keep_h, keep_c = (np.broadcast_to(keep, y.shape) for keep in (keep_h, keep_c))
    for t in range(len(x)):
        for row in range(x.shape[1]):
            a_i, a_f, a_g, a_o = (W[k] @ x[t, row] + U[k] @ h[row] + b[k] for k in range(4))
            new_c = sigmoid(a_f) * c[row] + sigmoid(a_i) * np.tanh(a_g)
            new_h = sigmoid(a_o) * np.tanh(new_c)
            for unit in range(H):
                old_h, old_c, k_h, k_c = h[row, unit], c[row, unit], keep_h[t, row, unit], keep_c[t, row, unit]
                y[t, row, unit] = k_h * old_h + (1 - k_h) * new_h[unit]
                c[row, unit] = k_c * old_c + (1 - k_c) * new_c[unit]
        h = y[t].copy()
    return y, h, c


def reset_first_gru(x, h, weight_ih, weight_hh, bias):
    """Return y (T, B, H) and the last h (B, H); the candidate reads r h."""
    H = h.shape[1]
    W, U, b = weight_ih.reshape(3, H, -1), weight_hh.reshape(3, H, H), bias.reshape(3, H)
    y = np.empty((*x.shape[:2], H), x.dtype)
    for t in range(len(x)):
        for row in range(x.shape[1]):
            v, s = x[t, row], h[row]
            r, z = (sigmoid(W[k] @ v + U[k] @ s + b[k]) for k in (0, 1))
            n = np.tanh(W[2] @ v + U[2] @ (r * s) + b[2])
            y[t, row] = (1 - z) * n + z * s
        h = y[t]
    return y, h


def relu_rnn(x, h, weight_ih, weight_hh, bias):
    """Return y (T, B, H) and the last h (B, H)."""
    y = np.empty((*x.shape[:2], h.shape[1]), x.dtype)
    for t in range(len(x)):
        for row in range(x.shape[1]):
            y[t, row] = np.maximum(weight_ih @ x[t, row] + weight_hh @ h[row] + bias, 0)
        h = y[t]
    return y, h


def central_differences(loss, array, step=1e-5):
    """Gradient of loss() with respect to a float64 array, entry by entry."""
    gradient = np.zeros_like(array)
    flat, out = array.reshape(-1), gradient.reshape(-1)
    for k in range(flat.size):
        kept = flat[k]
        flat[k] = kept + step
        up = loss()
        flat[k] = kept - step
        out[k] = (up - loss()) / (2 * step)
        flat[k] = kept
    return gradient
