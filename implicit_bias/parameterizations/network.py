r"""Networks as parameterizations: weights -> the function x -> f(x; weights), a predictor that is called on a batch.

    network(m)                   m a flax linen module, or `lambda key: m` with an nnx or equinox module, or (init, apply)
    mlp(hidden, activation)      W_L phi(... phi(W_1 x + b_1) ...) + b_L, W ~ N(0, 1/inputs of the layer)
    RowNormalised(net, blocks)   the rows of some blocks divided by their norms: weight normalisation, with or without gains

The weights are a plain tree; each array's label is the name of its uppermost block, so that a rate may speak of it
(`rates={"layer3": 0.0}` freezes one). `scale` multiplies the first weights, and may be an axis; `start` changes them:
`aligned(noise)` makes all rows of a matrix alike, `row_norm(s)` gives each row the norm s.

A row of a matrix of shape [inputs, outputs] (flax; `mlp`) is what makes one output: a column of the array. Equinox has
[outputs, inputs].
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Key, PyTree

from .._errors import Mistake
from .._keys import SeedKey, stream
from .._types import Pred, Requirements, ScalarLike, Theta
from ..problems.base import AbstractProblem
from .base import AbstractParameterization, finite_scale

Init = Callable[[Key[Array, ""], Array, int | None], PyTree]
Apply = Callable[[PyTree, Array], Array]


class Function(eqx.Module):
    """x -> f(x; weights), for inputs with an axis of examples first."""

    weights: PyTree
    apply: Apply = eqx.field(static=True)

    def __call__(self, inputs: ArrayLike) -> Array:
        return self.apply(self.weights, jnp.asarray(inputs))


class Network(AbstractParameterization):
    make: Init = eqx.field(static=True)
    apply: Apply = eqx.field(static=True)
    scale: ScalarLike = 1.0
    start: tuple[Callable[[PyTree, Key[Array, ""]], PyTree], ...] = ()

    def init(self, problem: AbstractProblem, key: SeedKey) -> Theta:
        if not hasattr(problem, "inputs"):
            raise Mistake("network", f"has no inputs in a {type(problem).__name__}", "give it an ib.supervised problem")
        weights = self.make(stream(key, "weights"), problem.inputs[:1], problem.outputs)
        _check(weights, self.apply, problem.inputs[:1])
        for number, change in enumerate(self.start):
            weights = change(weights, stream(key, f"start {number}"))
        return jax.tree.map(lambda w: self.scale * w, weights)

    def __call__(self, theta: Theta) -> Pred:
        return Function(theta, self.apply)

    def labels(self, theta: Theta) -> PyTree[str]:
        return jax.tree_util.tree_map_with_path(lambda path, _: block_of(path), theta)

    def pullback(self, point: PyTree, cotangent: Pred) -> PyTree:
        return cotangent.weights

    def requirements(self) -> Requirements:
        asked = [change.requirements() for change in self.start if isinstance(change, RowNorm)]
        return functools.reduce(operator.or_, asked, finite_scale(self.scale))


def _word(entry: Any) -> str:
    return str(next(v for v in (getattr(entry, a, None) for a in ("name", "key", "idx")) if v is not None))


def block_of(path: Sequence[Any]) -> str:
    """The name of the uppermost block of an array of the weights."""
    return _word(path[0]) if path else "weights"


def name_at(path: Sequence[Any]) -> str:
    """`layer1/kernel`"""
    return "/".join(map(_word, path))


def _check(weights: PyTree, apply: Apply, inputs: Array) -> None:
    """Numbers of the study's own precision, and a function of weights and inputs alone."""
    due = jnp.zeros(()).dtype
    leaves = jax.tree_util.tree_flatten_with_path(weights)[0]
    if not leaves:
        raise Mistake("network", "has no weights", "give one that is trained")
    for path, leaf in leaves:
        if leaf.dtype != due:
            asks = "write param_dtype=float in its layers" if due == jnp.float64 else "make its weights float32"
            other = "float32" if due == jnp.float64 else "float64"
            raise Mistake(
                "network", f"has weights of {leaf.dtype} ({name_at(path)}) in a study of {due}",
                f"{asks}, or say precision={other!r} in the study",
            )  # fmt: skip
    try:
        jax.eval_shape(apply, weights, inputs)
    except Mistake:
        raise
    except Exception as error:
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        remedy = "give one that takes a batch of inputs and nothing else"
        if any(word in str(error).lower() for word in ("rng", "key")):
            remedy = "leave out what draws as it is applied (dropout)"
        raise Mistake("network", f"cannot be applied to inputs of shape {inputs.shape}: {said}", remedy) from error


