"""`python -m bench` lists the benches; `python -m bench step xor [--quick]` runs some."""

import argparse
import importlib

BENCHES = ["step", "xor", "two_networks"]

parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
parser.add_argument("benches", nargs="*", metavar="BENCH", help=f"of {', '.join(BENCHES)}")
parser.add_argument("--quick", action="store_true", help="small and few, to see that it works")
args = parser.parse_args()
for name in args.benches:
    if name not in BENCHES:
        parser.error(f"no bench is called {name!r}; there are {', '.join(BENCHES)}")

modules = {name: importlib.import_module(f"bench.{name}") for name in args.benches or BENCHES}
if args.benches:
    from bench.common import header

    print(header())
for name, module in modules.items():
    if args.benches:
        for line in module.run(args.quick):
            print(f"{name}: {line}", flush=True)
    else:
        print(f"{name}: {module.__doc__.splitlines()[0]}")
