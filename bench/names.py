"""The names of the benches, the peers and the columns; tests read it, so it imports nothing."""

BENCHES = [
    "step",
    "xor",
    "tanh",
    "threads",
    "python_threads",
    "predict",
    "jacobian",
    "gram",
    "kernels",
    "elementwise",
    "accuracy",
    "fit_many",
    "many",
    "own",
    "uci",
    "mnist",
    "startup",
    "calls",
    "features",
    "out_of_core",
    "sklearn_estimators",
    "sparse",
    "tabular",
    "coverage",
    "defaults",
    "export",
    "mpc",
]
PEERS = ["numpy", "openblas", "mkl", "scipy", "sklearn", "torch", "jax", "onnxruntime"]
PEERS += ["pytabkit", "lightgbm", "catboost", "xgboost"]  # of the bench "tabular"
LIBRARIES = {  # of the results that have a column or a colour: the name on the pages
    "numpy": "NumPy",
    "sklearn": "scikit-learn",
    "torch": "PyTorch",
    "torch.compile": "compiled",
    "jax": "JAX",
    "onnxruntime": "ONNX Runtime",
    "openblas": "OpenBLAS",
    "mkl": "MKL",
    "scipy": "SciPy",
}
