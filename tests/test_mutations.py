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
SUITE = ["test_gates.py", "test_recurrence.py", "test_stack.py", "test_layers.py", "test_zoneout.py", "test_model.py", "test_optim.py",
         "test_data.py", "test_training.py", "test_recovery.py"]  # fmt: skip
SUITES = {
    f"{name}.py": [f"test_{name}.py"]  # a suite of their own
    for name in ("files", "interop", "checkpoints", "onnx", "keras", "direction", "tuning",
                 "diagnostics", "gradcheck", "memory", "numerical", "parallel", "recompute",
                 "tasks")
} | {f"{name}.py": ["test_facts.py"] for name in ("rehearsal", "datafacts", "modelfacts", "stepfacts")} | {
    "variants.py": ["test_stack.py", "test_zoneout.py", "test_layers.py"],
}
if sys.platform != "darwin":  # CuPy, from which the stand-in takes its names, has no build for it
    SUITES["kernels.py"] = ["test_kernel_layers.py", "test_graphs.py"]  # CUDA C: in test_kernels.py
    SUITES["backend.py"] = ["test_gpu_errors.py"]

FAULTS = {
    "gates swapped forward": ("gates.py", "i, f, g, o = activate(z, scale)", "f, i, g, o = activate(z, scale)"),
    "gates swapped backward": (
        "gates.py", "i, f, g, o = gates\n    xp.sub", "f, i, g, o = gates\n    xp.sub"),
    "a gate without its derivative": ("gates.py", "    dz *= gates  #", "    #"),
    "no tanh between cell and output": ("gates.py", "(tanh_c, dh_dc, o)", "(0.0 * tanh_c, dh_dc, o)"),
    "the carried cell gradient dropped": ("gates.py", "dc += dh_dc", "dc[...] = dh_dc"),
    "the forget gate missing on the way back": ("gates.py", "    dc *= f\n", ""),
    "a transposed recurrent weight": (
        "recurrence.py", "xp.matmul(weight_hh.T, rows[t], out=dh)",
        "xp.matmul(weight_hh.reshape(weight_hh.shape[::-1]), rows[t], out=dh)"),
    "the state's gradient forgotten": (
        "recurrence.py", "dh, dc = (s.T.copy() for s in dstate)", "dh, dc = (0.0 * s.T for s in dstate)"),
    "the first state forgotten": (
        "recurrence.py", "out[0, :H] = h.T", "out[0, :H] = 0.0 * h.T"),
    "the first cell state forgotten": (
        "recurrence.py", "gate_scale(gates[0], scale), state[1].T", "gate_scale(gates[0], scale), 0.0 * state[1].T"),
    "the bias forgotten in the packed weights": ("recurrence.py", "out[:, -1] = weight_hh, weight_ih, bias", "out[:, -1] = weight_hh, weight_ih, 0.0 * bias"),
    "gradients of the first block alone": ("recurrence.py", "            self.dpacked += product\n", "            pass\n"),
    "a last block that is left out": (
        "recurrence.py", "reversed(range(0, T, size or BLOCK))", "reversed(range(0, max(T - BLOCK, 1), size or BLOCK))"),
    "weights' gradient from the wrong hidden state": (
        "recurrence.py", "sums.add(steps, rows, part.stacked[:-1])", "sums.add(steps, rows, part.stacked[1:])"),
    "a GRU's weights' gradient from the wrong hidden state": (
        "recurrence.py", "gru_sums(dz, x, h[:-1]", "gru_sums(dz, x, h[1:]"),
    "the bias summed over time alone": (
        "recurrence.py", "dz.sum(1)", "dz[:, : len(x)].sum(1)"),
    "memory of one size used for another": ("recurrence.py", "kept.size < size", "False"),
    "outputs in memory that is used again": (
        "recurrence.py", "    out[...] = a.swapaxes(1, 2)\n    return out", "    return a.swapaxes(1, 2)"),
    "the mask one step late": ("stack.py", "[:, None] >= lengths", "[:, None] > lengths"),
    "the mask one step early": ("stack.py", "[:, None] >= lengths", "[:, None] + 1 >= lengths"),
    "a reverse direction that starts at the padding": ("stack.py", "lengths - 1 - step", "len(a) - 1 - step"),
    "the last state's gradient at the last step": ("stack.py", "dy[lengths - 1,", "dy[lengths * 0 - 1,"),
    "a cell that leaks past the end": ("recurrence.py", "return (0.0, 1.0,", "return (0.0, 0.9,"),
    "only one direction's gradient with respect to the input": ("stack.py", "sum(dx[1:], dx[0])", "dx[0]"),
    "pieces of a cache that begin with the state after": (
        "recurrence.py", "states = slice(steps.start, steps.stop + 1)", "states = slice(steps.start + 1, steps.stop + 2)"),
    "a second run from the wrong state": (
        "recompute.py", "k = steps.start // self.every\n", "k = max(steps.start // self.every - 1, 0)\n"),
    "draws that are not repeated": (
        "recompute.py", "now, rng.bit_generator.state = rng.bit_generator.state, drawn", "now = rng.bit_generator.state"),
    "draws that the second run takes away": ("recompute.py", "        rng.bit_generator.state = now\n", "        pass\n"),
    "weights that an optimizer has changed since": (
        "recompute.py", "tuple(w.copy() for w in weights)", "tuple(weights)"),
    "the caller's array read again": ("recompute.py", "return x.copy(), partial", "return x, partial"),
    "ends that are counted from the first step": ("recompute.py", "lengths - steps.start, 0", "lengths, 0"),
    "steps in memory taken for others": ("recompute.py", "steps.start < self.steps.start or ", ""),
    "one piece for all steps": ("recompute.py", "-(-every // BLOCK) * BLOCK", "10**9"),
    "peepholes on the wrong state": ("variants.py", "z[3] += p[2] * c\n", "z[3] += p[2] * c_prev\n"),
    "the output's peephole forgotten on the way back": ("variants.py", "    dc += p[2] * dz[3]\n", ""),
    "the gates' peepholes forgotten on the way back": ("variants.py", "    dc += (p[:2] * dz[:2]).sum(0)\n", ""),
    "the output's peephole learns from the old cell": ("variants.py", "seen = part.c[:-1], part.c[:-1], part.c[1:]", "seen = part.c[:-1], part.c[:-1], part.c[:-1]"),
    "a coupled gate that is not coupled": ("variants.py", "    dg *= df  #", "    dg *= f  #"),
    "zoneout on the new cell's hidden state alone": ("variants.py", "        keep_part(c[t + 1], c[t], keep[t, 1])\n", ""),
    "zoneout's shares exchanged": ("variants.py", "part.keep[t, 0] * dh, part.keep[t, 1] * dc",
        "part.keep[t, 1] * dh, part.keep[t, 0] * dc"),
    "a unit that stays and passes no gradient": ("variants.py", "            dc += stay_c\n", ""),
    "a unit that stays and learns all the same": ("variants.py", "            dh -= stay_h\n", ""),
    "zoneout in evaluation": ("variants.py", "self.rng if self.training else None", "self.rng"),
    "zoneout that never draws": ("variants.py", "self.rng if self.training else None", "None"),
    "zoneout's draws forgotten": ("checkpoints.py", 'found[f"{name}.rng"] = layer.rng', "pass"),
    "the reset's gradient forgotten": ("variants.py", "            dr[t] *= back\n", ""),
    "the candidate learns from the state before the reset": (
        "variants.py", "columns[2 * H :] @ read.T", "columns[2 * H :] @ before.T"),
    "a silent ReLU that passes its gradient": ("variants.py", "out[...] = y > 0.0", "out[...] = 1.0"),
    "dropout's mask forgotten on the way back": ("layers.py", "else dy * self._cache", "else dy + 0 * self._cache"),
    "the GRU's update gate without its derivative": ("gates.py", "    dupdate *= update\n", ""),
    "the GRU's reset gate outside": ("gates.py", "xp.multiply(r, zh_n, out=h)", "xp.multiply(update, zh_n, out=h)"),
    "the GRU's carried part dropped": ("recurrence.py", "        dh *= update[t]\n", "        dh *= 0.0\n"),
    "a readout without its gradient in time": ("layers.py", "rows.sum(0)", "rows[:1].sum(0)"),
    "one of equal tokens": ("layers.py", "xp.add.at(dweight.reshape(-1), entries.reshape(-1), dy.reshape(-1))",
        "dweight[tokens] = dy"),
    "tokens that are another's by the time of the way back": ("checks.py", "tokens: Array = value.astype(np.int64)",
        "tokens: Array = value.astype(np.int64, copy=False)"),
    "a token too many": ("checks.py", "most >= count", "most > count"),
    "the last token, counted from the end": ("checks.py", "least < 0 or", "least < -count or"),
    "tokens dropped out": ("layers.py", 'check_floats(self.name, "x", x, device_of(x))', "pass"),
    "the readout's gradient past the recurrence": (
        "model.py", "dy = layer.backward(dy)\n", "dy = 0.5 * layer.backward(dy)\n"),
    "layers that go back in the order forward": ("model.py", "in reversed(self.layers.items())", "in self.layers.items()"),
    "lengths for nobody": ("model.py", "layer(x, states[name], lengths)", "layer(x, states[name])"),
    "one state for all layers": ("model.py", "return list(state)", "return [state[0]] * len(state)"),
    "a last state without its gradient": ("model.py", "layer.backward(dy, states[name])", "layer.backward(dy)"),
    "one layer in two places": ("model.py", "< len(layers):", "< 0:"),
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
    "another symbol before the last": ("data.py", "grammar.append({symbol: 18})", 'grammar.append({"T": 18})'),
    "an edge to another state": ("data.py", '{"T": 3, "V": 5}', '{"T": 3, "V": 4}'),
    "what was legal a step ago": (
        "data.py", "*(int(s in grammar[state]) for s in SYMBOLS)]", "*(int(s == symbol) for s in SYMBOLS)]"),
    "a paragraph of the test that was trained on": (
        "data.py", "join(dict.fromkeys(paragraphs))", "join(paragraphs)"),
    "pixels for rows": ("data.py", "transpose(1, 0, 2)", "transpose(2, 0, 1)"),
    "both numbers marked in the first half": (
        "tasks.py", "(steps // 2, steps))", "(0, steps // 2))"),
    "a mark counted among all places": ("tasks.py", "    second += second >= first", "    # second"),
    "a request one step late": ("tasks.py", "x[-11] = 9", "x[-10] = 9"),
    "a third place one step late": ("tasks.py", "(10, 33, 66)", "(10, 33, 67)"),
    "classes read backwards": ("tasks.py", "np.array([4, 2, 1])", "np.array([1, 2, 4])"),
    "a stream that begins in another state": ("tasks.py", '{"E": 0}]', '{"E": 1}]'),
    "a count that may end at any time": (
        "tasks.py", "legal[tokens == 2, 2:4] = 1", "legal[tokens >= 2, 2:4] = 1"),
    "targets without noise": (
        "tasks.py", "Split(series[:-1], series[1:])", "Split(series[:-1], part.y.astype(dtype))"),
    "a delayed value half a step early": (
        "tasks.py", "feedback(middles[k]), feedback", "feedback(start), feedback"),
    "half-way by a straight line": (
        "tasks.py", " / 2.0 + bend)", " / 2.0)"),
    "an update from a gradient that overflowed": (
        "training.py", "    if not math.isfinite(norm):\n", "    if False:\n"),
    "labels that no class has": ("losses.py", "if xp is np and outside:", "if False:"),
    "an update from a loss of NaN": ("training.py", "    if not math.isfinite(loss):\n", "    if False:\n"),
    "a norm that is not passed on": ("training.py", "clip(grads, clip_norm, clip_value, size)", "clip(grads, clip_norm, clip_value, size + 1)"),
    "a loss over the padded steps": (
        "training.py", "if lengths is None or target.ndim == 1:", "if True:"),
    "lengths of other sequences": (
        "training.py", "None if lengths is None else lengths[group]", "None if lengths is None else lengths[: len(group)]"),
    "labels of other sequences": ("training.py", "else y[group]", "else y[: len(group)]"),
    "dropout left off after evaluation": (
        "training.py", "layer.training, layer.state = training, state", "layer.training, layer.state = False, state"),
    "a carried state that evaluation takes": (
        "training.py", "layer.training, layer.state = training, state", "layer.training = training"),
    "evaluation from a carried state": (
        "training.py", "layer.training, layer.state = False, None", "layer.training = False"),
    "a validation before the epoch": ("training.py", "        groups = batches(x.shape[1], size, rng)\n",
        "        groups, seen = batches(x.shape[1], size, rng), validate()\n        validate = lambda: seen\n"),
    "a validation without its lengths": (
        "training.py", "model, x, y, loss, *lengths)", "model, x, y, loss)"),
    "windows side by side whatever the stride": ("data.py", "xp.arange(0, starts, stride)", "xp.arange(0, starts)"),
    "targets at the step itself": ("data.py", "xp.arange(1, horizon + 1)", "xp.arange(horizon)"),
    "no bias correction in Adam": ("optim.py", "1 - beta2**self.steps", "1.0"),
    "clipping a copy": ("optim.py", "gradient *= scale", "gradient = gradient * scale"),
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
    "a plateau that goes on counting": ("optim.py", "rate, self.waited = optimizer.learning_rate, 0", "rate = optimizer.learning_rate"),
    "a plateau that raises a low rate": ("optim.py", "min(rate, max(self.floor, rate * self.factor))", "max(self.floor, rate * self.factor)"),
    "a plateau that looks at the training": ("optim.py", "(unseen if len(unseen) == len(loss) else loss)", "loss"),
    "a state of another batch accepted": ("layers.py", "if part.shape[1] != batch:", "if False:"),
    "ONNX's order taken for its inverse": ("onnx.py", "return rows.reshape(len(order), -1, *rows.shape[1:])[list(order)]",
        "return rows.reshape(len(order), -1, *rows.shape[1:])[list(np.argsort(order))]"),
    "one of two biases dropped": ("onnx.py", '"bias": b_ih + b_hh}', '"bias": b_ih}'),
    "the bias behind the reset gate merged": ("onnx.py", "kept = b_hh * (np.arange(3 * H) < 2 * H)", "kept = b_hh"),
    "a coupled gate without its sign": ("onnx.py", "np.concatenate([-a[:H], a[2 * H :]])", "np.concatenate([a[:H], a[2 * H :]])"),
    "peepholes in the file's order": ("onnx.py", 'parts["P"].reshape(3, H)[[0, 2, 1]]', 'parts["P"].reshape(3, H)'),
    "the place of the reset ignored": ("onnx.py", 'if options.get("linear_before_reset", 0) else', "if True else"),
    "directions that are not turned": ("onnx.py", "perm=[0, 2, 1, 3]", "perm=[0, 1, 2, 3]"),
    "a class of our own written as its base": ("onnx.py", "if type(layer) not in NODES:", "if not isinstance(layer, Recurrent):"),
    "a reversed layer written forward": ("onnx.py", "DIRECTIONS[2 if D == 2 else reverse]", "DIRECTIONS[2 if D == 2 else 0]"),
    "a reverse node read forward": ("onnx.py", 'return Reversed(layer) if options["direction"] == "reverse" else layer', "return layer"),
    "lengths that the second layer does not get": (
        "onnx.py", "inputs = [x, W, R, B, lengths, *state, *P]", 'inputs = [x, W, R, B, lengths if k == 0 else "", *state, *P]'),
    "first states in another order": ("onnx.py", "first[part][k] if first", "first[part][-1 - k] if first"),
    "a mean over the padded steps in a file": ("onnx.py", "if not lengths:\n", "if True:\n"),
    "a pool of the wrong layer in a file": (
        "onnx.py", 'pool_nodes(model, y, f"h_l{n - 1}", lengths)', 'pool_nodes(model, y, "h_l0", lengths)'),
    "a readout that is not turned": ("onnx.py", "np.ascontiguousarray(to_numpy(weight).T)", "to_numpy(weight)"),
    "turned around with its padding": ("direction.py", "y, state = self.recurrent(self.turned(x, lengths)", "y, state = self.recurrent(self.turned(x, None)"),
    "an answer that is not turned back": ("direction.py", "return self.turned(y, lengths), state", "return y, state"),
    "a gradient that is not turned": ("direction.py", "self.recurrent.backward(self.turned(dy, lengths), dstate)", "self.recurrent.backward(dy, dstate)"),
    "traces in the order of reading": ("direction.py", "reverse(a, lengths).copy() for a", "a.copy() for a"),
    "parameters of the wrapper alone": ("direction.py", 'if name == "recurrent":\n            super()', 'if name in ("recurrent", "params"):\n            super()'),
    "a reversed layer pooled at the end of time": ("direction.py", "from_end = True", "from_end = False"),
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
    "a row of layers in the alphabet's order": (
        "interop.py", "for k, part in model.layers.items()]}", "for k, part in sorted(model.layers.items())]}"),
    "an option that is forgotten": ("interop.py", '"zoneout_h", ', ""),
    "a class that is not kept": ("interop.py", '"ZoneoutLSTM", ', ""),
    "PyTorch's names for what it lacks": ("interop.py", "if not is_one_of(layer, TORCH):", "if False:"),
    "another class of the same name": ("interop.py", ' and getattr(import_module("lstm"), kind.__name__) is kind', ""),
    "a row of layers that is not weighed": ("interop.py", "return max(least, inside)", "return least"),
    "a missing file without its name": (
        "files.py", "raise FileNotFoundError(error.errno, missing, str(path)) from error", "raise"),
    "a file written in place": ("files.py", "temporary = path.with_name(f\".{path.name}.{os.getpid()}.tmp\")", "temporary = path"),
    "a write that is not yet on the disk": ("files.py", "            os.fsync(file.fileno())\n", ""),
    "a newer format read": ("files.py", "if version > VERSION:", "if False:"),
    "a file of another kind read": ("files.py", "if found != kind:", "if False:"),
    "dropout's generator forgotten": ("checkpoints.py", "[layer] if isinstance", "[] if isinstance"),
    "between the layers too": ("checkpoints.py", 'getattr(layer, "_between", [])', "[]"),
    "best weights that are not copied": ("checkpoints.py", "p.copy() for name, p in model", "p for name, p in model"),
    "an equal loss taken for a better one": ("optim.py", "loss < self.best * (1 - threshold)", "loss <= self.best * (1 - threshold)"),
    "a carried state forgotten": ("checkpoints.py", "        model.layers[name].state = state\n", "        pass\n"),
    "old checkpoints pile up": ("checkpoints.py", "*self.files()[: -self.keep], ", ""),
    "a range test on the model itself": ("tuning.py", "copy.deepcopy(model), History()", "model, History()"),
    "a range test at one rate": (
        "tuning.py", "schedule=rates.__getitem__", "schedule=lambda epoch: rates[0]"),
    "a rise above the last loss alone": ("tuning.py", "np.minimum.accumulate(losses)", "np.append(losses[0], losses[:-1])"),
    "a loss that falls again after a rise": ("tuning.py", "losses[:end]", "losses"),
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
    "a model that keeps the instrument's gradients": ("memory.py", '{"grads": {}, "stateful"', '{"stateful"'),
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
    "a peephole's gradient from the old cell": ("kernels.py", "dz[:, 3] * c[1:]", "dz[:, 3] * c[:-1]"),
    "a GRU's first state without the recurrent road": ("kernels.py", "    dh += back\n", ""),
    "a GRU's product that sees the input's block": (
        "kernels.py", "dz[t, 1:].reshape(3 * H, B), back)", "dz[t, :-1].reshape(3 * H, B), back)"),
    "a coupled cell sent back as a plain one": (
        "kernels.py", "partial(fused_lstm_backward, options=(\"COUPLED\",))", "fused_lstm_backward"),
    "a ReLU sent back as a tanh": (
        "kernels.py", "partial(fused_rnn_backward, options=(\"RELU\",))", "fused_rnn_backward"),
    "a view given to a kernel": (
        "kernels.py", "bias_hn = z.reshape(T, 3, H, B), xp.ascontiguousarray(bias_hn)", "bias_hn = z.reshape(T, 3, H, B), bias_hn"),
    "one launch too few for a step": ("kernels.py", "like.size // THREADS + 1,", "like.size // THREADS,"),
    "a GRU whose steps are launched request by request": (
        "kernels.py", "    gru_forward: fused_gru_forward,\n", ""),
    "ranks weighted alike": ("parallel.py", "dy * (target.size / count)", "dy * (1 / comm.size)"),
    "a rank that reports its own loss": ("parallel.py", "np.asarray(total / count)", "value"),
    "sequences dealt in blocks": (
        "parallel.py", "mine = sequences[comm.rank :: comm.size]",
        "mine = np.array_split(sequences, comm.size)[comm.rank]"),
    "every rank with the generators of rank 0": ("parallel.py", "under(str(self.comm.rank), ", 'under("0", '),
    "a graph used at another address": ("kernels.py", "key = shapes, *(a.data.ptr for a in arrays)", "key = shapes"),
    "a state's gradient that the next pass overwrites": (
        "kernels.py", "(dh.T.copy(), dc.T.copy()), (*sums", "(dh.T, dc.T), (*sums"),
    "a recording that holds the library's product": ("kernels.py", "step(product, t)\n        finally", "step(matmul_into, t)\n        finally"),
    "a state half carried on after a lack of memory": ("backend.py", "                layer.state = state\n", ""),
    "memory held by an error": ("backend.py", "from error.with_traceback(None)", "from error"),
    "a driver of another version taken for none": ("backend.py", "if driver == 0 or", "if driver < built or"),
    "a checkpoint of another model accepted": ("checkpoints.py", '    check_arrays("the training", given, present)\n', ""),
}  # fmt: skip


