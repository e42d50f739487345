"""Two processes on one host compute every block together: the numbers of one process, in parts of the memory.

And every way in which one of them fails ends both, in bounded time.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

import implicit_bias as ib
from implicit_bias.cluster import distributed
from implicit_bias.cluster.span.agreement import go_on
from implicit_bias.sweep.program.fingerprint import fingerprint
from implicit_bias.cluster.span.execute import execute_spanning
from implicit_bias.sweep.keep.store import Store

from .spanning import CELLS, COLUMNS, ROWS, WIDTH, study

LIMIT = 300.0
"""Seconds that a pair of processes may last on a busy machine."""


@pytest.fixture
def port():
    return _port()


def _port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _pair(act, folder):
    """Both processes of a pair, started together."""
    port, environ = _port(), {**os.environ, "XDG_CACHE_HOME": os.environ["IMPLICIT_BIAS_TEST_CACHE"]}
    words = [sys.executable, "-m", "tests.sweep.spanning", act]
    return [
        subprocess.Popen(
            [*words, str(process), str(port), str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
        )
        for process in range(2)
    ]


def _await_start(pair):
    """Until both say so; the collectives have lines of their own, now and then."""
    for process in pair:
        assert "begun\n" in iter(process.stdout.readline, "")


def _end(*processes):
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def spanned(tmp_path_factory):
    """(folder, what each of two processes tells)."""
    folder = tmp_path_factory.mktemp("spanned")
    pair = _pair("compute", folder)
    try:
        said = [process.communicate(timeout=LIMIT) for process in pair]
    finally:
        _end(*pair)
    assert [process.returncode for process in pair] == [0, 0], said
    return folder, [json.loads(out.splitlines()[-1]) for out, _ in said]


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_two_processes_compute_what_one_does(spanned, cell):
    """The same steps; numbers to rounding, since sums are taken in another order."""
    here, there = study(cell).run(width=WIDTH), ib.open(spanned[0] / cell)
    np.testing.assert_array_equal(there.steps, here.steps)
    np.testing.assert_array_equal(there.status, here.status)
    for name in ("loss", "norm", "x"):
        largest = np.abs(here[name].values).max()
        np.testing.assert_allclose(there[name].values, here[name].values, rtol=1e-10, atol=1e-10 * largest)


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_as_large_as_A_is_split(spanned, cell):
    """Each process holds half of it, and nothing as large is gathered while the problem is made."""
    for told in spanned[1]:
        parts = told[cell]["parts"]
        assert ROWS * COLUMNS * 8 in [whole for _, whole in parts]
        assert all(2 * part == whole for part, whole in parts)
        shapes = [np.prod([int(n) for n in shape.split(",")]) for shape in told[cell]["gathered"]]
        assert max(shapes) <= COLUMNS


@pytest.mark.parametrize("cell", CELLS)
def test_one_process_alone_writes_and_tells(spanned, cell):
    zero, one = (told[cell] for told in spanned[1])
    assert zero["written"] == one["written"] == len(Store(spanned[0] / cell).names()) == 2
    assert (zero["told"], one["told"]) == ([3, 6], [])


def test_the_tiles_are_of_a_fingerprint_of_their_own(spanned):
    folder, (told, _) = spanned
    assert told["fingerprint"]["span"] == "2 processes x 1 device"
    for name in Store(folder / "own").names():
        assert Store(folder / "own").read(name).fingerprint == told["fingerprint"]
    assert fingerprint() == {mark: value for mark, value in told["fingerprint"].items() if mark != "span"}
    with pytest.raises(ib.Mistake, match=r"another fingerprint \(.*span 2 processes x 1 device -> \?.*--out"):
        study("own").run(out=folder / "own", width=WIDTH)


def test_processes_that_would_compute_different_things_are_refused(spanned):
    for told in spanned[1]:
        assert told["another plan"].startswith("span: process 0 and process 1 differ: plan ")


def test_a_requirement_is_asked_before_the_first_step(spanned):
    for told in spanned[1]:
        assert "stationary point" in told["own"]["requirement"] and told["rewritten"]["requirement"] is None


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_other(tmp_path):
    pair = zero, one = _pair("last", tmp_path)
    try:
        _await_start(pair)
        while not (tmp_path / "endless" / "plans").is_dir():
            time.sleep(0.1)
        time.sleep(1.0)
        one.send_signal(signal.SIGKILL)
        _, said = zero.communicate(timeout=LIMIT)
    finally:
        _end(*pair)
    assert zero.returncode == 2
    assert said.startswith("error: peer: ") and said.count("\n") == 1


@pytest.mark.slow
def test_an_interrupt_ends_both(tmp_path):
    pair = zero, one = _pair("last", tmp_path)
    try:
        _await_start(pair)
        zero.send_signal(signal.SIGINT)
        assert zero.wait(timeout=LIMIT) == 130
        assert one.wait(timeout=LIMIT) != 0
    finally:
        _end(*pair)


# -- joining, in this process: none of these reaches JAX -------------------------------------------------------------------


def join(coordinator, environ=None, **options):
    distributed.join(coordinator, environ or {}, **{"process": 1, "processes": 2, "patience": 0.5, **options})


@pytest.mark.parametrize("process", [0, 1])
def test_a_name_that_does_not_resolve_is_one_line(process):
    with pytest.raises(ib.Mistake, match="coordinator: 'no-such-host.invalid' does not resolve"):
        join("no-such-host.invalid:7777", process=process)


def test_a_coordinator_that_does_not_answer_is_one_line(port):
    with pytest.raises(ib.Mistake, match="coordinator: nothing answers at .* after 0.5 s; start process 0"):
        join(f"127.0.0.1:{port}")


def test_a_coordinator_that_hangs_up_is_one_line(port):
    """Process 0 of three waits for two and gets one who counts differently: each says so."""
    import threading

    said = []

    def zero():
        with pytest.raises(ib.Mistake, match=r"process 1, 2 did not report to .* within 2 s"):
            join(f"127.0.0.1:{port}", process=0, processes=3, patience=2.0)
        said.append("zero")

    thread = threading.Thread(target=zero)
    thread.start()
    with pytest.raises(ib.Mistake, match="answered and did not let process 1 of 2 join"):
        join(f"127.0.0.1:{port}", patience=10.0)
    thread.join()
    assert said == ["zero"]


def test_a_port_that_is_taken_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(ib.Mistake, match="coordinator: cannot listen at .*choose another port"):
            join(f"127.0.0.1:{taken.getsockname()[1]}", process=0)


@pytest.mark.parametrize("coordinator", ["node", "node:", ":1", "node:0", "node:70000", "node:x"])
def test_no_address_is_one_line(coordinator):
    with pytest.raises(ib.Mistake, match="coordinator: .* is no HOST:PORT; write"):
        join(coordinator)


@pytest.mark.parametrize(
    ("environ", "options", "match"),
    [
        ({}, {"process": None}, "process: it is not known"),
        ({}, {"processes": None}, "process: it is not known"),
        ({"SLURM_PROCID": "3", "SLURM_NTASKS": "3"}, {"process": None, "processes": None}, "no process 3 of 3"),
        ({}, {"process": 0, "processes": 1}, "processes: is 1"),
    ],
)
def test_a_place_that_is_none_is_one_line(environ, options, match):
    with pytest.raises(ib.Mistake, match=match):
        join("127.0.0.1:7777", environ, **options)


def test_without_a_coordinator_it_is_that_of_slurm():
    with pytest.raises(ib.Mistake, match="coordinator: is not given, and this is no step of SLURM"):
        join(None)
    step = {"SLURM_JOB_ID": "4097", "SLURM_STEP_NODELIST": "no-such-host-[03-05].invalid"}
    with pytest.raises(ib.Mistake, match="'no-such-host-03' does not resolve"):
        join(None, step)


# -- agreement, of one process with itself --------------------------------------------------------------------------------


def test_a_single_process_spans_nothing(tmp_path):
    assert jax.process_count() == 1
    with pytest.raises(ib.Mistake, match="span: one process alone"):
        execute_spanning(study("own").plan(width=WIDTH), Store(tmp_path))


def test_all_go_on_unless_one_wishes_to_stop_or_has_failed():
    assert go_on(None, False) and not go_on(None, True)
    with pytest.raises(OSError):
        go_on(OSError(), False)
