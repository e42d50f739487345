"""Results that stay: STUDY means the study's own grid, STUDY@NAME what was named, and nothing takes the place of another."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import implicit_bias as ib
from implicit_bias import catalogue
from implicit_bias.cli import main
from implicit_bias.sweep.ask import names
from implicit_bias.sweep.keep.store import Store
from tests.faults import readable
from tests.test_cli import run

pytestmark = pytest.mark.slow


OTHER = ["seed=0..1", "scale=1"]


def furnish():
    """A small study of one's own here: `laptop` is 4 runs, `paper` 6, `fine` 4 of others, and one exploration of 2."""
    folder = Path.cwd()
    assert main(["new", "me/lemma"]) == 0
    path = folder / "experiments/me/lemma.py"
    text = path.read_text()
    grids = re.search(r"grids=ib\.grid\(.*?\),\n", text, re.S)[0]
    small = 'grids=ib.grid(seed=range(2), scale=[0.2, 1.0]),\n    sizes={"paper": dict(seed=range(3))},\n'
    path.write_text(text.replace(grids, small))
    for words in ([], ["--size", "paper"], ["scale=0.5,2", "--as", "fine"], OTHER):
        assert main(["run", "me/lemma", *words]) == 0


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.chdir(tmp_path_factory.mktemp("lab"))
    furnish()
    yield Path.cwd()
    patch.undo()


def runs(target):
    return int((ib.open(target).status >= 0).sum())


def plans():
    return {p.name: p.stat().st_size for p in Path("results/me/lemma/plans").iterdir()}


def test_a_study_means_its_own_grid_whatever_was_asked_for_since(lab, capsys):
    folder = "results/me/lemma"
    assert [runs(f"{folder}{name}") for name in ("", "@laptop", "@paper", "@fine")] == [4, 4, 6, 4]
    code, out, _ = run(capsys, "status", "me/lemma")
    assert code == 0 and "4 of 4 runs done (laptop)" in out and "6 runs --size paper" in out
    assert re.search(r"@fine +\d{4}-\d\d-\d\d \d\d:\d\d 4 runs scale=0.5,2", out)
    (digest,) = re.findall(r"@([0-9a-f]{9}) +\S+ \S+ 2 runs scale=1 seed=0..1$", out, re.M)
    assert runs(f"{folder}@{digest}") == 2
    for target, count in ("me/lemma", 4), ("me/lemma@fine", 4), (f"me/lemma@{digest}", 2), (f"{folder}@paper", 6):
        code, out, _ = run(capsys, "check", target)
        assert code == 0 and f"{count} of {count}" in out
        code, out, _ = run(capsys, "report", target)
        page, index = (Path(line) for line in out.split())
        assert f"{count} of {count} runs computed" in page.read_text() and page.is_relative_to(folder)
        linked = re.findall('href="(me/lemma[^"#]*)', index.read_text())
        assert {*linked} == {"me/lemma/report.html"}
    assert len(list(Path(folder).rglob("report.html"))) == 4 and Path(folder, "report.html").is_file()


def test_every_printed_command_asks_for_what_it_stands_beside(lab, capsys):
    """On pages and after `go on with`: the same plan, and so the same result, for every kind of request."""
    before = plans()
    commands = set()
    for page in Path("results/me/lemma").rglob("report.html"):
        (command,) = re.findall(r'id="how-to-reproduce">.*?<pre[^>]*>([^<]*)</pre>', page.read_text())
        commands.add(command)
        run(capsys, *shlex.split(command.replace("&#x27;", "'"))[1:])
        assert plans() == before and command.startswith("implicit-bias run me/lemma")
    assert commands == {
        "implicit-bias run me/lemma", "implicit-bias run me/lemma --size paper",
        "implicit-bias run me/lemma scale=0.5,2 --as fine", "implicit-bias run me/lemma scale=1 seed=0..1",
    }  # fmt: skip
    store = Store("results/me/lemma")
    for plan in store.plans.iterdir():
        (tile, *_) = (t for tiles in json.loads(plan.read_text())["tiles"] for t in tiles)
        kept = store.path(tile).read_bytes()
        store.path(tile).unlink()
        (command,) = re.findall("go on with: (.*)", run(capsys, "status", str(plan))[1])
        assert command in commands
        assert run(capsys, *shlex.split(command)[1:])[0] == 0
        assert {*plans()} == {*before} and "go on with" not in run(capsys, "status", str(plan))[1]
        store.path(tile).write_bytes(kept)  # others hold it too


