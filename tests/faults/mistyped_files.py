"""Study files with mistakes: the template with pieces replaced, lines lost, letters changed, or of another encoding."""

from __future__ import annotations

import dataclasses
import re

from hypothesis import strategies as some


@dataclasses.dataclass(frozen=True)
class File:
    content: bytes
    what: str
    command: str = "plan"
    settings: tuple[str, ...] = ("seed=0",)


def template() -> str:
    """The template; fewer steps, so that what is right after all takes no time."""
    from implicit_bias import catalogue

    return catalogue.template().read_text().replace("20_000", "200")


# fmt: off
ANYTHING = (
    "None", "3", "-1", "'x'", "[]", "{}", "()", "object()", "float('nan')", "float('inf')", "lambda: 1",
    "lambda d: 1", "print", "ib", "[3]", "{'a': 3}", "1e400", "10**30", "True", "...", "b'x'", "(i for i in [1])",
    "type",
)

PIECES = {
    "ib.linear.gaussian(rows, columns, target_norm=2.0)(key)": (
        "ib.linear.gaussian(columns, rows)(key)", "ib.linear.gaussian()(key)", "ib.linear.nothing(rows)(key)",
        "ib.linear.gaussian(rows, columns)", "ib.linear.gaussian(0, 5)(key)", "ib.linear.gaussian(-1, 5)(key)",
        "ib.linear.gaussian(2.5, 5)(key)", "ib.linear.gaussian(rows, columns, target_norm=0.0)(key)",
        "ib.linear.gaussian(rows, columns, target_norm='x')(key)", "ib.linear.gaussian(rows, columns, norm=1)(key)",
        "ib.linear.fixed([[1.0, 2.0]], [0.0])(key)", "ib.linear.fixed([[1.0, 2.0]], [1.0, 2.0])(key)",
        "ib.linear.fixed([], [])(key)", "ib.linear.fixed([[float('nan'), 1.0]], [1.0])(key)",
        "ib.linear.gaussian(rows, columns)(0)", "ib.linear.fixed('x', [1.0])(key)", "ib.matrix.gaussian(3, 3)(key)",
        "ib.linear.gaussian(10**6, 10**7)(key)",
    ),
    "ib.Polar(scale)": (
        "ib.Polar()", "ib.Polar('x')", "ib.Polar(scale, norm=0.0)", "ib.Polar(scale, norm=-1.0)",
        "ib.Polar(scale, direction=[1.0])", "ib.Polar(scale, nothing=1)", "ib.Polar", "ib.Euclidean(scale, 3)",
        "ib.Power(ib.Polar(scale), 0)", "ib.Symmetric(3, scale)", "ib.Polar(None)", "ib.Polar([scale, scale])",
        "ib.Power(ib.Euclidean(scale), 'x')", "ib.Power(3, 2)", "ib.Polar(scale * 0)",
    ),
    "ib.Descent(step, ratio=ratio, stop=ib.loss_below(1e-8), max_steps=200)": (
        "ib.Descent()", "ib.Descent(-step)", "ib.Descent('x')", "ib.Descent(None)", "ib.Descent(step, max_steps=0)",
        "ib.Descent(step, max_steps=1.5)", "ib.Descent(step, max_steps=10**12)", "ib.Descent(step, stop=3)",
        "ib.Descent(step, stop=1e-8)", "ib.Descent(step, stop=ib.loss_below(-1))",
        "ib.Descent(step, stop=ib.loss_below('x'))", "ib.Descent(step, law=3)", "ib.Descent(step, ratio='x')",
        "ib.Descent(step, bound='x')", "ib.Descent(step, ratio=lambda: 1)", "ib.Descent(step, batch=3)",
        "ib.Descent(step, nothing=1)", "ib.Flow()", "ib.Flow(-1.0)", "ib.Flow('x')", "ib.Flow(1.0, rtol=0)",
        "ib.Flow(1.0, solver=3)", "ib.Descent(lambda k: 'x')", "ib.Descent(step, law=ib.adam)",
        "ib.Descent(ib.two_stage(1))", "ib.Descent(step, max_steps=True)",
    ),
    "ib.Run(problem, ib.Polar(scale), ": (
        "ib.Run(", "(problem, ", "ib.Run(ib.Polar(scale), problem, ", "print(", "ib.Run(problem, 3, ",
    ),
    "ib.grid(seed=range(4), scale=ib.logspace(0.1, 1, 4))": (
        "ib.grid()", "ib.grid(scale=[])", "ib.grid(scale=[1, 1])", "ib.grid(scale=[None])", "ib.grid(scale='x')",
        "ib.grid(scale=[1.0, 'a'])", "ib.grid(scale={'a': [1.0]})", "ib.grid(scale=[[1.0]])",
        "ib.grid(nothing=[1], scale=[1.0])", "ib.grid(scale=ib.logspace(0, 1, 4))",
        "ib.grid(scale=ib.logspace(1, 2, -3))", "ib.grid(scale=ib.linspace(1, 2, 'x'))",
        "ib.grid(seed=[-1], scale=[1.0])", "ib.grid(seed=[2**60], scale=[1.0])", "ib.grid(seed=[0.5], scale=[1.0])",
        "ib.grid(seed='a', scale=[1.0])", "ib.grid(scale=[float('nan')])", "ib.grid(scale=1.0) + 3",
        "ib.grid(scale=1.0) + ib.grid(scale=1.0)", "ib.grid(scale=object())", "ib.grid([1.0])",
        "ib.grid(scale=[1.0, float('inf')])", "ib.grid(seed=range(2), scale=[1.0], key=[1])",
        "ib.grid(scale=[1.0], status=[1])", "ib.grid(scale=[10**400])", "ib.grid(seed=range(10**9), scale=[1.0])",
        "ib.grid(scale=[1.0]) + ib.grid(seed=[1])", "ib.grid(scale=[True, 2.0])",
        "ib.grid(**{'a b': [1]}, scale=1.0)", "[dict(scale=[1.0])]",
    ),
    '{"norm": ib.norm(2), "g": ib.size, "log_w_perp": ib.orthogonal_log}': (
        '{"norm": 3}', '{"norm": None}', '{"status": ib.norm(2)}', '{"loss": ib.norm(2)}', "{1: ib.norm(2)}",
        '{"seed": ib.norm(2)}', '{"scale": ib.norm(2)}', '{"norm": ib.norm("x")}', '{"norm": ib.norm(-1)}',
        '{"norm": ib.norm}', '{"norm": lambda s: "x"}', '{"norm": lambda: 1}', '{"norm": lambda s: None}',
        '{"norm": lambda s: [1, 2]}', "[ib.norm(2)]", '{"a/b": ib.norm(2)}', '{"": ib.norm(2)}',
        '{"coordinates": ib.norm(2)}', '{"clock": ib.norm(2)}', '{"steps": ib.norm(2)}', '{"fact.x": ib.norm(2)}',
        '{"record": ib.norm(2)}', '{"time": ib.norm(2)}', '{"norm": ib.distance_to(3)}', '{"norm": ib.spectrum}',
        '{"x": ib.layer(5)}', '{"norm": lambda s: 1 / 0}', '{"norm": lambda s: s.nothing}',
    ),
    "claims=[shrinks],": (
        "claims=shrinks,", "claims=[3],", "claims=[None],", "claims=3,", "figures=[3],", "figures=3,", "records=3,",
        "facts={'a': 3},", "records=ib.log_records(0),", "records=ib.log_records(-1),",
        "records=ib.log_records('x'),", "records=ib.log_records(10**9),", "records=ib.records_at([]),",
        "records=ib.records_at([5, 1]),", "records=ib.records_at([-1]),", "records=ib.time_records([1.0]),",
        "records=lambda d: 3,", "sizes=3,", "sizes={'paper': 3},", "sizes={'paper': {'nothing': 1}},",
        "precision='float16',", "precision=3,", "facts=3,", "facts={'norm': ib.min_norm_size},",
        "facts={'scale': ib.min_norm_size},", "facts={'a': lambda s: 'x'},", "name=3,", "statement=3,", "nothing=1,",
        "observe={},", "cell=None,", "facts={'status': ib.min_norm_size},", "facts={'a/b': ib.min_norm_size},",
        "claims=[shrinks, shrinks],", "records=ib.records_at([0, 10**12]),", "records=ib.linear_records(2.5),",
    ),
    "def cell(*, scale, key, ratio=1.0, rows=5, columns=12, step=2e-2):": (
        "def cell():", "def cell(scale, key):", "def cell(*, scale):", "def cell(*scale):", "def cell(**scale):",
        "def cell(*, key):", "def cell(*, scale, key, other):",
        "def cell(*, scale, key, ratio='x', rows=5, columns=12, step=2e-2):", "class cell:",
        "def cell(*, scale, key, rows, columns, step, ratio):",
        "def cell(*, scale, key, ratio=None, rows=None, columns=12, step=2e-2):",
    ),
    "import implicit_bias as ib": (
        "import implicit_bias", "import nothing as ib", "from implicit_bias import nothing as ib",
        "import sys; sys.exit(3)", "exit()", "raise SystemExit('bye')", "raise KeyError", "raise KeyboardInterrupt",
        "import implicit_bias as ib\n1 / 0", "assert False", "import implicit_bias as ib\nfrom . import nothing",
        "import implicit_bias as ib\nraise ValueError('a\\nb\\n' * 50)",
        "import implicit_bias as ib\nraise type('é\\n', (Exception,), {})('x' * 10000)",
        "import os; os.chdir('/'); import implicit_bias as ib",
        "import implicit_bias as ib\nraise ValueError('\\x1b[31m; : red')",
        "import implicit_bias as ib\nclass E(Exception):\n    def __str__(self): return 3\nraise E",
    ),
    "study = ib.Study(": (
        "study = print(", "study = dict(", "studi = ib.Study(", "study = [ib.Study(", "study: int = ib.Study(",
        "study = study2 = dict(",
    ),
}
# fmt: on


