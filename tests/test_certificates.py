"""docs/certificates: each file proves its statement false, is what the claim's exact form writes today, and cannot prove more.

A certificate whose data are moved to where the statement is true, or out of its hypotheses, proves nothing; nor does the exact
form of a true statement.
"""

import re
import subprocess
import sys
import textwrap
from fractions import Fraction

import pytest

from implicit_bias.referee.certify.certify import FORMS, NotCertified, file_of, form_of, prove, run
from implicit_bias.referee.certify.program import MOST, WIDTH, Source, name_of, program, written
from scripts import write_certificates

from .documents import DOCS, ROOT

FOLDER = DOCS / "certificates"
FILES = sorted(FOLDER.glob("*.py"))
needs_flint = pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", "import flint"], capture_output=True).returncode != 0,
    reason="the extra `certify` (python-flint) is not installed",
)


@pytest.fixture(scope="module")
def examples():
    return {file_of(address): (address, folder, claim, data) for address, folder, claim, data in write_certificates.examples()}


# -- what is published -------------------------------------------------------------------------------------------------


@needs_flint
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_it_proves_its_statement_false(path):
    """Run as a reader runs it; the page shows what it prints."""
    said = run(path)
    assert re.fullmatch(r"PROVED FALSE: residual in \[.*\] > 0 \(\d+ bits, \d+ steps\)", said), said
    assert f"(certificates/{path.name})" in (page := (DOCS / "certificates.md").read_text()) and f"`{said}`" in page


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_it_stands_alone_in_sixty_lines(path):
    lines = path.read_text().splitlines()
    imported = set(re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.M))
    assert imported == {"math", "flint"} and len(lines) <= MOST and max(map(len, lines)) <= WIDTH


@pytest.mark.slow
def test_it_is_what_the_exact_form_writes(examples):
    assert [*examples] and {path.name for path in FILES} == set(examples) and len(FILES) >= 8
    for path in FILES:
        bits = int(re.search(r"^ctx\.prec = ctx\.cap = (\d+)$", path.read_text(), re.M)[1])
        assert path.read_text() == write_certificates.text_of(*examples[path.name], bits), path.name


@pytest.mark.slow
def test_an_exact_form_is_of_a_claim_that_is_held_false(examples):
    """Every example, and of every form the name of a claim or of a function that one calls."""
    assert {claim.expected for _, _, claim, _ in examples.values()} == {"refuted"}
    assert len({folder.name for _, folder, _, _ in examples.values()}) >= 5
    for _, folder, _, _ in examples.values():
        source = Source((folder / FORMS).read_text())
        called = {n for form in source.nodes for n in source.needs(form)}
        known = {name_of(c.id) for *_, c in write_certificates.claim_names.claims_of(
            [e for e in write_certificates.catalogue.entries() if e.paper == folder.name])}  # fmt: skip
        assert set(source.nodes) - called - {"EXAMPLES"} <= known


# -- and what is not proved --------------------------------------------------------------------------------------------

