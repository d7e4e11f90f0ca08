"""The rates of every schedule against those of PyTorch or scikit-learn."""

import json
import math

import numpy as np
import pytest
from test_names import name_of

import fastnn as fn
from fastnn.schedules import (
    Constant,
    CosineDecay,
    CosLog,
    ExponentialDecay,
    FlatCosine,
    InverseScaling,
    OneCycle,
    ReduceOnPlateau,
    StepDecay,
    Warmup,
)
from fastnn.training.rates import RateFeed

PER_EPOCH, EPOCHS = 7, 13
TOTAL = PER_EPOCH * EPOCHS

# Our schedule, the name of PyTorch's, its arguments, and whether it is stepped after each epoch.
PAIRS = [
    (StepDecay(0.3, 4, 0.5), "StepLR", {"step_size": 4, "gamma": 0.5}, True),
    (StepDecay(0.3, 5), "StepLR", {"step_size": 5}, True),
    (ExponentialDecay(0.3, 0.9), "ExponentialLR", {"gamma": 0.9}, True),
    (CosineDecay(0.3), "CosineAnnealingLR", {"T_max": TOTAL}, False),
    (CosineDecay(0.3, 0.02), "CosineAnnealingLR", {"T_max": TOTAL, "eta_min": 0.02}, False),
    (OneCycle(0.3), "OneCycleLR", {"max_lr": 0.3, "total_steps": TOTAL}, False),
    (
        OneCycle(0.3, pct_start=0.47, div_factor=3, final_div_factor=7),
        "OneCycleLR",
        {
            "max_lr": 0.3,
            "total_steps": TOTAL,
            "pct_start": 0.47,
            "div_factor": 3,
            "final_div_factor": 7,
        },
        False,
    ),
]


@pytest.fixture
def torch_schedulers():
    return pytest.importorskip("torch.optim.lr_scheduler", reason="PyTorch is not installed")


def torch_optimizer(rate=0.3):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], rate)


def rates_of(optimizer, scheduler, n, every=1):
    """Return the rates of n updates, with a step of the scheduler after every so many updates."""
    rates = []
    for update in range(1, n + 1):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if update % every == 0 and update < n:
            scheduler.step()
    return rates


@pytest.mark.parametrize(("schedule", "name", "arguments", "by_epoch"), PAIRS, ids=str)
def test_agrees_with_pytorch(torch_schedulers, schedule, name, arguments, by_epoch):
    optimizer = torch_optimizer()
    scheduler = getattr(torch_schedulers, name)(optimizer, **arguments)
    expected = rates_of(optimizer, scheduler, TOTAL, PER_EPOCH if by_epoch else 1)
    rates = schedule.rates(np.arange(TOTAL), PER_EPOCH, TOTAL)
    np.testing.assert_allclose(rates, expected, rtol=1e-12, atol=1e-16)
    some = np.array([40, 3, 90])  # any updates, in any order
    assert np.array_equal(schedule.rates(some, PER_EPOCH, TOTAL), rates[some])


@pytest.mark.parametrize("length", [{"updates": 10}, {"epochs": 2}])
@pytest.mark.parametrize("then", ["CosineAnnealingLR", "StepLR", "ConstantLR"])
def test_warmup_agrees_with_pytorch(torch_schedulers, length, then):
    n = length.get("updates", 14)
    schedule, arguments, every = {
        "CosineAnnealingLR": (CosineDecay(0.3), {"T_max": TOTAL - n}, 1),
        "StepLR": (StepDecay(0.3, 2), {"step_size": 2 * PER_EPOCH}, 1),
        "ConstantLR": (Constant(0.3), {"factor": 1}, 1),
    }[then]
    optimizer = torch_optimizer()
    rise = torch_schedulers.LinearLR(optimizer, start_factor=1 / (n + 1), total_iters=n)
    follow = getattr(torch_schedulers, then)(optimizer, **arguments)
    scheduler = torch_schedulers.SequentialLR(optimizer, [rise, follow], milestones=[n])
    expected = rates_of(optimizer, scheduler, TOTAL, every)
    rates = Warmup(schedule, **length).rates(np.arange(TOTAL), PER_EPOCH, TOTAL)
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    assert 0 < rates[0] < rates[1]


