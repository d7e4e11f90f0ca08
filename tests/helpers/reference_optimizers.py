"""The oracle of optimizers: PyTorch's formulas, a line each, on whole arrays in float64."""

import numpy as np


class Optimizer:
    """Clipping and the L1 penalty, which all of them have; `kind` keeps the rest."""

    def __init__(self, learning_rate, weight_decay=0.0, l1=0.0, clip_norm=None, clip_value=None):
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.l1 = l1
        self.clip_norm = clip_norm
        self.clip_value = clip_value

    def step(self, params, grads):
        """Return the updated parameters."""
        if self.clip_norm is not None:
            grads = grads * min(1.0, self.clip_norm / (np.linalg.norm(grads) + 1e-6))
        if self.clip_value is not None:
            grads = np.clip(grads, -self.clip_value, self.clip_value)
        return self.update(params, grads + self.l1 * np.sign(params))


class SGD(Optimizer):
    """Gradient descent with momentum, Nesterov's variant of it, and L2 weight decay."""

    def __init__(self, learning_rate, momentum=0.0, nesterov=False, **common):
        super().__init__(learning_rate, **common)
        self.momentum = momentum
        self.nesterov = nesterov
        self.velocity = 0.0

    def update(self, params, grads):
        grads = grads + self.weight_decay * params
        self.velocity = self.momentum * self.velocity + grads
        direction = grads + self.momentum * self.velocity if self.nesterov else self.velocity
        return params - self.learning_rate * direction


class Adam(Optimizer):
    """Adam, with L2 weight decay added to the gradient."""

    def __init__(self, learning_rate=0.001, betas=(0.9, 0.999), eps=1e-8, **common):
        super().__init__(learning_rate, **common)
        self.betas = betas
        self.eps = eps
        self.first_moment = self.second_moment = 0.0
        self.n_steps = 0

    def update(self, params, grads):
        return self.move(params, grads + self.weight_decay * params)

    def move(self, params, grads):
        beta1, beta2 = self.betas
        self.n_steps += 1
        self.first_moment = beta1 * self.first_moment + (1 - beta1) * grads
        self.second_moment = beta2 * self.second_moment + (1 - beta2) * grads**2
        mean = self.first_moment / (1 - beta1**self.n_steps)
        variance = self.second_moment / (1 - beta2**self.n_steps)
        return params - self.learning_rate * mean / (np.sqrt(variance) + self.eps)


class AdamW(Adam):
    """Adam, with weight decay that shrinks the parameters apart from the gradient."""

    def __init__(self, learning_rate=0.001, weight_decay=0.01, **others):
        super().__init__(learning_rate, weight_decay=weight_decay, **others)

    def update(self, params, grads):
        return self.move((1 - self.learning_rate * self.weight_decay) * params, grads)


class RMSprop(Optimizer):
    """RMSprop, with momentum or centered, and L2 weight decay added to the gradient."""

    def __init__(
        self, learning_rate=0.01, alpha=0.99, eps=1e-8, momentum=0.0, centered=False, **common
    ):
        super().__init__(learning_rate, **common)
        self.alpha = alpha
        self.eps = eps
        self.momentum = momentum
        self.centered = centered
        self.mean = self.mean_square = self.velocity = 0.0

    def update(self, params, grads):
        grads = grads + self.weight_decay * params
        self.mean = self.alpha * self.mean + (1 - self.alpha) * grads
        self.mean_square = self.alpha * self.mean_square + (1 - self.alpha) * grads**2
        variance = self.mean_square - self.mean**2 if self.centered else self.mean_square
        self.velocity = self.momentum * self.velocity + grads / (np.sqrt(variance) + self.eps)
        return params - self.learning_rate * self.velocity


class Lion(Optimizer):
    """Lion, the sign of a running mean, with decoupled weight decay."""

    def __init__(self, learning_rate=1e-4, betas=(0.9, 0.99), **common):
        super().__init__(learning_rate, **common)
        self.betas = betas
        self.mean = 0.0

    def update(self, params, grads):
        beta1, beta2 = self.betas
        direction = np.sign(beta1 * self.mean + (1 - beta1) * grads)
        self.mean = beta2 * self.mean + (1 - beta2) * grads
        return params - self.learning_rate * (direction + self.weight_decay * params)
