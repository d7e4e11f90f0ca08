"""
Balance a pole by evolution
...........................

The score of a controller is the time for which it balances a pole. This score is a step function of
the parameters, so its derivative is 0. An evolution strategy needs only the scores of random
variations of the parameters. ``predict_many`` computes the actions of all variations in one call.

See also :doc:`/optimizers`.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

# %%
# The cart and the pole
# ---------------------
# A cart of 1 kg carries a pole of 0.1 kg and 1 m. The network pushes the cart to the left or right
# with up to 10 N. A try ends if the pole leans by more than 12 degrees, if the cart is 2.4 m away
# from the middle, or after 6 s.

STEP, STEPS = 0.02, 300  # s, number
LIMITS = np.array([2.4, np.inf, np.radians(12), np.inf])


def move(state, force):
    """Return the states (position, speed, angle, angular speed) one step later."""
    x, v, angle, omega = np.moveaxis(state, -1, 0)
    sine, cosine = np.sin(angle), np.cos(angle)
    push = (force + 0.05 * omega**2 * sine) / 1.1
    turn = (9.8 * sine - cosine * push) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
    v, omega = v + STEP * (push - 0.05 * turn * cosine / 1.1), omega + STEP * turn
    return np.stack([x + STEP * v, v, angle + STEP * omega, omega], axis=-1)


def episodes(net, params, state):
    """Return the times in s that M candidates last, from states (M, n, 4), and all states."""
    alive, seconds, track = np.ones(state.shape[:2], bool), np.zeros(state.shape[:2]), [state]
    for _ in range(STEPS):
        force = 10 * np.tanh(fn.predict_many(net, state, params=params)[..., 0])
        state = np.where(alive[..., np.newaxis], move(state, force), state)
        alive &= (np.abs(state) < LIMITS).all(axis=-1)
        seconds += STEP * alive
        track.append(state)
    return seconds, np.array(track)


# %%
# Evolution
# ---------
# Each generation tries 32 random changes of the parameters, and the same changes with opposite
# signs. All candidates start from the same four states. The changes, weighted by the differences of
# the scores, estimate the gradient. ``step`` takes a step of Adam with it.

GENERATIONS, PAIRS, SIGMA, TRIES = 40, 32, 0.1, 4
rng = np.random.default_rng(0)
net = fn.Network([fn.Linear(4, 8), fn.Tanh(), fn.Linear(8, 1)], "float64", seed=0)
first_params, optimizer, scores = net.params.copy(), fn.Adam(0.05), []
for _ in range(GENERATIONS):
    noise = rng.standard_normal((PAIRS, net.n_params))
    candidates = net.params + SIGMA * np.concatenate([noise, -noise])
    start = np.tile(rng.uniform(-0.1, 0.1, (TRIES, 4)), (2 * PAIRS, 1, 1))
    score = episodes(net, candidates, start)[0].mean(axis=1)
    scores.append(score)
    slope = (score[:PAIRS] - score[PAIRS:]) @ noise / (2 * SIGMA * PAIRS)
    net.step(-slope, optimizer)

# %%
# Test
# ----
# The parameters before and after the evolution are tested with 200 new starts.

both = np.array([first_params, net.params])
seconds, track = episodes(net, both, np.tile(rng.uniform(-0.1, 0.1, (200, 4)), (2, 1, 1)))
before, after = seconds.mean(axis=1)

figure, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.5), layout="constrained")
generations = np.arange(1, GENERATIONS + 1)
left.fill_between(
    generations, *np.quantile(scores, (0.1, 0.9), axis=1), alpha=0.3, label="quantiles 0.1 to 0.9"
)
left.plot(generations, np.mean(scores, axis=1), label="mean of 64 candidates")
left.set(xlabel="generation", ylabel="time balanced in s", title="Scores of the candidates")
left.legend()
time = STEP * np.arange(STEPS + 1)
for index, label, style in ((0, "before", "--"), (1, "after", "-")):
    angles = np.degrees(track[:, index, :5, 2])
    lines = right.plot(time, angles, style, color=f"C{1 - index}", lw=1)
    lines[0].set_label(label)
right.set(xlabel="time in s", ylabel="angle of the pole in degrees", title="Five starts")
right.legend()
plt.show()

# %%
# After 15 generations, that is 3,840 tries, nearly all candidates balance the pole for 6 s.

print(f"mean time before: {before:.2f} s")
print(f"mean time after: {after:.2f} s of {STEP * STEPS:.0f} s")
