"""
Softmax, its Jacobian, and saturation
.....................................

The Jacobian of softmax is diag(p) - p pᵀ. Each probability rises with its own logit, and falls if
another logit rises. If one probability is almost 1, all entries are almost 0: the softmax is
saturated. The gradient of the cross-entropy does not vanish there.

See also :doc:`/learn/06_pieces`.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

# %%
# The Jacobian as a picture
# -------------------------
# Four logits are multiplied by 0.3, 1 and 8. The factor does not change their order, but for large
# logits all probabilities are near 0 or 1.

softmax = fn.Softmax()
logits = np.array([0.0, 1.0, 2.0, 1.5])
FACTORS = (0.3, 1, 8)
figure, axes = plt.subplots(1, 3, figsize=(8.8, 3), layout="constrained")
for ax, factor in zip(axes, FACTORS, strict=True):
    probabilities = softmax(factor * logits)
    jacobian = softmax.dense_jacobian(factor * logits)
    image = ax.imshow(jacobian, cmap="RdBu_r", vmin=-0.25, vmax=0.25)
    for (i, j), entry in np.ndenumerate(jacobian):
        ax.text(
            j,
            i,
            f"{entry.round(2) + 0:.2f}",
            ha="center",
            va="center",
            color="k" if abs(entry) < 0.15 else "w",
        )
    ax.set(xticks=range(4), yticks=range(4), xlabel="logit", ylabel="probability")
    ax.set_title(
        f"{factor} z: p = ({', '.join(f'{p:.2f}' for p in probabilities)})", fontsize="medium"
    )
figure.colorbar(image, ax=axes, label="∂p / ∂z")
figure.suptitle("Jacobian of softmax for logits z = (0, 1, 2, 1.5) times a factor")
plt.show()

# %%
# Each row adds up to 0, because a number that is added to all logits changes no probability. Each
# column adds up to 0, because the sum of the probabilities is always 1.

largest_sum = max(
    float(np.abs(softmax.dense_jacobian(f * logits).sum(axis=axis)).max())
    for f in FACTORS
    for axis in (0, 1)
)
print(f"largest sum of a row or a column: {largest_sum:.1e}")

# %%
# Saturation
# ----------
# The logit of class 0 is z, and that of class 1 is 0. Class 0 is the true one. The squared error
# goes through the softmax, so its gradient is multiplied by the Jacobian. In the cross-entropy the
# logarithm cancels this factor, and the gradient is p - y.

z = np.linspace(-12, 12, 241)[:, np.newaxis]
pairs = np.hstack([z, np.zeros_like(z)])
truth = np.zeros(len(z), int)
probabilities, jacobians = softmax(pairs), softmax.dense_jacobian(pairs)
slope = jacobians[:, 0, 0]
squared = 2 * np.einsum("nk,nk->n", probabilities - [1, 0], jacobians[:, :, 0])
entropy = fn.SoftmaxCrossEntropy("sum").value_and_grad(pairs, truth)[1][:, 0]

figure, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.3), layout="constrained")
left.plot(z, probabilities[:, 0], label="probability p of class 0")
left.plot(z, slope, "--", label="slope ∂p/∂z")
left.set(
    xlabel="logit z of class 0", ylabel="probability, or slope", title="Softmax of two classes"
)
left.legend(loc="upper left")
left.set_ylim(-0.05, 1.4)
right.semilogy(z, np.abs(entropy), label="cross-entropy")
right.semilogy(z, np.abs(squared), "--", label="squared error of p")
right.set(xlabel="logit z of class 0", ylabel="size of ∂loss/∂z", ylim=(1e-5, 100))
right.set_title("Gradients of two losses if class 0 is true")
right.legend(loc="upper right")
plt.show()

# %%
# At the left the network predicts the wrong class with a probability near 1. The gradient of the
# cross-entropy is still almost 1. That of the squared error is near 0, so the network would not
# learn from its worst mistakes.

gradient_entropy, gradient_squared = float(abs(entropy[0])), float(abs(squared[0]))
print(f"size of the slope at z = -12, cross-entropy: {gradient_entropy:.6f}")
print(f"size of the slope at z = -12, squared error: {gradient_squared:.6f}")
