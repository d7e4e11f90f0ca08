"""The presets' recipe, step by step, against the same recipe written in PyTorch."""

import math

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.7")

import fastnn as fn
from fastnn.tabular import TabularRegressor
from fastnn.tabular import recipe as recipes
from fastnn.tabular.members import Table, train
from fastnn.tabular.objective import classification, regression
from fastnn.tabular.recipe import PRESETS, Shape

N, NUMERIC, ONE_HOT, CARDINALITY = 70, 3, 2, 12
BATCH, EPOCHS = 16, 6


def encoded(rng):
    """Return rows with numeric, one-hot and code columns, as an encoder makes them."""
    codes = rng.integers(0, CARDINALITY, (N, 1))
    return np.hstack([rng.standard_normal((N, NUMERIC + ONE_HOT)), codes]).astype(np.float32)


def schedules(step, steps):
    """Return the factors of rate and decay at an update, by RealMLP's formulas."""
    t = step / steps
    rate = 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * t)))
    flat = 1.0 if t < 0.5 else 0.5 * (1 + math.cos(math.pi * (2 * t - 1)))
    return rate, flat


class InPyTorch:
    """RealMLP's layers in its own parametrisation, x W / sqrt(fan_in) + b, in float64."""

    def __init__(self, torch, network, simple, classes):
        self.torch, self.simple, self.classes = torch, simple, classes
        self.parameters = []  # (tensor, factor of the rate, factor of the decay)
        self.layers = []
        for layer in network.layers:
            arrays = {n: self.tensor(a) for n, a in layer.arrays().items()}
            rates = {name: (1.0, 1.0) for name in arrays}
            if isinstance(layer, fn.Linear):
                with torch.no_grad():
                    arrays["weight"] *= math.sqrt(layer.in_features)
                rates["bias"] = (0.1, 0.0)
            elif isinstance(layer, fn.Scale):
                rates["weight"] = (6.0, 1.0)
            elif isinstance(layer, fn.Parametric | fn.PeriodicEmbedding):
                rates = {name: (0.1, 1.0) for name in arrays}
            if not isinstance(layer, fn.Unstandardize):
                self.parameters += [(arrays[name], *rates[name]) for name in arrays]
            self.layers.append((layer, arrays))

    def tensor(self, array):
        return self.torch.tensor(array.astype(np.float64), requires_grad=True)

    def activation(self, z):
        torch = self.torch
        if self.classes:
            return torch.nn.functional.selu(z)
        return z * torch.tanh(torch.nn.functional.softplus(z))

    def __call__(self, x):
        torch = self.torch
        for layer, arrays in self.layers:
            if isinstance(layer, fn.PeriodicEmbedding):
                given, parts = x[:, :NUMERIC], []
                for j in range(NUMERIC):
                    angle = 2 * math.pi * given[:, j : j + 1] * arrays["frequency"][j]
                    features = torch.cos(angle + arrays["phase"][j])
                    mapped = features @ arrays["weight"][j].T + arrays["bias"][j]
                    parts += [given[:, j : j + 1], mapped]
                x = torch.cat([*parts, x[:, NUMERIC:]], dim=1)
            elif isinstance(layer, fn.CategoricalEmbedding):
                table = arrays["weight"].reshape(CARDINALITY, -1)
                x = torch.cat([x[:, :-1], table[x[:, -1].long()]], dim=1)
            elif isinstance(layer, fn.Scale):
                x = x * arrays["weight"]
            elif isinstance(layer, fn.Linear):
                x = x @ arrays["weight"].T / math.sqrt(layer.in_features) + arrays["bias"]
            elif isinstance(layer, fn.Parametric):
                x = x + arrays["alpha"] * (self.activation(x) - x)
            elif isinstance(layer, fn.Mish | fn.SELU):
                x = self.activation(x)
        return x

    def train(self, x, target, orders, rate):
        """Train with Adam and weight decay, one minibatch after another."""
        torch = self.torch
        optimizer = torch.optim.Adam(
            [{"params": [p]} for p, _, _ in self.parameters], betas=(0.9, 0.95)
        )
        steps, step = len(orders) * (len(orders[0]) // BATCH), 0
        for order in orders:
            for start in range(0, len(order) - BATCH + 1, BATCH):
                rows = order[start : start + BATCH]
                rate_factor, flat = schedules(step, steps)
                outputs = self(torch.tensor(x[rows].astype(np.float64)))
                wanted = torch.tensor(target[rows])
                if self.classes:
                    loss = torch.nn.functional.cross_entropy(outputs, wanted, label_smoothing=0.1)
                else:
                    loss = ((outputs[:, 0] - wanted) ** 2).mean()
                optimizer.zero_grad()
                loss.backward()
                with torch.no_grad():
                    for group, (p, f_rate, f_decay) in zip(
                        optimizer.param_groups, self.parameters, strict=True
                    ):
                        group["lr"] = rate * rate_factor * f_rate
                        if not self.simple:
                            # the factors enter the decay twice
                            decay = 0.02 * flat * f_decay**2
                            p.mul_(1 - decay * group["lr"] * f_rate)
                optimizer.step()
                step += 1


@pytest.mark.parametrize("preset", ["default", "fast"])
@pytest.mark.parametrize("classes", [True, False])
def test_training_takes_the_steps_of_realmlp(preset, classes, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(recipes, "HIDDEN", (8, 7, 6))
    monkeypatch.setattr(recipes, "BATCH_SIZE", BATCH)
    monkeypatch.setattr(recipes, "DROPOUT", 0.0)  # PyTorch draws other masks
    rng = np.random.default_rng(0)
    x = encoded(rng)
    y = rng.integers(0, 3, N) if classes else 3 * x[:, 0].astype(np.float64) + 7
    recipe = PRESETS[preset]
    shape = Shape(NUMERIC, x.shape[1], (CARDINALITY,), 3 if classes else 1, classes, not classes)
    network = recipes.network_of(recipe, shape, x, seed=1)
    theirs = InPyTorch(torch, network, recipe.simple, classes)
    network.fit(
        x,
        y,
        loss=(classification("auto") if classes else regression("auto", "auto", 0.5)).loss,
        optimizer=recipes.optimizer_of(recipe, shape, network),
        epochs=EPOCHS,
        batch_size=BATCH,
        drop_last=True,
        standardize=None if classes else "y",
        seed=5,
    )
    order_rng = np.random.default_rng(5)
    orders = [order_rng.permutation(N) for _ in range(EPOCHS)]
    target = y if classes else (y - y.mean()) / y.std()
    theirs.train(x, target, orders, recipe.rates[0 if classes else 1])
    outputs = theirs(torch.tensor(x.astype(np.float64))).detach().numpy()
    if not classes:
        outputs = outputs * y.std() + y.mean()
    np.testing.assert_allclose(network.predict(x), outputs, rtol=0, atol=2e-3 * np.ptp(outputs))


def test_the_simple_recipe_begins_as_td_s_does():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 20)).astype(np.float32)
    shape = Shape(20, 20, (), 3, classes=True, standardized=False)
    network = recipes.network_of(PRESETS["fast"], shape, x, seed=0)
    first, *_, last = (layer for layer in network.layers if isinstance(layer, fn.Linear))
    assert abs(first.weight.std() * math.sqrt(20) - 1) < 0.05
    assert abs(first.bias.std() - 1) < 0.15
    assert not last.weight.any()
    assert not last.bias.any()


