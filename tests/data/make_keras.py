"""Store what Keras 3 computes for small layers, for tests/test_keras.py. Writes keras.npz.

Run with Keras 3 on its PyTorch backend: ``KERAS_BACKEND=torch python tests/data/make_keras.py``.
"""

from pathlib import Path

import keras
import numpy as np

B, T, I, H = 3, 6, 4, 5
CASES = {
    "LSTM": ("LSTM", {}),
    "LSTM no bias": ("LSTM", {"use_bias": False}),
    "GRU": ("GRU", {}),
    "GRU reset first": ("GRU", {"reset_after": False}),
    "SimpleRNN": ("SimpleRNN", {}),
    "LSTM both": ("LSTM", {"both": True}),
    "GRU both": ("GRU", {"both": True}),
}


def case(kind: str, both: bool = False, **options) -> dict[str, np.ndarray]:
    """A layer with random weights, its input, outputs and last states."""
    layer = getattr(keras.layers, kind)(
        H, return_sequences=True, return_state=True, recurrent_activation="sigmoid", **options
    ) if kind != "SimpleRNN" else keras.layers.SimpleRNN(
        H, return_sequences=True, return_state=True, **options
    )  # fmt: skip
    layer = keras.layers.Bidirectional(layer) if both else layer
    rng = np.random.default_rng(0)
    x = rng.normal(size=(B, T, I)).astype(np.float32)
    layer(x)
    layer.set_weights([rng.normal(size=w.shape).astype(np.float32) for w in layer.get_weights()])
    y, *states = (np.asarray(keras.ops.convert_to_numpy(a)) for a in layer(x))
    arrays = {"x": x, "y": y} | {f"state{k}": s for k, s in enumerate(states)}
    return arrays | {f"weight{k}": w for k, w in enumerate(layer.get_weights())}


def main() -> None:
    stored = {"keras_version": np.array(keras.__version__)}
    for name, (kind, options) in CASES.items():
        stored |= {f"{name}.{k}": a for k, a in case(kind, **options).items()}
    np.savez_compressed(Path(__file__).with_name("keras.npz"), **stored)


if __name__ == "__main__":
    main()
