r"""How fast is it?  Beside the strongest peers that one would write by hand, in one process, in turns.

    python scripts/bench.py wn       fixed steps of weight normalisation [--sizes 20x100,100x2000] [--steps 20000]
    python scripts/bench.py gd       the same for gradient descent; `rpgd` for rPGD
    python scripts/bench.py until    the same until loss < 1e-5, runs from tens to 10^5 steps
    python scripts/bench.py flow     the WN flow, 1024 points to loss < 1e-10
    python scripts/bench.py diagonal a diagonal network; `wn-diagonal` with weight normalisation
    python scripts/bench.py sensing  symmetric matrix sensing
    python scripts/bench.py networks a flax network of width 64, 20 seeds
    python scripts/bench.py spectra  a Hessian: top five, density, trace, products
    python scripts/bench.py engine   1,024 to 65,536 runs: the engine against itself
    python scripts/bench.py accelerator  2^20 runs at once, with --gpu --runs 1048576 --steps 10000
    python scripts/bench.py start    commands against the import of what they need; edit a claim; add seeds
    python scripts/bench.py waits    commands with little or nothing to compute: again, after an edit, beside other studies

All rows of a table are timed in turns (A B C A B C ...), so that a busy machine slows them alike: trust ratios, not
times. Peers are verified to compute the same before they are timed. What a machine's rows were is kept, and the next
run of the job on it says which have moved by more than 15 % beside the others.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as the commands do; peers that use two threads have their own pool

import argparse
import importlib
import sys
from pathlib import Path

import jax

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import descent, guard
from benchmarks.common import machine, processor

from implicit_bias import session

JOBS = {
    "wn": "descent",
    "gd": "methods",
    "rpgd": "methods",
    "until": "until",
    "flow": "flow",
    "engine": "engine",
    "start": "start",
    "waits": "waits",
    "diagonal": "diagonal",
    "wn-diagonal": "diagonal",
    "sensing": "diagonal",
    "networks": "networks",
    "spectra": "spectra",
    "accelerator": "accelerator",
}
"""Job -> its module, which may ask for packages that the others do not."""
STEPS = dict.fromkeys(("diagonal", "wn-diagonal", "sensing"), 500) | {"networks": 5000}
"""Of each run; elsewhere 20,000, about the mean of job until, where runs go to a loss."""


def options_of(command: list[str] | None = None) -> argparse.Namespace:
    class Parser(argparse.ArgumentParser):
        def error(self, message: str):
            self.exit(2, f"error: {message}\n")

    def count(text: str) -> int:
        if text.isdigit() and int(text) > 0:
            return int(text)
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {text!r}")

    def sizes(text: str) -> list[tuple[int, ...]]:
        parts = [part.split("x") for part in text.split(",")]
        if all(len(p) == 2 and all(n.isdigit() for n in p) and 1 <= int(p[0]) < int(p[1]) for p in parts):
            return [tuple(map(int, p)) for p in parts]
        raise argparse.ArgumentTypeError(f"must be rows x columns, fewer rows than columns, as in 20x100; got {text!r}")

    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument(
        "--sizes", type=sizes, default=[(20, 100)], help="as in 20x100,100x2000 (20x100); jobs wn, gd, rpgd"
    )
    parser.add_argument(
        "--runs", type=count, default=4096, help="a multiple of 64, the number of scales (4096); job wn"
    )
    parser.add_argument(
        "--steps",
        type=count,
        help="of each run (20000; diagonal nets and sensing 500, networks 5000); not of until, flow, spectra, start, waits",
    )
    parser.add_argument("--rounds", type=count, default=5)
    parser.add_argument("--gpu", action="store_true", help="the framework and plain jax on a GPU; NumPy stays where it is")
    parser.add_argument("--markdown", action="store_true", help="print tables to paste into a document")
    parser.add_argument("--profile", action="store_true", help="print where the framework's time goes, too; job wn")
    parser.add_argument(
        "--kept", type=Path, default=Path("results/benchmarks.jsonl"), help="where the rows of each machine are kept (%(default)s)"
    )
    options = parser.parse_args(command)
    options.steps = options.steps or STEPS.get(options.job, 20_000)
    if options.runs % len(descent.SCALES):
        parser.error(f"argument --runs: must be a multiple of {len(descent.SCALES)}, got {options.runs}")
    return options


def main() -> None:
    options = options_of()
    if not options.gpu:
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", 2)
    session.start()
    if options.gpu and jax.default_backend() == "cpu":
        sys.exit("error: --gpu: jax sees no GPU here; leave it out")
    print(machine())
    importlib.import_module(f"benchmarks.{JOBS[options.job]}").job(options)
    if said := guard.against(options.kept, processor()):
        print(said)


if __name__ == "__main__":
    main()
