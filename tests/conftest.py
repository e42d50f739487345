"""Strict JAX for every test: float64, no silent promotion of ranks or dtypes, two CPU devices, one BLAS thread.

Programs are compiled quickly and not as shipped, but where a test asks for it (`compiled.py`).

Warnings are errors (pyproject.toml). What optax promotes inside its own rules is let through by `cases.let_promote`.
"""

import os
import re
import shutil
import signal
import tempfile

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the bits of an SVD depend on the number of threads

from tests import compiled  # noqa: E402

compiled.quickly()

import jax  # noqa: E402
import pytest  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

from tests import typechecked  # noqa: E402, F401

# Each test is also a test of the shapes and types that the package's signatures promise.
install_import_hook("implicit_bias", "tests.typechecked.typechecker")

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_num_cpu_devices", 2)


# A shell's background ignores Ctrl-C, and so would every command that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests build the same programs again and again, in several processes: each is compiled once a session.
_cache = os.environ.setdefault("IMPLICIT_BIAS_TEST_CACHE", tempfile.mkdtemp(prefix="implicit-bias-compiled-"))
jax.config.update("jax_compilation_cache_dir", _cache)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.01)


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        shutil.rmtree(_cache, ignore_errors=True)


ALONE = {"test_faults.py", "test_pair.py", "test_settings.py", "test_studies.py", "test_wu2020.py", "test_diagonal_papers.py"}
"""Files whose tests share nothing but a study."""


def group_of(nodeid: str) -> str:
    """Tests of one group have one process: it makes what those of a file share once, and what it has compiled serves all.

    Those of the cluster are one group: they wait for SLURM most of the time, and other processes compute meanwhile.

    >>> group_of("tests/cluster/test_slurm.py::test_requeue"), group_of("tests/dynamics/test_flow.py::test_invariant[Polar]")
    ('cluster', 'tests/dynamics/test_flow.py')
    >>> group_of("tests/test_studies.py::test_falls[wu2020/path-closer]"), group_of("tests/test_pair.py::test_an_error")
    ('tests/test_studies.py wu2020/path', 'tests/test_pair.py::test_an_error')
    """
    path = nodeid.partition("::")[0]
    if "cluster" in path.split("/"):
        return "cluster"
    if path.rpartition("/")[2] not in ALONE:
        return path
    study = re.search(r"\[(\w+/\w+)", nodeid)
    return f"{path} {study[1]}" if study else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """On several processes (`-n 2`) tests are dealt by groups, in their order here."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroups(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group_of(nodeid)

    config.option.loadscopereorder = False
    return ByGroups(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Those of the cluster come first, and slow ones before others, so that processes end together."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: ("cluster" not in item.path.parts, item.get_closest_marker("slow") is None))


@pytest.fixture(scope="module")
def as_shipped():
    """The blocks of a module are compiled as a user's."""
    with compiled.as_shipped():
        yield


PRECISIONS = {"float32": False, "float64": True}


@pytest.fixture(params=PRECISIONS)
def precision(request):
    with jax.enable_x64(PRECISIONS[request.param]):
        yield request.param
