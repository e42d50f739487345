"""The engine against itself: what a run-step costs in sweeps of 1,024 to 65,536 runs."""

import argparse

import jax

from .common import Row, framework, report, turns
from .descent import SCALES, weight_normalisation

RUNS = [1024, 4096, 16_384, 65_536]


def job(options: argparse.Namespace) -> None:
    size, steps = options.sizes[0], options.steps
    rows = []
    for runs in RUNS:
        study = weight_normalisation(size, runs // len(SCALES), [0, steps])
        rows.append(Row(f"{runs:,} runs", framework(study, jax.local_devices()[:1]), f"{runs} x {steps}", 0.0))
    print(report(f"The engine, {size[0]} x {size[1]}", rows, turns(rows, options.rounds), options.markdown))
