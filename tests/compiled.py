"""How the programs of the tests are compiled: quickly, or as they are shipped.

Most of the time of a test goes into compiling small programs that run for milliseconds. XLA's own emitters without
LLVM's optimisations give the same numbers to rounding in a fifth of the time (3.1 -> 0.6 s for a block of
wu2020/robustness), and so most tests use them. What is promised to the bit is also shown of the programs that users
run: modules with the fixture `as_shipped`, and attacks with `shipped=True`. IMPLICIT_BIAS_TEST_SHIPPED=1 asks it of all.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

QUICK = (
    "--xla_backend_optimization_level=0",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",
)
SHIPPED = {
    "xla_backend_optimization_level": 3,
    "xla_cpu_use_fusion_emitters": True,
    "xla_cpu_parallel_codegen_split_count": 32,
}
"""What XLA does where nothing is said: `tests/sweep/test_bits.py` sees that it is."""


def quickly() -> None:
    """This process and those that it starts, before JAX makes a device. A GPU's programs are compiled as shipped."""
    flags = os.environ.get("XLA_FLAGS", "").split()
    gpu = os.environ.get("JAX_PLATFORMS") != "cpu" and any(Path("/dev").glob("nvidia[0-9]*"))
    if not gpu and not os.environ.get("IMPLICIT_BIAS_TEST_SHIPPED") and QUICK[0] not in flags:
        os.environ["XLA_FLAGS"] = " ".join([*flags, *QUICK])


def shipped_environment() -> Mapping[str, str]:
    """That of a process whose programs are compiled as a user's."""
    flags = [flag for flag in os.environ.get("XLA_FLAGS", "").split() if flag not in QUICK]
    return {**os.environ, "XLA_FLAGS": " ".join(flags)}


@contextlib.contextmanager
def as_shipped() -> Iterator[None]:
    """The blocks of this process; nothing that was compiled otherwise is used."""
    from implicit_bias.sweep.program import code, fingerprint

    kept = fingerprint.compiler_options

    def options(device, once=False):
        if device.platform != "cpu":
            return kept(device, once)
        return {**SHIPPED, **kept(device), **(fingerprint.ONCE if once else {})}

    for module in (code, fingerprint):
        module.compiler_options = options
    code._kept.clear()
    try:
        yield
    finally:
        for module in (code, fingerprint):
            module.compiler_options = kept
        code._kept.clear()
