"""A population of policies with a gradient of your own: REINFORCE for 16 policies at once.

A policy pushes a cart to the middle of a track. It returns the mean of a normally distributed
force. All parameters are one array with a row for each policy. `predict_many` computes the mean
forces of all policies in all episodes. `jacobian_many` computes the derivatives of these by the
parameters, and the program computes the policy gradient from them.
"""

import numpy as np

import fastnn as fn

POLICIES, EPISODES, STEPS, SIGMA, RATE = 16, 32, 30, 0.5, 0.02


def start(rng):
    """Return positions and speeds at the start, (policies, episodes, 2)."""
    return rng.uniform(-1, 1, (POLICIES, EPISODES, 2)) * [1.0, 0.3]


def move(state, force):
    """Return the next state, and the reward (policies, episodes)."""
    speed = state[..., 1] + 0.2 * force
    position = state[..., 0] + 0.2 * speed
    return np.stack([position, speed], axis=-1), -(position**2) - 0.05 * force**2


def returns(net, params, rng):
    """Return each policy's mean sum of rewards, without exploration."""
    state, total = start(rng), 0.0
    for _ in range(STEPS):
        state, reward = move(state, fn.predict_many(net, state, params=params)[..., 0])
        total = total + reward
    return total.mean(axis=1)


def policy_gradient(net, params, rng):
    """Return Σ over the steps of the advantage times ∇ ln π, for each policy (policies, p)."""
    state, scores, rewards = start(rng), [], []
    for _ in range(STEPS):
        noise = rng.standard_normal((POLICIES, EPISODES))
        force = fn.predict_many(net, state, params=params)[..., 0] + SIGMA * noise
        J = fn.jacobian_many(net, state, "params", params=params)[:, :, 0]
        scores.append(noise[..., np.newaxis] / SIGMA * J)  # ∇ ln π of a normal distribution
        state, reward = move(state, force)
        rewards.append(reward)
    to_go = np.cumsum(rewards[::-1], axis=0)[::-1]
    advantage = to_go - to_go.mean(axis=2, keepdims=True)
    return np.einsum("tme,tmep->mp", advantage, np.array(scores)) / EPISODES


def main():
    """Train the population, and keep the best policy as a network."""
    rng = np.random.default_rng(0)
    policies = [
        fn.Network([fn.Linear(2, 8), fn.Tanh(), fn.Linear(8, 1)], "float64", seed=i)
        for i in range(POLICIES)
    ]
    net, params = policies[0], fn.stack_params(policies)
    before = returns(net, params, np.random.default_rng(1))
    for _ in range(150):
        gradient = policy_gradient(net, params, rng)
        length = np.linalg.norm(gradient, axis=1, keepdims=True)
        params += RATE * gradient / np.maximum(length, 1)
    after = returns(net, params, np.random.default_rng(1))
    print(f"mean return before: {before.mean():.2f}")
    print(f"mean return after: {after.mean():.2f}")
    best = int(after.argmax())
    net.params = params[best]
    print(f"return of the best policy: {after[best]:.2f}")
    print(f"force at the position 1: {net.predict([1.0, 0.0])[0]:.2f}")


if __name__ == "__main__":
    main()
