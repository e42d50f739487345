"""The command: what a user types, and one line for each mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from implicit_bias import catalogue, cli, library
from implicit_bias.cli import main

from .faults import readable

TINY = ["seed=0..1", "scale=0.2,1"]


@pytest.fixture(autouse=True)
def somewhere(tmp_path, monkeypatch, request):
    """Each test in an empty folder, with the session's compile cache."""
    import jax

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kept = jax.config.jax_compilation_cache_dir
    monkeypatch.chdir(tmp_path)
    yield
    jax.config.update("jax_compilation_cache_dir", kept)


def run(capsys, *argv):
    code = main(list(argv))
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture
def mine(capsys):
    """A study file made by `new`, in the current folder."""
    assert run(capsys, "new", "mine")[0] == 0
    return "mine.py"


MISTAKES = {
    "a command": (["runn", "x"], "did you mean 'run'"),
    "a study": (["run", "wu2020/robustnes"], "did you mean 'wu2020/robustness'"),
    "a study of two papers": (
        ["run", "limit"],
        "'limit' is the name of several; name one in full: chou2023/limit, wu2020/limit",
    ),
    "a file": (["run", "nowhere.py"], "there is no file nowhere.py"),
    "a paper": (["reproduce", "wu2021"], "did you mean 'wu2020'"),
    "a size": (["run", "mine.py", "--size", "huge"], "size: this study has no size 'huge'; known: laptop"),
    "an axis": (["run", "mine.py", "scal=1"], "scal: is no axis or setting of this study; did you mean 'scale'"),
    "a range": (["run", "mine.py", "scale=1..x:4:log"], "scale: malformed range '1..x:4:log'"),
    "a log range from 0": (["run", "mine.py", "scale=0..1:4:log"], "needs ends above 0"),
    "no value": (["run", "mine.py", "scale="], "scale: has no value"),
    "no equals sign": (["run", "mine.py", "scale"], "'scale' is no name=value"),
    "twice": (["run", "mine.py", "scale=1", "scale=2"], "scale: is given twice"),
    "the same value twice": (["run", "mine.py", "scale=1,1"], "scale: has the same value twice"),
    "a word for a number": (["run", "mine.py", "scale=big"], "scale: must be a number, got 'big'"),
    "a fraction for a size": (["run", "mine.py", "rows=2.5"], "rows: must be a whole number"),
    "a negative seed": (["run", "mine.py", "seed=-1"], "seed: must be from 0"),
    "a step of 0": (["run", "mine.py", "step=0.0"], "step: must be positive"),
    "a negative step among good ones": (["run", "mine.py", "step=0.01,-0.01"], "step: must be positive (at"),
    "a negative ratio": (["run", "mine.py", "ratio=-1"], "ratio: is below zero or not finite"),
    "an infinite ratio": (["run", "mine.py", "ratio=inf"], "ratio: is below zero or not finite"),
    "rows >= columns": (["run", "mine.py", "rows=12"], "rows: must be fewer than columns, got 12 x 12"),
    "a scale of 0 with g frozen": (
        ["run", "mine.py", "scale=0", "ratio=0"],
        "scale: starts the run on a stationary point",
    ),
    "results that are not there": (["check", "wu2020/limit"], "wu2020/limit has no results in results"),
    "no results at all": (["report"], "out: results holds no results"),
    "a format": (["export", "mine.py", "--format", "xls"], "there is no 'xls'"),
    "a name": (["new", "not-a-name"], "is no Python name"),
}


@pytest.mark.slow
@pytest.mark.parametrize("argv, expected", MISTAKES.values(), ids=MISTAKES)
def test_each_mistake_is_one_line_that_names_the_field_and_the_remedy(capsys, mine, argv, expected):
    code, out, err = run(capsys, *argv)
    assert code == 2
    assert out == ""
    assert err.startswith("error: ") and err.count("\n") == 1, err
    assert expected in err, err


