"""Update rules: what descent does with a gradient.

The step of descent is  theta' = retract(theta - step * update),  where a law gives

    init : theta                              -> memory
    step : gradient_at, theta, memory, key    -> (update, memory)

`gradient_at(theta)` is the gradient on this step's examples, at `theta` or elsewhere; `key` is this step's own, where
`Descent(key=...)` has one. The numbers of a law are its leaves: momentum may be an axis, and compiles once.

A law is *equivariant* where rotated gradients give rotated updates: gradient descent, momentum, clipping by global
norm, coupled decay, and chains of them; rules that act on each coordinate alone (Adam) are not. A law is *relative*
where it has no memory and no scale, so that its update of the orthogonal amplitude is a multiple of the amplitude and
its logarithm is exact. Laws with equal numbers are equal.

>>> adam().equivariant, heavy_ball(0.9).equivariant, heavy_ball(0.9).relative
(False, True, False)
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key, PyTree

from .._errors import Mistake
from .._types import ScalarLike, Theta
from ..parameterizations.polar import PolarWeights

GradientAt = Callable[[Theta], PyTree]
Memory = PyTree
Labels = Callable[[PyTree], PyTree]
"""weights, or a gradient -> the label of each block"""


class AbstractLaw(eqx.Module):
    """`init` and `step`; a name is that of the class where none is given, and the two words on symmetry may be left at no."""

    name: ClassVar[str] = ""
    equivariant: ClassVar[bool] = False
    """Whether rotated gradients give rotated updates."""
    relative: ClassVar[bool] = False
    """Whether the update of an amplitude is a multiple of it, from the gradient at `theta` alone."""
    linear: ClassVar[bool] = False
    """Whether update and memory are linear in gradient, weights and memory, entry by entry, and the same at every step."""

    @abc.abstractmethod
    def init(self, theta: Theta) -> Memory: ...

    @abc.abstractmethod
    def step(
        self, gradient_at: GradientAt, theta: Theta, memory: Memory, key: Key[Array, ""] | None
    ) -> tuple[PyTree, Memory]:
        """(update, memory): descent subtracts step times the update."""

    def divisor(self, memory: Memory) -> PyTree | None:
        """The positive numbers P by which the next update divides the gradient, weight by weight; None of a law without."""
        del memory
        return None

    def labelled(self, labels: Labels) -> AbstractLaw:
        """The law as descent asks it, which says the label of each block of the weights: for laws that ask for one."""
        del labels
        return self


class Optax(AbstractLaw):
    """A rule of optax, `make(**hyper)`: the numbers of `hyper` may be traced."""

    make: Callable[..., optax.GradientTransformation] = eqx.field(static=True)
    hyper: dict[str, ScalarLike]
    word: str = eqx.field(static=True)
    rotates: bool = eqx.field(static=True, default=False)
    scales: bool = eqx.field(static=True, default=False)
    adds: bool = eqx.field(static=True, default=False)
    divides: Callable[..., PyTree] | None = eqx.field(static=True, default=None)
    """divisor = divides(memory, **hyper)"""

    @property
    def name(self) -> str:
        return self.word

    @property
    def equivariant(self) -> bool:
        return self.rotates

    @property
    def relative(self) -> bool:
        return self.scales

    @property
    def linear(self) -> bool:
        return self.adds and type(self) is Optax

    def init(self, theta: Theta) -> Memory:
        return self.make(**self.hyper).init(theta)

    def step(
        self, gradient_at: GradientAt, theta: Theta, memory: Memory, key: Key[Array, ""] | None
    ) -> tuple[PyTree, Memory]:
        del key
        return self.make(**self.hyper).update(gradient_at(theta), memory, theta)

    def divisor(self, memory: Memory) -> PyTree | None:
        return None if self.divides is None else self.divides(memory, **self.hyper)


def _named(word: str, value: ScalarLike) -> str:
    """With the number, where it is one: an axis has many."""
    return f"{word} {value:g}" if isinstance(value, (int, float)) else word


def gradient_descent() -> Optax:
    """The gradient itself."""
    return Optax(optax.identity, {}, "gradient descent", rotates=True, scales=True, adds=True)


def _trace(momentum: ScalarLike) -> optax.GradientTransformation:
    return optax.trace(momentum)


def _nesterov(momentum: ScalarLike) -> optax.GradientTransformation:
    return optax.trace(momentum, nesterov=True)


def heavy_ball(momentum: ScalarLike, nesterov: bool = False) -> Optax:
    """m' = momentum m + gradient; theta' = theta - step m'. `momentum` may be an axis."""
    make, word = (_nesterov, "Nesterov") if nesterov else (_trace, "heavy ball")
    return Optax(make, {"momentum": momentum}, _named(word, momentum), rotates=True, adds=True)