MOVED = [
    ("wu2020-gradient-descent-limit-as-printed", "g0=1", "g0=3"),  # g0 = g*, where it is what is printed
    ("wu2020-gradient-descent-limit-as-printed", "step=fmpq(1, 200)", "step=2"),  # steps that do not contract
    ("wu2020-gradient-descent-limit-as-printed", "step=fmpq(1, 200)", "step=fmpq(-1, 200)"),  # uphill
    ("wu2020-released-ends-at-x-as-printed", "g0=3", "g0=1"),  # g0 < g*, the missing hypothesis
    ("wu2020-closer-than-gd-as-printed", "c=30", "c=1"),  # below the logarithmic mean
    ("wu2020-size-stays-positive-as-inferred", "w0=[-1, 1]", "w0=[1, 1]"),  # not opposed: g grows
    ("wu2020-size-stays-positive-as-inferred", "g0=fmpq(1, 3)", "g0=fmpq(-1, 3)"),  # asked of g0 > 0 alone
    ("wu2020-fits-in-time-by-the-loss", "w0=[12, 1, 12]", "w0=[1, 12, 12]"),  # g0 < delta: the bound has a second part
    ("wu2020-plane-weight-normalisation-as-printed", "c=1", "c=2"),  # another plane than that of the example
    ("wu2020-rpgd-decay-is-positive-as-one-might-read", "g0=fmpq(1, 2)", "g0=2"),  # g^2 > c: a decay
    ("wu2020-squared-norm-invariant-as-read", "y=[2]", "y=[0]"),  # at rest
    ("wu2020-weight-norm-constant-in-steps", "y=[fmpq(3, 2)]", "y=[0]"),  # at rest
    ("lewkowycz2020-loss-grows-between-2-and-4", "share=fmpq(9, 10)", "share=fmpq(1, 10)"),  # z0 < s0 - 2: it does grow
    ("lewkowycz2020-loss-grows-between-2-and-4", "curvature=3", "curvature=2"),  # s0 = 2, and 2 < s0 is asked
    ("lewkowycz2020-loss-grows-between-2-and-4", "share=fmpq(9, 10)", "share=fmpq(11, 10)"),  # there is no such start
    ("lewkowycz2020-ends-where-descent-is-stable-from-every-start", "w=fmpq(13, 8)", "w=fmpq(8, 5)"),  # f = 0 is not certain
    ("even2023-start-shrinks-as-read", "momentum=fmpq(4, 5)", "momentum=0"),
    ("even2023-start-shrinks-as-read", "step=fmpq(3, 10)", "step=fmpq(1, 100)"),  # not at its end after 200 steps
    ("arora2019-balanced-times-of-unbalanced-pairs", "delta=fmpq(1, 2)", "delta=0"),
    ("damian2023-variance-is-that-of-the-central-flow", "edge=fmpq(11, 20)", "edge=fmpq(9, 20)"),  # no cycle below the edge
    ("damian2023-mean-is-the-central-flow", "edge=fmpq(11, 20)", "edge=fmpq(13, 20)"),  # no stable one beyond (sqrt 5 - 1)/2
    ("li2020intrinsic-norm-as-printed", "intrinsic=fmpq(3, 5)", "intrinsic=fmpq(1, 20)"),  # small: outside what is asked
    ("li2020intrinsic-norm-as-printed", "scale=1", f"scale={10**200}"),  # not at equilibrium after 400 steps
    ("li2020intrinsic-turn-as-printed", "scale=1", f"scale={10**200}"),
]


@needs_flint
@pytest.mark.parametrize("name, was, becomes", MOVED)
def test_with_its_data_moved_it_proves_nothing(name, was, becomes, tmp_path):
    text = (FOLDER / f"{name}.py").read_text()
    assert text.count(was) == 1
    moved = tmp_path / "moved.py"
    moved.write_text(text.replace(was, becomes))
    assert run(moved, 30).startswith("not proved")


