"""One of two processes that tests/sweep/test_span.py starts: python -m tests.sweep.spanning ACT PROCESS PORT FOLDER."""

import dataclasses
import json
import os
import signal
import sys

import implicit_bias as ib
from implicit_bias._errors import Mistake

ROWS, COLUMNS, WIDTH = 8, 4096, 4
SCALES = [0.5, 1.0, 2.0]


def own(*, scale, key):
    """In its own coordinates: A [8, 4096] is 256 kB and split, and so are the weights of a block, 4 x 8192."""
    problem = ib.linear.sparse(ROWS, COLUMNS, 3)(key)
    weights = ib.Power(ib.Euclidean(scale), 2, signed=True)
    return ib.Run(problem, weights, ib.Descent(1e-3, stop=ib.loss_below(1e-6), max_steps=60))


def rewritten(*, scale, key):
    """In 8 + 1 coordinates; the basis that leads back is as large as A."""
    problem = ib.linear.gaussian(ROWS, COLUMNS, target_norm=2.0)(key)
    return ib.Run(problem, ib.Polar(scale), ib.Descent(1e-3, stop=ib.loss_below(1e-6), max_steps=60))


CELLS = {"own": own, "rewritten": rewritten}


def study(cell):
    return ib.Study(
        cell=CELLS[cell],
        grids=ib.grid(seed=range(2), scale=SCALES),
        observe={"norm": ib.norm(2), "x": ib.predictor()},
        records=ib.log_records(3),
    )


def refused(act):
    try:
        act()
    except Mistake as mistake:
        return str(mistake)


def watch_first(told):
    """Of a problem that is made: [bytes here, bytes in all] of its large arrays, and what was gathered on the way.

    And what is said of a run that could never move.
    """
    from implicit_bias.cluster.span.block import Split

    plain = Split.results

    def results(self, batch, runs):
        found = plain(self, batch, runs)
        large = [r for r in found if r.nbytes > 64 * 1024]
        lines = [line.split(" = ")[1] for line in self.first.func.as_text().splitlines() if " all-gather(" in line]
        told["parts"] = [[sum(s.data.nbytes for s in r.addressable_shards), r.nbytes] for r in large]
        told["gathered"] = [line[line.index("[") + 1 : line.index("]")] for line in lines]
        points, coordinates = [(seed, 0.0) for seed, _ in batch.points], batch.coordinates * [1.0, 0.0]
        at_zero = dataclasses.replace(batch, points=points, coordinates=coordinates)
        told["requirement"] = refused(lambda: self.block(at_zero, runs, found))
        return found

    Split.results = results


def compute(process, store_of):
    """Both kinds of cell; one line of JSON."""
    from implicit_bias.cluster.span.execute import execute_spanning

    watch_first(made := {})
    told = {}
    for cell in CELLS:
        plan, progress = study(cell).plan(store=store_of(cell) if process == 0 else None, width=WIDTH), []
        other = dataclasses.replace(plan, description={**plan.description, "study": f"of process {process}"})
        told["another plan"] = refused(lambda plan=other, cell=cell: execute_spanning(plan, store_of(cell)))
        written = execute_spanning(plan, store_of(cell), tell=progress.append)
        told[cell] = {"written": written, "told": [p.runs_done for p in progress], **made}
    told["fingerprint"] = plan.fingerprint
    print(json.dumps(told), flush=True)


def endless(*, scale, key):
    problem = ib.linear.sparse(ROWS, COLUMNS, 3)(key)
    return ib.Run(problem, ib.Power(ib.Euclidean(scale), 2), ib.Descent(1e-9, max_steps=2_000_000_000))


def last(process, store_of):
    """More steps than there is time for."""
    from implicit_bias.cluster.span.execute import execute_spanning

    plan = ib.Study(cell=endless, grids=ib.grid(seed=range(1), scale=[1.0]), records=ib.log_records(2)).plan(width=1)
    print("begun", flush=True)
    execute_spanning(plan, store_of("endless"))


def main(act, process, port, folder):
    from implicit_bias.cluster.distributed import joined
    from implicit_bias.session import start
    from implicit_bias.sweep.keep.store import Store

    start()
    with joined(f"127.0.0.1:{port}", os.environ, process=int(process), processes=2, patience=60.0):
        {"compute": compute, "last": last}[act](int(process), lambda cell: Store(f"{folder}/{cell}"))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job was told to ignore it
    try:
        main(*sys.argv[1:])
    except Mistake as mistake:
        print(f"error: {' '.join(str(mistake).split())}", file=sys.stderr)
        sys.exit(2)
