"""The table of optimizers: each one is tested with every setting that has a row here."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class OptimizerCase:
    """An optimizer: `fastnn.<cls>(**args)`, and `reference_optimizers.<cls>(**args)`."""

    name: str
    cls: str
    args: dict = field(default_factory=dict)


OPTIMIZER_CASES = [
    OptimizerCase("sgd", "SGD", {"learning_rate": 0.05}),
    OptimizerCase("sgd_weight_decay", "SGD", {"learning_rate": 0.05, "weight_decay": 0.1}),
    OptimizerCase("sgd_momentum", "SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    OptimizerCase(
        "sgd_nesterov",
        "SGD",
        {"learning_rate": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
    ),
    OptimizerCase("adam", "Adam", {"learning_rate": 0.01}),
    OptimizerCase(
        "adam_all",
        "Adam",
        {"learning_rate": 0.02, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1},
    ),
    OptimizerCase("adamw", "AdamW", {"learning_rate": 0.01}),
    OptimizerCase(
        "adamw_all",
        "AdamW",
        {"learning_rate": 0.02, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.3},
    ),
    OptimizerCase("rmsprop", "RMSprop", {"learning_rate": 0.01}),
    OptimizerCase(
        "rmsprop_momentum",
        "RMSprop",
        {"learning_rate": 0.01, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1, "momentum": 0.8},
    ),
    OptimizerCase(
        "rmsprop_centered",
        "RMSprop",
        {"learning_rate": 0.01, "alpha": 0.9, "eps": 1e-3, "centered": True},
    ),
    OptimizerCase(
        "rmsprop_all",
        "RMSprop",
        {
            "learning_rate": 0.005,
            "alpha": 0.8,
            "eps": 1e-2,
            "weight_decay": 0.1,
            "momentum": 0.5,
            "centered": True,
            "l1": 0.01,
            "clip_norm": 1.0,
        },
    ),
    OptimizerCase("lion", "Lion", {"learning_rate": 0.001}),
    OptimizerCase(
        "lion_all",
        "Lion",
        {"learning_rate": 0.002, "betas": (0.8, 0.95), "weight_decay": 0.3, "clip_norm": 1.0},
    ),
    OptimizerCase("l1", "SGD", {"learning_rate": 0.05, "l1": 0.02}),
    OptimizerCase("clip_norm", "SGD", {"learning_rate": 0.05, "momentum": 0.9, "clip_norm": 0.5}),
    OptimizerCase("clip_value", "Adam", {"learning_rate": 0.01, "clip_value": 0.05}),
    OptimizerCase(
        "clip_both_l1",
        "AdamW",
        {"learning_rate": 0.01, "clip_norm": 0.5, "clip_value": 0.1, "l1": 0.03},
    ),
]