TRUE = r'''
"""Statements that are true."""
import implicit_bias as ib

def the_exact_limit(A, y, w0, g0, c):
    """||x_inf| - sqrt(G)|, G (1 - a exp((g0^2 - G)/c)) = g*^2: off by what is inside the ball, above or below"""
    perp, least = ib.balls.norm(ib.balls.orthogonal(A, ib.balls.unit(w0))), ib.balls.norm(ib.balls.pinv(A, y))
    g = abs(ib.balls.limit_of_flow(A, y, c, [g0, *ib.balls.unit(w0)])[0])
    return [abs(g**2 * (1 - perp**2 * ((g0**2 - g**2) / c).exp()) - least**2)]

def the_invariant(A, y, w0, g0, c):
    """|log|w_perp| + g^2/2c - what it was|, at t = 1"""
    start = [g0, *ib.balls.unit(w0)]
    g, *w = ib.balls.flow(lambda state: ib.balls.normalised(A, y, c, state), start, ib.balls.ratio(1))
    perp = ib.balls.norm(ib.balls.orthogonal(A, w)) / ib.balls.norm(ib.balls.orthogonal(A, start[1:]))
    return [abs(perp.log() + (g**2 - g0**2) / (2 * c))]

def closer_below_its_ratio(A, y, w0, g0, c, step):
    """WN ends closer than g* |w_perp|, for c <= g*^2"""
    move = lambda state: ib.balls.weight_normalised(A, y, c, step, state)
    g, *w = ib.balls.limit_of_descent(A, y, c, step, move, [g0, *ib.balls.unit(w0)])
    least, perp = ib.balls.pinv(A, y), ib.balls.orthogonal(A, ib.balls.unit(w0))
    end = [g * v for v in ib.balls.unit(w)]
    return [ib.balls.norm(ib.balls.plus(end, least, -1)) - ib.balls.norm(least) * ib.balls.norm(perp)]
'''
DATA = dict(A=[[1, 0]], y=[1], w0=[3, 4], g0=Fraction(1, 2), c=Fraction(1, 2))


@needs_flint
@pytest.mark.parametrize(
    "name, more, bits",
    [("the_exact_limit", {}, 128), ("the_invariant", {}, 64), ("closer_below_its_ratio", {"step": Fraction(1, 50)}, 1024)],
)
def test_a_true_statement_is_not_proved_false(name, more, bits, tmp_path):
    path = tmp_path / "true.py"
    path.write_text(program(TRUE, name, {**DATA, **more}, "true", bits))
    said = run(path)
    assert said.startswith("not proved, []: residual in ["), said


# -- why there is none -------------------------------------------------------------------------------------------------


def test_what_cannot_be_certified_says_why_in_a_line(tmp_path):
    wu = ROOT / "experiments" / "wu2020"
    with pytest.raises(NotCertified, match="chou2023 has no certified.py"):
        form_of(ROOT / "experiments" / "chou2023", "recovers-from-any-start")
    with pytest.raises(NotCertified, match="wu2020/certified.py has no function limit_excess_exact"):
        form_of(wu, "limit-excess-exact")
    if subprocess.run([sys.executable, "-c", "import flint"], capture_output=True).returncode == 0:
        with pytest.raises(NotCertified, match="the counterexample does not say w0, c"):
            prove(wu, "wu2020/limit:limit-as-printed", "", "", {"A": [[1, 0]], "y": [1], "g0": 1}, tmp_path / "x.py")


def test_a_certificate_that_stops_or_runs_on_proves_nothing(tmp_path):
    path = tmp_path / "one.py"
    path.write_text("raise ArithmeticError('64 bits are not enough')")
    assert run(path) == "not proved: 64 bits are not enough"
    path.write_text("while True: pass")
    assert run(path, 0.5) == "not proved: it ran for more than 0.5 s"


# -- text --------------------------------------------------------------------------------------------------------------


def test_data_are_written_exactly():
    assert written([[Fraction(-1, 3), 2], "wn"]) == "[[fmpq(-1, 3), 2], 'wn']"
    assert written(0.1) == "fmpq(1, 10)" and written(1e-20) == f"fmpq(1, {10**20})" and written(0.75) == "fmpq(3, 4)"


def test_a_function_is_copied_tight_and_means_the_same():
    text = textwrap.dedent('''
        def double(a):
            """twice a"""
            return 2 * a


        def twice(a, n):
            """a, doubled n times"""

            for _ in range(n):
                a = ib.balls.double(a)

            if a < 0:
                raise ValueError
            return a
    ''')
    source = Source(text)
    assert source.written("double") == ["def double(a): return 2 * a  # twice a"]
    assert source.written("twice")[:2] == ["def twice(a, n):  # a, doubled n times", "    for _ in range(n): a = double(a)"]
    space: dict = {}
    exec("\n".join(source.written("double") + source.written("twice")), space)
    assert space["twice"](3, 4) == 48 and source.needs("twice") >= {"double", "range"}
