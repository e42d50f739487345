"""What was concluded from files is not concluded again, and is as soon as any of them has changed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # all of them, in their order: they have one laboratory, and leave it as the next one expects

ROOT = Path(__file__).parents[1]
STUDY = '''"""A study with a helper, a data file and a table of its own."""
import numpy as np
import implicit_bias as ib
from pathlib import Path
from . import helper, words

LABELS = np.loadtxt(Path(__file__).parent / "labels.txt")
try:
    EXTRA = float(open(Path(__file__).parent / "extra.txt").read())
except FileNotFoundError:
    EXTRA = 0.0

def cell(*, scale, key, step=helper.STEP):
    problem = ib.linear.fixed(helper.MATRIX, LABELS + EXTRA)(key)
    return ib.Run(problem, ib.Euclidean(scale), ib.Descent(step, max_steps=10))

study = ib.Study(
    cell=cell, grids=ib.grid(scale=[0.5, 1.0]), observe={"norm": ib.norm(2)}, records=ib.log_records(2),
    claims=[words.claim], figures=[ib.Figure(id="one", draw=helper.draw, caption="Sizes.")],
)
'''
HELPER = '''STEP = 0.1
MATRIX = [[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]]

def draw(data):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(2, 2))
    axes.plot(data.scale, data.norm.isel(record=-1))
    return figure
'''
WORDS = '''import implicit_bias as ib

claim = ib.Claim(
    id="it-moves", source="here", statement="|x| is below 9", residual=lambda ds: ds.norm.isel(record=-1) - 9,
    tolerance=lambda ds: 0.0, because="nothing limits it", kind=ib.Inequality(), accepts=(ib.Status.CAPPED,),
)
'''

COMMAND = """import sys
from implicit_bias.cli import main
code = main(sys.argv[1:])
print("JAX" if "jax" in sys.modules else "no JAX", "matplotlib" in sys.modules, file=sys.stderr)
sys.exit(code)"""
RECALL = """import sys
from implicit_bias import memo
from implicit_bias.request import requested
from implicit_bias._files import place
print(memo.recall(requested("mine.py", sys.argv[1:], "laptop", place("results"))) is not None, "jax" in sys.modules)"""


def python(folder, script, *words, **environment):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")} | environment
    return subprocess.run(
        [sys.executable, "-c", script, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def recalled(folder, *words, **environment):
    done = python(folder, RECALL, *words, **environment)
    assert done.stdout in ("True False\n", "False False\n"), done.stderr
    return done.stdout == "True False\n"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A folder where the study has run, once."""
    folder = tmp_path_factory.mktemp("lab")
    for name, text in (("mine.py", STUDY), ("helper.py", HELPER), ("words.py", WORDS), ("labels.txt", "1.0\n2.0\n")):
        (folder / name).write_text(text)
    done = python(folder, COMMAND, "run", "mine.py")
    assert done.returncode == 0 and "JAX True" in done.stderr, done.stderr
    assert "supported" in done.stdout
    return folder


@pytest.fixture
def edited(lab):
    """Change a file of the folder, and put it back."""
    kept = {}

    def edit(name, old, new):
        path = lab / name
        kept.setdefault(path, path.read_bytes() if path.exists() else None)
        if old is None:
            path.parent.mkdir(exist_ok=True)
            path.write_text(new)
        else:
            assert old in path.read_text()
            path.write_text(path.read_text().replace(old, new))

    yield edit
    for path, data in kept.items():
        path.unlink() if data is None else path.write_bytes(data)
        if data is None and path.parent != lab and not any(path.parent.iterdir()):
            path.parent.rmdir()


def test_a_command_with_nothing_to_compute_does_not_import_jax(lab):
    first = (lab / "results/mine/report.html").read_bytes()
    for command in (["run", "mine.py"], ["reproduce", "mine.py"], ["check", "mine.py"], ["report", "results/mine"]):
        done = python(lab, COMMAND, *command)
        assert done.returncode == 0 and "no JAX False" in done.stderr, (command, done.stderr)
    assert (lab / "results/mine/report.html").read_bytes() == first
    again = python(lab, COMMAND, "run", "mine.py")
    assert "all 2 runs are done, nothing to compute" in again.stderr and "it-moves" in again.stdout


