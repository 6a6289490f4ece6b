"""Train an LSTM on the sine in PyTorch, for book/practice/keep.ipynb.

Run with PyTorch 2.13.0: ``python tests/data/make_torch_sine.py``. Writes into book/practice
``torch_sine.safetensors``, the weights as PyTorch names them, and ``torch_sine.npy``, the outputs
of its model for the 1000 points of ``lstm.sine_task().train.x``.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

FOLDER = Path(__file__).parents[2] / "book/practice"
EPOCHS, LENGTH = 30, 10


class Forecast(torch.nn.Module):
    """An LSTM of 8 units and a linear readout of every step."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = torch.nn.LSTM(1, 8)
        self.linear = torch.nn.Linear(8, 1)

    def forward(self, x, state=None):
        h, state = self.recurrent(x, state)
        return self.linear(h), state


def main() -> None:
    torch.manual_seed(0)
    points = np.sin(np.linspace(0, 4 * np.pi, 1001)).astype(np.float32).reshape(-1, 1, 1)
    x, y = torch.from_numpy(points[:-1]), torch.from_numpy(points[1:])
    model = Forecast()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    for _ in range(EPOCHS):
        state = None
        for start in range(0, len(x), LENGTH):
            prediction, state = model(x[start : start + LENGTH], state)
            loss = torch.nn.functional.mse_loss(prediction, y[start : start + LENGTH])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            state = tuple(part.detach() for part in state)
        decay.step()
    with torch.no_grad():
        prediction, _ = model(x)
        print(f"loss {torch.nn.functional.mse_loss(prediction, y):.2e}")
    save_file(model.state_dict(), FOLDER / "torch_sine.safetensors")
    np.save(FOLDER / "torch_sine.npy", prediction.numpy().ravel())


if __name__ == "__main__":
    main()
