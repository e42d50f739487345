"""The wheel, installed by pip in an empty environment outside the checkout: its launcher does what the pages say."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from .documents import DOCS, ROOT, follow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", folder, ROOT], check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_has_no_other_top_level_folder(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {top for name in names if not (top := name.partition("/")[0]).endswith(".dist-info")} == {"implicit_bias"}
    assert "implicit_bias/experiments/wu2020/robustness.py" in names


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The command that pip writes, in an environment that holds this wheel alone: (words, folder) -> what it did.

    What the wheel depends on is lent by the running environment, through a line of a .pth file, so that nothing is
    downloaded again. The line is a path and no more: the checkout, which that environment has from a .pth of its own,
    is not reached by it.
    """
    home = tmp_path_factory.mktemp("environment")
    python = home / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / "venv"], check=True, capture_output=True)
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True, capture_output=True)
    (site,) = (home / "venv" / "lib").glob("python*/site-packages")
    (site / "lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    left_out = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environment = {n: v for n, v in os.environ.items() if n not in left_out} | {"XDG_CACHE_HOME": str(home / "cache")}

    def command(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
        launcher = [python.parent / "implicit-bias", *words]
        return subprocess.run(launcher, capture_output=True, text=True, cwd=folder, env=environment, timeout=600)

    return command


@pytest.mark.slow
def test_what_runs_is_the_wheel(installed, tmp_path):
    said = (ROOT / "pyproject.toml").read_text().partition('\nversion = "')[2].partition('"')[0]
    assert installed(["--version"], tmp_path).stdout == f"implicit-bias {said}\n"
    listed = installed(["list"], tmp_path)
    assert listed.returncode == 0 and "wu2020/robustness" in listed.stdout, listed.stderr
    words = ["run", "wu2020/path", "course=gd,together", "--as", "tiny", "--out", "there"]
    run = installed(words, tmp_path)
    assert run.returncode == 0 and "path-ends-by-the-exact-law" in run.stdout, run.stdout + run.stderr
    assert (tmp_path / "there/wu2020/path/at/tiny/report.html").is_file()
    where = (tmp_path / "there/wu2020/path/names/tiny.json").read_text()
    assert str(ROOT) not in where + (tmp_path / "there/wu2020/path/log.jsonl").read_text()


@pytest.mark.slow
def test_the_tutorial_from_an_empty_folder_with_the_wheel_alone(installed, tmp_path):
    def command(words: list[str]) -> tuple[int, str]:
        done = installed(words, tmp_path)
        return done.returncode, done.stdout or done.stderr

    follow(DOCS / "tutorial.md", tmp_path, command)
    assert (tmp_path / "results/me/lemma/figures/forgets.svg").is_file()
    assert [*tmp_path.glob("*.pdf")]
    for name in ("lemma.csv", "lemma.codebook.csv", "decides.png"):
        assert (tmp_path / name).stat().st_size > 500