def test_the_default_recipe_begins_with_unit_variance():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 20)).astype(np.float32)
    shape = Shape(20, 20, (), 1, classes=False, standardized=True)
    network = recipes.network_of(PRESETS["default"], shape, x, seed=0)
    outputs = network.activations(x)
    for i, layer in enumerate(network.layers):
        if isinstance(layer, fn.Linear):
            deviations = outputs[f"{i}.Linear"].std(axis=0)
            np.testing.assert_allclose(deviations, 1, atol=1e-3)


def test_the_last_best_epoch_is_kept(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 2)).astype(np.float32)
    target = (x[:, 0] > 0).astype(np.int64)
    recipe = PRESETS["fast"]
    monkeypatch.setattr(recipes, "HIDDEN", (8,))
    shape = Shape(2, 2, (), 2, classes=True, standardized=False)
    objective = classification("accuracy")
    (member,) = train(
        Table(x, target, None), target, recipe, shape, objective, lambda z: z, rng, 1, 80, False
    )
    values = member.curve["accuracy"]
    assert len(values) == 80
    assert values[member.best_epoch - 1] == max(values)
    assert max(values) not in values[member.best_epoch :]
    held_out = x[-len(member.held_out) :]  # `train` has reordered the rows of `x` in place
    right = member.network.predict(held_out).argmax(axis=1) == (held_out[:, 0] > 0)
    assert right.mean() == max(values)


@pytest.mark.parametrize(
    ("n_rows", "epochs"),
    [(1, 256), (1_000, 256), (1_600, 205), (2_000, 171), (2_560, 128), (10**7, 128)],
)
def test_small_tables_are_trained_up_to_twice_as_many_epochs(n_rows, epochs):
    # of 1,600 rows, 1,280 are trained on: 5 minibatches, so 8 / 5 of 128 epochs
    assert PRESETS["default"].epochs_for(n_rows) == epochs
    assert PRESETS["fast"].epochs_for(n_rows) == round(epochs * 48 / 128)


@pytest.mark.parametrize(
    ("rows", "given", "epochs"), [(60, None, 256), (2_000, None, 171), (60, 3, 3)]
)
def test_the_estimators_choose_the_epochs_by_the_rows(rows, given, epochs, monkeypatch):
    monkeypatch.setattr(recipes, "HIDDEN", (2,))
    x = np.random.default_rng(0).standard_normal((rows, 2))
    model = TabularRegressor(random_state=0, epochs=given).fit(x, x[:, 0])
    assert len(model.report_.curves[0]["loss"]) == epochs
