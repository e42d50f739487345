"""What a run's bits depend on besides its program: libraries, device kind, instruction set, flags."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
from collections.abc import Mapping
from typing import Any

Fingerprint = Mapping[str, str]

_NO_EFFECT_ON_BITS = ("--xla_force_host_platform_device_count",)


def instruction_set() -> str:
    """The processor's flags, hashed: XLA compiles for what it finds, and so do OpenBLAS and pocketfft."""
    try:
        with open("/proc/cpuinfo") as file:
            flags = next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        flags = platform.processor()
    words = " ".join(sorted(flags.partition(":")[2].split()))
    return f"{platform.machine()}-{hashlib.sha256(words.encode()).hexdigest()[:12]}"


LOOPS = {"xla_cpu_prefer_vector_width": 512, "xla_cpu_copy_insertion_use_region_analysis": True}
"""Loops over short vectors of lanes: in the widest registers that there are (LLVM takes half of them, for the sake of
processors that slow down; WN at 20 x 100: 15.8 -> 11.5 ns a step), and without defensive copies, which would also push
the body of a loop with a stop rule beyond what XLA runs as one sequence (24 -> 13 ns)."""

ONCE = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 1}
"""What runs once a seed (draws, factorisations): as fast as with all that XLA can do, and compiled in half of the time
(1.9 -> 1.1 s for 20 x 50 normal numbers and an SVD)."""


def compiler_options(device: Any, once: bool = False) -> dict[str, Any]:
    """How programs are compiled: a block, or what runs once. On CPU only; what the user's XLA_FLAGS say stands.

    Part of the fingerprint, since bits depend on it.
    """
    if device.platform != "cpu":
        return {}
    said = os.environ.get("XLA_FLAGS", "")
    return LOOPS | {name: value for name, value in ONCE.items() if once and f"--{name}" not in said}


_UNKNOWN: set[str] = set()
"""Options that this jaxlib has not got (0.11.2 has one less than 0.10.2). Its version is in the fingerprint."""


def compile_with(lowered: Any, options: Mapping[str, Any]) -> Any:
    """An executable, compiled with those of the options that this jaxlib knows."""
    while True:
        known = {name: value for name, value in options.items() if name not in _UNKNOWN}
        try:
            return lowered.compile(known)
        except Exception as error:
            unknown = re.search(r"No such compile option: '(\w+)'", str(error))
            if unknown is None or unknown[1] not in known:
                raise
            _UNKNOWN.add(unknown[1])


def fingerprint() -> dict[str, str]:
    """The fingerprint of this process. Tiles of another one are refused, never mixed in."""
    import jax

    device = jax.devices()[0]
    flags = [f for f in os.environ.get("XLA_FLAGS", "").split() if not f.startswith(_NO_EFFECT_ON_BITS)]
    return {
        **{name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "scipy", "optax", "diffrax")},
        "platform": device.platform,
        "device": device.device_kind,
        "cpu": instruction_set(),
        "x64": str(bool(jax.config.jax_enable_x64)),
        "xla_flags": " ".join(sorted(flags)),
        "compiler": _written(compiler_options(device)),
        "compiler, once": _written(compiler_options(device, once=True)),
        # jaxlib calls SciPy's OpenBLAS for factorisations, whose bits depend on kernel and threads
        "openblas": f"{os.environ.get('OPENBLAS_CORETYPE', 'default')} x {os.environ.get('OPENBLAS_NUM_THREADS', 'all')}",
        **_span(),
    }


def _written(options: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(options.items()))


def _span() -> dict[str, str]:
    """Sums over several hosts are taken in another order than one host's, by another executable."""
    import jax

    processes, devices = jax.process_count(), jax.local_device_count()
    return {"span": f"{processes} processes x {devices} device{'s' * (devices > 1)}"} if processes > 1 else {}


def difference(old: Fingerprint, new: Fingerprint) -> str:
    """What changed, in words.

    >>> difference({"jaxlib": "0.10.1", "x64": "True"}, {"jaxlib": "0.10.2", "x64": "True"})
    'jaxlib 0.10.1 -> 0.10.2'
    """
    names = sorted({*old, *new})
    return ", ".join(f"{n} {old.get(n, '?')} -> {new.get(n, '?')}" for n in names if old.get(n) != new.get(n))
