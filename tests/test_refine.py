"""A boundary that is known is found: to 1 % of its axes, with a twentieth of the dense grid's runs, nothing twice."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

import implicit_bias as ib
from implicit_bias.refine import points as points_
from implicit_bias.refine.axes import Axis
from implicit_bias.refine.search import Wanted, search, summary
from implicit_bias.refine.sides import NO, NONE, YES, Question, Rule
from implicit_bias.sweep.keep.store import Store
from tests.test_cli import run

X, Y = Axis("x", 0.0, 1.0, log=False, whole=False), Axis("y", 0.0, 1.0, log=False, whole=False)
SCALE, RATIO = Axis("scale", 1e-3, 10.0, log=True, whole=False), Axis("ratio", 0.1, 100.0, log=True, whole=False)
POSITIVE = Question("f>0", "f > 0", "f <= 0", variable="f")


class Known:
    """Points of a function of the axes and a seed, in the place of a study's."""

    def __init__(self, function, *axes, seeds=1, converged=None):
        self.function, self.axes, self.runs_each, self.converged = function, axes, seeds, converged
        self.study, self.fixed, self.computed = SimpleNamespace(name="known"), {}, 0
        self.others = {"seed": range(seeds)}

    def __call__(self, places):
        at = {a.name: np.array([a.value(p[k]) for p in places]) for k, a in enumerate(self.axes)}
        each = [self.function(*at.values(), seed) for seed in range(self.runs_each)]
        f = np.stack([np.broadcast_to(one, len(places)) for one in each])
        capped = False if self.converged is None else ~self.converged(*at.values())
        ends = np.broadcast_to(np.where(capped, 2, 1), f.shape)
        self.computed += f.size
        dims = ("seed", "point")
        return xr.Dataset({"status": (dims, ends), "f": (dims, f)}, {n: ("point", v) for n, v in at.items()})


def found(function, *axes, how="mean", asked=POSITIVE, seeds=1, converged=None, **wanted):
    points = Known(function, *axes, seeds=seeds, converged=converged)
    return search(points, asked, Rule.of(how), Wanted([a.name for a in axes], **wanted))


def circle(r, x0=0.5, y0=0.5):
    return lambda x, y, seed: r - np.hypot(x - x0, y - y0)


def line(scale, ratio, seed):
    """ratio = scale^2, over four decades and three"""
    return np.log(ratio) - 2 * np.log(scale)


def along(ds, axes):
    """Places on the boundary as it is drawn: on each chord, ends and between."""
    at = np.stack([axis.place(ds[axis.name].values) for axis in axes], axis=-1)
    start, end = (at[ds.chord.values[:, k]] for k in (0, 1))
    return np.concatenate([start + t * (end - start) for t in np.linspace(0, 1, 9)])


def off_circle(r, x0=0.5, y0=0.5):
    return lambda at: abs(np.hypot(at[:, 0] - x0, at[:, 1] - y0) - r)


def off_line(at):
    """From log10(ratio) = 2 log10(scale), in places: ratio = 10^(3 y - 1), scale = 10^(4 x - 3)."""
    return abs(3 * at[:, 1] - 1 - 2 * (4 * at[:, 0] - 3)) / math.hypot(3, 8)


KNOWN = {
    "a circle": (circle(0.3), (X, Y), off_circle(0.3)),
    "a small circle": (circle(0.06, 0.52, 0.48), (X, Y), off_circle(0.06, 0.52, 0.48)),
    "a line of logarithms": (line, (SCALE, RATIO), off_line),
    "a corner": (lambda x, y, seed: np.maximum(abs(x - 0.5), abs(y - 0.5)) - 0.33, (X, Y),
                 lambda at: abs(np.maximum(abs(at[:, 0] - 0.5), abs(at[:, 1] - 0.5)) - 0.33)),
}  # fmt: skip


@pytest.mark.parametrize("what", KNOWN)
def test_a_boundary_is_found_to_a_hundredth_of_its_axes(what):
    function, axes, off = KNOWN[what]
    ds = found(function, *axes)
    at = along(ds, axes)
    assert len(at) and off(at).max() <= 0.01
    assert ds.width.max() <= 0.01  # of one seed: the width of the last halving
    assert ds.attrs["ratio"] >= 20 and ds.attrs["dense"] == 101**2
    assert ds.attrs["missed"] == 0 and 0 < ds.attrs["chance"] < 0.06