# Our schedule, the name of PyTorch's, and its arguments for n updates, one per epoch. The highest
# rate is 0.1.
SHORT = [
    (Constant(0.1), "ConstantLR", lambda n: {"factor": 1}),
    (StepDecay(0.1, 1, 0.5), "StepLR", lambda n: {"step_size": 1, "gamma": 0.5}),
    (StepDecay(0.1, 2), "StepLR", lambda n: {"step_size": 2}),
    (ExponentialDecay(0.1, 0.3), "ExponentialLR", lambda n: {"gamma": 0.3}),
    (CosineDecay(0.1), "CosineAnnealingLR", lambda n: {"T_max": n}),
    (CosineDecay(0.1, 0.01), "CosineAnnealingLR", lambda n: {"T_max": n, "eta_min": 0.01}),
    *(
        (
            OneCycle(0.1, pct_start=share),
            "OneCycleLR",
            lambda n, share=share: {"max_lr": 0.1, "total_steps": n, "pct_start": share},
        )
        for share in (0.1, 0.3, 0.47, 0.9)
    ),
]


@pytest.mark.parametrize("warmup", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("total", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize(("schedule", "name", "arguments"), SHORT, ids=name_of)
def test_few_updates_agree_with_pytorch(torch_schedulers, schedule, name, arguments, total, warmup):
    optimizer = torch_optimizer(0.1)
    scheduler = getattr(torch_schedulers, name)(optimizer, **arguments(max(total - warmup, 1)))
    if warmup:
        start = 1 / (warmup + 1)
        optimizer.param_groups[0]["lr"] = optimizer.param_groups[0]["initial_lr"]
        rise = torch_schedulers.LinearLR(optimizer, start_factor=start, total_iters=warmup)
        scheduler = torch_schedulers.SequentialLR(optimizer, [rise, scheduler], milestones=[warmup])
        schedule = Warmup(schedule, updates=warmup)
    expected = rates_of(optimizer, scheduler, total)
    with np.errstate(all="raise"):
        rates = schedule.rates(np.arange(total), 1, total)
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("total", "rates"),
    [(1, [4e-7]), (2, [0.0811745653949763, 4e-7]), (3, [0.0994415435, 0.0462637103, 4e-7])],
)
def test_a_short_cycle_only_falls(total, rates):
    np.testing.assert_allclose(OneCycle(0.1).rates(np.arange(total), 1, total), rates, rtol=1e-8)


def test_inverse_scaling_agrees_with_sklearn():
    stochastic = pytest.importorskip("sklearn.neural_network._stochastic_optimizers")
    theirs = stochastic.SGDOptimizer(
        [np.zeros(1)], learning_rate_init=0.3, lr_schedule="invscaling", power_t=0.4
    )
    expected = []
    for update in range(TOTAL):
        expected.append(theirs.learning_rate)
        theirs.iteration_ends(update + 1)
    rates = InverseScaling(0.3, 0.4).rates(np.arange(TOTAL), PER_EPOCH, TOTAL)
    np.testing.assert_allclose(rates, expected, rtol=1e-12)


def tabular_rates(updates, total, cycles, flat):
    """RealMLP's two schedules, one update at a time."""
    coslog, flat_cosine = [], []
    for update in updates:
        t = update / total
        turns = math.log2(1 + (2**cycles - 1) * t)
        coslog.append(0.04 * 0.5 * (1 - math.cos(2 * math.pi * turns)))
        falling = 0.5 * (1 + math.cos(math.pi * (t - flat) / (1 - flat)))
        flat_cosine.append(0.02 * (1 if t < flat else falling))
    return coslog, flat_cosine


@pytest.mark.parametrize("total", [1, 2, 91, 5000])
@pytest.mark.parametrize(("cycles", "flat"), [(4, 0.5), (1, 0.0), (3, 0.9), (7, 0.3)])
def test_the_schedules_of_realmlp(total, cycles, flat):
    updates = np.arange(total)
    expected = tabular_rates(updates.tolist(), total, cycles, flat)
    for schedule, wanted in zip(
        (CosLog(0.04, cycles), FlatCosine(0.02, flat)), expected, strict=True
    ):
        with np.errstate(all="raise"):
            rates = schedule.rates(updates, PER_EPOCH, total)
        np.testing.assert_allclose(rates, wanted, rtol=1e-9, atol=1e-12)
        assert (rates >= 0).all()
        some = updates[::-3]
        assert np.array_equal(schedule.rates(some, PER_EPOCH, total), rates[some])


def test_the_marks_of_realmlps_schedules():
    """CosLog with 4 cycles is 0 at 0, 1/15, 3/15 and 7/15 of the fit, and highest in between."""
    rates = CosLog(0.04).rates(np.arange(15_000), 1, 15_000)
    assert rates[[0, 1000, 3000, 7000]] == pytest.approx(0, abs=1e-15)
    peaks = [round((2 ** (k + 0.5) - 1) * 1000) for k in range(4)]
    assert rates[peaks] == pytest.approx(0.04, rel=1e-5)
    rates = FlatCosine(0.15).rates(np.arange(1000), 1, 1000)
    assert (rates[:501] == 0.15).all()
    assert rates[750] == pytest.approx(0.075)
    assert rates[999] == pytest.approx(0.15 * (1 - np.cos(np.pi * 0.002)) / 2)
    assert (CosLog(1.0).cycles, FlatCosine(1.0).flat) == (4, 0.5)


VALUES = np.abs(np.random.default_rng(0).standard_normal(60)).cumsum()[::-1] / 20
VALUES[20:35] = VALUES[20]
VALUES[50:] = np.nan


@pytest.mark.parametrize(
    "settings",
    [
        {"patience": 2},
        {"patience": 0, "factor": 0.5, "min_rate": 0.01},
        {"patience": 1, "cooldown": 3, "min_delta": 0.05},
        {"patience": 1, "mode": "max", "factor": 0.7},
    ],
    ids=str,
)
def test_reduce_on_plateau_agrees_with_pytorch(torch_schedulers, settings):
    optimizer = torch_optimizer()
    arguments = dict(settings)
    delta, least = arguments.pop("min_delta", 1e-4), arguments.pop("min_rate", 0)
    scheduler = torch_schedulers.ReduceLROnPlateau(
        optimizer, threshold=delta, threshold_mode="abs", min_lr=least, eps=0, **arguments
    )
    feed = RateFeed(ReduceOnPlateau(0.3, **settings), PER_EPOCH, len(VALUES))
    expected, ours, trainer = [], [], Trainer()
    for value in VALUES:
        expected += PER_EPOCH * [optimizer.param_groups[0]["lr"]]
        scheduler.step(value)
        feed.supply(trainer)
        ours += trainer.use(PER_EPOCH)
        assert trainer.rates_left == 0
        feed.observe({"loss": 0.0, "val_loss": value})
        saved = json.loads(json.dumps(feed.state()))  # a restored feed continues alike
        feed = RateFeed(feed.learning_rate, PER_EPOCH, len(VALUES))
        feed.restore(saved)
        feed.go_to(len(ours))
    np.testing.assert_allclose(ours, expected, rtol=1e-12)
    assert len(set(expected)) > 2
    np.testing.assert_allclose(feed.of_epochs(len(VALUES)), expected[::PER_EPOCH], rtol=1e-12)


class Trainer:
    """Takes learning rates as trainers do."""

    rates_left = 0

    def set_rates(self, numbers):
        self.rates, self.rates_left = numbers[:, 0], len(numbers)

    def use(self, n):
        """Return the next n rates."""
        start = len(self.rates) - self.rates_left
        self.rates_left -= n
        return self.rates[start : start + n].tolist()


def test_a_plateau_ignores_the_epochs_of_a_warmup():
    feed = RateFeed(Warmup(ReduceOnPlateau(0.3, patience=0), epochs=2), PER_EPOCH, 6)
    trainer = Trainer()
    rates = []
    for value in (1.0, 2.0, 5.0, 4.0, 4.5, 0.0):  # the second epoch does not count
        feed.supply(trainer)
        rates.append(trainer.use(PER_EPOCH))
        feed.observe({"loss": value})
    assert rates[0] + rates[1] == pytest.approx([0.3 * (t + 1) / 15 for t in range(14)])
    assert rates[2:5] == [[0.3] * PER_EPOCH] * 3
    assert rates[5] == pytest.approx([0.03] * PER_EPOCH)


def test_which_metric_a_plateau_monitors():
    def factor_after(epochs, **settings):
        memory = ReduceOnPlateau(1.0, patience=0, **settings).memory(1)
        for metrics in epochs:
            memory.observe(metrics)
        return memory.factors[-1]

    falling = [{"loss": 2.0, "val_loss": 1.0}, {"loss": 1.0, "val_loss": 2.0}]
    assert factor_after(falling) == 0.1
    assert factor_after(falling, monitor="loss") == 1
    assert factor_after([{"loss": 2.0}, {"loss": 1.0}]) == 1
    rising = [{"loss": 0.0, "val_accuracy": 0.5}, {"loss": 0.0, "val_accuracy": 0.7}]
    assert factor_after(rising, monitor="val_accuracy") == 1
    assert factor_after(rising, monitor="val_accuracy", mode="min") == 0.1
    for name in ("r2", "val_d2", "log_evidence"):
        assert factor_after([{name: 0.5}, {name: 0.7}], monitor=name) == 1
    with pytest.raises(ValueError, match=r"monitor is 'val_f1'; one of \['loss', 'val_loss'\]"):
        factor_after(falling, monitor="val_f1")


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Constant(0), "rate is 0"),
        (lambda: StepDecay(0.1, 0), "every is 0"),
        (lambda: StepDecay(0.1, 2.5), "every is 2.5; an integer"),
        (lambda: ExponentialDecay(0.1, 0), "factor is 0"),
        (lambda: CosineDecay(0.1, -1), "final is -1"),
        (lambda: OneCycle(0.1, pct_start=1), "pct_start is 1"),
        (lambda: OneCycle(0.1, div_factor=0.5), "div_factor is 0.5"),
        (lambda: InverseScaling(0.1, -1), "power is -1"),
        (lambda: CosLog(0), "rate is 0"),
        (lambda: CosLog(0.1, 0), "cycles is 0"),
        (lambda: CosLog(0.1, 2.5), "cycles is 2.5; an integer"),
        (lambda: CosLog(0.1, 1001), "cycles is 1001; at most 1000"),
        (lambda: FlatCosine(-1), "rate is -1"),
        (lambda: FlatCosine(0.1, 1), "flat is 1"),
        (lambda: FlatCosine(0.1, -0.1), "flat is -0.1"),
        (lambda: ReduceOnPlateau(0.1, factor=1), "factor is 1"),
        (lambda: ReduceOnPlateau(0.1, patience=-1), "patience is -1"),
        (lambda: ReduceOnPlateau(0.1, mode="up"), "mode is 'up'"),
        (lambda: ReduceOnPlateau(0.1, monitor=3), "monitor is 3"),
        (lambda: Warmup(0.1, updates=3), "then is 0.1; a schedule"),
        (lambda: Warmup(Warmup(Constant(0.1), updates=3), updates=3), "then is Warmup"),
        (lambda: Warmup(Constant(0.1)), "updates is None and epochs None; exactly one of them"),
        (lambda: Warmup(Constant(0.1), updates=1, epochs=1), "updates is 1 and epochs 1"),
        (lambda: Warmup(Constant(0.1), updates=0), "updates is 0"),
    ],
)
def test_bad_settings(make, error):
    with pytest.raises((ValueError, TypeError), match=error):
        make()


def test_schedules_are_frozen_values():
    assert repr(fn.SGD(StepDecay(0.1, 5))) == (
        "SGD(learning_rate=StepDecay(rate=0.1, every=5, factor=0.1))"
    )
    assert len({fn.Adam(CosineDecay(0.1)), fn.Adam(CosineDecay(0.1))}) == 1
    with pytest.raises(AttributeError):
        CosineDecay(0.1).rate = 1