def _replaced() -> some.SearchStrategy[File]:
    """One or two pieces replaced by something of the wrong kind."""
    options = [(piece, new) for piece, news in PIECES.items() for new in news]

    def make(chosen: list[tuple[str, str]], command: str) -> File:
        text = template()
        for piece, new in chosen:
            text = text.replace(piece, new, 1)
        return File(text.encode(), " and ".join(new for _, new in chosen), command)

    return some.builds(make, some.lists(some.sampled_from(options), min_size=1, max_size=2), _command())


def _command() -> some.SearchStrategy[str]:
    return some.sampled_from(["plan", "plan", "plan", "run"])


def _arguments() -> some.SearchStrategy[File]:
    """A keyword or a call given anything at all."""
    text = template()
    places = [m.span(2) for m in re.finditer(r"(=|\()([\w.]+(\([^()]*\))?)(?=[,)])", text)]

    def make(place: tuple[int, int], new: str, command: str) -> File:
        before, after = text[: place[0]], text[place[1] :]
        return File((before + new + after).encode(), f"{text[slice(*place)]} -> {new}", command)

    return some.builds(make, some.sampled_from(places), some.sampled_from(ANYTHING), _command())


def _edited() -> some.SearchStrategy[File]:
    """A line lost or doubled, a letter changed, the end missing."""
    text = template()
    lines = text.split("\n")

    def lose(k: int) -> File:
        return File("\n".join([*lines[:k], *lines[k + 1 :]]).encode(), f"without line {k + 1}")

    def double(k: int) -> File:
        return File("\n".join([*lines[: k + 1], *lines[k:]]).encode(), f"line {k + 1} twice")

    def indent(k: int) -> File:
        return File("\n".join([*lines[:k], f"  {lines[k]}", *lines[k + 1 :]]).encode(), f"line {k + 1} indented")

    def cut(k: int) -> File:
        return File(text[:k].encode(), f"cut at letter {k}")

    def put(k: int, new: str) -> File:
        return File((text[:k] + new + text[k + 1 :]).encode(errors="surrogatepass"), f"{new!r} at letter {k}")

    line, letter = some.integers(0, len(lines) - 1), some.integers(0, len(text))
    odd = some.one_of(
        some.sampled_from(list("()[]{},.=:'\"\\#\0\t\n\r\f;@$?!~`\u2028\ufeff\ud800é")), some.characters()
    )
    return some.one_of(some.builds(lose, line), some.builds(double, line), some.builds(indent, line),
    some.builds(cut, letter),
                       some.builds(put, letter, odd), some.builds(put, letter, odd))  # fmt: skip


def _encoded() -> some.SearchStrategy[File]:
    text = template()
    contents = {
        "UTF-16": text.encode("utf-16"), "UTF-8 with a mark": text.encode("utf-8-sig"),
        "latin-1": text.replace("What", "é").encode("latin-1"),
        "nothing": b"", "one byte": b"\xff", "zeros": bytes(500),
        "a declared encoding": b"# coding: nothing\n" + text.encode(),
        "an endless line": b"x = " + b"(" * 5000, "deep": b"x = " + b"[" * 150 + b"]" * 150,
        "deep minus": b"x = " + b"-" * 50_000 + b"1",
        "a long name": b"x" * 100_000, "a huge number": b"study = " + b"9" * 5000,
        "carriage returns": text.replace("\n", "\r").encode(),
        "machine code": b"\x7fELF\x02\x01" + bytes(range(256)),
        "a null inside": text.replace("problem", "pro\0blem").encode(),
    }  # fmt: skip
    return some.sampled_from([File(data, what) for what, data in contents.items()])


def files() -> some.SearchStrategy[File]:
    return some.one_of(_replaced(), _replaced(), _arguments(), _edited(), _encoded())
