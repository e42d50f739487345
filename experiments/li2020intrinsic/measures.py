"""What is measured of each row W of which only W/|W| counts, and averaged over rows: turns and norms of a step."""

import jax.numpy as jnp


def started(output, weights, key):
    """All of v at `output`."""
    del key
    return weights | {"layer2": {"kernel": output * jnp.ones_like(weights["layer2"]["kernel"])}}


def rows(snapshot):
    """W: [inputs, rows]"""
    return snapshot.theta["layer1"]["kernel"]


def inner(u, v):
    return jnp.sum(u * v, axis=0)


def log_cos(before, after):
    """log cos of the angle by which a step turns a row"""
    w, new = rows(before), rows(after)
    return jnp.mean(jnp.log(inner(w, new) / jnp.sqrt(inner(w, w) * inner(new, new))))


def left(snapshot):
    """1 - eta lam"""
    return 1 - snapshot.dynamics.step * snapshot.dynamics.law.rate


def defect(before, after):
    """max | |W'|^2 - a^2 |W|^2 - eta^2 |d|^2 | / |W'|^2"""
    w, new, a = rows(before), rows(after), left(before)
    return jnp.max(jnp.abs(inner(new, new) - a**2 * inner(w, w) - inner(new - a * w, new - a * w)) / inner(new, new))


def means(before, after):
    """-log cos, |W|^2, eta^2 |d|^2, |W|^4, eta^2 G"""
    w, move = rows(before), rows(after) - left(before) * rows(before)
    square, moved = inner(w, w), inner(move, move)
    powers = jnp.mean(jnp.stack([square, moved, square**2, moved * square]), axis=1)
    return jnp.concatenate([-log_cos(before, after)[None], powers])


def log_norm(snapshot):
    """log |W|, the mean over rows"""
    return jnp.mean(jnp.log(inner(rows(snapshot), rows(snapshot)))) / 2
