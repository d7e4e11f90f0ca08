"""How much does a second thread bring? The seven networks of `step`; needs `--threads 2`."""

from bench import peers
from bench.common import Record, demand_agreement, measure, processors, threads
from bench.step import NETWORKS, n_batches


def run(settings):
    for widths, batch_size in NETWORKS[:2] if settings.quick else NETWORKS:
        steps = n_batches(widths, batch_size, settings.quick)
        problem = peers.problem(widths, batch_size, steps)
        with processors(2):
            two, one = (peers.FastnnPeer(problem, n_threads) for n_threads in (2, 1))
            for trainer in (two, one):
                trainer.train()
            demand_agreement("one thread", one.params(), two.params(), 0)  # bit for bit
            works = {"two threads": two.train, "one thread": one.train}
            times = measure(works, 0.1, 10, settings.quick)
        yield Record(
            f"{peers.label(widths)}, {batch_size}",
            "µs a step",
            {name: time * (1e6 / steps) for name, time in times.items()},
            # OpenMP reads the processors when it is loaded, and then lets waiting threads sleep
            note="" if threads() > 1 else "OpenMP was started for one processor",
        )
