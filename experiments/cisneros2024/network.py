r"""What the studies of this paper train: a^0 = x,  a_i^l = phi(<W_i^l, a^(l-1)> / (|W_i^l| sqrt m)),  f(x) = <v, a^L>.

Weight normalisation without gains: rows of all hidden layers count by their directions. The first rows have directions
uniform on the sphere and the norm `size`, v has the norm `output`. Beside it stand, of the same form,

    twin      phi(<W_i, a> / sqrt m): not normalised; rows of norm size sqrt(inputs), as of independent N(0, size^2) entries
    layers    phi(W a / |W a|): each layer is normalised for every input, as LayerNorm without its centring does
"""

import jax
import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

ACTIVATIONS = {"tanh": jnp.tanh, "relu": jax.nn.relu, "gelu": lambda z: jax.nn.gelu(z, approximate=False)}
P2 = 4 / (3 * np.sqrt(3))
"""The largest |phi''| of tanh."""


def unit(key, *shape):
    """Uniform on the sphere, along the last axis."""
    drawn = jax.random.normal(key, shape)
    return drawn / jnp.linalg.norm(drawn, axis=-1, keepdims=True)


def regression(key, examples, dimension, radius, noise=0.0, held_out=0):
    """|x| = radius, y = tanh(<a, x> sqrt(dimension) / radius) + noise, |a| = 1, with noise uniform of that deviation."""
    x = radius * unit(ib.stream(key, "inputs"), examples + held_out, dimension)
    a = unit(ib.stream(key, "teacher"), dimension)
    off = jax.random.uniform(ib.stream(key, "noise"), (examples + held_out,), minval=-1.0, maxval=1.0)
    y = jnp.tanh(x @ a * dimension**0.5 / radius) + noise * 3**0.5 * off
    others = (x[examples:], y[examples:]) if held_out else None
    return ib.supervised(x[:examples], y[:examples], "square", held_out=others)


def in_order(weights):
    """The names of the layers; the last one is v."""
    return sorted(weights, key=lambda name: (len(name), name))


def _output(norm, weights, key):
    """The last layer with a direction uniform on the sphere and that norm."""
    last = in_order(weights)[-1]
    v = weights[last]["kernel"]
    return weights | {last: {"kernel": norm * v / jnp.sqrt(jnp.sum(v * v))}}


def network(depth, width, activation="tanh", size=1.0, output=4.0, norm="rows", aligned=1.0):
    """See the head of this file; `aligned` = 1 leaves rows as they were drawn, and 0 makes those of a layer equal."""
    if depth < 1:
        raise ib.Mistake("depth", f"must be 1 or more, got {depth}", "give a number of hidden layers")
    phi = ACTIVATIONS[activation]
    hidden = tuple(f"layer{number}" for number in range(1, depth + 1))
    start = [jax.tree_util.Partial(_aligned, aligned), ib.row_norm(size, hidden), jax.tree_util.Partial(_output, output)]
    if norm == "layers":
        return ib.mlp((width,) * depth, lambda z: phi(z / jnp.linalg.norm(z, axis=-1, keepdims=True)), start=start)
    if norm == "twin":
        start.insert(2, _as_drawn)
    net = ib.mlp((width,) * depth, lambda z: phi(z / width**0.5), start=start)
    return net if norm == "twin" else ib.RowNormalised(net, hidden)


def _aligned(apart, weights, key):
    """Rows equal to one another and, from the second layer on, to what equal rows say; `apart` times what was drawn added."""
    alike = {name: jnp.ones_like(weights[name]["kernel"]) for name in weights}
    alike["layer1"] = jnp.broadcast_to(weights["layer1"]["kernel"][:, :1], weights["layer1"]["kernel"].shape)
    sizes = {name: jnp.sqrt(jnp.mean(w["kernel"] ** 2)) for name, w in weights.items()}
    drawn = {name: apart * w["kernel"] for name, w in weights.items()}
    return {name: {"kernel": (1 - apart) * sizes[name] * alike[name] + drawn[name]} for name in weights}


def _as_drawn(weights, key):
    """Rows times the square root of their length."""
    hidden = in_order(weights)[:-1]
    return weights | {h: {"kernel": weights[h]["kernel"] * weights[h]["kernel"].shape[0] ** 0.5} for h in hidden}


def hidden_of(weights):
    """The matrices of the hidden layers, [inputs, rows] each."""
    return [weights[name]["kernel"] for name in in_order(weights)[:-1]]


def last_of(weights):
    """v"""
    return weights[in_order(weights)[-1]]["kernel"]


def row_norms(weights):
    """|W_i| of each row of each hidden layer."""
    return jnp.concatenate([jnp.linalg.norm(w, axis=0) for w in hidden_of(weights)])


def least_row(snapshot):
    """min over layers and rows of |W_i|"""
    return jnp.min(row_norms(snapshot.theta))


def typical_row(snapshot):
    """(mean over layers and rows of |W_i|^4)^(1/4)"""
    return jnp.mean(row_norms(snapshot.theta) ** 4) ** 0.25


def curvature_bound(depth, width, radius, row, output, xp=np):
    r"""Of |Hess f(x)|, |x| <= radius, from the least row norm w and |v| = output: the spectral norm of N (derived), k < l,

    N_ll = |v| [p2 X^2 (1 + L - l) / (m w^2) + (2 / sqrt 3) X / (sqrt m w^2)],    N_lv = X / (sqrt m w),    N_vv = 0,
    N_kl = |v| X [1 + p2 X (1 + L - l)] / (m w^2)
    """
    k = np.arange(1, depth + 1)
    after, same = 1.0 + depth - np.maximum.outer(k, k), np.eye(depth, dtype=bool)
    alone = P2 * radius**2 * after / width + 2 / 3**0.5 * radius / width**0.5
    pairs = radius * (1 + P2 * radius * after) / width
    layers = output * xp.where(same, alone, pairs) / row**2
    edge = xp.ones((depth, 1)) * (radius / (width**0.5 * row))
    return xp.linalg.norm(xp.block([[layers, edge], [edge.T, xp.zeros((1, 1))]]), 2)
