"""The command `export`."""

import argparse

import fastnn as fn
from fastnn.cli import predict_tables, streams


def export(args: argparse.Namespace) -> None:
    """Write the network of a model file as a source in C, and its header."""
    streams.check_destinations([args.model], [args.output])
    if predict_tables.is_estimator(args.model):
        raise ValueError(
            f"{args.model}: a model of a preset, which reads tables; a network, from train without "
            f"options for tables, is wanted"
        )
    net = fn.load(args.model)
    net.export_c(
        args.output,
        args.name,
        jacobian=args.jacobian,
        jvp=args.jvp,
        vjp=args.vjp,
        hessian=args.hessian,
        unroll=args.unroll,
    )
    with streams.output_stream(None) as stream:
        for argument, names in (("x", net.feature_names), ("y", net.class_labels)):
            if names is not None:
                print(f"{argument}: {', '.join(map(str, names))}", file=stream)