# -- where networks come from ------------------------------------------------------------------------------------------


def network(
    module: Any,
    *,
    scale: ScalarLike = 1.0,
    start: Sequence[Callable[[PyTree, Key[Array, ""]], PyTree]] = (),
) -> Network:
    """The network of a module: flax linen's by itself, an nnx or equinox one as `lambda key: ...`, or a pair (init, apply).

    `init(key, inputs)` returns the weights and `apply(weights, inputs)` the outputs, `inputs` being a batch.

    >>> pair = (lambda key, x: {"w": jax.random.normal(key, x.shape[1:])}, lambda theta, x: x @ theta["w"])
    >>> from implicit_bias.problems.supervised import supervised
    >>> net = network(pair, scale=0.0)
    >>> net(net.init(supervised(jnp.ones((3, 2)), jnp.ones(3)), 0))(jnp.ones((1, 2))).tolist()
    [0.0]
    """
    if isinstance(module, tuple) and len(module) == 2:
        make, apply = module
        return Network(lambda key, inputs, outputs: make(key, inputs), apply, scale, tuple(start))
    if _is(module, "flax.linen.module", "Module"):
        make, apply = functools.partial(_linen_weights, module), functools.partial(_linen_apply, module)
        return Network(make, apply, scale, tuple(start))
    if _is(module, "flax.nnx.module", "Module") or isinstance(module, eqx.Module):
        return network(lambda key: module, scale=scale, start=start)
    if callable(module):
        built = _Built(module)
        return Network(built.weights, built.apply, scale, tuple(start))
    raise Mistake(
        "network", f"cannot be made of a {type(module).__name__}", "give a flax or equinox module, or a pair (init, apply)"
    )


def _is(module: Any, file: str, name: str) -> bool:
    """Whether it is of a class of that library, which need not be installed (and is not imported here)."""
    return any(c.__module__ == file and c.__name__ == name for c in type(module).__mro__)


def _linen_weights(module: Any, key: Key[Array, ""], inputs: Array, outputs: int | None) -> PyTree:
    del outputs
    variables = dict(module.init(key, inputs))
    weights = variables.pop("params", {})
    if variables:
        _refuse_mutable(sorted(variables))
    return weights


def _linen_apply(module: Any, weights: PyTree, inputs: Array) -> Array:
    return module.apply({"params": weights}, inputs)


def _refuse_mutable(names: Sequence[str]) -> None:
    raise Mistake(
        "network", f"carries {', '.join(names)}, which change as it is applied",
        "use layers without running statistics or randomness (no batch normalisation, no dropout)",
    )  # fmt: skip


class _Built:
    """Of a function key -> module: the weights that it draws, and how the module is applied, which no key decides."""

    def __init__(self, build: Callable[[Key[Array, ""]], Any]):
        self._build = build

    def weights(self, key: Key[Array, ""], inputs: Array, outputs: int | None) -> PyTree:
        del inputs, outputs
        return _weights_of(self._build(key))

    def apply(self, weights: PyTree, inputs: Array) -> Array:
        return self._applied(weights, inputs)

    @functools.cached_property
    def _applied(self) -> Apply:
        """Of a module that is made with numbers, whoever traces meanwhile: what is no weight in it is kept."""
        with jax.ensure_compile_time_eval():
            return _apply_of(self._build(jax.random.key(0)))


