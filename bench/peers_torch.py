"""PyTorch: eager with fused optimizers, and compiled."""

from functools import partial

import torch

from bench.common import threads
from bench.peers import ADAM, LEARNING_RATE, MOMENTUM

torch.set_num_threads(threads())
torch._dynamo.config.recompile_limit = 100  # a bench compiles the function for many networks


class TorchPeer:
    """Eager modules with a fused optimizer."""

    name = "torch"

    def __init__(self, problem):
        self.activation = getattr(torch, problem.activation)
        activation = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[problem.activation]
        layers = []
        for weight, bias in problem.weights:
            linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
            linear.weight = torch.nn.Parameter(torch.tensor(weight))
            linear.bias = torch.nn.Parameter(torch.tensor(bias))
            layers += [linear, activation()]
        self.net = torch.nn.Sequential(*layers[:-1])
        functional = torch.nn.functional
        self.loss = functional.cross_entropy if problem.labelled else functional.mse_loss
        params = list(self.net.parameters())
        if problem.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(params, LEARNING_RATE, MOMENTUM, fused=True)
        else:
            self.optimizer = torch.optim.Adam(
                params, ADAM["learning_rate"], ADAM["betas"], ADAM["eps"], fused=True
            )
        self.X = torch.tensor(problem.X)
        self.batches = [(torch.tensor(x), torch.tensor(y)) for x, y in problem.batches()]

    def step(self, x, y):
        self.optimizer.zero_grad()
        self.loss(self.net(x), y).backward()
        self.optimizer.step()

    def train(self, epochs=1):
        for _ in range(epochs):
            for x, y in self.batches:
                self.step(x, y)

    def params(self):
        return torch.nn.utils.parameters_to_vector(self.net.parameters()).detach().numpy()

    def predict(self):
        with torch.inference_mode():
            return self.net(self.X)

    def jacobians(self, wrt, single=False):
        calls, X = {}, self.X[0] if single else self.X
        theta = [p.detach() for p in self.net.parameters()]
        argument = ["params", "input"].index(wrt)
        # with many parameters, jacfwd takes fifty times as long
        for differentiate in [torch.func.jacrev, torch.func.jacfwd][: 1 + argument]:
            jacobian = differentiate(partial(forward, self.activation), argument)
            function = jacobian if single else torch.func.vmap(jacobian, (None, 0))
            call = partial(self.prepared(function), theta, X)
            calls[differentiate.__name__] = torch.no_grad()(call)
        return calls

    def prepared(self, function):
        return function


def forward(activation, theta, x):
    linear = torch.nn.functional.linear
    for i in range(0, len(theta) - 2, 2):
        x = activation(linear(x, *theta[i : i + 2]))
    return linear(x, *theta[-2:])


class CompiledTorchPeer(TorchPeer):
    """Loss, gradient and update in one compiled function of plain tensors.

    On small networks it takes half the time of eager modules. A compiled module with separate calls
    of `backward()` and the optimizer takes twice their time.
    """

    name = "torch.compile"

    def __init__(self, problem):
        super().__init__(problem)
        self.theta = [p.detach() for p in self.net.parameters()]  # shares the memory
        self.first_moment, self.second_moment = (
            [torch.zeros_like(p) for p in self.theta] for _ in range(2)
        )
        self.n_steps = torch.zeros(())
        names = [name for name, _ in self.net.named_parameters()]
        eager, loss = self.net, self.loss
        update = {"sgd": sgd, "adam": adam}[problem.optimizer]

        def value(theta, x, y):
            named = dict(zip(names, theta, strict=True))
            return loss(torch.func.functional_call(eager, named, (x,)), y)

        def step(theta, first_moment, second_moment, n_steps, x, y):
            grads = torch.func.grad(value)(theta, x, y)
            update(theta, grads, first_moment, second_moment, n_steps)

        self.compiled_step = torch.compile(step, fullgraph=True)
        self.net = torch.compile(eager)

    def prepared(self, function):
        return torch.compile(function)

    @torch.no_grad()
    def train(self, epochs=1):
        state = self.theta, self.first_moment, self.second_moment, self.n_steps
        for _ in range(epochs):
            for x, y in self.batches:
                self.compiled_step(*state, x, y)


def sgd(theta, grads, velocity, *_):
    for p, g, v in zip(theta, grads, velocity, strict=True):
        v.mul_(MOMENTUM).add_(g)
        p.sub_(v, alpha=LEARNING_RATE)


def adam(theta, grads, first_moment, second_moment, n_steps):
    beta1, beta2 = ADAM["betas"]
    n_steps += 1
    scale1, scale2 = 1 - beta1**n_steps, 1 - beta2**n_steps
    for p, g, m, v in zip(theta, grads, first_moment, second_moment, strict=True):
        m.mul_(beta1).add_(g, alpha=1 - beta1)
        v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
        p.sub_(ADAM["learning_rate"] * (m / scale1) / ((v / scale2).sqrt() + ADAM["eps"]))


PEERS = [TorchPeer, CompiledTorchPeer]
