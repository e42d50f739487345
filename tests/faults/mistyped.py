"""What a user may mistype: commands, flags, studies, axes and values, lines for a cluster, and whole study files.

Each is given to the command in this process. It answers with exactly one line, `error: FIELD: what; remedy`, and exit
code 2: no traceback, nothing on stdout, nothing computed. What happens to be right may succeed, and must be rare.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import resource as limits
import signal
import traceback
from collections import Counter
from pathlib import Path

import hypothesis
from hypothesis import strategies as some

from . import mistyped_files, mistyped_words
from .common import Outcome, Tally, address_space

PATIENCE = 60
"""Seconds after which a command hangs."""
MEMORY = 6 * 2**30
"""Bytes besides those that JAX takes at first: what needs more is met as an error, and not by the host's killer."""
MOST_RIGHT = 0.35
"""The part of all tries that may be right after all."""


def attack(count: int, seed: int, folder: Path) -> Outcome:
    import jax

    from . import jaxed

    jaxed.start()
    jax.devices()
    limits.setrlimit(limits.RLIMIT_AS, (address_space()[0] + MEMORY,) * 2)
    os.environ["XDG_CACHE_HOME"] = str(jaxed.cache())
    os.chdir(folder)
    Path("mine.py").write_text(mistyped_files.template())
    Path("mine.txt").write_text("no study")
    Path("plan.json").write_text("{}")
    Path("folder").mkdir()
    tally, met = Tally(seed), Counter()
    commands = mistyped_words.commands(submits=_knows("submit"))
    for strategy, share in ((commands, 0.7), (mistyped_files.files(), 0.3)):
        _each(strategy, round(count * share), seed, lambda case: _one(tally, met, case))
    tally.notes.append(", ".join(f"{n} {what}" for what, n in sorted(met.items())))
    tally.check(met["right after all"] <= MOST_RIGHT * tally.tried, f"too many were right: {met}")
    return tally.outcome()


def _knows(command: str) -> bool:
    from implicit_bias import cli

    return hasattr(cli, f"_{command}")


def _each(strategy: some.SearchStrategy, count: int, seed: int, act) -> None:
    """`act` on `count` examples; it does not raise, so that hypothesis goes on."""
    seen = 0
    while seen < count:
        before = seen

        @hypothesis.seed(seed + before)
        @hypothesis.settings(
            max_examples=min(500, count - seen), database=None, deadline=None, phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )  # fmt: skip
        @hypothesis.given(strategy)
        def run(case):
            nonlocal seen
            if seen < count:
                seen += 1
                act(case)

        run()
        if seen == before:
            return


def _one(tally: Tally, met: Counter, case: list[str] | mistyped_files.File) -> None:
    said = ""
    if isinstance(case, mistyped_files.File):
        name = f"study_{tally.tried}.py"
        Path(name).write_bytes(case.content)
        words, said = [case.command, name, *case.settings], f" ({case.what})"
    else:
        words = case
    kind, wrong = _answer(words, prints="print" in said)
    met[kind] += 1
    if wrong:
        tally.lose(f"{words!r:.300}{said}: {wrong}")
    tally.tried += 1
    if tally.tried % 200 == 0:
        import jax

        jax.clear_caches()


def _alarm(number, frame):
    raise TimeoutError(f"no answer in {PATIENCE} s")


def _answer(words: list[str], prints: bool) -> tuple[str, str]:
    """(what kind of answer a command line gets, what is wrong with it)."""
    from implicit_bias.cli import main

    before = signal.signal(signal.SIGALRM, _alarm)
    signal.alarm(PATIENCE)
    try:
        with contextlib.redirect_stderr(io.StringIO()) as err, contextlib.redirect_stdout(io.StringIO()) as out:
            code = main(list(words))
    except SystemExit as ended:
        return ("help", "") if ended.code in (0, None) else ("ended", f"it ends with {ended.code}")
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return "raised", f"{type(error).__name__}: {str(error)[:200]} ({Path(place.filename).name}:{place.lineno})"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    said = err.getvalue()
    if code in (0, 1):
        return "right after all", "" if "Traceback" not in said else said[-300:]
    *warned, last = said.split("\n")[:-1] or [""]
    fine = re.fullmatch(r"error: .+?: .+; .+", last) and len(last) < 5000 and all(c.isprintable() for c in last)
    alone = all(re.match(r"\w*warning: |study_\d+: |mine: ", w, re.IGNORECASE) for w in warned)
    if code == 2 and fine and alone and (prints or not out.getvalue()):
        return "refused", ""
    if code == 130 and "KeyboardInterrupt" in "".join(Path(w).read_text() for w in words if w.startswith("study_")):
        return "interrupted", ""
    return "answered", f"code {code}, stdout {out.getvalue()[:100]!r}, stderr {said[-500:]!r}"
