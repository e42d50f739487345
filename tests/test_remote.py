"""Results in an object store: the same commands, the same bytes, and what a store can refuse in one line."""

import logging
import os
import shutil
import threading
import warnings
from pathlib import Path

import pytest

from implicit_bias import _files, cli
from implicit_bias.sweep.ask.names import meant
from implicit_bias.sweep.keep.store import DamagedTile, Store

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

STUDY = '''"""A study of stores."""
import implicit_bias as ib

def cell(*, scale, key, rows=3):
    return ib.Run(ib.linear.gaussian(rows, 6)(key), ib.Polar(scale), ib.Descent(1e-2, max_steps=20))

study = ib.Study(cell=cell, grids=ib.grid(seed=range(3), scale=[0.5, 1.0]), observe={"norm": ib.norm(2)})
'''


@pytest.fixture(scope="module")
def server():
    """An S3-compatible server on the loopback, with one bucket; its URL."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("s3fs")
        moto = pytest.importorskip("moto.server")
        for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "y", "DEFAULT_REGION": "us-east-1"}.items():
            patch.setenv(f"AWS_{name}", value)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        running.start()
        host, port = running.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        import boto3

        boto3.client("s3").create_bucket(Bucket="laboratory")
        yield "s3://laboratory"
        running.stop()


@pytest.fixture
def folder(server, request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(STUDY)
    return f"{server}/{request.node.name.replace('[', '-').replace(']', '')}"


def remote_tiles(folder):
    store = Store(f"{folder}/mine")
    return {f"{n}.safetensors": store.path(n).read_bytes() for n in store.names()}


@pytest.mark.slow
def test_the_way_of_a_user(folder, capsys):
    """run, run again, status, check, export, report; tiles equal those of a local folder."""
    assert cli.main(["run", "mine.py", "seed=0,1", "--out", folder]) == 0
    assert cli.main(["run", "mine.py", "--out", folder]) == 0
    assert "2 runs to compute, 4 done" in capsys.readouterr().err
    assert cli.main(["run", "mine.py", "seed=0,1"]) == cli.main(["run", "mine.py"]) == 0
    assert remote_tiles(folder) == {p.name: p.read_bytes() for p in Path("results/mine/tiles").iterdir()}
    capsys.readouterr()
    for command in ("status", "check", "report"):
        assert cli.main([command, "mine.py", "--out", folder]) == 0
    assert "6 of 6 runs done" in capsys.readouterr().out
    assert cli.main(["export", f"{folder}/mine", "--to", "table.csv"]) == 0
    assert len(Path("table.csv").read_text().splitlines()) == 7
    page = _files.place(f"{folder}/mine/report.html").read_text()
    assert page.startswith("<!DOCTYPE html>") and f"implicit-bias run mine.py --out {folder}<" in page
    assert len(_files.listed(_files.place(f"{folder}/mine/log"), ".jsonl")) == 2  # one a run


@pytest.mark.slow
def test_a_worker_does_a_plan_there(folder, capsys):
    assert cli.main(["run", "mine.py", "--out", folder]) == 0
    expected = remote_tiles(folder)
    store = Store(f"{folder}/mine")
    for name in store.names():
        store.path(name).unlink()
    assert cli.main(["work", str(meant(store)), "--worker", "1", "--of", "2"]) == 0
    assert remote_tiles(folder) == expected


@pytest.mark.slow
def test_a_damaged_object_is_set_aside(folder):
    assert cli.main(["run", "mine.py", "--out", folder]) == 0
    expected = remote_tiles(folder)
    store = Store(f"{folder}/mine")
    (name, *_) = store.names()
    _files.put(store.path(name), b"torn")
    with pytest.warns(DamagedTile, match=name):
        assert store.read_or_set_aside(name) is None
    assert (store.folder / "damaged" / f"{name}.safetensors").read_bytes() == b"torn"
    assert cli.main(["run", "mine.py", "--out", folder]) == 0
    assert remote_tiles(folder) == expected


def test_readers_see_an_object_whole_or_not_at_all(folder):
    """Two contents put in turn, read all the while: never a third."""
    path = _files.place(f"{folder}/object")
    contents = [bytes([i]) * (200_000 + i) for i in (1, 2)]
    _files.put(path, contents[0])
    seen, over = [], threading.Event()

    def read():
        reader = _files.place(f"{folder}/object")
        while not over.is_set():
            seen.append(_files.read(reader, 10**6))

    thread = threading.Thread(target=read)
    thread.start()
    for i in range(20):
        _files.put(path, contents[i % 2])
    over.set()
    thread.join()
    assert seen and set(seen) <= set(contents)


def test_a_store_that_refuses_is_one_line_and_74(folder, capsys, server):
    assert cli.main(["run", "mine.py", "--out", "s3://no-such-bucket/results"]) == 74
    err = capsys.readouterr().err
    last = err.splitlines()[-1]
    assert last.startswith("error: out: cannot write s3://no-such-bucket/") and "check the bucket" in last
    assert "Traceback" not in err


def test_an_unknown_store_is_a_mistake(folder, capsys):
    assert cli.main(["run", "mine.py", "--out", "nonsense://x"]) == 2
    assert capsys.readouterr().err.startswith("error: out: nonsense://x is no URL of a known store")


def test_without_the_extra_the_remedy_is_said(folder, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "upath", None)
    assert cli.main(["run", "mine.py", "--out", folder]) == 2
    assert "install the extra: implicit-bias[remote]" in capsys.readouterr().err


def test_a_file_url_is_a_folder(folder, tmp_path):
    assert _files.place(f"file://{tmp_path}") == tmp_path
    assert _files.is_local(_files.place("results")) and not _files.is_local(_files.place(folder))
    shutil.rmtree(tmp_path / "results", ignore_errors=True)
    assert os.environ["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
