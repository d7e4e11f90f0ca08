"""
Export to C, compile, and compare
.................................

``export_c`` writes a network as C99 source that needs only the standard library: for a
microcontroller, a solver or a server. Here gcc compiles the source, and its predictions and
derivatives are compared with those of Python. Without gcc, only those of Python are drawn.

See also :doc:`/export`.
"""

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

# %%
# A network that corrects a sensor
# --------------------------------
# The network maps the logarithm of a thermistor's resistance to the temperature. ``Standardize``
# and ``Unstandardize`` become a part of the program in C, which returns degrees Celsius.

kelvin = np.linspace(253, 373, 300)
ohms = 10_000 * np.exp(3950 * (1 / kelvin - 1 / 298.15))
X, y = np.log10(ohms)[:, np.newaxis], kelvin - 273.15
layers = [fn.Standardize.from_data(X), fn.Linear(1, 8), fn.Tanh(), fn.Linear(8, 1)]
net = fn.Network([*layers, fn.Unstandardize.from_data(y)], "float32", seed=0)
net.fit(X, y, loss=fn.MeanSquaredError(), optimizer=fn.LevenbergMarquardt(), epochs=100)
model_error = np.abs(net.predict(X)[:, 0] - y).max()
print(f"largest error of the network: {model_error:.3f} °C")

# %%
# Export and compile
# ------------------
# ``jacobian=True`` adds the function ``net_jacobian``. Here Python calls it with ctypes.

X = X.astype(np.float32)
python_y, python_slope = (array.ravel() for array in net.value_and_jacobian(X))
c_y = c_slope = None
with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
    net.export_c(f"{folder}/net.c", jacobian=True)
    print(f"{net.n_params} parameters, {Path(folder, 'net.c').stat().st_size} bytes of source")
    if shutil.which("gcc"):
        command = ["gcc", "-std=c99", "-O3", "-shared", "-fPIC", "net.c", "-o", "net.so"]
        subprocess.run(command, cwd=folder, check=True)
        function = ctypes.CDLL(f"{folder}/net.so").net_jacobian
        function.argtypes, function.restype = [np.ctypeslib.ndpointer(np.float32)] * 3, None
        c_y, c_slope = np.empty_like(python_y), np.empty_like(python_slope)
        for i in range(len(X)):
            function(X[i], c_y[i:], c_slope[i:])
    else:
        print("gcc is not installed: there are no numbers of a program in C")

# %%
# The same numbers
# ----------------
# The slope is the factor from an error of the logarithm of the resistance to an error of the
# temperature.

figure, axes = plt.subplots(1, 2, figsize=(8.8, 3.3), layout="constrained")
pairs = (
    (python_y, c_y, "temperature in °C"),
    (python_slope, c_slope, "slope in °C for a factor of 10"),
)
for ax, (python, c, label) in zip(axes, pairs, strict=True):
    ax.plot(ohms, python, label="Python")
    if c is not None:
        ax.plot(ohms[::20], c[::20], "o", mfc="none", label="program in C")
    ax.set(xscale="log", xlabel="resistance in Ω", ylabel=label)
    ax.legend()
axes[0].set_title("Temperature")
axes[1].set_title("Derivative of the temperature")
plt.show()

# %%
# The differences are a few rounding errors of float32, or 0.

if c_y is not None:
    difference = max(
        np.abs(c_y - python_y).max() / np.abs(python_y).max(),
        np.abs(c_slope - python_slope).max() / np.abs(python_slope).max(),
    )
    print(f"largest relative difference of C and Python: {difference:.1e}")