def _weights_of(module: Any) -> PyTree:
    if _is(module, "flax.nnx.module", "Module"):
        from flax import nnx  # takes a second to import, and whoever made the module has it

        _, weights, others = nnx.split(module, nnx.Param, ...)
        if kinds := {type(v).__name__ for v in jax.tree.leaves(others, is_leaf=lambda v: isinstance(v, nnx.Variable))}:
            _refuse_mutable(sorted(kinds))
        return nnx.to_pure_dict(weights)
    if isinstance(module, eqx.Module):
        if any(map(_is_state, jax.tree.leaves(module, is_leaf=_is_state))):
            _refuse_mutable(["eqx.nn.State"])
        return eqx.filter(module, eqx.is_inexact_array)
    raise Mistake("network", f"is made as a {type(module).__name__}", "return a flax nnx or an equinox module")


def _apply_of(module: Any) -> Apply:
    if isinstance(module, eqx.Module):
        rest = eqx.filter(module, eqx.is_inexact_array, inverse=True)
        return lambda weights, inputs: jax.vmap(eqx.combine(weights, rest))(inputs)
    from flax import nnx

    graph, _ = nnx.split(module, nnx.Param)
    return lambda weights, inputs: nnx.merge(graph, nnx.State(jax.tree.map(nnx.Param, weights)))(inputs)


def _is_state(x: Any) -> bool:
    return isinstance(x, eqx.nn.StateIndex)


# -- a network of the house --------------------------------------------------------------------------------------------


def mlp(
    hidden: Sequence[int] = (),
    activation: Callable[[Array], Array] = jnp.tanh,
    *,
    bias: bool = False,
    scale: ScalarLike = 1.0,
    start: Sequence[Callable[[PyTree, Key[Array, ""]], PyTree]] = (),
) -> Network:
    """Layers `layer1`, `layer2`, ... with a `kernel` [inputs, outputs], N(0, 1 / inputs), and where asked a `bias`, 0.

    Inputs of several axes are laid flat; the last layer has the size that the targets ask for.
    """
    if any(not isinstance(size, Integral) or size < 1 for size in hidden):
        raise Mistake("hidden", f"must be whole numbers from 1, got {tuple(hidden)}", "give the width of each hidden layer")

    def make(key: Key[Array, ""], inputs: Array, outputs: int | None) -> PyTree:
        widths = [inputs[0].size, *hidden, outputs or 1]
        layers = {}
        for number, (fan_in, fan_out) in enumerate(zip(widths, widths[1:]), start=1):
            kernel = jax.random.normal(jax.random.fold_in(key, number), (fan_in, fan_out)) / fan_in**0.5
            layers[f"layer{number}"] = {"kernel": kernel} | ({"bias": jnp.zeros(fan_out)} if bias else {})
            if outputs is None and number == len(widths) - 1:
                layers[f"layer{number}"] = jax.tree.map(lambda w: w[..., 0], layers[f"layer{number}"])
        return layers

    def apply(weights: PyTree, inputs: Array) -> Array:
        x = inputs.reshape(inputs.shape[0], -1)
        for number in range(1, len(hidden) + 2):
            layer = weights[f"layer{number}"]
            x = x @ layer["kernel"]
            if bias:
                x = x + jnp.broadcast_to(layer["bias"], x.shape)
            if number <= len(hidden):
                x = activation(x)
        return x

    return Network(make, apply, scale, tuple(start))


# -- first weights -----------------------------------------------------------------------------------------------------


class Aligned(eqx.Module):
    """See `aligned`."""

    noise: ScalarLike
    unit_axis: int = eqx.field(static=True)

    def __call__(self, weights: PyTree, key: Key[Array, ""]) -> PyTree:
        del key

        def alike(w: Array) -> Array:
            if w.ndim < 2:
                return w
            units = jnp.moveaxis(w, self.unit_axis, 0)
            first = jnp.broadcast_to(units[:1], units.shape)
            return jnp.moveaxis(first + self.noise * (units - first), 0, self.unit_axis)

        return jax.tree.map(alike, weights)


def aligned(noise: ScalarLike, unit_axis: int = -1) -> Aligned:
    """All rows of each matrix the first one, plus `noise` times what they were apart from it (0: equal, 1: as drawn)."""
    return Aligned(noise, unit_axis)