EDITS = {
    "the cell": ("mine.py", "max_steps=10", "max_steps=11"),
    "a comment": ("mine.py", "def cell", "# words\ndef cell"),
    "a default in a helper": ("helper.py", "STEP = 0.1", "STEP = 0.2"),
    "data in a helper": ("helper.py", "2.0]", "3.0]"),
    "a data file": ("labels.txt", "2.0", "1.0"),
    "a file that was asked for and absent": ("extra.txt", None, "1.0"),
    "a claim": ("words.py", "- 9", "- 8"),
    "a module that takes another's place": ("helper/__init__.py", None, HELPER),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edit_of_any_file_is_traced_again(lab, edited, edit):
    assert recalled(lab)
    edited(*edit)
    assert not recalled(lab)


ENVIRONMENTS = {
    "precision": {"JAX_ENABLE_X64": "0"},
    "flags": {"XLA_FLAGS": "--xla_cpu_enable_fast_math=true"},
    "threads": {"OPENBLAS_NUM_THREADS": "2"},
    "devices": {"CUDA_VISIBLE_DEVICES": "0"},
    "a platform": {"JAX_PLATFORMS": "cuda"},
}


@pytest.mark.parametrize("environment", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_another_environment_is_traced_again(lab, environment):
    assert recalled(lab, TERM="dumb", COLUMNS="7", SLURM_JOB_ID="9")
    assert not recalled(lab, **environment)


def test_other_words_are_another_request(lab):
    assert not recalled(lab, "scale=0.5") and not recalled(lab, "step=0.1")


def test_another_processor_another_package_and_another_library_are_noticed(lab, tmp_path):
    processor = RECALL.replace("print(", "memo.instruction_set = lambda: 'other'\nprint(")
    card = RECALL.replace("print(", "memo.devices = lambda: ['/dev/nvidia0']\nprint(")
    package = RECALL.replace("print(", "from implicit_bias import sources\nsources._ours = lambda: [__import__('os').__file__]\nprint(")
    for script in (processor, card, package):
        done = python(lab, script)
        assert done.stdout == "False False\n", done.stderr
    (tmp_path / "other-1.0.dist-info").mkdir()
    done = python(lab, RECALL, PYTHONPATH=os.pathsep.join([str(ROOT), str(tmp_path)]))
    assert done.stdout == "False False\n"


def test_a_tile_that_is_damaged_or_gone_is_computed_again(lab):
    (tile,) = (lab / "results/mine/tiles").glob("*.safetensors")
    good = tile.read_bytes()
    for bad in (good[:-1] + bytes([good[-1] ^ 1]), good[:-9], b"", None):
        tile.unlink()
        if bad is not None:
            tile.write_bytes(bad)
        assert not recalled(lab)
        tile.write_bytes(good)
    assert recalled(lab)


def test_a_memo_that_is_torn_edited_or_of_another_format_is_none(lab):
    (path,) = (lab / "results/mine/memo").glob("*.json")
    good = path.read_text()
    body = json.loads(good)
    forged = json.dumps({**body, "plan": "0123456789abcdef.json"})
    other = json.dumps({**body, "format": 0})
    for bad in (good[:-20], "", "[]", "null", "{}", "\0", forged, other, "[" * 100_000, good.replace("mine.py", "mine2.py")):
        path.write_text(bad)
        assert not recalled(lab)
    path.write_text(good)
    assert recalled(lab)


def test_a_plan_that_is_edited_is_not_recalled(lab):
    (plan,) = (lab / "results/mine/plans").glob("*.json")
    good = plan.read_bytes()
    plan.write_bytes(good.replace(b"0.5", b"0.7"))
    assert not recalled(lab)
    plan.write_bytes(good)
    assert recalled(lab)


def test_an_edited_claim_is_judged_and_not_traced(lab, edited):
    edited("words.py", "- 9", "- 0")
    for command in ("check", "report"):
        done = python(lab, COMMAND, command, "mine.py")
        assert done.returncode == (command == "check"), done.stderr
    assert "refuted, EXPECTED SUPPORTED" in python(lab, COMMAND, "check", "mine.py").stdout
    assert "refuted, expected supported" in (lab / "results/mine/report.html").read_text()
    edited("words.py", "- 0", "- 9")
    assert python(lab, COMMAND, "report", "mine.py").returncode == 0
    assert "refuted, expected supported" not in (lab / "results/mine/report.html").read_text()


def test_verdicts_that_are_edited_by_hand_are_judged_again(lab):
    (path,) = (lab / "results/mine/verdicts").glob("*.json")
    good = path.read_text()
    for bad in (good.replace('"supported"', '"refuted"'), good[:-9], "", "[]", "7", "[" * 100_000):
        path.write_text(bad)
        done = python(lab, COMMAND, "check", "mine.py")
        assert done.returncode == 0 and "it-moves" in done.stdout and "refuted" not in done.stdout, done.stderr
        assert "Traceback" not in done.stderr
        assert json.loads(path.read_text())["verdicts"][0]["verdict"] == "supported"
    path.write_text(good)


def test_status_and_the_index_read_verdicts_and_say_when_they_are_not_true_any_more(lab, edited):
    index = lab / "results/index.html"
    stale = "not judged since its results or its code changed"
    done = python(lab, COMMAND, "status", "mine.py")
    assert "verdicts   1, all as expected" in done.stdout and "no JAX" in done.stderr, done.stderr
    edited("words.py", "- 9", "- 8")
    done = python(lab, COMMAND, "status", "mine.py")
    assert stale in done.stdout and "no JAX" in done.stderr, done.stderr
    script = """from pathlib import Path
from implicit_bias import catalogue, pages
mine = catalogue.find("mine.py")
pages.catalogue.find = lambda name: mine
pages.write_index(Path("results"))
import sys; print("jax" in sys.modules)"""
    assert python(lab, script).stdout == "False\n" and stale in index.read_text()
    edited("words.py", "- 8", "- 9")
    assert python(lab, script).stdout == "False\n" and stale not in index.read_text()
    assert "All verdicts are as expected" in index.read_text()


ASKS = {
    "a variable": "import os\nSTEP = float(os.environ.get('STEP', 0.1))",
    "a clock": "import time\nSTEP = 0.1",
    "a folder": "from pathlib import Path\nSTEP = 0.1 * len([*Path('.').glob('mine.py')])",
}


@pytest.mark.parametrize("asks", ASKS.values(), ids=ASKS)
def test_code_that_asks_the_world_is_never_remembered(lab, edited, asks):
    from implicit_bias import sources

    edited("helper.py", "STEP = 0.1", asks)
    assert sources._asks_the_world(str(lab / "helper.py"))
    assert not sources._asks_the_world(str(lab / "words.py"))


def test_a_file_that_changes_after_it_was_loaded_is_not_taken_for_what_was_loaded(lab, edited):
    script = """import pathlib, sys
from implicit_bias import catalogue, sources
with sources.listening():
    catalogue.load(catalogue.find("mine.py"))
here = pathlib.Path.cwd()
print(sources.taken(here) is not None)
(here / "{file}").write_text((here / "{file}").read_text() + "\\n")
print(sources.taken(here) is not None)"""
    for file in ("words.py", "labels.txt"):
        edited(file, "\n", "\n")
        done = python(lab, script.format(file=file))
        assert done.stdout == "True\nFalse\n", (file, done.stdout, done.stderr)


def test_a_saved_file_is_judged_again_while_it_is_watched(lab, edited):
    """Until Ctrl-C, which the terminal tells to the whole group."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(lab / "cache")}
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "check", "mine.py", "--watch"], cwd=lab, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip

    def until(stream, *words):
        for line in stream:
            if all(word in line for word in words):
                return
        raise AssertionError((words, process.communicate()))

    until(process.stdout, "it-moves", "supported")
    until(process.stderr, "watching")
    edited("words.py", "- 9", "- 0")
    until(process.stdout, "it-moves", "refuted, EXPECTED SUPPORTED")
    until(process.stderr, "watching")
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in err, err


def test_the_script_that_was_started_is_no_source(tmp_path, monkeypatch):
    """The launcher that pip writes asks for `sys.argv`: by its second name it made every verdict true for nobody."""
    import types

    from implicit_bias import sources

    launcher = types.ModuleType("__mp_main__")
    (tmp_path / "implicit-bias").write_text("import sys\n")
    launcher.__file__ = str(tmp_path / "implicit-bias")
    monkeypatch.setitem(sys.modules, "__mp_main__", launcher)
    assert launcher.__file__ not in sources._modules(tmp_path).values()