def test_a_name_is_given_once_and_to_what_it_says(lab, capsys):
    before = plans()
    for words, said in {
        ("seed=0", "--as", "fine"): "as: 'fine' is the result of scale=0.5,2; choose another name, or `implicit-bias rm me/lemma@fine` first",
        ("seed=0", "--as", "paper"): "choose another name",
        ("seed=0", "--as", "a/b"): "as: 'a/b' is no name of a result",
        ("seed=0", "--as", "0123"): "a letter first",
    }.items():
        code, _, err = run(capsys, "run", "me/lemma", *words)
        assert code == 2 and err.count("\n") == 1 and said in err, err
    code, _, err = run(capsys, "check", "me/lemma@fin")
    assert code == 2 and err == "error: RESULT: me/lemma has no result 'fin'; did you mean 'fine'?\n"
    assert plans() == before


def test_two_results_side_by_side(lab, capsys):
    code, out, _ = run(capsys, "compare", "me/lemma", "me/lemma@fine")
    assert code == 0 and "me/lemma@fine: 4 runs, scale=0.5,2" in out and "0 verdicts of 1 differ" in out
    code, _, err = run(capsys, "compare", "me/lemma", "elsewhere/me/lemma@no")
    assert code == 2 and err.count("\n") == 1


def test_what_is_removed_is_that_and_nothing_else(lab, capsys):
    """The name first, then the runs that no other result holds: `laptop` shares its runs with `paper`."""
    store = Store("results/me/lemma")
    assert run(capsys, "run", "me/lemma", "scale=0.5,3", "--as", "gone")[0] == 0
    tiles = set(store.names())
    code, out, _ = run(capsys, "rm", "me/lemma@gone")
    assert code == 0 and "has no result 'gone' any more" in out and set(store.names()) == tiles
    assert not (store.folder / "at/gone").exists()
    (digest,) = re.findall("@([0-9a-f]{9})", out)
    code, out, _ = run(capsys, "rm", f"me/lemma@{digest}", "--tiles")
    assert code == 0 and "removed" in out and set(store.names()) < tiles
    for target, said in {
        "me/lemma@laptop": "write --tiles", "me/lemma": "names no result", "me/lemma@gone": "has no result 'gone'",
    }.items():  # fmt: skip
        code, _, err = run(capsys, "rm", target)
        assert code == 2 and said in err and err.count("\n") == 1
    assert [runs(f"results/me/lemma{name}") for name in ("", "@paper", "@fine")] == [4, 6, 4]


def test_a_study_of_ones_own_is_one_like_others(lab, capsys):
    assert any("me/lemma" in line for line in run(capsys, "list")[1].splitlines())
    assert "me/lemma" in run(capsys, "status")[1]
    code, out, _ = run(capsys, "report")
    assert code == 0 and "me/lemma/report.html" in Path("results/index.html").read_text()




def test_results_of_before_there_were_names(tmp_path):
    """The newest plan of the study's own grid is `laptop`; what was asked for with words is not."""
    store = Store(tmp_path)
    store.prepare()
    for digest, settings in ("a" * 16, {}), ("b" * 16, {"seed": "0"}):
        document = {**readable.document(), "request": {"settings": settings, "size": "laptop"}}
        (store.plans / f"{digest}.json").write_text(json.dumps(document))
    assert names.meant(store).stem == "a" * 16 and [p.stem for p in names.explorations(store)] == ["b" * 16]
    (tmp_path / "names").mkdir()
    (tmp_path / "names/laptop.json").write_text("torn")
    with pytest.raises(ib.Mistake, match="is no name of a result"):
        names.named(store)