def test_each_crossing_lies_between_two_corners_that_disagree():
    ds = found(circle(0.3), X, Y)
    side = dict(zip(zip(ds.corner_x.values, ds.corner_y.values), ds.side.values))
    for i in range(ds.sizes["crossing"]):
        x, y, low, high = (float(ds[n][i]) for n in ("x", "y", "cell_low", "cell_high"))
        ends = [(low, y), (high, y)] if ds["along"].values[i] == "x" else [(x, low), (x, high)]
        assert {side[end] for end in ends} == {"yes", "no"}
        assert low <= (x if ds["along"].values[i] == "x" else y) <= high


def island(x, y, seed):
    """A line that the coarse grid meets, and a disc between its corners."""
    return np.maximum(x - 0.8, 0.08 - np.hypot(x - 0.4375, y - 0.3125))


def test_an_island_between_the_corners_is_found_by_the_random_check():
    believed = found(island, X, Y, check=0)
    assert believed.x.min() > 0.79 and "not looked for" in summary(believed)
    ds = found(island, X, Y, check_seed=1)
    at = along(ds, (X, Y))
    shore = at[at[:, 0] < 0.6]
    assert ds.attrs["islands"] > 0 and ds.attrs["missed"] == 0 and len(shore)
    assert off_circle(0.08, 0.4375, 0.3125)(shore).max() <= 0.01
    assert "found by" in summary(ds)


def test_the_chance_of_a_missed_island_is_that_of_clopper_and_pearson():
    """No one of n draws in what has a share p: (1 - p)^n = 2.5 % at the upper end."""
    ds = found(circle(0.3), X, Y, check=40)
    assert ds.attrs["chance"] == pytest.approx(1 - 0.025 ** (1 / 40))


def test_the_interval_over_seeds_holds_the_truth():
    """f = x - 0.4 + noise of the seed: the mean of many seeds changes sign at 0.4, and that of eight elsewhere."""
    held = []
    for k in range(30):
        noise = np.random.default_rng(k).normal(0, 0.1, 8)
        ds = found(lambda x, seed, noise=noise: x - 0.4 + noise[seed], X, seeds=8, check=0)
        (low,), (high,) = ds.low.values, ds.high.values
        assert low < 0.4 - noise.mean() < high and high - low > 0.01
        held.append(low <= 0.4 <= high)
    assert np.mean(held) > 0.85


def test_seeds_that_are_too_few_for_an_interval_are_said_to_be():
    ds = found(lambda x, seed: x - 0.4 + 0.1 * seed, X, seeds=4, how="median", check=0)
    assert ds.width.max() <= 0.01 and "at least 6 are needed" in summary(ds)
    assert found(lambda x, seed: x - 0.4 + 0.1 * seed, X, seeds=6, how="median", check=0).width.max() > 0.05


def test_a_run_that_did_not_end_is_no_number_and_not_averaged():
    """Beyond x = 0.7 runs are capped: a side of their own, whatever number they have."""
    ds = found(lambda x, y, seed: np.where(x > 0.7, 1e9, y - 0.3), X, Y, converged=lambda x, y: x <= 0.7)
    beyond = ds.corner_x > 0.7
    assert {*ds.side.values[beyond.values]} == {"no number"} and np.isnan(ds.value.values[beyond.values]).all()
    sides = ds["between"].values == "sides"
    assert off_at(ds, sides, "y", 0.3) < 0.01 and ds.x.values[sides].max() <= 0.71
    assert off_at(ds, ~sides, "x", 0.7) < 0.01
    assert ds.attrs["unknown"] == int(beyond.sum()) and f"{int(beyond.sum())} capped" in ds.attrs["lost"]


def off_at(ds, which, name, value):
    return abs(ds[name].values[which] - value).max()


def test_whole_numbers_stay_whole():
    """depth > 2.5 + 9 x: at each depth a place, between each two a line."""
    depth = Axis("depth", 1, 12, log=False, whole=True)
    ds = found(lambda x, d, seed: d - 2.5 - 9 * x, X, depth)
    corners = ds.corner_depth.values
    assert corners.dtype.kind == "i" and {*corners} <= {*range(1, 13)}
    steps = ds["along"].values == "depth"
    assert ((ds.cell_high - ds.cell_low).values[steps] == 1).all()
    assert abs(ds.depth.values[~steps] - 2.5 - 9 * ds.x.values[~steps]).max() < 9 * 0.01