def run_tests(folder, tests):
    """Run tests on the package in a folder until one fails; no plugin is loaded."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--assert=plain",
               "-p", "no:cacheprovider",
               *(str(ROOT / "tests" / name) for name in tests)]  # fmt: skip
    environment = os.environ | {
        "PYTHONPATH": str(folder), "OPENBLAS_NUM_THREADS": "1", "EXAMPLES": "20",
        "SHRINK": "no", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }  # fmt: skip
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def copy_package(folder, file="__init__.py", right="", wrong=""):
    """Copy the package to a folder, with another text in a file."""
    shutil.copytree(ROOT / "lstm", folder / "lstm", ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "lstm" / file
    text = path.read_text()
    assert right in text, f"{file} no longer says {right!r}: adapt this fault"
    path.write_text(text.replace(right, wrong, 1))


def test_the_package_as_it_is_passes(tmp_path):
    copy_package(tmp_path)
    result = run_tests(tmp_path, SUITE + [test for own in SUITES.values() for test in own])
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_caught(tmp_path, fault):
    file = fault[0]
    if file in ("kernels.py", "backend.py") and file not in SUITES:
        pytest.skip("the stand-in for CuPy does not run here")
    copy_package(tmp_path, *fault)
    own, *others = SUITES.get(file, sorted(SUITE, key=lambda name: name != f"test_{file}"))
    result = run_tests(tmp_path, [own])
    if result.returncode == 0 and others:
        result = run_tests(tmp_path, others)
    assert result.returncode == 1 and " failed" in result.stdout, result.stdout + result.stderr
