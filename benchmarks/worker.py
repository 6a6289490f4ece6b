"""Time one subject: reads a task a line from standard input, prints seconds.

A task is ``{"size": [T, B, I, H]}``, forward plus backward of one layer, or
``{"sine_epochs": n}``, the seed's recipe, in seconds an epoch.
"""

import json
import statistics
import sys
import time


def median_seconds(run, budget: float = 0.4) -> float:
    """Return the median time of a call, over as many calls as fit in the budget, at least 3."""
    run()
    times, start = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < budget:
        before = time.perf_counter()
        run()
        times.append(time.perf_counter() - before)
    return statistics.median(times)


def lstm_pass(T, B, I, H):
    """Forward and backward of the package's layer."""
    import numpy as np

    import lstm

    rng = np.random.default_rng(0)
    layer = lstm.LSTM(I, H, rng=rng)
    x, dy = (rng.normal(size=(T, B, n)).astype(np.float32) for n in (I, H))

    def run():
        layer(x)
        layer.backward(dy)

    return run


def torch_pass(T, B, I, H):
    """Forward and backward of ``torch.nn.LSTM``, with the gradient of x as ours has it."""
    import torch

    layer = torch.nn.LSTM(I, H)
    x, dy = torch.randn(T, B, I, requires_grad=True), torch.randn(T, B, H)

    def run():
        layer.zero_grad()
        x.grad = None
        layer(x)[0].backward(dy)

    return run


def products_pass(T, B, I, H):
    """The matrix products that the algorithm cannot do without, and nothing else."""
    import numpy as np

    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    W, U, x, h, dz, rows = draw(4 * H, I), draw(4 * H, H), draw(T * B, I), draw(H, B), draw(4 * H, B), draw(T * B, 4 * H)
    z, dh, hs = np.empty((4 * H, B), np.float32), np.empty((H, B), np.float32), draw(T * B, H)

    def run():
        x @ W.T
        for _ in range(T):
            np.matmul(U, h, out=z)
        for _ in range(T):
            np.matmul(U.T, dz, out=dh)
        rows @ W, rows.T @ x, rows.T @ hs

    return run


def lstm_sine(epochs):
    """The seed's recipe with the package: hidden 20, Adam 1e-3, state carried, cut every 10."""
    import lstm

    train, _ = lstm.sine_task()
    model = lstm.LSTMRegressor(1, 20, 1, rng=0)
    optimizer = lstm.Adam(model.params, 1e-3)
    return lambda: lstm.fit(model, *train, optimizer, epochs=epochs, bptt_length=10)


def torch_sine(epochs):
    """The same loop in PyTorch."""
    import torch

    import lstm

    x, y = (torch.from_numpy(a) for a in lstm.sine_task()[0])
    layer, readout = torch.nn.LSTM(1, 20), torch.nn.Linear(20, 1)
    optimizer = torch.optim.Adam([*layer.parameters(), *readout.parameters()], lr=1e-3)

    def run():
        for _ in range(epochs):
            state = None
            for start in range(0, 1000, 10):
                hidden, state = layer(x[start : start + 10], state)
                loss = torch.nn.functional.mse_loss(readout(hidden), y[start : start + 10])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                state = tuple(part.detach() for part in state)
                loss.item()

    return run


def main() -> None:
    subject = sys.argv[1]
    if subject == "torch":
        import torch

        torch.set_num_threads(2)
    for line in sys.stdin:
        task = json.loads(line)
        if "size" in task:
            make = {"lstm": lstm_pass, "torch": torch_pass, "products": products_pass}[subject]
            print(median_seconds(make(*task["size"])), flush=True)
        else:
            make = {"lstm": lstm_sine, "torch": torch_sine}[subject]
            epochs = task["sine_epochs"]
            print(median_seconds(make(epochs)) / epochs, flush=True)


if __name__ == "__main__":
    main()