def test_where_there_is_no_boundary_it_is_said():
    ds = found(lambda x, y, seed: -1.0 - x, X, Y)
    assert ds.sizes["crossing"] == 0 and ds.attrs["share_no"] == pytest.approx(1.0)
    said = summary(ds)
    assert "boundary  none: f <= 0 at every point" in said and "at most 5.6%" in said


def test_a_search_without_a_number_is_a_mistake():
    with pytest.raises(ib.Mistake, match="has no number at any of 81 points .81 capped"):
        found(circle(0.3), X, Y, converged=lambda x, y: x > 2)


def test_rules_count_seeds():
    nan = np.nan
    seeds = np.array([[1.0, 1.0, -1.0, nan], [1.0, -1.0, -1.0, 1.0], [1.0, -1.0, -1.0, nan], [-9.0, 1.0, -1.0, 1.0]])
    assert Rule.of("mean").sides(seeds, False).tolist() == [NO, NO, NO, NONE]
    assert Rule.of("median").sides(seeds, False).tolist() == [YES, YES, NO, YES]  # whatever the lost ones are
    assert Rule.of("75%").sides(seeds, False).tolist() == [YES, NO, NO, NONE]
    assert Rule.of("worst").sides(seeds, False).tolist() == [NO, NO, NO, NONE]
    assert np.sign(Rule.of("75%").middle(seeds)[:3]).tolist() == [1, -1, -1]
    assert Rule.of("mean").sides(np.zeros((2, 1)), True) == YES and Rule.of("mean").sides(np.zeros((2, 1)), False) == NO


# -- through a study and its store -------------------------------------------------------------------------------------

TEXT = '''
"""A study whose every number is known: it stops at once."""

import implicit_bias as ib


def cell(*, x, y, key, rows=1):
    problem = ib.linear.gaussian(rows, 3, target_norm=1.0)(key)
    return ib.Run(problem, ib.Euclidean(x + 2 * y), ib.Descent(0.1, stop=ib.loss_below(1e9), max_steps=3))


near = ib.claims_with(source="a circle", because="it is known", kind=ib.Inequality(), tolerance=lambda ds: 0.09)
study = ib.Study(
    cell=cell,
    grids=ib.grid(x=ib.linspace(0.01, 1, 3), y=ib.linspace(0.01, 1, 3), seed=range(2)),
    facts={"drawn": lambda snapshot: snapshot.problem.target[0]},
    observe={"size": ib.norm(2)},
    predict={
        "line": ib.batched(lambda x, y: y - 0.31 - 0.37 * x),
        "noisy": ib.batched(lambda x, drawn: x - 0.5 + 0.05 * drawn),
        "pair": ib.batched(lambda x, y: {"one": x, "two": y}),
    },
    records=ib.log_records(2),
    claims=[
        near(
            id="inside", statement="|x|^2 + |y|^2 <= 0.09", residual=lambda ds: ds.x**2 + ds.y**2,
            hypotheses=lambda ds: {"x < y": ds.y - ds.x},
        ),
        near(id="least", statement="of all", residual=lambda ds: ds.x - ds.x.min()),
        near(id="along", statement="along", residual=lambda ds: ds.size.isel(record=-1).mean("x")),
        near(id="summed", statement="of a seed", residual=lambda ds: ib.by_seed(ds.line), per="seed"),
        ib.Claim(id="power", source="x", statement="x = x", kind=ib.Exponent("x", 1), residual=lambda ds: ds.x + 0 * ds.y),
    ],
)
'''


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.chdir(tmp_path_factory.mktemp("lab"))
    Path("known.py").write_text(TEXT.lstrip())
    yield
    patch.undo()


@pytest.fixture
def study(lab):
    from implicit_bias import catalogue

    return catalogue.load(catalogue.find("known.py"))


def tiles(folder):
    return {p.name: p.stat().st_mtime_ns for p in (Path(folder) / "tiles").iterdir()}


@pytest.mark.slow
def test_nothing_is_computed_twice_and_more_is_added(study):
    first = study.refine("line", over="x,y", to="2%", out="twice")
    assert first.attrs["computed"] == first.attrs["runs"] > 0
    kept = tiles("twice")
    again = study.refine("line", over="x,y", to="2%", out="twice")
    assert again.attrs["computed"] == 0 and tiles("twice") == kept
    xr.testing.assert_equal(first, again)
    finer = study.refine("line", over="x,y", to="1%", out="twice", seed=[0, 1, 2])
    assert 0 < finer.attrs["computed"] < finer.attrs["runs"] - first.attrs["runs"] + 64 * 2 + 1
    assert {*kept} < {*tiles("twice")}


