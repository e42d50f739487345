r"""Pages that are followed: the blocks of a page of docs/, run in their order, as a reader would who copies each.

    sh      lines of the command `implicit-bias`; `# exits with 1` behind one says so, and the others exit with 0
    python  `# FILE` in its first line: that file is written. `>>>`: a session, whose names last. Else it is executed
    diff    `--- FILE` in its first line: what has a blank or a minus gives way, there, to what has a blank or a plus
    text    what the commands of the block before have printed: `...` is any lines, or anything within one, and a number any number
            but in `31 of 32`, `32 asked for`

Numbers are not compared because they are one machine's; what depends on them (an exit code, a verdict, a word) is.

>>> differs("a of b  2.5e-3  supported", "  a of b   17/4 supported\nmore"), differs("refuted", "supported")
(None, 'refuted')
>>> differs("31 of 31", "31 of 31"), differs("31 of 31", "0 of 0"), differs("32 asked for, 0.5 s", "32 asked for, 0.7 s")
(None, '31 of 31', None)
>>> differs("at most 3 (...). No proof", "at most 5 (scale=2, ratio=1). No proof"), differs("3 (...)", "3 runs")
(None, '3 (...)')
"""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
BY_HAND = ("python3 -m venv", "pip install", "git clone", "kubectl", "srun")
"""First words of lines that a reader types and no test does."""


class Block(NamedTuple):
    language: str
    text: str
    line: int


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    """The fenced blocks of a page, of these languages or of all."""
    text = page.read_text()
    fences = len(re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.S | re.M))
    assert text.count("```") == 2 * fences, f"{page.name}: a block that is indented or has more words would be passed over"
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, flags=re.S | re.M):
        if not languages or found[1] in languages:
            yield Block(found[1], found[2], text.count("\n", 0, found.start()) + 2)


def commands(text: str) -> Iterator[tuple[list[str], int]]:
    """(words, exit code) of each line of an `sh` block."""
    for line in filter(None, map(str.strip, text.splitlines())):
        code = re.search(r"# exits with (\d+)", line)
        for part in line.partition("#")[0].split("&&") if "'" not in line else [line]:
            if part.strip() and not part.strip().startswith(BY_HAND) and part.strip() != ". .venv/bin/activate":
                yield shlex.split(part, comments=True), int(code[1]) if code else 0


NUMBER = r"[-+]?(?:\d[\d.,/*]*(?:e[-+]?\d+)?|inf|nan)"


def _line(said: str) -> re.Pattern[str]:
    """A line as it may be printed elsewhere."""
    pieces = re.split(rf"((?<![\w@]){NUMBER})", " ".join(said.split()))

    def counts(i: int) -> bool:  # how many of how many, which is the same everywhere
        return pieces[i - 1].endswith(" of ") or pieces[i + 1].startswith((" of ", " asked for", " done", " to compute"))

    def literal(piece: str) -> str:
        return re.escape(piece).replace(r"\ ", r"\s+").replace(r"\.\.\.", ".*")

    pattern = "".join(NUMBER if i % 2 and not counts(i) else literal(piece) for i, piece in enumerate(pieces))
    return re.compile(rf"\s*{pattern}\s*")


def differs(shown: str, printed: str) -> str | None:
    """The first line of `shown` that was not printed in its place; None if there is none."""
    left, anywhere = printed.splitlines(), True
    for line in filter(str.strip, shown.splitlines()):
        if line.strip() == "...":
            anywhere = True
            continue
        at = next((i for i, other in enumerate(left) if _line(line).fullmatch(other)), None)
        if at is None or (at and not anywhere and "".join(left[:at]).strip()):
            return line
        left, anywhere = left[at + 1 :], False
    return None


Command = Callable[[list[str]], tuple[int, str]]


def follow(page: Path, folder: Path, command: Command) -> dict:
    """Do what the page says in this folder, which is the current one of sessions; returns the names they defined.

    `command(words)` returns the exit code of `implicit-bias WORDS` and what it printed.
    """
    names, printed = {}, ""
    for language, text, line in blocks(page):
        where = f"{page.relative_to(ROOT)}:{line}"
        if language == "sh":
            printed = ""
            for words, expected in commands(text):
                assert words[0] == "implicit-bias", f"{where}: {words[0]} is no command of ours"
                code, said = command(words[1:])
                assert code == expected, f"{where}: {shlex.join(words)} exited with {code}\n{said}"
                printed += said
        elif language == "text":
            missing = differs(text, printed)
            assert missing is None, f"{where}: not printed: {missing}\nbut:\n{printed}"
        elif language == "diff":
            _patch(folder, text, where)
        elif language == "python":
            _python(folder, text, where, names)
    return names


def _patch(folder: Path, text: str, where: str) -> None:
    first, _, body = text.partition("\n")
    path = folder / first.removeprefix("--- ")
    lines = body.splitlines(keepends=True)
    before, after = ("".join(li[1:] for li in lines if li[0] in marks) for marks in (" -", " +"))
    assert path.read_text().count(before) == 1, f"{where}: {path.name} has other lines"
    path.write_text(path.read_text().replace(before, after))


def _python(folder: Path, text: str, where: str, names: dict) -> None:
    named = re.match(r"# ([\w/]+\.py)$", text.partition("\n")[0])
    if named:
        (folder / named[1]).parent.mkdir(parents=True, exist_ok=True)
        (folder / named[1]).write_text(text)
    elif ">>>" not in text:
        exec(compile(text, where, "exec"), names)
    else:
        session = doctest.DocTestParser().get_doctest(text, names, where, where, 0)
        said: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
        runner.run(session, out=said.append, clear_globs=False)
        assert not runner.failures, "".join(said)
        names.update(session.globs)
