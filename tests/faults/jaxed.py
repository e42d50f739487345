"""JAX for attacks that compute: strict as in the tests, a few CPU devices, programs compiled once and kept."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


_started: list[int] = []


def start(devices: int = 2) -> None:
    """Once a process; a later call changes nothing."""
    if _started:
        return
    _started.append(devices)
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_num_cpu_devices", devices)
    jax.config.update("jax_compilation_cache_dir", str(cache()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)


def cache() -> Path:
    """Where compiled programs are kept for the attacks of one session."""
    found = os.environ.get("IMPLICIT_BIAS_TEST_CACHE") or Path(tempfile.gettempdir()) / "implicit-bias-faults"
    Path(found).mkdir(parents=True, exist_ok=True)
    return Path(found)


def study(folder: Path, name: str = "mine") -> Path:
    """A study file in a folder of its own: the template, which takes a second."""
    from implicit_bias import catalogue

    start()
    os.environ["XDG_CACHE_HOME"] = str(cache())
    path = folder / "studies" / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(catalogue.template().read_text())
    return path