@pytest.mark.slow
def test_points_have_the_bits_of_a_dense_grid(study):
    """The dense grid finds the runs of the search in the store, and they are those that it computes itself."""
    ds = study.refine("size>1", over=("x", "y"), to=0.1, check=0, out="bits")
    dense = {"x": np.unique(ds.corner_x).tolist(), "y": np.unique(ds.corner_y).tolist()}
    plan = study.plan(dense, store=Store("bits"))
    assert plan.runs - plan.missing == ds.attrs["runs"] < plan.runs
    xr.testing.assert_equal(study.run(dense, out="bits"), study.run(dense, out="dense"))


@pytest.mark.slow
def test_the_seeds_of_the_request_are_those_of_each_point(study):
    """Common random numbers: the mean of the same draws is subtracted everywhere."""
    drawn = study.run(x=0.5, y=0.5, seed=range(6)).drawn
    ds = study.refine("noisy", over="x", to="1%", seed=range(6), y=0.5, check=0)
    assert float(ds.x[0]) == pytest.approx(0.5 - 0.05 * float(drawn.mean()), abs=1e-6)
    assert (ds.numbers == 6).all()


@pytest.mark.slow
def test_a_claim_has_two_sides(study):
    ds = study.refine("inside", over="x,y", to="2%", check=0)
    assert abs(np.hypot(ds.x, ds.y) - 0.3)[ds["between"] == "sides"].max() < 0.02
    outside = ds.corner_x > ds.corner_y
    assert (ds.side[outside] == "no number").all() and "outside the hypotheses" in ds.attrs["lost"]
    slack = study.refine("inside:x < y", over="x,y", to="2%", check=0)
    assert abs(slack.x - slack.y).max() < 0.02 and slack.attrs["yes"] == "inside:x < y is met"


@pytest.mark.slow
def test_whole_numbers_make_a_program_each_and_are_computed(study):
    asked = dict(over="x,rows", to="5%", rows=(1, 2), check=0, y=0.1, out="whole")
    assert {*study.refine("size>1", **asked).corner_rows.values} == {1, 2}
    assert study.refine("size>1", **asked).attrs["computed"] == 0


