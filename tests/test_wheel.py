"""An installed wheel carries the shipped studies, as implicit_bias.experiments and nowhere else."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, unpacked as pip would lay it out."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    site = folder / "site"
    zipfile.ZipFile(path).extractall(site)
    return site


def test_the_wheel_has_no_other_top_level_folder(wheel):
    assert {p.name for p in wheel.iterdir() if not p.name.endswith(".dist-info")} == {"implicit_bias"}
    assert (wheel / "implicit_bias/experiments/wu2020/robustness.py").is_file()


@pytest.mark.slow
def test_studies_and_template_are_found_from_the_wheel(wheel, tmp_path):
    def command(*argv):
        script = f"import sys; sys.path.insert(0, {str(wheel)!r}); from implicit_bias.cli import main; sys.exit(main(sys.argv[1:]))"
        return subprocess.run([sys.executable, "-I", "-c", script, *argv], capture_output=True, text=True, cwd=tmp_path)

    listed = command("list")
    assert listed.returncode == 0 and "wu2020/robustness" in listed.stdout, listed.stderr
    planned = command("plan", "wu2020/limit", "seed=0", "scale=1", "ratio=1")
    assert planned.returncode == 0 and "1 asked for, 0 done, 1 to compute" in planned.stdout, planned.stderr
    assert command("new", "mine").returncode == 0 and (tmp_path / "mine.py").is_file()
