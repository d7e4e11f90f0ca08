"""Read damaged files until the time is over, and keep the files that cause a failure.

`python -m tests.fuzz --seconds 3600 --seed 1` reads the files in a child process, so that it
notices crashes and hangs too. If there is a failure, it keeps the file and its exit status is 1.
"""

import argparse
import collections
import contextlib
import io
import multiprocessing
import os
import random
import signal
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import fastnn as fn
from fastnn import cli, datasets

from . import corpus, damage

HANG = 20  # seconds for one input
alarm = getattr(signal, "alarm", lambda seconds: None)  # Windows has none
STYLE = ("separate the cells", "numbers have decimal commas")  # ends of lines that are no errors
BATCH = 500  # inputs that a child process reads before the next one starts


def run(kind, content, path, targets):
    """Read one input as users do; return the name of the documented error, or "accepted"."""
    path.write_bytes(content)
    try:
        if kind == "model":
            net = fn.load(path)
            net.predict(corpus.X[:2, :1].repeat(net.in_features, axis=1))
        elif kind in ("csv", "npz"):
            table = datasets.read_table(path, "y")
            assert table.X.dtype == float
            assert len(table.X) == len(table.y) == len(table.labels)
        else:
            net, y, settings = corpus.fits()[kind.removeprefix("checkpoint ")]
            before = net.params.copy()
            try:
                net.fit(corpus.X, y, checkpoint=path, resume=True, **settings)
            except ValueError:
                assert (net.params == before).all()
                assert net.optimizer_state.step == 0
                raise
    except fn.ModelFileError:
        return "ModelFileError"
    except fn.DivergenceError:
        assert kind.startswith("checkpoint")
        return "DivergenceError"
    except ValueError as error:
        documented = ["this checkpoint is of a fit", "epochs is 3"]  # another fit wrote the file
        if kind in ("csv", "npz"):
            documented = [str(path)]
        if kind == "model" or not any(text in str(error) for text in documented):
            raise
        return "ValueError"
    finally:
        if kind in targets:
            evaluate(kind, path)
    return "accepted"


def evaluate(kind, path):
    """Read the file with the program: it prints one line of error and no control characters.

    Lines before the error may report the separator and the decimal sign.
    """
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        if kind == "model":
            status = cli.main(["predict", str(path), str(path.parent / "data.csv")])
        else:
            status = cli.main(["evaluate", str(path.parent / "net"), str(path), "--target", "y"])
    assert status in (0, 2)
    lines = [line for line in err.getvalue().split("\n")[:-1] if not line.endswith(STYLE)]
    assert status == 0 or len(lines) == 1
    if kind != "model":
        assert (out.getvalue() + err.getvalue()).replace("\n", "").isprintable()
    else:
        assert err.getvalue().replace("\n", "").isprintable()


def child(seeds, first, n, seed, folder, pipe):
    """Read n inputs, and send the outcome of each through the pipe."""
    warnings.simplefilter("ignore")
    os.fsync = lambda descriptor: None  # these files need not survive a power failure
    paths = {kind: folder / f"input.{kind.split()[0]}" for kind, _ in seeds}
    for number in range(first, first + n):
        rng = random.Random(f"{seed}.{number}")
        kind, content = rng.choice(seeds)
        content = damage.damaged(kind, content, rng)
        (folder / "current").write_bytes(content)
        alarm(HANG)
        try:
            outcome = run(
                kind, content, paths[kind], ("model", "csv", "npz") if number % 10 == 0 else ()
            )
            finding = None
        except BaseException:
            outcome, finding = "finding", traceback.format_exc()
        alarm(0)
        pipe.send((number, kind, outcome, finding))
    pipe.close()


def fuzz(seed, n_inputs, seconds, keep):
    """Return the counts of outcomes, and the failures as (number, kind, text, path)."""
    outcomes, findings = collections.Counter(), []
    context = multiprocessing.get_context("spawn")
    deadline, number = time.monotonic() + seconds, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seeds = corpus.seeds(folder)
        corpus.network(fn.Tanh()).save(folder / "net")
        (folder / "data.csv").write_text("x,y,z\n1,2,3\n", encoding="utf-8")
        while number < n_inputs and time.monotonic() < deadline:
            n = min(BATCH, n_inputs - number)
            receive, send = context.Pipe(duplex=False)
            worker = context.Process(target=child, args=(seeds, number, n, seed, folder, send))
            worker.start()
            send.close()
            last, end = number - 1, number + n
            with contextlib.suppress(EOFError):
                while True:
                    last, kind, outcome, text = receive.recv()
                    outcomes[kind, outcome] += 1
                    if text:
                        findings.append((last, kind, text, kept(keep, seed, last, folder, kind)))
            worker.join()
            if last + 1 < end:  # it crashed, or it hung and the alarm ended it
                last += 1
                text = f"the process ended with {worker.exitcode}"
                findings.append((last, "?", text, kept(keep, seed, last, folder, "crash")))
            number = last + 1
    return outcomes, findings


def kept(keep, seed, number, folder, kind):
    """Write an input that failed to the folder `keep`, and return its path.

    The input is made again from its number, or after a crash copied from the child's file.
    """
    rng = random.Random(f"{seed}.{number}")
    path = Path(keep) / f"finding-{seed}-{number}-{kind.replace(' ', '-')}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "crash":
        path.write_bytes((folder / "current").read_bytes())
    else:
        with tempfile.TemporaryDirectory() as name:
            found, content = rng.choice(corpus.seeds(Path(name)))
        path.write_bytes(damage.damaged(found, content, rng))
    return path


def main():
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--inputs", type=int, default=2**62)
    parser.add_argument(
        "--keep", default="fuzz-findings", help="folder for the files that cause a failure"
    )
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    start = time.monotonic()
    outcomes, findings = fuzz(args.seed, args.inputs, args.seconds, args.keep)
    for (kind, outcome), count in sorted(outcomes.items()):
        print(f"{kind:<22}{outcome:<18}{count:>10,}")
    for number, kind, text, path in findings:
        print(f"\ninput {number} of seed {args.seed}, {kind}, kept as {path}\n{text}")
    total = sum(outcomes.values())
    print(f"\n{total:,} inputs in {time.monotonic() - start:.0f} s, {len(findings)} findings")
    return bool(findings)