def clipped(max_norm: ScalarLike) -> Optax:
    """The gradient, shortened to `max_norm` where it is longer."""
    return Optax(optax.clip_by_global_norm, {"max_norm": max_norm}, _named("clipped at", max_norm), rotates=True)


class DecayedOn(AbstractLaw):
    rate: ScalarLike
    on: str = eqx.field(static=True)
    labels: Labels | None = None
    """Those of the parameterization, once descent has said them."""
    equivariant: ClassVar[bool] = True
    relative: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return f"{_named('decay', self.rate)} on {self.on}"

    def labelled(self, labels: Labels) -> DecayedOn:
        return DecayedOn(self.rate, self.on, labels)

    def init(self, theta: Theta) -> Memory:
        self._among(theta)
        return None

    def step(
        self, gradient_at: GradientAt, theta: Theta, memory: Memory, key: Key[Array, ""] | None
    ) -> tuple[PyTree, Memory]:
        del key

        def one(label: str, w: Array, d: Array) -> Array:
            return d + self.rate * w if label == self.on else d

        return jax.tree.map(one, self._among(theta), theta, gradient_at(theta)), memory

    def _among(self, theta: Theta) -> PyTree:
        if self.labels is None:
            raise Mistake("decayed", "acts on a label, which only descent can say", "give it to ib.Descent(law=...)")
        labels = self.labels(theta)
        known = sorted(set(jax.tree.leaves(labels)))
        if self.on not in known:
            what = f"acts on {self.on!r}, and no weights have that label"
            raise Mistake("decayed", what, f"known: {', '.join(known)}")
        return labels


def decayed(rate: ScalarLike, on: str | None = None) -> AbstractLaw:
    """Coupled decay: gradient + rate theta, the gradient of loss + rate |theta|^2 / 2; of the blocks of one label alone, `on`.

    The rates of labels are in the gradient and not in the decay: a size that `ratio=0` freezes decays, unless `on="weights"`.

    >>> decayed(0.1, on="weights").name, decayed(0.1, on="weights").equivariant
    ('decay 0.1 on weights', True)
    """
    if on is not None:
        return DecayedOn(rate, on)
    name = _named("decay", rate)
    return Optax(optax.add_decayed_weights, {"weight_decay": rate}, name, rotates=True, scales=True, adds=True)


def promoting(rule: optax.GradientTransformation) -> optax.GradientTransformation:
    """A rule that writes b ** count with a whole count, which strict promotion of dtypes refuses."""

    def update(gradient, state, weights):
        with jax.numpy_dtype_promotion("standard"):
            return rule.update(gradient, state, weights)

    return optax.GradientTransformation(rule.init, update)


def _adam(b1: ScalarLike, b2: ScalarLike, eps: ScalarLike) -> optax.GradientTransformation:
    return promoting(optax.scale_by_adam(b1, b2, eps))


def adam(b1: ScalarLike = 0.9, b2: ScalarLike = 0.999, eps: ScalarLike = 1e-8) -> Optax:
    """Each coordinate over a running root mean square of its own gradient: not equivariant under rotations."""
    return Optax(_adam, {"b1": b1, "b2": b2, "eps": eps}, "Adam", divides=_adam_divisor)


def _adam_divisor(memory: optax.ScaleByAdamState, b1: ScalarLike, b2: ScalarLike, eps: ScalarLike) -> PyTree:
    """(1 - b1^t) (sqrt(nu / (1 - b2^t)) + eps) for the running means as they are; nan before the first step."""
    count = jnp.where(memory.count > 0, memory.count.astype(float), jnp.nan)
    root = jax.tree.map(lambda nu: jnp.sqrt(nu / (1 - b2**count)) + eps, memory.nu)
    return jax.tree.map(lambda p: (1 - b1**count) * p, root)


