"""`python -m bench` lists the benches; `python -m bench step xor [--quick]` runs some."""

import argparse
import importlib

from bench.environment import ISAS, PROCESSORS, configure

BENCHES = [
    "step",
    "xor",
    "tanh",
    "threads",
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
    "mpi",
]
PEERS = ["numpy", "openblas", "mkl", "scipy", "sklearn", "torch", "jax", "onnxruntime"]
PEERS += ["pytabkit", "lightgbm", "catboost", "xgboost"]  # of the bench "tabular"


def names(known, kind):
    """Return a function that turns 'a,b' into a list, and raises an error for unknown names."""

    def parse(text):
        for name in text.split(","):
            if name not in known:
                raise argparse.ArgumentTypeError(
                    f"no {kind} is called {name!r}; there are {', '.join(known)}"
                )
        return text.split(",")

    return parse


def arguments():
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "benches",
        nargs="*",
        metavar="BENCH",
        type=names(BENCHES, "bench"),
        help=f"of {', '.join(BENCHES)}",
    )
    parser.add_argument(
        "--peers",
        type=names(PEERS, "peer"),
        default=PEERS,
        help=f"which to compare with, as in numpy,torch; by default all: {','.join(PEERS)}",
    )
    parser.add_argument("--isa", choices=ISAS, help="fastnn's build, and a limit for the peers")
    parser.add_argument(
        "--threads",
        type=int,
        choices=range(1, len(PROCESSORS) + 1),
        default=1,
        help="of each library, and processors to run on (default 1)",
    )
    parser.add_argument("--quick", action="store_true", help="small and few, to see that it works")
    parser.add_argument("--json", metavar="FILE", help="write all results there")
    parser.add_argument("--plot", metavar="FILE", help="draw the ratios to the peers there")
    return parser.parse_args()


def main():
    """List the benches, or run some."""
    args = arguments()
    configure(args.threads, args.isa)  # before other libraries are imported
    wanted = [name for group in args.benches for name in group]
    if not wanted:
        for name in BENCHES:
            module = importlib.import_module(f"bench.{name}")
            print(f"{name}: {module.__doc__.splitlines()[0]}")
        return
    from bench import report
    from bench.common import Settings

    here = [peer for peer in args.peers if report.versions(peer)]
    missing = [peer for peer in args.peers if peer not in here]
    header = report.header(here, missing)
    print("\n".join(f"{key}: {value}" for key, value in header.items()), flush=True)
    results = []
    for name in wanted:
        module = importlib.import_module(f"bench.{name}")
        print(f"\n{name}: {module.__doc__.splitlines()[0]}", flush=True)
        table = report.Table()
        for record in module.run(Settings(args.quick, tuple(here))):
            results.append((name, record))
            table.print(record)
    if args.json:
        report.write_json(args.json, header, results)
    if args.plot:
        report.write_plot(args.plot, header, results)


main()
