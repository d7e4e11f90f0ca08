"""Networks with residual and parallel blocks for the table in `cases.py`, by name."""

from descriptions import batch_norm, kind, layer_norm, linear, parallel, residual

BLOCK_NETWORKS = {
    "residual": [
        linear(4, 6),
        residual(linear(6, 5), kind("relu"), linear(5, 6)),
        kind("relu"),
        linear(6, 3),
    ],
    "residual_first": [residual(linear(4, 5), kind("tanh"), linear(5, 4)), linear(4, 3)],
    "residual_last": [linear(4, 3), kind("relu"), residual(kind("silu"), linear(3, 3))],
    "residual_only": [residual(linear(3, 3))],
    "residual_before_softmax": [
        linear(4, 3),
        residual(linear(3, 3), kind("softplus")),
        kind("softmax"),
    ],
    "residual_normalized": [
        linear(4, 6),
        residual(batch_norm(6), kind("tanh"), kind("dropout", p=0.3), linear(6, 6)),
        residual(layer_norm(6), linear(6, 4), kind("gelu"), linear(4, 6)),
        linear(6, 2),
    ],
    "residual_activations": [
        linear(3, 5),
        residual(kind("tanh")),
        residual(kind("softmax")),
        linear(5, 2),
    ],
    "parallel_sum": [
        parallel([linear(4, 4), kind("tanh")], [], [linear(4, 6), kind("elu"), linear(6, 4)]),
        linear(4, 3),
        kind("log_softmax"),
    ],
    "parallel_concat": [
        linear(3, 4),
        kind("relu"),
        parallel([linear(4, 3), kind("relu")], [], [kind("silu"), linear(4, 2)], combine="concat"),
        kind("tanh"),
        linear(9, 2),
    ],
    "parallel_last": [
        linear(5, 4, bias=False),
        parallel([], [linear(4, 2), kind("sigmoid")], [kind("tanh")], [], combine="concat"),
    ],
    # the second branch has no parameters, nor has anything before the block
    "parallel_first_without_params": [
        parallel(
            [residual(linear(3, 3)), kind("softplus")],
            [kind("tanh"), residual(kind("sigmoid"))],
            [kind("silu"), linear(3, 2)],
            combine="concat",
        ),
        parallel([], []),
        linear(8, 3),
    ],
    "nested": [
        layer_norm(4),
        residual(
            parallel(
                [
                    residual(
                        parallel([residual(linear(4, 4))], [linear(4, 2)], combine="concat"),
                        linear(6, 4),
                    )
                ],
                [linear(4, 1, bias=False), kind("tanh")],
                combine="concat",
            ),
            linear(5, 4),
            layer_norm(4),
        ),
        parallel([linear(4, 3)], [kind("tanh"), linear(4, 3)], [linear(4, 3)]),
    ],
    "residual_widening": [
        linear(2, 9),
        residual(linear(9, 8), kind("relu"), linear(8, 9)),
        kind("relu"),
        parallel([linear(9, 9)], [], combine="concat"),
        linear(18, 11),
    ],
}
