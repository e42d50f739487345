"""Command lines with mistakes in them, as strategies of hypothesis."""

from __future__ import annotations

import os

from hypothesis import strategies as some

Lines = some.SearchStrategy[list[str]]
Words = some.SearchStrategy[str]

AXES = "scale seed ratio rows columns step seed.data seed.init".split()
NO_AXES = ["", " ", *"scal rowz key Scale -scale loss status __class__ seed. é self cell".split()]
SIZES = ["", *"paper Laptop huge ../x 7".split()]
STUDIES = [
    *("", "é" * 300, "x" * 5000),
    *"wu2020/robustnes wu2021 limit nowhere.py mine mine.txt . / .. os os.path a.b.c wu2020/ // - mine.py/x".split(),
    *"wu2020/robustness/x implicit_bias.nothing this antigravity.nothing ~ folder *.py wu2020:limit".split(),
]
NUMBERS = [
    *("9" * 400, "1 2"),
    *"0 -1 1e400 -1e400 nan inf -inf 1e-400 1e308 2.5 1_0 0x10 1e ١ ½ 1,5e + -0.0 1e20 99999999999 1/2 1;2".split(),
    *"0.1.2 True None".split(),
]
RANGES = [
    *".. 1.. ..1 1..2..3 2..1 0..1:0:log 1..2:-3 1..2:2.5 1..2:x 1..2:3:cubic 1..2:3:log:4 0..99999999999".split(),
    *"1..2:99999999999 1..2:99999999999:log 1..1e99 nan..1:3 1..inf:3 -2..-1:3:log a..b 1..2: 1..2:: 1..2:3:".split(),
    *"1:2 : 1..2:3:LOG 1e300..1e301 0..1e300:3 -1..1".split(),
]
FLAGS = "--size --out --sise --worker --of --format --to --budget --seed --sharp -x --".split()
SITES = ["--partition=x y", "#SBATCH", "--array=1-3", "-n", "\n--mem=1", "--wrap=x"]
ODD = ["x" * 3000, "a b", "'", '"', "\n", "\x1b[31m", "--", "-", "\u202e", "%s", "{}"]


def words(*known: str) -> Words:
    """Text as it can stand in an argument: no NUL; some of it long, some of it not even text; or a known word."""
    letters = some.characters(min_codepoint=1, exclude_categories=["Cs"])
    undecodable = some.binary(min_size=1, max_size=6).map(lambda b: os.fsdecode(b.replace(b"\0", b"?")))
    numerical = some.text("01.:e-+,abn", max_size=10)
    any_text = some.one_of(some.text(letters, max_size=12), numerical, undecodable, some.sampled_from(ODD))
    return some.one_of(some.sampled_from(known), any_text) if known else any_text


def value() -> Words:
    number = some.one_of(some.sampled_from(NUMBERS), some.floats().map(str), some.integers().map(str))
    several = some.lists(number, min_size=1, max_size=4).map(",".join)
    spaced = some.builds("{}..{}:{}".format, number, number, some.one_of(some.integers(-2, 5).map(str), words()))
    return some.one_of(number, several, some.sampled_from(RANGES), spaced, words())


def settings() -> Lines:
    name = some.one_of(some.sampled_from(AXES), some.sampled_from(NO_AXES), words())
    one = some.builds("{}={}".format, name, value())
    no_help = words().filter(lambda w: not w.startswith("-h"))
    return some.lists(some.one_of(one, one, one, no_help), min_size=1, max_size=3)


def flags() -> Lines:
    pair = some.tuples(some.sampled_from(FLAGS), words(*NUMBERS, *SIZES))
    return some.lists(pair, max_size=2).map(lambda pairs: [word for pair in pairs for word in pair])


def line(*parts: str | Words | Lines) -> Lines:
    """Parts of a command line, one after another."""
    strategies = [some.just(p) if isinstance(p, str) else p for p in parts]
    return some.tuples(*strategies).map(lambda found: [w for p in found for w in (p if isinstance(p, list) else [p])])


def commands(submits: bool) -> Lines:
    """Command lines. Those that could compute something are `plan` but for a few."""
    no_study, reads = words(*STUDIES), some.sampled_from(["check", "report", "status"])
    shipped = some.sampled_from(["wu2020/robustness", "chou2023/gap", "stoger2021/phases"])
    takes_flags = some.sampled_from("list plan run new export refute work".split())
    kinds = [
        *[line("plan", "mine.py", settings())] * 3,
        line("plan", shipped, settings()),
        line("plan", "mine.py", "--size", words(*SIZES)),
        line(some.sampled_from(["plan", "run"]), no_study, settings()),
        line("run", "mine.py", some.builds("{}={}".format, some.sampled_from(NO_AXES), value())),
        line(words("rum", "plans", "", "--", "-x", "Run", "list "), settings()),
        line(reads, no_study),
        line(reads, "--out", words("mine.py")),
        # of nothing, it is everything; of a paper, all of its studies
        line("reproduce", no_study.filter(lambda w: not w.startswith("-")).map(lambda w: w.replace("2020/", "2021/"))),
        line("export", no_study, "--format", words("csv", "xls", "")),
        line("export", "mine.py", flags()),
        line("work", words(*STUDIES, "mine.py", "folder", "plan.json"), flags()),
        line("refute", words("mine.py:nothing", ":", "a:b", "wu2020/limit:", ":x")),
        line("refute", "mine.py:shrinks", settings(), "--budget", some.sampled_from(["0", "-1", "x", "1e3"])),
        line("new", words("mine", "a-b", "../x", "", "1a", "class", "mine.py")),
        line(takes_flags, flags()),
    ]
    if submits:
        asks = line("submit", "mine.py", "--dry-run")
        kinds += [line(asks, "--slurm", words(*SITES)), line(asks, flags()), line(asks, settings())]
        kinds += [line("submit", no_study, "--dry-run")]
    return some.one_of(kinds)
