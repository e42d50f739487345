"""The grammar of the command `implicit-bias`: its words, flags and help. Nothing here imports JAX."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from ._errors import Mistake, nearest
from ._files import RESULTS

_STUDY = "a short name (wu2020/robustness), a file (mine.py) or a module (my.package.mine)"
_VALUES = (
    "values of name=value:   scale=0.1   method=wn,gd   scale=1e-2..4:24:log   step=0.1..1:10   seed=0..31   seed.data=0"
)


class _Parser(argparse.ArgumentParser):
    """argparse, with every mistake in one `error:` line and the nearest right word."""

    def error(self, message: str):
        words = message.split("invalid choice: ")
        if len(words) == 2:
            wrong = words[1].split("'")[1]
            choices = [c.strip(" ')") for c in words[1].partition("choose from")[2].split(",")]
            raise Mistake("command", f"there is no {wrong!r}", nearest(wrong, choices))
        missing = re.search(r"arguments are required: ([A-Z|]+)", message)
        if missing:  # argparse names what may be left out, too
            what = f"write it first: {self.prog} {missing[1]} ... (--help shows how)"
            raise Mistake(missing[1], "is missing", what)
        raise Mistake("command", message, f"`{self.prog} --help` shows how")


def _as(sub: argparse.ArgumentParser) -> None:
    what = "name the result: STUDY@NAME (without: the size's name for the study's own grid, an exploration for others)"
    sub.add_argument("--as", dest="as_", metavar="NAME", help=what)


def parser() -> argparse.ArgumentParser:
    """All commands; `verb` says which one was meant."""
    top = _Parser(
        prog="implicit-bias",
        description="Of the many solutions that fit, which one does training choose, and does the theorem say so?",
    )
    top.add_argument("--version", action="store_true", help="of the package, and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    top.set_defaults(verb="bare")

    def command(name: str, text: str, **more) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, help=text, description=text, formatter_class=argparse.RawDescriptionHelpFormatter, **more
        )
        sub.set_defaults(verb=name)
        return sub

    def results(sub: argparse.ArgumentParser) -> None:
        sub.add_argument(
            "--out", default=RESULTS, metavar="DIR", help="results folder, or s3://... or gs://... (default: results)"
        )

    sub = command("list", "studies by paper, one line each")
    sub.add_argument("papers", nargs="*", metavar="PAPER", help="papers or studies (default: all)")

    plans = "what a run would compute: runs, blocks, tiles, programs, memory, what is done"
    runs = "run, resume or extend a study; then its verdicts, figures and page"
    for name, text in ("plan", plans), ("run", runs):
        sub = command(name, text, epilog=_VALUES, aliases=["resume"] if name == "run" else [])
        sub.add_argument("study", metavar="STUDY", help=_STUDY)
        sub.add_argument("settings", nargs="*", metavar="name=value", help="axes and settings of the study")
        sub.add_argument("--size", default="laptop", help="laptop (default), or another size that the study names")
        results(sub)
        if name == "run":
            _as(sub)

    sub = command("work", "a worker: its share of a plan's tiles, then any tile still missing")
    sub.add_argument("plan", metavar="PLAN", help="a plan file, RESULTS/<study>/plans/<digest>.json")
    sub.add_argument(
        "--worker", type=int, metavar="I", help="which worker this is, from 0 (default: as the scheduler says)"
    )
    sub.add_argument("--of", type=int, metavar="N", help="of how many (default: as the scheduler says, or 1)")
    sub.add_argument("--span", action="store_true", help="one of several processes that compute each block together")
    sub.add_argument("--coordinator", metavar="HOST:PORT", help="of --span: where process 0 is (default: SLURM's)")
    sub.add_argument("--process", type=int, metavar="I", help="of --span (default: SLURM's)")
    sub.add_argument("--processes", type=int, metavar="N", help="of --span (default: SLURM's)")

    sub = command(
        "submit", "workers for what is missing: a SLURM array, or text for Kubernetes or a TPU pod", epilog=_VALUES
    )
    sub.add_argument("study", metavar="STUDY", help=_STUDY)
    sub.add_argument("settings", nargs="*", metavar="name=value", help="axes and settings of the study")
    sub.add_argument("--size", default="laptop", help="laptop (default), or another size that the study names")
    _as(sub)
    sub.add_argument("--workers", type=int, metavar="N", help="default: one for each missing tile, at most 32")
    sub.add_argument("--at-once", type=int, metavar="K", help="array tasks or pods at a time (default: all)")
    sub.add_argument(
        "--slurm", nargs="+", action="extend", default=[], metavar="key=value", help="sbatch's options, without dashes"
    )
    sub.add_argument("--dry-run", action="store_true", help="print the script; write and submit nothing")
    sub.add_argument("--for", dest="engine", choices=["slurm", "kubernetes", "tpu-pod"], default="slurm")
    sub.add_argument("--name", help="of the job (default: the study's name), or of the TPU pod")
    sub.add_argument("--image", help="Kubernetes: a container image with implicit-bias in it")
    sub.add_argument("--claim", metavar="PVC", help="Kubernetes: the volume claim that holds the results")
    results(sub)

    for name, text in (
        ("check", "verdicts; exit 0 only if none is against expectation"),
        ("report", "one self-contained page per study, and an index"),
        ("status", "what is done and what is missing"),
        ("cancel", "take submitted jobs out of SLURM's queue; finished tiles are kept"),
    ):
        sub = command(name, text)
        sub.add_argument(
            "targets", nargs="*", metavar="RESULT|STUDY|PAPER", help="all studies with results if none is named"
        )
        results(sub)
        if name in ("check", "report"):
            sub.add_argument("--watch", action="store_true", help="again whenever a study's file is saved; Ctrl-C ends it")
        if name == "check":
            sub.add_argument("--sharp", action="store_true", help="leave each hypothesis out: is it needed, and where?")

    sub = command(
        "refute", "look for a small run, or a setting, on which a claim fails; exit 1 if what is found is against expectation"
    )
    sub.add_argument("claim", metavar="CLAIM", help="a claim's id, or STUDY:id")
    sub.add_argument("settings", nargs="*", metavar="name=value", help="axes: their least and greatest are the range")
    sub.add_argument("--budget", type=int, default=512, metavar="N", help="runs drawn for each size and word (512)")
    sub.add_argument("--minutes", type=float, default=5.0, metavar="M", help="about how long it may take (5)")
    sub.add_argument("--seed", type=int, default=0, metavar="N", help="of the search (default: 0)")
    sub.add_argument("--certify", action="store_true", help="make what is found a proof: PAPER-CLAIM.py, in ball arithmetic")

    sub = command(
        "refine", "where a study changes its mind: the boundary between two sides over one or two axes, without the dense grid",
        epilog="WHAT: a variable with a level ('recovered>0.5', 'error<1e-3'), a claim's id, or CLAIM:HYPOTHESIS\n" + _VALUES,
    )  # fmt: skip
    sub.add_argument("study", metavar="STUDY", help=_STUDY)
    sub.add_argument("what", metavar="WHAT", help="what has two sides: a variable with a level (in quotes), or a claim")
    sub.add_argument(
        "settings", nargs="*", metavar="name=value", help="over=x,y to=1%%, x=lo..hi:log where it is not the study's; axes, seeds"
    )
    sub.add_argument("--size", default="laptop", help="laptop (default), or another size that the study names")
    sub.add_argument("--coarse", type=int, default=8, metavar="N", help="cells of an axis at first (8; a power of two)")
    sub.add_argument("--check", type=int, metavar="N", help="places drawn at random in the end (64; 16 over one axis)")
    sub.add_argument("--seed", type=int, default=0, metavar="N", help="of those places (default: 0)")
    sub.add_argument("--how", metavar="HOW", help="a point's side, of its seeds: mean, median, worst, 90%% (mean; of claims, median)")
    sub.add_argument("--theory", metavar="NAME", help="a variable whose zero is drawn beside it, and compared")
    sub.add_argument("--accepts", metavar="END,...", help="ends of a run that are numbers (default: those that a claim accepts)")
    sub.add_argument(
        "--to", nargs="+", action="extend", default=[], type=Path, metavar="FILE",
        help=".nc holds all, .csv the boundary; .png, .svg, .pdf are drawn (default: .csv and .png, in the current folder)",
    )  # fmt: skip
    results(sub)

    sub = command(
        "conjecture", "the law of a measured quantity: fitted on one half, judged on the other, as a claim in Python",
        epilog="QUANTITY: a variable with one number a run, at its last record\n" + _VALUES,
    )  # fmt: skip
    sub.add_argument("study", metavar="STUDY", help=_STUDY)
    sub.add_argument("quantity", metavar="QUANTITY", help="whose law is looked for")
    sub.add_argument(
        "settings", nargs="*", metavar="name=value", help="over=alpha[,step]: one to three axes; their values, seeds, keywords"
    )
    sub.add_argument("--size", default="laptop", help="laptop (default), or another size that the study names")
    sub.add_argument("--accepts", metavar="END,...", help="ends of a run that have a number (default: those that a claim accepts)")
    sub.add_argument("--above", type=float, metavar="X", help="leave out numbers up to X, as of rounding")
    sub.add_argument("--minutes", type=float, default=2.0, metavar="M", help="for the referee, on the best that survives (2; 0 for none)")
    sub.add_argument("--to", type=Path, metavar="FILE", help="write the best that survives as Python (.py)")
    results(sub)

    sub = command("cite", "a claim for a paper: statement, verdict, where it stands, a sentence of LaTeX, BibTeX")
    sub.add_argument("claim", metavar="CLAIM", help="STUDY:id, an id, or a place of the paper: wu2020:T2.6-I, wu2020:L2.3")
    results(sub)

    sub = command("replay", "one run again, to the bits of the original, with every step, its weights, new observables", epilog=_VALUES)
    sub.add_argument("study", metavar="STUDY[@NAME]", help=f"a result, or {_STUDY}")
    sub.add_argument("settings", nargs="*", metavar="name=value", help="which run: one value for each axis")
    sub.add_argument("--every", type=float, metavar="K", help="look at every K steps, or K of time (default: at the study's records)")
    sub.add_argument("--keep", nargs="+", action="extend", default=[], metavar="WHAT", help="theta, memory, predictor")
    sub.add_argument("--observe", nargs="+", action="extend", default=[], metavar="FILE:NAME", help="observables of your own")
    sub.add_argument("--to", type=Path, metavar="FILE", help=".nc holds all, .csv what has one number a record; .png, .svg, .pdf are drawn")
    results(sub)

    sub = command("spectrum", "the Hessian's spectrum along one run of a study, drawn", epilog=_VALUES)
    sub.add_argument("study", metavar="RESULT|STUDY[@NAME]", help=f"a result, whose settings it takes, or {_STUDY}")
    sub.add_argument("settings", nargs="*", metavar="name=value", help="which run: axes not named take their first value")
    for name, count, text in (("records", 12, "moments"), ("products", 40, "for each probe"), ("probes", 4, "at random")):
        sub.add_argument(f"--{name}", type=int, default=count, metavar="N", help=f"{text} ({count})")
    sub.add_argument("--to", type=Path, metavar="FILE", help="default: <the study's name>-spectrum.png, in the current folder")
    results(sub)

    sub = command("figure", "a study's figures for a paper: 8 pt at a venue's width, as pdf, svg or png, and the numbers as csv")
    sub.add_argument("target", metavar="RESULT|STUDY[@NAME]")
    sub.add_argument("figure", nargs="?", metavar="FIGURE", help="its name (default: all of the study)")
    sub.add_argument("--style", default="neurips", help="neurips (default), icml, iclr, jmlr, siam; lab: as on the study's page")
    sub.add_argument("--width", help="column (default) or page, of the venue")
    sub.add_argument("--format", nargs="+", action="extend", metavar="FORMAT", help="pdf (default), svg, png; several if several are named")
    sub.add_argument("--grey", action="store_true", help="without colours: how it prints in grey")
    sub.add_argument("--to", type=Path, metavar="FILE", help="default: STUDY-FIGURE.FORMAT, in the current folder; or a folder for all")
    results(sub)

    sub = command("export", "results as a table, csv or parquet, or whole as netcdf: with what claims say, and a codebook")
    sub.add_argument("target", metavar="RESULT|STUDY[@NAME]")
    sub.add_argument("--format", choices=["csv", "parquet", "netcdf"], default="csv")
    sub.add_argument("--records", choices=["last", "all"], default="last", help="of a table: a row a run, or a row a record")
    sub.add_argument("--to", type=Path, metavar="FILE", help="default: the study's name, in the current folder")
    results(sub)

    sub = command("rm", "drop the name of a result; with --tiles its runs, too, as far as no other result holds them")
    sub.add_argument("target", metavar="STUDY@NAME", help="a name, or the digest of an exploration")
    sub.add_argument("--tiles", action="store_true", help="remove the runs as well")
    results(sub)

    sub = command("compare", "the same claims in two results, side by side; exit 1 if a verdict differs")
    for name in ("first", "second"):
        sub.add_argument(name, metavar="RESULT|STUDY[@NAME]", help="of one study: two names, folders, versions or machines")
    results(sub)

    sub = command("reproduce", "every study at laptop size, then results/index.html")
    sub.add_argument("papers", nargs="*", metavar="PAPER", help="papers or studies (default: all)")
    sub.add_argument("--size", default="laptop")
    results(sub)

    sub = command("new", "a study from the template: NAME.py here, or experiments/PAPER/NAME.py with that short name")
    sub.add_argument("name", metavar="NAME|PAPER/NAME")
    return top


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The words of a command; `name=value` may stand after a flag, too, where argparse takes no more of a list."""
    known = parser()
    arguments, left = known.parse_known_args(argv)
    if left and (not hasattr(arguments, "settings") or any(word.startswith("-") or "=" not in word for word in left)):
        known.error(f"unrecognized arguments: {' '.join(left)}")
    if left:
        arguments.settings += left
    return arguments
