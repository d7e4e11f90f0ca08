"""Learning curves equal those of PyTorch from the same parameters, on the same batches."""

import math

import numpy as np
import pytest

import fastnn as fn
from fastnn import schedules

torch = pytest.importorskip("torch")

EPOCHS, BATCH_SIZE, N = 20, 16, 200
RNG = np.random.default_rng(5)
X = RNG.standard_normal((N, 6))
Y = np.digitize(X[:, 0] * X[:, 1] + 0.3 * X[:, 2], [-0.5, 0.5])


def networks(activation):
    """Return the same network of fastnn and of PyTorch, with the same parameters."""
    ours = fn.Network(
        [
            fn.Linear(6, 24),
            getattr(fn, activation)(),
            fn.Linear(24, 24),
            getattr(fn, activation)(),
            fn.Linear(24, 3),
        ],
        dtype="float64",
        seed=3,
    )
    theirs = torch.nn.Sequential(
        torch.nn.Linear(6, 24),
        getattr(torch.nn, activation)(),
        torch.nn.Linear(24, 24),
        getattr(torch.nn, activation)(),
        torch.nn.Linear(24, 3),
    ).double()
    with torch.no_grad():
        for i in (0, 2, 4):
            theirs[i].weight.copy_(torch.tensor(ours.layers[i].weight.copy()))
            theirs[i].bias.copy_(torch.tensor(ours.layers[i].bias.copy()))
    return ours, theirs


def curve_of_pytorch(model, optimizer, scheduler):
    """Train with the usual loop of PyTorch, and return the mean loss of each epoch."""
    rng = np.random.default_rng(11)
    inputs, targets = torch.tensor(X), torch.tensor(Y)
    losses = []
    for _ in range(EPOCHS):
        order, total = rng.permutation(N), 0.0
        for first in range(0, N, BATCH_SIZE):
            rows = order[first : first + BATCH_SIZE]
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(inputs[rows]), targets[rows])
            loss.backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            total += loss.item() * len(rows)
        losses.append(total / N)
    return losses


CASES = {
    "SGD with momentum": (
        fn.SGD(0.05, momentum=0.9),
        lambda p, _: (torch.optim.SGD(p, 0.05, momentum=0.9), None),
    ),
    "AdamW with a cosine schedule": (
        fn.AdamW(schedules.CosineDecay(0.01), weight_decay=0.02),
        lambda p, updates: (
            o := torch.optim.AdamW(p, 0.01, weight_decay=0.02),
            torch.optim.lr_scheduler.CosineAnnealingLR(o, updates),
        ),
    ),
}


@pytest.mark.parametrize("activation", ["ReLU", "Tanh"])
@pytest.mark.parametrize("case", CASES)
def test_a_learning_curve_is_that_of_pytorch(case, activation):
    ours, theirs = networks(activation)
    optimizer, of_pytorch = CASES[case]
    updates = EPOCHS * math.ceil(N / BATCH_SIZE)
    expected = curve_of_pytorch(theirs, *of_pytorch(theirs.parameters(), updates))
    history = ours.fit(X, Y, optimizer=optimizer, epochs=EPOCHS, batch_size=BATCH_SIZE, seed=11)
    assert expected[-1] < 0.7 * expected[0]
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-6)