def _rms(decay: ScalarLike, eps: ScalarLike) -> optax.GradientTransformation:
    return optax.scale_by_rms(decay, eps, eps_in_sqrt=False)


def rmsprop(decay: ScalarLike = 0.99, eps: ScalarLike = 1e-8) -> Optax:
    """Each coordinate over the running root mean square of its own gradient, without momentum."""
    return Optax(_rms, {"decay": decay, "eps": eps}, "RMSProp", divides=_rms_divisor)


def _rms_divisor(memory: optax.ScaleByRmsState, decay: ScalarLike, eps: ScalarLike) -> PyTree:
    del decay
    return jax.tree.map(lambda nu: jnp.sqrt(nu) + eps, memory.nu)


class OverSizeSquared(AbstractLaw):
    name: ClassVar[str] = "gradient descent over g^2"
    equivariant: ClassVar[bool] = True
    relative: ClassVar[bool] = True

    def init(self, theta: Theta) -> Memory:
        if not isinstance(theta, PolarWeights):
            raise Mistake("law", f"divides by g^2, and {type(theta).__name__} has no g", "use Polar or Sphere")
        return None

    def step(
        self, gradient_at: GradientAt, theta: PolarWeights, memory: Memory, key: Key[Array, ""] | None
    ) -> tuple[PolarWeights, Memory]:
        del key
        gradient = gradient_at(theta)
        inverse = 1 / (theta.g * theta.g)
        return PolarWeights(gradient.g, jax.tree.map(lambda d: inverse * d, gradient.w)), memory


def over_size_squared() -> OverSizeSquared:
    """The gradient in w over g^2: rPGD with the step 1/g_t^2, which makes every step of w a projected Newton step."""
    return OverSizeSquared()


class Chain(AbstractLaw):
    laws: tuple[AbstractLaw, ...]

    @property
    def name(self) -> str:
        return " then ".join(law.name for law in self.laws)

    @property
    def equivariant(self) -> bool:
        return all(law.equivariant for law in self.laws)

    @property
    def relative(self) -> bool:
        return all(law.relative for law in self.laws)

    @property
    def linear(self) -> bool:
        return type(self) is Chain and all(law.linear for law in self.laws)

    def divisor(self, memory: Memory) -> PyTree | None:
        found = [p for law, one in zip(self.laws, memory, strict=True) if (p := law.divisor(one)) is not None]
        if len(found) > 1:
            raise Mistake("law", "has two parts that each divide the gradient", "ask for the divisor of a chain with one")
        return found[0] if found else None

    def labelled(self, labels: Labels) -> Chain:
        return Chain(tuple(law.labelled(labels) for law in self.laws))

    def init(self, theta: Theta) -> Memory:
        return tuple(law.init(theta) for law in self.laws)

    def step(
        self, gradient_at: GradientAt, theta: Theta, memory: Memory, key: Key[Array, ""] | None
    ) -> tuple[PyTree, Memory]:
        kept = []
        for law, one in zip(self.laws, memory, strict=True):
            update, one = law.step(gradient_at, theta, one, key)
            kept.append(one)
            gradient_at = _only_at(theta, update)
        return update, tuple(kept)


def _only_at(theta: Theta, update: PyTree) -> GradientAt:
    """What one law of a chain made of the gradient, as the next one's gradient."""

    def given(elsewhere: Theta) -> PyTree:
        if elsewhere is not theta:
            raise Mistake("law", "asks for a gradient elsewhere, in a chain and not first", "put it first in the chain")
        return update

    return given


def chain(*laws: AbstractLaw) -> Chain:
    """One law after another."""
    return Chain(laws)


class _Given(NamedTuple):
    transformation: Any

    def __call__(self) -> optax.GradientTransformation:
        return self.transformation


def from_optax(
    rule: optax.GradientTransformation | Callable[..., optax.GradientTransformation], name: str, **hyper: ScalarLike
) -> Optax:
    """Any optax rule that ascends (`scale_by_...`); runs under it stay in the original coordinates.

    Given as the function that makes it, its numbers may be axes: `from_optax(optax.scale_by_rms, "RMS", decay=decay)`.
    """
    made = isinstance(rule, optax.GradientTransformation)
    if made and hyper:
        raise Mistake("law", "has its numbers already", f"give the function that makes it, with {', '.join(hyper)}")
    return Optax(_Given(rule) if made else rule, dict(hyper), name)
