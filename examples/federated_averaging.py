"""Federated learning: clients train on their own data, and a server averages (FedAvg, FedOpt).

Each client has digits of two classes only, and sends the change of its parameters, not its data.
The mean change is a step of the server: with its sign reversed, it is a gradient for the server's
optimizer, as in "Adaptive federated optimization" (Reddi et al. 2021).
"""

import copy

import numpy as np

import fastnn as fn
from fastnn import datasets

ROUNDS = 40


def accuracy(net, X, y):
    """Return the share of correct classes."""
    return (net.predict(X).argmax(axis=1) == y).mean()


def main():
    """Train five clients alone, and together."""
    X, y = datasets.load_digits()
    X = X / 16
    held_out = np.arange(len(X)) % 5 == 0
    clients = [np.flatnonzero(~held_out & (y // 2 == client)) for client in range(5)]

    server = fn.Network([fn.Linear(64, 32), fn.ReLU(), fn.Linear(32, 10)], seed=0)
    local = {"optimizer": fn.SGD(0.1), "epochs": 1, "batch_size": 16, "progress": False}
    alone = []
    for rows in clients:
        client = copy.deepcopy(server)
        client.fit(X[rows], y[rows], seed=0, **{**local, "epochs": ROUNDS})
        alone.append(accuracy(client, X[held_out], y[held_out]))

    optimizer = fn.SGD(1.0, momentum=0.5)
    for number in range(ROUNDS):
        change = np.zeros_like(server.params)
        for rows in clients:
            client = copy.deepcopy(server)
            client.fit(X[rows], y[rows], seed=number, **local)
            change += (client.params - server.params) * len(rows)
        server.step(-change / sum(map(len, clients)), optimizer)

    print(f"accuracy of the best client alone: {max(alone):.4f}")
    print(f"accuracy of the average: {accuracy(server, X[held_out], y[held_out]):.4f}")


if __name__ == "__main__":
    main()
