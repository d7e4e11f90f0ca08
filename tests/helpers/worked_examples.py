"""Networks of the worked examples."""

import fastnn as fn


def softmax_network(dtype):
    net = fn.Network(
        [fn.Linear(2, 3, bias=False), fn.ReLU(), fn.Linear(3, 2, bias=False), fn.Softmax()], dtype
    )
    net.params[...] = 3, 1, 1, 0, -1, 2, 1, -1, 3, -2, 5, 4  # P row by row, Q row by row
    return net
