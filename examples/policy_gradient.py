"""Policy gradients: an actor and a critic learn to balance a pole on a cart (Sutton et al. 2000).

The environment is the cart-pole of Barto, Sutton and Anderson (1983), for many carts at once. The
gradient of the policy is that of the cross-entropy of the actions, with the advantages as sample
weights. The loss allows them to be negative. Each round takes one step of Adam for the actor, and a
short `fit` for the critic.
"""

import numpy as np

import fastnn as fn

CARTS, STEPS, ROUNDS, DISCOUNT = 32, 200, 40, 0.98


def move(states, actions):
    """Return the states of the carts after 0.02 s: position, velocity, angle, angular velocity."""
    x, v, angle, spin = states.T
    force = np.where(actions == 1, 10.0, -10.0)
    push = (force + 0.05 * spin**2 * np.sin(angle)) / 1.1
    turn = 9.8 * np.sin(angle) - np.cos(angle) * push
    turn /= 0.5 * (4 / 3 - 0.1 * np.cos(angle) ** 2 / 1.1)
    slide = push - 0.05 * turn * np.cos(angle) / 1.1
    return np.stack([x + 0.02 * v, v + 0.02 * slide, angle + 0.02 * spin, spin + 0.02 * turn], 1)


def play(actor, rng):
    """Return states (STEPS, CARTS, 4), actions, and whether each cart was still up."""
    states = rng.uniform(-0.05, 0.05, (CARTS, 4))
    up = np.ones(CARTS, bool)
    seen = []
    for _ in range(STEPS):
        logits = actor.predict(states)
        right = rng.random(CARTS) < 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
        seen.append((states, right.astype(int), up))
        states = move(states, right)
        up = up & (np.abs(states[:, 0]) < 2.4) & (np.abs(states[:, 2]) < 0.21)
    return [np.array(column) for column in zip(*seen, strict=True)]


def main():
    """Train the actor, and print how many steps the poles stay up."""
    rng = np.random.default_rng(0)
    actor, critic = (
        fn.Network([fn.Linear(4, 32), fn.Tanh(), fn.Linear(32, n)], "float64", seed=n)
        for n in (2, 1)
    )
    loss, optimizer = fn.SoftmaxCrossEntropy(negative_weights=True), fn.Adam(0.02)
    print(f"mean steps before training: {play(actor, rng)[2].sum(axis=0).mean():.1f}")
    for number in range(ROUNDS):
        states, actions, up = play(actor, rng)
        returns = np.zeros((STEPS + 1, CARTS))
        for t in reversed(range(STEPS)):
            returns[t] = (1 + DISCOUNT * returns[t + 1]) * up[t]
        X, y, goal = states[up], actions[up], returns[:-1][up]
        advantages = goal - critic.predict(X)[:, 0]
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        actor.step(actor.loss_and_grad(X, y, loss, advantages)[1], optimizer)
        critic.fit(
            X,
            goal,
            loss=fn.MeanSquaredError(),
            optimizer=fn.Adam(0.01),
            epochs=2,
            batch_size=64,
            seed=number,
            progress=False,
        )
    print(f"mean steps after training: {play(actor, rng)[2].sum(axis=0).mean():.1f}")


if __name__ == "__main__":
    main()
