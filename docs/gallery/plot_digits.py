"""
What a digit classifier looks at
................................

The Jacobian of a classifier tells how each pixel changes each logit. Drawn as images, it shows at
which pixels ink raises the logit of a class, and at which it lowers it. A small step against the
gradient of the margin changes most answers. A random step of the same length changes few.

See also :doc:`/derivatives`.
"""

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn
from fastnn.datasets import load_digits, stratified_split
from fastnn.plots import JacobianDisplay

# %%
# Train a classifier
# ------------------
# The 1,797 digits have 8 x 8 pixels. A pixel is 0 (paper) to 1 (ink). A quarter of the digits is
# held out.

X, y = load_digits()
X = X / 16
training, held_out = stratified_split(y, 0.25, np.random.default_rng(0))
net = fn.Network([fn.Linear(64, 32), fn.Tanh(), fn.Linear(32, 10)], seed=0)
net.class_labels = list(range(10))
net.fit(X[training], y[training], optimizer=fn.Adam(0.003, weight_decay=0.004), epochs=40, seed=0)
X, y = X[held_out], y[held_out]
accuracy = np.mean(net.predict(X).argmax(axis=1) == y)
print(f"accuracy on held-out digits: {accuracy:.3f}")

# %%
# One image for each logit
# ------------------------
# ``JacobianDisplay`` draws the row of each logit as an image. More ink at a red pixel raises the
# logit, and more ink at a blue pixel lowers it. The sample is a zero. The panel of class 0 is blue
# in the middle: ink in the hole of the zero lowers its logit.

zero = X[y == 0][0]
display = JacobianDisplay.from_network(net, zero, image_shape=(8, 8))
display.figure_.suptitle("Jacobian of the ten logits at a handwritten zero")
plt.show()

# %%
# Why this class, and not the next one?
# -------------------------------------
# The margin is the logit of the first class minus the logit of the second one. Its gradient is the
# difference of two rows of the Jacobian. To first order, the margin falls fastest against this
# gradient.

logits, jacobian = net.value_and_jacobian(X)
rows = np.arange(len(X))
second, first = logits.argsort(axis=1)[:, -2:].T
gradient = jacobian[rows, first] - jacobian[rows, second]
direction = gradient / np.linalg.norm(gradient, axis=1, keepdims=True)

LENGTH = 0.9  # of the step; the norm of a digit is about 3.9
random = np.random.default_rng(0).standard_normal(X.shape)
random /= np.linalg.norm(random, axis=1, keepdims=True)
changed = X - LENGTH * direction
flipped = np.mean(net.predict(changed).argmax(axis=1) != first)
flipped_random = np.mean(net.predict(X - LENGTH * random).argmax(axis=1) != first)

figure, axes = plt.subplots(3, 5, figsize=(7, 4.6), layout="constrained")
figure.suptitle("Digits, the gradients of their margins, and the digits after a step")
examples = [np.flatnonzero((first == digit) & (y == digit))[0] for digit in (1, 3, 4, 7, 9)]
for column, i in zip(axes.T, examples, strict=True):
    images = X[i], direction[i], changed[i]
    styles = ("gray_r", 0, 1), ("RdBu_r", -0.4, 0.4), ("gray_r", 0, 1)
    for ax, image, (colours, low, high) in zip(column, images, styles, strict=True):
        ax.imshow(image.reshape(8, 8), cmap=colours, vmin=low, vmax=high)
        ax.set(xticks=[], yticks=[])
    column[0].set_title(f"it reads {first[i]}")
    column[1].set_title(f"for {first[i]}, not {second[i]}")
    column[2].set_title(f"it reads {net.predict(changed[i]).argmax()}")
plt.show()

# %%
# For a human reader the step changes little, but the network then reads most digits differently. A
# random step of the same length changes few answers: most directions hardly change the margin.

print(f"digits read differently after the step: {flipped:.3f}")
print(f"after a random step of this length: {flipped_random:.3f}")