class RowNorm(eqx.Module):
    """See `row_norm`."""

    norm: ScalarLike
    blocks: tuple[str, ...] | None = eqx.field(static=True)
    unit_axis: int = eqx.field(static=True)

    def __call__(self, weights: PyTree, key: Key[Array, ""]) -> PyTree:
        del key
        return on_rows(weights, self.blocks, lambda w: self.norm * unit_rows(w, self.unit_axis))

    def requirements(self) -> Requirements:
        return {("row_norm", "must be positive", "give a norm above 0"): jnp.asarray(self.norm) > 0}


def row_norm(norm: ScalarLike, blocks: Sequence[str] | None = None, unit_axis: int = -1) -> RowNorm:
    """Each row of the matrices of some blocks (of all, where none is named) at its direction, with the same norm."""
    return RowNorm(norm, tuple(blocks) if blocks is not None else None, unit_axis)


def row_norms(w: Array, unit_axis: int = -1) -> Array:
    """|row| of a matrix of any number of axes, with axes of length 1 kept."""
    axes = tuple(a for a in range(w.ndim) if a != unit_axis % w.ndim)
    return jnp.sqrt(jnp.sum(w * w, axis=axes, keepdims=True))


def unit_rows(w: Array, unit_axis: int = -1) -> Array:
    return w / jnp.broadcast_to(row_norms(w, unit_axis), w.shape)


def matrices(weights: PyTree, blocks: Sequence[str] | None = None) -> dict[str, Array]:
    """The matrices of the named blocks (of all, where none is named), by `block/name`; vectors have no rows."""
    leaves = jax.tree_util.tree_flatten_with_path(weights)[0]
    known = {block_of(path) for path, _ in leaves}
    if blocks is not None and (absent := [b for b in blocks if b not in known]):
        raise Mistake("blocks", f"name {absent[0]!r}, which the network does not have", f"known: {', '.join(sorted(known))}")
    return {name_at(path): w for path, w in leaves if w.ndim >= 2 and (blocks is None or block_of(path) in blocks)}


def on_rows(weights: PyTree, blocks: Sequence[str] | None, change: Callable[[Array], Array]) -> PyTree:
    """Matrices of the named blocks changed; vectors, and other blocks, as they are."""
    chosen = matrices(weights, blocks)

    def one(path: Sequence[Any], w: Array) -> Array:
        return change(w) if name_at(path) in chosen else w

    return jax.tree_util.tree_map_with_path(one, weights)


class RowWeights(NamedTuple):
    """Directions before they are normalised, and the size of each row."""

    v: PyTree
    g: PyTree


class RowNormalised(AbstractParameterization):
    """f(x; W / |row|): the rows of some blocks count by their directions alone; with `gain`, times a trained size g.

    Without gains the weights are the network's own tree. With them they are `RowWeights(v, g)`, g the rows' first norms,
    labelled `size`: what `ratio` speaks of.
    """

    inner: Network
    blocks: tuple[str, ...] | None = eqx.field(static=True, default=None)
    gain: bool = eqx.field(static=True, default=False)
    unit_axis: int = eqx.field(static=True, default=-1)

    def init(self, problem: AbstractProblem, key: SeedKey) -> Theta:
        weights = self.inner.init(problem, key)
        if not self.gain:
            return weights
        sizes = {name: row_norms(w, self.unit_axis) for name, w in matrices(weights, self.blocks).items()}
        return RowWeights(weights, sizes)

    def normalised(self, theta: Theta) -> PyTree:
        """The weights of the network."""
        if not self.gain:
            return on_rows(theta, self.blocks, lambda w: unit_rows(w, self.unit_axis))

        def one(path: Sequence[Any], w: Array) -> Array:
            g = theta.g.get(name_at(path))
            return w if g is None else jnp.broadcast_to(g, w.shape) * unit_rows(w, self.unit_axis)

        return jax.tree_util.tree_map_with_path(one, theta.v)

    def __call__(self, theta: Theta) -> Pred:
        return self.inner(self.normalised(theta))

    def labels(self, theta: Theta) -> PyTree[str]:
        if not self.gain:
            return self.inner.labels(theta)
        return RowWeights(self.inner.labels(theta.v), jax.tree.map(lambda _: "size", theta.g))

    def requirements(self) -> Requirements:
        return self.inner.requirements()