MISTAKES = {
    "a quantity": (["lin>0", "over=x,y"], "WHAT: the study has no variable and no claim 'lin'; did you mean 'line'?"),
    "a claim": (["insid", "over=x,y"], "did you mean 'inside'?"),
    "no level": (["line>x", "over=x,y"], "'x' is no number for line"),
    "an axis": (["line", "over=x,z"], "over: 'z' is no axis or keyword of this study"),
    "no axis": (["line", "to=1%"], "over: is missing"),
    "what": (["over=x"], "WHAT: is missing"),
    "three axes": (["line", "over=x,y,rows"], "over: names 3 axes"),
    "an axis twice": (["line", "over=x,x"], "over: names x twice"),
    "seeds": (["line", "over=seed"], "over: seeds have no boundary"),
    "no range": (["line", "over=x,rows"], "rows: has no range of its own; write rows=lo..hi"),
    "a value for a range": (["line", "over=x", "x=0.3"], "x: is searched over, and has no range"),
    "a range from 0": (["line", "over=x", "x=0..1:log", "y=0.5"], "x: is logarithmic and begins at 0"),
    "halves": (["line", "over=rows", "rows=1.5..3", "x=0.1", "y=0.1"], "rows: takes whole numbers"),
    "another axis": (["line", "over=x"], "y: has 3 values (0.01, 0.505, 1.0), and a boundary is of one; write y=0.01, or "),
    "a percentage": (["line", "over=x,y", "to=0.01"], "to: '0.01' is no percentage of an axis; write to=1%"),
    "a width": (["line", "over=x,y", "to=90%"], "to: must be from 0.01% to 50% of the axis"),
    "a coarse grid": (["line", "over=x,y", "--coarse", "9"], "coarse: must be a power of two"),
    "a rule": (["line", "over=x,y", "--how", "most"], "how: 'most' makes no side"),
    "an end": (["line", "over=x,y", "--accepts", "cappd"], "did you mean 'capped'?"),
    "many runs": (["power", "over=x,y"], "power is about many runs together (its kind is exponent), so that no run has "),
    "a seed's": (["summed", "over=x,y"], "summed is about many runs together (a summary of a seed)"),
    "a file": (["line", "over=x,y", "--to", "x.txt"], "to: x.txt has no ending that is known"),
}  # fmt: skip
OF_RESULTS = {
    "a hypothesis": (["inside:x<y", "over=x,y"], "inside has no hypothesis 'x<y'; did you mean 'x < y'?"),
    "not one number a run": (["pair", "over=x,y"], "WHAT: results have no 'pair'"),
    "others": (["least", "over=x,y"], "it compares runs with one another"),
    "an axis of it": (["along", "over=x,y"], "along cannot be asked of each point alone"),
    "nothing inside": (["inside", "over=x,y", "y=0.01..0.02", "x=0.1..0.2"], "(162 outside the hypotheses)"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", [*MISTAKES, *(pytest.param(name, marks=pytest.mark.slow) for name in OF_RESULTS)])
def test_a_mistake_is_one_line(lab, capsys, mistake):
    words, said = (MISTAKES | OF_RESULTS)[mistake]
    code, _, err = run(capsys, "refine", "known.py", *words)
    assert code == 2
    (line,) = [one for one in err.splitlines() if " step " not in one]
    assert line.startswith("error: ") and said in line


@pytest.mark.slow
def test_the_command_writes_a_table_and_a_drawing(lab, capsys):
    words = ["refine", "known.py", "line>0", "over=x,y", "to=5%", "--theory", "line", "--check", "8", "--out", "drawn"]
    code, out, err = run(capsys, *words)
    assert code == 0 and "known: line > 0 over x 0.01 .. 1, y 0.01 .. 1, to 5 % of each axis" in out
    assert "step 1: 162 runs to compute" in err and "theory    line = 0 in" in out
    names = ("known-line-above-0-boundary.csv", "known-line-above-0-boundary.png")
    assert [Path(n).is_file() for n in names] == [True, True] and all(n in out for n in names)
    head, *rows = Path(names[0]).read_text().splitlines()
    assert {"x", "y", "along", "low", "high", "theory"} <= {*head.split(",")} and len(rows) > 5
    code, out, err = run(capsys, *words, "--to", "all.nc", "map.svg")
    assert code == 0 and ", 0 of them computed now" in out and not err
    with xr.open_dataset("all.nc") as ds:
        assert json.loads(ds.attrs["over"]) == ["x", "y"] and len(rows) == ds.sizes["crossing"]
    assert b"line = 0 (theory)" in Path("map.svg").read_bytes()
    code, out, _ = run(capsys, "refine", "known.py", "line>9", "over=x", "y=0.5", "to=5%", "--to", "one.png")
    assert code == 0 and "boundary  none: line <= 9 at every point" in out


@pytest.mark.slow
def test_an_interrupt_keeps_what_is_done(lab, capsys, monkeypatch):
    execute, calls = points_.execute, []

    def twice(*given, **more):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return execute(*given, **more)

    monkeypatch.setattr(points_, "execute", twice)
    words = ["refine", "known.py", "line<0", "over=x,y", "to=5%", "--out", "stopped", "--to", "x.csv"]
    code, _, err = run(capsys, *words)
    again = "implicit-bias refine known.py 'line<0' over=x,y to=5% --out stopped --to x.csv"
    assert code == 130 and f"go on with: {again}" in err
    kept = tiles("stopped/known")
    monkeypatch.undo()
    code, out, err = run(capsys, *words)
    assert code == 0 and kept and kept.items() < tiles("stopped/known").items()


def test_few_numbers_leave_a_side_open_and_lost_runs_may_be_either():
    """Of 20 runs: all on one side decide; none known, or too few, do not; of a share lost runs count as both."""
    lost = np.full(20, np.nan)
    columns = np.stack([np.ones(20) + np.arange(20) / 100, lost, np.where(np.arange(20) < 5, 1.0 + np.arange(20) / 100, np.nan)], 1)
    assert Rule.of("mean").undecided(columns, False).tolist() == [False, True, True]
    few = np.where(np.arange(20) < 16, 1.0, np.nan)[:, None]  # 16 of 20 hold, and 4 are lost
    assert Rule.of("median").undecided(few, False).tolist() == [False]
    assert Rule.of("90%").undecided(few, False).tolist() == [True]
    zero = np.zeros((20, 1))  # met at the edge: a slack of 0 is inside
    assert Rule.of("median").undecided(zero, True).tolist() == Rule.of("median").undecided(zero, False).tolist() == [False]
    assert Rule.of("median").sides(zero, True) != Rule.of("median").sides(zero, False)
