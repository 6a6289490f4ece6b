"""What the student edition leaves to be written, module by module, and the tests that grade it.

The one place where this is chosen. The order is the book's: a module needs those before it.
A test is named by its file in ``tests/``, its name or the beginning of it, and words, each of
which is one of the values that a parametrized test runs with.
"""

from __future__ import annotations

from typing import NamedTuple

RUN = "test_recurrence.py::test_forward_equals"
BACK = "test_recurrence.py::test_every_gradient"
TORCH = "test_torch.py::test_layer_equals_pytorch"
STEPS = "test_optim.py::test_a_hundred_steps_equal_pytorchs"


class Module(NamedTuple):
    """A piece of work: the chapters that explain it, and the tests of each function."""

    chapters: tuple[str, ...]
    functions: dict[str, tuple[str, ...]]


MODULES = {
    "losses": Module(
        ("start",),
        {"losses.mean_squared_error": (
            "test_losses.py::test_mean_squared_error", "test_losses.py::test_shapes_that_would",
        )},
    ),
    "gates": Module(
        ("gates/cell", "gates/step"),
        {
            "gates.sigmoid": ("test_gates.py::test_sigmoid",),
            "gates.sigmoid_grad": ("test_gates.py::test_derivatives sigmoid",),
            "gates.tanh_grad": ("test_gates.py::test_derivatives tanh",),
            "gates.activate": ("test_gates.py::test_activate",),
            "gates.lstm_step": ("test_gates.py::test_lstm_step_is",),
        },
    ),
    "initializers": Module(
        ("initialization/scale",),
        {
            "initializers.lecun_normal": ("test_initializers.py::test_variance lecun_normal",),
            "initializers.orthogonal": ("test_initializers.py::test_orthogonal",),
            "initializers.lstm_bias": ("test_initializers.py::test_lstm_bias",),
            "initializers.chrono_bias": ("test_initializers.py::test_chrono",),
        },
    ),
    "derivatives": Module(
        ("bptt/step",),
        {
            "numerical.numerical_gradient": ("test_numerical.py::test_numerical_gradient",),
            "numerical.relative_error": (
                "test_numerical.py::test_relative_error", "test_numerical.py::test_what_is_not_finite",
            ),
            "gates.lstm_partials": ("test_gates.py::test_lstm_step_backward",),
            "gates.lstm_step_backward": ("test_gates.py::test_lstm_step_backward",),
        },
    ),
    "recurrence": Module(
        ("bptt/sequence",),
        {
            "recurrence.pack": (f"{RUN} lstm",),
            "recurrence.stack_inputs": (f"{RUN} lstm",),
            "recurrence.lstm_forward": (
                f"{RUN} lstm", "test_recurrence.py::test_inputs_are_not_modified lstm",
            ),
            "recurrence.lstm_backward": (
                f"{BACK} lstm", "test_recurrence.py::test_a_sequence_cut_in_two lstm",
            ),
            "recurrence.rnn_forward": (f"{RUN} rnn",),
            "recurrence.rnn_backward": (f"{BACK} rnn",),
        },
    ),
    "stack": Module(
        ("bptt/stack",),
        {
            "stack.reverse": ("test_stack.py::test_the_reverse_direction LSTM",),
            "stack.stack_forward": (
                "test_stack.py::test_states_stay LSTM", "test_stack.py::test_permuting LSTM",
            ),
            "stack.stack_backward": (f"{TORCH} LSTM",),
        },
    ),
    "layers": Module(
        ("bptt/layers",),
        {
            "layers.Linear.__call__": (
                "test_layers.py::test_linear", "test_model.py::test_it_is_the_layer",
            ),
            "layers.Linear.backward": ("test_layers.py::test_linear",),
            "model.Sequential.__call__": ("test_model.py::test_it_is_the_layer",),
            "model.Sequential.backward": ("test_model.py::test_every_gradient_against LSTM",),
        },
    ),
    "updates": Module(
        ("bptt/training",),
        {
            "losses.cross_entropy": (
                "test_losses.py::test_cross_entropy", "test_losses.py::test_bad_labels",
                "test_torch.py::test_losses",
            ),
            "optim.SGD.update": ("test_optim.py::test_sgd", f"{STEPS} SGD"),
            "optim.Adam.update": ("test_optim.py::test_adam_equals", f"{STEPS} Adam", f"{STEPS} Adam_eps"),
            "optim.clip_grad_norm": (
                "test_optim.py::test_clipping_scales", "test_optim.py::test_clipping_leaves",
                "test_optim.py::test_clipping_refuses",
            ),
            "optim.warmup_exponential.schedule": (
                "test_optim.py::test_schedule_warms_up",
                "test_optim.py::test_schedules_equal_pytorchs warm_exponential",
            ),
        },
    ),
    "training": Module(
        ("bptt/sine",),
        {
            "data.batches": ("test_data.py::test_batches",),
            "training.loss_to_ends": (
                "test_training.py::test_a_loss_to_the_ends", "test_training.py::test_the_gradient_of",
            ),
            "training.train_step": (
                "test_training.py::test_one_update", "test_training.py::test_the_gradient_stops",
                "test_training.py::test_a_loss_that_becomes_nan",
            ),
            "training.train_epoch": (
                "test_training.py::test_the_sequence_is_cut", "test_training.py::test_an_epochs_loss",
                "test_training.py::test_batches_of_sequences",
            ),
        },
    ),
    "optimizers": Module(
        ("bptt/optimizers",),
        {
            "optim.Momentum.update": (
                "test_optim.py::test_momentum", f"{STEPS} Momentum", f"{STEPS} Nesterov",
            ),
            "optim.RMSprop.update": (
                "test_optim.py::test_rmsprop", f"{STEPS} RMSprop", f"{STEPS} RMSprop_eps",
            ),
            "optim.AdamW.update": (
                "test_optim.py::test_weight_decay", "test_optim.py::test_adamw",
                f"{STEPS} AdamW", f"{STEPS} AdamW_decay",
            ),
            "optim.cosine.schedule": (
                "test_optim.py::test_cosine_by_hand", "test_optim.py::test_schedules_equal_pytorchs cosine",
                "test_optim.py::test_schedules_equal_pytorchs warm_cosine",
            ),
        },
    ),
    "gru": Module(
        ("practice/gru",),
        {
            "gates.gru_step": ("test_gates.py::test_gru_step",),
            "gates.gru_partials": (f"{BACK} gru",),
            "recurrence.gru_forward": (f"{RUN} gru",),
            "recurrence.gru_backward": (f"{BACK} gru", f"{TORCH} GRU"),
        },
    ),
    "variants": Module(
        ("practice/variants",),
        {
            "variants.peephole_step": (
                "test_stack.py::test_every_gradient",
                "test_stack.py::test_a_sequence_cut_in_two PeepholeLSTM",
            ),
            "variants.peephole_step_backward": ("test_stack.py::test_every_gradient",),
        },
    ),
}  # fmt: skip