def test_the_command_of_a_worst_run_is_of_one_run(tmp_path, monkeypatch):
    """With the result's name and its folder; none where the worst is a point of several runs, or where Python asked."""
    monkeypatch.chdir(tmp_path)
    store = Store("elsewhere/mine")
    store.prepare()
    document = {**readable.document(), "request": {"settings": {"rows": "3"}, "size": "laptop", "study": "mine.py"}}
    plan = store.plans / f"{'a' * 16}.json"
    plan.write_text(json.dumps(document))
    where = {"seed": 0, "method": "wn", "scale": 0.1, "record": 4}
    names.give(store, "fine", plan)
    said = names.replay(store, "fine", document, where)
    assert said == "implicit-bias replay mine.py@fine seed=0 method=wn scale=0.1 --out elsewhere"
    assert names.replay(store, "fine", document, {"seed": 0, "method": "wn"}) is None
    assert names.replay(store, "fine", {**document, "request": None}, where) is None
    assert names.again(store, plan, document) == "implicit-bias run mine.py rows=3 --as fine --out elsewhere"


def test_what_another_name_means_is_not_removed(lab, capsys):
    """A second name of the own grid: to remove it with its runs takes the name alone; and its digest is no way around."""
    assert run(capsys, "run", "me/lemma", "seed=0..1", "scale=0.2,1", "--as", "twin")[0] == 0
    store = Store("results/me/lemma")
    twin, own = names.meant(store, "twin"), names.meant(store, "laptop")
    assert twin == own  # the same grid in other words
    tiles = store.names()
    code, _, err = run(capsys, "rm", f"me/lemma@{own.stem[:9]}", "--tiles")
    assert code == 2 and "is what me/lemma@laptop means" in err
    code, out, _ = run(capsys, "rm", "me/lemma@twin", "--tiles")
    assert code == 0 and "its runs are those of me/lemma@laptop, and stay" in out
    assert store.names() == tiles and runs("results/me/lemma") == 4 and Path("results/me/lemma/report.html").is_file()
    assert "twin" not in names.named(store)


def test_results_are_opened_by_the_name_of_their_study(lab):
    assert [runs(name) for name in ("me/lemma", "me/lemma@paper", "me/lemma@fine")] == [4, 6, 4]
    with pytest.raises(ib.Mistake, match="did you mean 'fine'"):
        ib.open("me/lemma@fin")


def test_in_python_a_name_is_given_once_too(lab, tmp_path):
    study = catalogue.load(catalogue.find("me/lemma"))
    study.run(out=tmp_path, as_="few", seed=0)
    study.run(out=tmp_path, as_="few", seed=0)
    with pytest.raises(ib.Mistake, match="'few' is the result of"):
        study.run(out=tmp_path, as_="few", seed=1)
    assert runs(f"{tmp_path}@few") == 2


def test_reproduce_judges_the_size_that_it_computed(lab, capsys):
    """Not `laptop`, which the folder means."""
    code, out, err = run(capsys, "reproduce", "me/lemma", "--size", "paper")
    assert code == 0 and "6 of 6" in out and "all 6 runs of 1 studies are done" in out


def test_a_claim_is_cited_with_the_verdict_of_the_result_that_is_named(lab, capsys):
    claim = "orthogonal-part-shrinks"

    def command(*words):  # verdicts are kept by processes of their own: this one has loaded the tests, too
        told = subprocess.run([sys.executable, "-m", "implicit_bias", *words], capture_output=True, text=True, check=True)
        return told.stdout

    assert "not judged" in command("cite", f"me/lemma:{claim}")
    command("check", "me/lemma@paper")
    out = command("cite", f"me/lemma@paper:{claim}")
    assert "\n  supposing |g| grew\n" in out and "supposing $|g|$ grew, (" in out
    assert "supported: 6 of 6 runs inside its hypotheses tested, 0 outside" in out
    assert "  results/me/lemma/at/paper/report.html#claim-orthogonal-part-shrinks\n" in out
    assert "$|w_\\perp|$ has shrunk''" in out and f"\\cite[\\texttt{{me/lemma@paper:{claim}}}]" in out and "@software{" in out
    code, _, err = run(capsys, "cite", f"me/lemma@papre:{claim}")
    assert code == 2 and "did you mean 'paper'" in err and err.count("\n") == 1