STUDY = '''
"""{doc}"""
import implicit_bias as ib

def cell(*, scale, key, ratio=1.0):
    return ib.Run({problem}, {weights}, ib.Descent(0.1, ratio=ratio, max_steps=10))

study = ib.Study(cell=cell, grids=ib.grid(scale=[0.5, 1.0]))
'''
GOOD = "ib.linear.gaussian(2, 4)(key)"
BROKEN = {
    "ratio without a radial block": (GOOD, "ib.Euclidean(scale)", ["ratio=2"], "ratio: scales the weights labelled size, and Euclidean has none"),
    "a rank-deficient A": (
        "ib.linear.fixed([[1.0, 0, 0], [2.0, 0, 0]], [1.0, 2.0])(key)", "ib.Polar(scale)", [], "A: is rank-deficient",
    ),
    "y = 0": ("ib.linear.fixed([[1.0, 0, 0]], [0.0])(key)", "ib.Polar(scale)", [], "y: is zero"),
    "a word the cell does not know": (GOOD, '{"a": 1}["b"]', [], "cell: broken.py:6: KeyError: 'b'"),
    "an error of Python": (GOOD + "(", "ib.Polar(scale)", [], "study: broken.py:"),
    "not a Run": (GOOD, "ib.Polar(scale)) or (1", [], "cell: "),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("problem, weights, settings, expected", BROKEN.values(), ids=BROKEN)
def test_a_mistake_in_a_study_file_is_one_line_too(capsys, tmp_path, problem, weights, settings, expected):
    (tmp_path / "broken.py").write_text(STUDY.format(doc="A study.", problem=problem, weights=weights))
    sys.modules.pop(next((m for m in sys.modules if m.endswith(".broken")), ""), None)
    code, _, err = run(capsys, "run", "broken.py", *settings)
    assert code == 2 and err.startswith("error: ") and err.count("\n") == 1, err
    assert expected in err, err


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_one_line_and_loses_nothing(capsys, mine, tmp_path):
    (tmp_path / "file").write_text("kept")
    code, _, err = run(capsys, "run", mine, *TINY, "--out", "file")
    assert code == 74 and err.startswith("error: out: cannot write file") and err.count("\n") == 1
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.slow
def test_run_resumes_reports_and_exports(capsys, mine, tmp_path):
    """The way of a user: plan, run, run again, check, status, report, export, a figure."""
    panel = 'ib.panel(ib.curves_of("norm", x="scale"), log="x")'
    with open(mine, "a") as file:
        file.write(f'\nstudy = study.__class__(**vars(study) | dict(figures=[ib.Figure(id="n", caption="c", panels=[{panel}])]))\n')
    code, out, _ = run(capsys, "plan", mine, *TINY)
    assert code == 0 and "4 asked for, 0 done, 4 to compute" in out and "diagonal: 12 -> 5 + 1" in out
    code, out, err = run(capsys, "run", mine, *TINY)
    assert code == 0 and "orthogonal-part-shrinks" in out and "4 of 4 runs" in err
    code, out, err = run(capsys, "run", mine, *TINY)
    assert code == 0 and "all 4 runs are done, nothing to compute" in err
    code, out, _ = run(capsys, "check", mine)
    assert code == 0 and "supported" in out
    code, out, _ = run(capsys, "check", "results/mine")
    assert code == 0 and "supported" in out
    code, out, _ = run(capsys, "check", "--sharp", mine)
    assert code == 0 and "|g| grew" in out and "untested" in out
    code, out, _ = run(capsys, "status", mine)
    assert code == 0 and "4 of 4 runs done" in out
    code, out, _ = run(capsys, "report", "results/mine")
    assert code == 0 and (tmp_path / out.split()[0]).read_text().startswith("<!DOCTYPE html>")
    code, out, err = run(capsys, "export", mine, "--to", ".")
    assert (code, out, err) == (2, "", "error: to: . names no file; write --to FILE\n")
    code, out, _ = run(capsys, "export", mine, "--to", "table.csv")
    assert code == 0 and len((tmp_path / "table.csv").read_text().splitlines()) == 5
    book = (tmp_path / "table.codebook.csv").read_text()
    assert "training loss" in book and "scale,scale,,axis" in book and "\nrows,,,setting" in book
    code, out, err = run(capsys, "figure", mine, "--style", "icml", "--format", "svg")
    assert code == 0 and [Path(name).suffix for name in out.split()] == [".svg", ".csv"], err
    assert run(capsys, "figure", mine, "--style", "icml", "--format", "svg")[:2] == (0, out)  # its own, once more
    (tmp_path / "taken.svg").write_text("kept")
    code, _, err = run(capsys, "figure", mine, "--to", "taken.svg")
    assert code == 2 and err.startswith("error: to: taken.svg is there") and err.count("\n") == 1
    assert "there is no 'nips'; did you mean 'neurips'" in run(capsys, "figure", mine, "--style", "nips")[2]
    import xarray as xr

    code, out, _ = run(capsys, "export", mine, "--format", "netcdf", "--to", "all.nc")
    with xr.open_dataset(tmp_path / "all.nc") as ds:
        assert ds.sizes["seed"] == 2 and "definition" in ds.norm.attrs


@pytest.mark.slow
def test_a_damaged_tile_stops_a_reader_in_one_line_and_run_mends_it(capsys, mine, tmp_path):
    assert run(capsys, "run", mine, *TINY)[0] == 0
    (tile,) = (tmp_path / "results/mine/tiles").glob("*.safetensors")
    good = tile.read_bytes()
    tile.write_bytes(good[:-10])
    code, _, err = run(capsys, "check", mine)
    assert code == 2 and err.startswith("error: tile: ") and "computes it again" in err and err.count("\n") == 1
    code, _, err = run(capsys, "run", mine, *TINY)
    assert code == 0 and err.startswith("warning: ") and "moved to damaged/" in err
    assert tile.read_bytes() == good


@pytest.mark.slow
def test_check_exits_1_when_a_verdict_is_against_expectation(capsys, mine, tmp_path):
    """Editing a claim computes nothing and changes the verdict."""
    assert run(capsys, "run", mine, *TINY)[0] == 0
    path = tmp_path / "mine.py"
    path.write_text(path.read_text().replace("ds.log_w_perp.isel(record=-1) - ", "-ds.log_w_perp.isel(record=-1) + "))
    done = subprocess.run(
        [sys.executable, "-m", "implicit_bias", "check", "mine.py"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1, done.stderr
    assert "refuted, EXPECTED SUPPORTED" in done.stdout


def test_two_files_of_one_name_are_two_studies(capsys, mine, tmp_path):
    """Below the current folder the folder is part of the name; elsewhere one is not judged by the other's results."""
    text = (tmp_path / mine).read_text()
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(text)
    names = {catalogue.find(str(Path(folder, "mine.py"))).name for folder in ("", "one", "other")}
    assert names == {"mine", "one/mine", "other/mine"}
    assert run(capsys, "run", "one/mine.py", *TINY)[0] == 0
    stranger = tmp_path / "one" / "deep"
    stranger.mkdir()
    os.chdir(stranger)
    code, _, err = run(capsys, "run", str(tmp_path / "mine.py"), *TINY)
    assert code == 0, err
    code, _, err = run(capsys, "check", str(tmp_path / "other" / "mine.py"))
    assert code == 2 and "holds the results of" in err and "--out FOLDER" in err and err.count("\n") == 1


def test_grammar_list_and_status_do_not_import_jax(tmp_path):
    script = (
        "import sys\nfrom implicit_bias.cli import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "assert 'jax' not in sys.modules, 'jax was imported'"
    )
    for argv in (
        ["--help"],
        ["list"],
        ["run", "--help"],
        ["run", "wu2020/nothing"],
        ["plan", "wu2020/path", "x"],
        ["status"],
    ):
        done = subprocess.run([sys.executable, "-c", script, *argv], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, (argv, done.stderr)
        assert "Traceback" not in done.stderr


def test_the_bare_command_shows_help_and_a_version_is_told(capsys):
    code, out, _ = run(capsys)
    assert code == 0 and out.startswith("usage: implicit-bias") and "refute" in out
    code, out, _ = run(capsys, "--version")
    assert code == 0 and out.startswith("implicit-bias ") and len(out.split()) == 2


def test_a_paper_is_listed_in_a_hundred_columns(capsys):
    code, out, _ = run(capsys, "list", "wu2020")
    lines = out.splitlines()
    assert code == 0 and lines[0] == "wu2020" and all(line.startswith("  wu2020/") for line in lines[1:])
    assert max(map(len, run(capsys, "list")[1].splitlines())) <= 100
    assert run(capsys, "list", "wu202")[0] == 2


def test_list_shows_each_study_on_one_line(capsys):
    code, out, _ = run(capsys, "list")
    names = [e.name for e in catalogue.entries()]
    assert code == 0 and len(names) >= 4
    assert all(sum(name in line for line in out.splitlines()) == 1 for name in names)


def test_a_study_is_found_by_short_name_path_and_module(tmp_path, monkeypatch, mine):
    short = catalogue.find("wu2020/limit")
    assert catalogue.find("robustness").name == "wu2020/robustness"
    assert catalogue.find(str(short.path)).name == "wu2020/limit"
    package = tmp_path / "lab" / "studies"
    package.mkdir(parents=True)
    (package / "own.py").write_text((tmp_path / mine).read_text())
    entry = catalogue.find("lab.studies.own")
    assert entry.name == "studies/own" and catalogue.load(entry).name == "studies/own"
    nearer = tmp_path / "experiments" / "wu2020"
    nearer.mkdir(parents=True)
    (nearer / "limit.py").write_text((tmp_path / mine).read_text())
    assert catalogue.find("wu2020/limit").path == nearer / "limit.py"


def test_interrupt_keeps_the_finished_tiles_and_says_how_to_go_on(capsys, mine, monkeypatch):
    from implicit_bias.sweep.work import deal

    written = deal.Tiles._write

    def interrupted(*arguments):
        written(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(deal.Tiles, "_write", interrupted)
    with pytest.raises(SystemExit) as ended:
        run(capsys, "run", mine, *TINY)
    assert ended.value.code == 130
    err = capsys.readouterr().err
    assert "interrupted: 4 of 4 runs are kept in results/mine; go on with: implicit-bias run mine.py" in err


@pytest.mark.slow
def test_what_does_not_fit_is_said_at_plan_and_refused_at_run(capsys, mine, monkeypatch):
    from implicit_bias.sweep.program import memory

    monkeypatch.setattr(memory, "_free_host_memory", lambda: 1000)
    for command in ("plan", "run"):
        code, _, err = run(capsys, command, mine, *TINY)
        assert code == 2 and err.startswith("error: size: needs about") and "1.0 kB are free" in err
        assert not Path("results/mine/tiles").exists()
    monkeypatch.setattr(memory, "_free_host_memory", lambda: None)
    monkeypatch.setattr("shutil.disk_usage", lambda place: Disk(free=10))
    code, out, _ = run(capsys, "plan", mine, *TINY)
    assert code == 0 and "DOES NOT FIT: needs" in out and "of disk, 10 B are free" in out
    code, _, err = run(capsys, "run", mine, *TINY)
    assert code == 2 and "of disk, 10 B are free" in err


@pytest.mark.slow
def test_what_the_door_has_no_time_to_ask_is_asked_as_a_block_runs(capsys, mine, monkeypatch):
    """A plan of many runs asks one block and for some seconds more; a bad value is refused all the same, and not stored."""
    from implicit_bias.sweep.ask import plan

    monkeypatch.setattr(plan, "ASKING", 0.0)
    bad_at_last = ["seed=0", "scale=1", "step=0.02..-0.001:200"]
    code, _, _ = run(capsys, "plan", mine, *bad_at_last)
    assert code == 0
    code, _, err = run(capsys, "run", mine, *bad_at_last)
    assert code == 2
    assert err.splitlines()[-1].startswith("error: step: must be positive (at") and "step=-" in err


def test_settings_may_follow_a_flag(capsys, mine):
    code, out, _ = run(capsys, "plan", mine, "--out", "elsewhere", "scale=0.5", "seed=0")
    assert code == 0 and "runs      1 asked for" in out
    code, _, err = run(capsys, "plan", mine, "--sise", "paper", "seed=0")
    assert code == 2 and err.startswith("error: command: unrecognized arguments: --sise") and err.count("\n") == 1


@pytest.mark.slow
def test_a_spectrum_is_that_of_the_dense_hessian(capsys, mine):
    """Least squares in x = g w/|w|, at the start of a run: the ends by `jax.hessian`; and a picture."""
    code, out, err = run(capsys, "spectrum", mine, "seed=3", "scale=0.5", "--records", "3", "--to", "seen.svg")
    assert code == 0, err
    assert out.startswith("mine, ") and "seed=3" in out and Path("seen.svg").read_text().lstrip().startswith("<?xml")
    import jax

    import implicit_bias as ib

    study = catalogue.load(catalogue.find(mine))
    keywords = {n: v[0] for n, v in study.grids[0].axes.items()} | {"scale": 0.5}
    keywords.pop("seed")
    key = ib.SeedKey(jax.numpy.asarray(3))
    made = study.cell(key=key, **keywords)
    theta = made.parameterization.init(made.problem, key)
    flat, unravel = jax.flatten_util.ravel_pytree(theta)
    hessian = jax.hessian(lambda flat: made.problem.loss(made.parameterization(unravel(flat))))(flat)
    least, largest = np.linalg.eigvalsh(hessian)[[0, -1]]
    first = [float(word) for word in out.splitlines()[2].split()]
    assert first[2] == pytest.approx(least, abs=2e-4 * abs(largest)) and first[3] == pytest.approx(largest, rel=2e-4)
    for words, said in {
        ("--records", "1"): "records: must be at least 2", ("--to", "seen.txt"): "to: seen.txt has no ending",
    }.items():  # fmt: skip
        code, _, err = run(capsys, "spectrum", mine, *words)
        assert code == 2 and err.startswith(f"error: {said}") and err.count("\n") == 1


class Disk(NamedTuple):
    free: int


def test_a_results_folder_is_called_by_its_study(tmp_path):
    """By its short name where that is the same file, or else by the file."""
    entry = catalogue.find("wu2020/limit")
    for file, name in {str(entry.path): entry.name, str(tmp_path / "limit.py"): str(tmp_path / "limit.py")}.items():
        plan = {**readable.document(), "study": entry.name, "file": file}
        (tmp_path / "plans").mkdir(exist_ok=True)
        (tmp_path / "plans" / "0123456789abcdef.json").write_text(json.dumps(plan))
        assert library.found([str(tmp_path)], tmp_path) == [(name, tmp_path / "plans" / "0123456789abcdef.json")]
