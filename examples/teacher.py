"""XOR by hand: a network with known weights, its Jacobians, and the chain rule.

The network is f(x) = w ReLU(V x + b) with V = [[1, 1], [1, 1]], b = (0, -1) and w = (1, -2). The
program shows the Jacobian of each layer, multiplies them, and compares the product with the
Jacobian of the network and with finite differences. In the end it trains another network on XOR.
"""

import numpy as np

import fastnn as fn

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
XOR = np.array([0, 1, 1, 0])


def network():
    """Return the network with weights set by hand."""
    layers = [fn.Linear(2, 2), fn.ReLU(), fn.Linear(2, 1, bias=False)]
    net = fn.Network(layers, dtype="float64")
    layers[0].weight, layers[0].bias = [[1, 1], [1, 1]], [0, -1]
    layers[2].weight = [[1, -2]]
    return net


def main():
    """Show the outputs, the Jacobians, and training."""
    net = network()
    print("XOR:", net.predict(X)[:, 0])
    print(f"largest error by hand: {np.abs(net.predict(X)[:, 0] - XOR).max():.1f}")

    x = np.array([0.7, 0.9])  # both hidden units are active here
    product, a = np.eye(2), x
    for layer in net.layers:
        J = layer.jacobian(a).to_dense()
        a = layer(a)
        product = J @ product  # the chain rule: the later layer stands on the left
        print(f"{layer!r}: output {a}, Jacobian {J.tolist()}")
    print("product of the Jacobians:", product)
    print(f"product minus the network's Jacobian: {np.abs(product - net.jacobian(x)).max():.1e}")
    differences = fn.numerical_jacobian(net.predict, x)
    print(f"differences minus the network's Jacobian: {np.abs(differences - product).max():.1e}")

    # the same rule in the other direction: a cotangent goes back through the layers
    outputs = net.forward(X)
    net.backward(outputs - XOR[:, np.newaxis])  # of half the squared error, which is 0 here
    print(f"gradient at the solution: {np.abs(net.grads).max():.1f}")

    learner = fn.Network([fn.Linear(2, 8), fn.Tanh(), fn.Linear(8, 2)], dtype="float64", seed=0)
    history = learner.fit(X, XOR, optimizer=fn.Adam(0.05), epochs=300, seed=0, progress=False)
    print(f"loss at the start: {history['loss'][0]:.3f}")
    print(f"loss at the end: {history['loss'][-1]:.4f}")
    print(f"learned correctly: {int((learner.predict(X).argmax(axis=1) == XOR).sum())}")


if __name__ == "__main__":
    main()
