"""The suite can fail: each planted fault must be caught by the tests that ought to see it.

A copy of the package with one fault is put first on the path, and the tests run on it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SUITE = ["test_gates.py", "test_recurrence.py", "test_stack.py", "test_layers.py", "test_model.py", "test_optim.py",
         "test_data.py", "test_training.py"]  # fmt: skip
SUITES = {
    f"{name}.py": [f"test_{name}.py"]  # a suite of their own
    for name in ("files", "interop", "checkpoints", "onnx", "keras", "diagnostics", "gradcheck", "memory", "numerical")
} | {f"{name}.py": ["test_facts.py"] for name in ("rehearsal", "datafacts", "modelfacts", "stepfacts")}

FAULTS = {
    "gates swapped forward": ("gates.py", "i, f, g, o = activate(z, scale)", "f, i, g, o = activate(z, scale)"),
    "gates swapped backward": (
        "gates.py", "i, f, g, o = gates\n    for", "f, i, g, o = gates\n    for"),
    "a gate without its derivative": ("gates.py", "        ds *= s\n", ""),
    "no tanh between cell and output": ("gates.py", "(tanh_c, dh_dc, o)", "(0.0 * tanh_c, dh_dc, o)"),
    "the carried cell gradient dropped": ("gates.py", "dc += dh_dc", "dc[...] = dh_dc"),
    "the forget gate missing on the way back": ("gates.py", "    dc *= f\n", ""),
    "a transposed recurrent weight": (
        "recurrence.py", "xp.matmul(weight_hh.T, rows[t], out=dh)",
        "xp.matmul(weight_hh.reshape(weight_hh.shape[::-1]), rows[t], out=dh)"),
    "the state's gradient forgotten": (
        "recurrence.py", "dh, dc = (s.T.copy() for s in dstate)", "dh, dc = (0.0 * s.T for s in dstate)"),
    "the first state forgotten": (
        "recurrence.py", "h[0], c[0] = (s.T for s in state)", "h[0], c[0] = (0.0 * s.T for s in state)"),
    "weights' gradient from the wrong hidden state": (
        "recurrence.py", "side_by_side(h[:-1]", "side_by_side(h[1:]"),
    "the bias summed over time alone": (
        "recurrence.py", "dz.sum(1)", "dz[:, : len(x)].sum(1)"),
    "memory of one size used for another": ("recurrence.py", "kept.shape != shape", "kept.size < 0"),
    "outputs in memory that is used again": (
        "recurrence.py", "    out[...] = a.swapaxes(1, 2)\n    return out", "    return a.swapaxes(1, 2)"),
    "the mask one step late": ("stack.py", "[:, None] >= lengths", "[:, None] > lengths"),
    "the mask one step early": ("stack.py", "[:, None] >= lengths", "[:, None] + 1 >= lengths"),
    "a reverse direction that starts at the padding": ("stack.py", "lengths - 1 - step", "len(a) - 1 - step"),
    "the last state's gradient at the last step": ("stack.py", "dy[lengths - 1,", "dy[lengths * 0 - 1,"),
    "a cell that leaks past the end": ("recurrence.py", "return (0.0, 1.0,", "return (0.0, 0.9,"),
    "only one direction's gradient with respect to the input": ("stack.py", "sum(dx[1:], dx[0])", "dx[0]"),
    "peepholes on the wrong state": ("variants.py", "z[3] += p[2] * c\n", "z[3] += p[2] * c_prev\n"),
    "the output's peephole forgotten on the way back": ("variants.py", "    dc += p[2] * dz[3]\n", ""),
    "the gates' peepholes forgotten on the way back": ("variants.py", "    dc += (p[:2] * dz[:2]).sum(0)\n", ""),
    "the output's peephole learns from the old cell": ("variants.py", "dz[:, 3] * after", "dz[:, 3] * before"),
    "a coupled gate that is not coupled": ("variants.py", "    dg *= df  #", "    dg *= f  #"),
    "the reset's gradient forgotten": ("variants.py", "        dr[t] *= back\n", ""),
    "the candidate learns from the state before the reset": (
        "variants.py", "columns[2 * H :] @ read.T", "columns[2 * H :] @ before.T"),
    "a silent ReLU that passes its gradient": ("variants.py", "out[...] = y > 0.0", "out[...] = 1.0"),
    "dropout's mask forgotten on the way back": ("layers.py", "else dy * self._cache", "else dy + 0 * self._cache"),
    "the GRU's update gate without its derivative": ("gates.py", "    dupdate *= update\n", ""),
    "the GRU's reset gate outside": ("gates.py", "xp.multiply(r, zh_n, out=h)", "xp.multiply(update, zh_n, out=h)"),
    "the GRU's carried part dropped": ("recurrence.py", "        dh *= update[t]\n", "        dh *= 0.0\n"),
    "a readout without its gradient in time": ("layers.py", "rows.sum(0)", "rows[:1].sum(0)"),
    "the readout's gradient past the recurrence": (
        "model.py", "self.recurrent.backward(self.linear.backward(dy), dstate)",
        "self.recurrent.backward(0.5 * self.linear.backward(dy), dstate)"),
    "a classifier that reads the padded last step": ("model.py", "[step == lengths - 1,", "[step + 0 * lengths == steps - 1,"),
    "a reverse direction read where it starts": (
        "model.py", "xp.broadcast_to(step == 0, past.shape)", "step == lengths - 1"),
    "a mean over the padded steps": ("model.py", "~past / lengths", "~past / (0 * lengths + steps)"),
    "lengths that the pooling forgets": ("model.py", "if checked is None else checked", "if True else checked"),
    "a pool without its weights on the way back": (
        "model.py", "(self._weights * dpooled.reshape(B, D, -1))", "(0 * self._weights + dpooled.reshape(B, D, -1))"),
    "a sequence in another's place": ("data.py", "x[: lengths[b], b] = sequence", "x[: lengths[b], b - 1] = sequence"),
    "padding before the sequence": (
        "data.py", "x[: lengths[b], b] = sequence", "x[len(x) - lengths[b] :, b] = sequence"),
    "a loss over the padded steps": (
        "training.py", "if lengths is None or target.ndim == 1:", "if True:"),
    "lengths of other sequences": (
        "training.py", "None if lengths is None else lengths[group]", "None if lengths is None else lengths[: len(group)]"),
    "labels of other sequences": ("training.py", "else y[group]", "else y[: len(group)]"),
    "dropout left off after evaluation": (
        "training.py", "layer.training = before[name]", "layer.training = False"),
    "no bias correction in Adam": ("optim.py", "1 - beta2**self.steps", "1.0"),
    "clipping a copy": ("optim.py", "gradient *= max_norm", "gradient = gradient * max_norm"),
    "clipping by value a copy": ("optim.py", "max_value, out=gradient)", "max_value)"),
    "momentum that remembers nothing": ("optim.py", "u *= self.momentum", "u *= 0.0"),
    "momentum as a mean": ("optim.py", "        u += gradient\n", "        u += (1 - self.momentum) * gradient\n"),
    "Nesterov without the look-ahead": ("optim.py", "gradient + self.momentum * u if", "u if"),
    "RMSprop's eps under the root": ("optim.py", "(xp.sqrt(v) + self.eps)", "xp.sqrt(v + self.eps)"),
    "weight decay coupled into the gradient": (
        "optim.py", "        self.params[name] *= 1 - self.learning_rate * self.weight_decay\n",
        "        gradient = gradient + self.weight_decay * self.params[name]\n"),
    "weight decay without the rate": (
        "optim.py", "1 - self.learning_rate * self.weight_decay", "1 - self.weight_decay"),
    "a state that is lent, not copied": ("optim.py", "name: array.copy() for", "name: array for"),
    "a state without the steps": ("optim.py", 'self.steps = int(state["steps"])', "pass"),
    "a state that replaces arrays": ("optim.py", "array[...] = to_device", "self.slots[name] = to_device"),
    "a cosine that rises again": ("optim.py", "min(1.0, (step - warmup) / (steps - warmup))",
                                  "(step - warmup) / (steps - warmup)"),
    "a cosine that forgets its warm-up": ("optim.py", "(steps - warmup))", "steps)"),
    "a plateau one epoch too early": ("optim.py", "self.waited > self.patience", "self.waited >= self.patience"),
    "a plateau that goes on counting": ("optim.py", "self.rate * self.factor), 0", "self.rate * self.factor), self.waited"),
    "a state of another batch accepted": ("layers.py", "if part.shape[1] != batch:", "if False:"),
    "ONNX's order taken for its inverse": ("onnx.py", "return rows.reshape(len(order), -1, *rows.shape[1:])[list(order)]",
        "return rows.reshape(len(order), -1, *rows.shape[1:])[list(np.argsort(order))]"),
    "one of two biases dropped": ("onnx.py", '"bias": b_ih + b_hh}', '"bias": b_ih}'),
    "the bias behind the reset gate merged": ("onnx.py", "kept = b_hh * (np.arange(3 * H) < 2 * H)", "kept = b_hh"),
    "a coupled gate without its sign": ("onnx.py", "np.concatenate([-a[:H], a[2 * H :]])", "np.concatenate([a[:H], a[2 * H :]])"),
    "peepholes in the file's order": ("onnx.py", 'parts["P"].reshape(3, H)[[0, 2, 1]]', 'parts["P"].reshape(3, H)'),
    "the place of the reset ignored": ("onnx.py", 'if options.get("linear_before_reset", 0) else', "if True else"),
    "directions that are not turned": ("onnx.py", "perm=[0, 2, 1, 3]", "perm=[0, 1, 2, 3]"),
    "Keras' GRU in our order": ("keras.py", "UPDATE_FIRST = (1, 0, 2)", "UPDATE_FIRST = (0, 1, 2)"),
    "Keras' extra bias merged": ("keras.py", "b_hh * (np.arange(3 * H) < 2 * H)", "b_hh"),
    "Keras' directions exchanged": ("keras.py", "part = weights[d * count // D : (d + 1) * count // D]",
        "part = weights[(D - 1 - d) * count // D : (D - d) * count // D]"),
    "PyTorch's second bias dropped": ("interop.py", "] + second", "]"),
    "the GRU's extra bias added to the first": ("interop.py", "second[len(p) - apart :] = 0", "second *= 1"),
    "the second bias written twice": ("interop.py", "np.zeros_like(value)", "value"),
    "weights replaced behind the optimizer's back": (
        "interop.py", "p[...] = to_device(params[name], device_of(p))",
        "vars(next(iter(model.layers.values())))['params'][name.split('.')[-1]] = params[name]"),
    "stale gradients after loading": ("interop.py", "        layer.forget()\n", "        pass\n"),
    "a class of the file's choice": ("interop.py", "if configuration(model) != found:", "if False:"),
    "a file written in place": ("files.py", "temporary = path.with_name(f\".{path.name}.{os.getpid()}.tmp\")", "temporary = path"),
    "a write that is not yet on the disk": ("files.py", "            os.fsync(file.fileno())\n", ""),
    "a newer format read": ("files.py", "if version > VERSION:", "if False:"),
    "a file of another kind read": ("files.py", "if found != kind:", "if False:"),
    "dropout's generator forgotten": ("checkpoints.py", "[layer] if isinstance", "[] if isinstance"),
    "between the layers too": ("checkpoints.py", 'getattr(layer, "_between", [])', "[]"),
    "best weights that are not copied": ("checkpoints.py", "p.copy() for name, p in model", "p for name, p in model"),
    "an equal loss taken for a better one": ("checkpoints.py", "if value < self.best:", "if value <= self.best:"),
    "old checkpoints pile up": ("checkpoints.py", "*self.files()[: -self.keep], ", ""),
    "a quotient over the step and not the distance": (
        "numerical.py", "/ (places[0] - places[1])", "/ (2 * step)"),
    "an entry that is not put back": ("numerical.py", "    array[index] = value\n    if", "    if"),
    "a NaN that equals anything": ("numerical.py", 'return error if np.isfinite(error) else float("inf")', "return error if np.isfinite(error) else 0.0"),
    "lengths that the check forgets": ("numerical.py", "() if lengths is None else (lengths,)", "()"),
    "rounding taken for a fault": ("numerical.py", "noise = rounding / step + ", "noise = "),
    "curvature taken for a fault": ("numerical.py", "rounding / step + 2.0 *", "rounding / step + 0.0 *"),
    "a factor that is turned over": ("gradcheck.py", "float(a @ b / (b @ b))", "float(a @ a / (a @ b))"),
    "blocks named in the order of the alphabet": ("gradcheck.py", "for k, (_, b) in zip(letters,", "for k, (_, b) in zip(sorted(letters),"),
    "every place named": ("gradcheck.py", "if 0 < len(bad) < len(np.unique(index)):", "if True:"),
    "transposed blocks overlooked": ("gradcheck.py", "follows(a, b.T, c.noise)", "follows(a, b, c.noise)"),
    "the whole searched for a factor of a part": ("gradcheck.py", "scaled(part, sizes)", "scaled(c, sizes)"),
    "gates in the order of states": ("diagnostics.py", "if k not in \"ch\") or \"h\"", "if k not in \"ch\")[::-1] or \"h\""),
    "the extra bias cut in three": ("diagnostics.py", '"bias_hn": "n", ', ""),
    "a verdict that sees the scale": ("diagnostics.py", "float(norms[0]) <= lost * largest", "float(norms[0]) <= lost"),
    "an optimizer left watched": ("diagnostics.py", '        del vars(optimizer)["step"]', "        pass"),
    "updates over the new size": ("diagnostics.py", "sizes = gradient_norms(before)", "sizes = gradient_norms(after)"),
    "a mean of gates for their product": ("diagnostics.py", "xp.log(xp.maximum(gates[0], smallest)).mean((0, 1))", "xp.log(xp.maximum(gates[0], smallest).mean((0, 1)))"),
    "candidates counted as gates": ("diagnostics.py", "(gate + 1.0) / 2.0 if name in CANDIDATES else gate", "gate"),
    "drift that cancels over units": ("diagnostics.py", "rms(last.mean((0, 1)) - first.mean((0, 1)))", "abs(float((last - first).mean()))"),
    "a mean over the padding": ("diagnostics.py", "valid = y if lengths is None else", "valid = y if True else"),
    "persistence across the first step": ("diagnostics.py", "earlier = None if lengths is None else lengths - 1", "earlier = lengths"),
    "inputs and outputs exchanged": ("memory.py", "to_numpy(squares).T", "to_numpy(squares)"),
    "sequences summed and not averaged": ("memory.py", ".reshape(T, rows, B).mean(2)", ".reshape(T, rows, B).sum(2)"),
    "a model that keeps the instrument's gradients": ("memory.py", '{"grads": {}, "_state"', '{"_state"'),
    "distances counted from the wrong end": ("memory.py", "last[last >= k] - k]", "k]"),
    "a Jacobian of the wrong sequence": ("memory.py", "xp.repeat(part, n, 1)", "xp.concatenate([part] * n, 1)"),
    "a copy of a run that trains the original": (
        "rehearsal.py", "return replace(self, **copy.deepcopy(moving))", "return replace(self, **moving)"),
    "a rehearsal that forgets its schedule": ("rehearsal.py", "if plan is not None and batch.epoch > epoch:", "if False:"),
    "a rehearsal that carries the state to new sequences": ("rehearsal.py", "None if batch.first else state\n", "state\n"),
    "roughness of the variance alone": ("datafacts.py", "(2.0 * (x * x).mean())", "(x * x).mean()"),
    "a lag a step too long": (
        "datafacts.py", "(correlation(x[: len(x) - k, :, i], y[k:, :, o]), k)",
        "(correlation(x[: len(x) - k, :, i], y[k:, :, o]), k + 1)"),
    "overlapping windows counted again": (
        "datafacts.py", "np.concatenate([x[0], x[1:, -1]]) if overlapping", "x.reshape(-1, 1) if overlapping"),
    "blocks put back the wrong way": ("modelfacts.py", "blocks[list(order)]", "blocks[list(np.argsort(order))]"),
    "a state that is said to go on": ("modelfacts.py", "return joint(ends) / within", "return 1.0"),
    "a difference to one side": ("stepfacts.py", "for sign in (1.0, -2.0, 1.0):", "for sign in (1.0, -1.0, 0.0):"),
    "a gate taken for its neighbour": (
        "stepfacts.py", "// layer.hidden_size == k)", "// layer.hidden_size == (k + 1) % layer.blocks)"),
    "a first step that is not the first": ("stepfacts.py", "    trial.optimizer.steps = 0\n", ""),
    "a checkpoint of another model accepted": ("checkpoints.py", '    check_arrays("the training", given, present)\n', ""),
}  # fmt: skip


def run_suite(tmp_path, fault=None):
    """Run the suite on a copy of the package, with a fault if one is given."""
    shutil.copytree(ROOT / "lstm", tmp_path / "lstm", ignore=shutil.ignore_patterns("__pycache__"))
    suite = SUITE + [test for own in SUITES.values() for test in own]
    if fault is not None:
        file, right, wrong = fault
        suite = SUITES.get(file, SUITE)
        path = tmp_path / "lstm" / file
        text = path.read_text()
        assert right in text, f"{file} no longer says {right!r}: adapt this fault"
        path.write_text(text.replace(right, wrong, 1))
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
               *(str(ROOT / "tests" / name) for name in suite)]  # fmt: skip
    environment = os.environ | {
        "PYTHONPATH": str(tmp_path), "OPENBLAS_NUM_THREADS": "1", "EXAMPLES": "20",
    }  # fmt: skip
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)


def test_the_package_as_it_is_passes(tmp_path):
    result = run_suite(tmp_path)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_caught(tmp_path, fault):
    result = run_suite(tmp_path, fault)
    assert result.returncode == 1 and " failed" in result.stdout, result.stdout + result.stderr
