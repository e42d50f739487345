"""What is measured of a network with weight normalisation: its exact laws at a point, and those of a step."""

import jax
import jax.numpy as jnp

import implicit_bias as ib

from .network import hidden_of, in_order, row_norms

LONGER = 3.7


def f(snapshot):
    """weights -> the output at the first input"""
    return lambda weights: snapshot.parameterization(weights)(snapshot.problem.inputs[:1])[0]


def rows_times(weights, factor):
    hidden = in_order(weights)[:-1]
    return weights | {name: jax.tree.map(lambda w: factor * w, weights[name]) for name in hidden}


def apart(a, b):
    """|a - b| / |b|"""
    a, b = (jnp.concatenate([w.reshape(-1) for w in jax.tree.leaves(x)]) for x in (a, b))
    return jnp.linalg.norm(a - b) / jnp.linalg.norm(b)


def gauge(snapshot):
    """|Hess f(S theta) S u - S^-1 Hess f(theta) u| over the latter, u all ones, and |f(S theta) / f(theta) - 1|."""
    function, theta = f(snapshot), snapshot.theta
    ones, longer = jax.tree.map(jnp.ones_like, theta), rows_times(theta, LONGER)
    there = ib.linalg.hvp(function, longer)(rows_times(ones, LONGER))
    here = rows_times(ib.linalg.hvp(function, theta)(ones), 1 / LONGER)
    return {"hessian": apart(there, here), "output": jnp.abs(function(longer) / function(theta) - 1)}


def first_layer(snapshot):
    """|(Hess f W^1)_1 + grad_1 f| / |grad_1 f|"""
    function, theta = f(snapshot), snapshot.theta
    alone = jax.tree.map(jnp.zeros_like, theta) | {"layer1": theta["layer1"]}
    along, slope = ib.linalg.hvp(function, theta)(alone), jax.grad(function)(theta)
    return apart(along["layer1"], jax.tree.map(jnp.negative, slope["layer1"]))


def radial(snapshot):
    """max_i |<W_i, grad_i f>| / (|W_i| max_j |grad_j f|)"""
    theta, slope = snapshot.theta, jax.grad(f(snapshot))(snapshot.theta)
    pairs = list(zip(hidden_of(theta), hidden_of(slope)))
    largest = jnp.max(jnp.stack([jnp.max(jnp.linalg.norm(g, axis=0)) for _, g in pairs]))
    return jnp.max(jnp.stack([jnp.max(jnp.abs(jnp.sum(w * g, 0)) / jnp.linalg.norm(w, axis=0)) for w, g in pairs])) / largest


def _over_hidden(part):
    """The largest of part(W, W') over the hidden layers of two neighbours."""

    def largest(before, after):
        pairs = zip(hidden_of(before.theta), hidden_of(after.theta), _carried(before))
        return jnp.max(jnp.stack([jnp.max(part(*pair)) for pair in pairs]))

    return ib.worst_change(largest)


def _carried(before):
    """What heavy ball carries over into the next step, of each hidden layer."""
    memory = getattr(before.memory, "trace", None)
    if memory is None:
        return [0 * w for w in hidden_of(before.theta)]
    return [-before.dynamics.step * before.dynamics.law.hyper["momentum"] * m for m in hidden_of(memory)]


def new_along(axis=0):
    """max of |<W, W' - W - carried>| / |W|^2 over rows, or over layers where the axis is None."""

    def part(w, new, carried):
        return jnp.abs(jnp.sum(w * (new - w - carried), axis)) / jnp.sum(w * w, axis)

    return _over_hidden(part)


def shortening():
    """max over rows of 1 - |W'|^2 / |W|^2"""
    return _over_hidden(lambda w, new, carried: 1 - jnp.sum(new * new, 0) / jnp.sum(w * w, 0))


# -- with weight decay -------------------------------------------------------------------------------------------------


def _step(snapshot):
    """nan of a flow, which has none"""
    return getattr(snapshot.dynamics, "step", jnp.nan)


def _moves(before, after):
    """Of each row: |W|, |W'|, what decay leaves of a row, and |W' - what it leaves| = eta |grad of the loss|."""
    left = 1 - _step(before) * before.run.penalty.rate
    pairs = list(zip(hidden_of(before.theta), hidden_of(after.theta)))
    move = jnp.concatenate([jnp.linalg.norm(new - left * w, axis=0) for w, new in pairs])
    return row_norms(before.theta), row_norms(after.theta), left, move


def recursion():
    """max over rows of the defect of |W'|^2 = (1 - eta lam)^2 |W|^2 + eta^2 G^2 / |W|^2, over |W'|^2; G = |W| |grad|"""

    def defect(before, after):
        old, new, left, move = _moves(before, after)
        return jnp.max(jnp.abs(new**2 - (left * old) ** 2 - move**2) / new**2)

    return ib.worst_change(defect)


def floor():
    """max over rows of 2 eta (1 - eta lam) G / |W'|^2, at most 1"""

    def share(before, after):
        old, new, left, move = _moves(before, after)
        return jnp.max(2 * left * move * old / new**2)

    return ib.worst_change(share)


def second_half(before):
    """of the second half of the longest run"""
    return 2 * before.steps >= before.dynamics.max_steps


def turning():
    """Mean over rows and steps of log(1 + tan^2), tan of the angle by which a step turns a row."""

    def turned(before, after):
        old, _, left, move = _moves(before, after)
        return jnp.mean(jnp.log1p((move / (left * old)) ** 2))

    return ib.mean_change(turned, second_half)


def fourth_powers():
    """Means over rows and steps of |W|^4, and of G^2."""

    def powers(before, after):
        old, _, _, move = _moves(before, after)
        return jnp.stack([jnp.mean(old**4), jnp.mean((move * old / _step(before)) ** 2)])

    return ib.mean_change(powers, second_half)


def flow_defect(snapshot):
    """max over rows of |(|W| / |W(0)|) exp(lam t) - 1|"""
    grown = row_norms(snapshot.theta) / row_norms(snapshot.first) * jnp.exp(snapshot.run.penalty.rate * snapshot.time)
    return jnp.max(jnp.abs(grown - 1))
