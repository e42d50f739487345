r"""Random keys from (seed, stream name) only.

    (seed, name)  |->  fold_in(key(seed), crc32(name))

Every scale, ratio and law then sees the same data (common random numbers), adding an axis changes no draw, and data
and initialisation can never share a stream: a seed used for both makes `w0` parallel to a row of `A`, and every
theorem about the orthogonal part is tested on nothing.

>>> import jax
>>> data, init = stream(jax.random.key(3), "data"), stream(jax.random.key(3), "init")
>>> bool((jax.random.key_data(data) == jax.random.key_data(init)).all())
False
"""

from __future__ import annotations

import zlib

import equinox as eqx
import jax
from jaxtyping import Array, Int, Key


class SeedKey(eqx.Module):
    """What a study's cell receives as `key`: a seed, and the seeds of those streams that were given their own.

    `seed=3` sets every stream; `seed.data=0 seed=0..9` keeps the data and varies the rest.
    """

    seed: Int[Array, ""]
    overrides: dict[str, Int[Array, ""]] = eqx.field(default_factory=dict)

    def stream(self, name: str) -> Key[Array, ""]:
        return stream(jax.random.key(self.overrides.get(name, self.seed)), name)


def stream(key: SeedKey | Key[Array, ""] | int, name: str) -> Key[Array, ""]:
    """The key of one named stream. `key` is what the cell received, a JAX key, or a plain seed."""
    if isinstance(key, SeedKey):
        return key.stream(name)
    if isinstance(key, int):
        key = jax.random.key(key)
    return jax.random.fold_in(key, zlib.crc32(name.encode()))
