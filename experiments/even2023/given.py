"""What a run gives up of its start, summed over every step, and what the law says of its end: see `law`."""

import jax.numpy as jnp
import numpy as np

import implicit_bias as ib

theory = ib.theory.diagonal

# -- of the runs -------------------------------------------------------------------------------------------------------


def given_up(before, after):
    """R(p) of each weight"""
    z, new, law, kept = ib.layer(before), ib.layer(after), before.dynamics.law, before.memory.trace
    beta, change, ratio = law.hyper["momentum"], (new - z) / z, new / z  # 1 + change would lose a ratio that is near 0
    given = change - beta * change / ratio - (1 - beta) * jnp.log(jnp.abs(ratio))
    if law.name.startswith("Nesterov"):
        slope = before.dynamics.step * (after.memory.trace.x - beta * kept.x) / z
        given = given + beta * slope * change / ratio
    return given


def size_of_it(before, after):
    """|R(p)|"""
    return jnp.abs(given_up(before, after))


def undershoot(before, after):
    """-min z'/z: below 0 where no weight changes its sign"""
    return jnp.max(-ib.layer(after) / ib.layer(before))


def in_flight(snapshot):
    """eta beta^nu m/z: the momentum's share of what is given up"""
    law = snapshot.dynamics.law
    power = 2 if law.name.startswith("Nesterov") else 1
    return snapshot.dynamics.step * law.hyper["momentum"] ** power * snapshot.memory.trace.x / ib.layer(snapshot)


OBSERVED = {
    "x": ib.predictor(), "z": ib.layer, "given_up": ib.summed(given_up), "size_of_it": ib.summed(size_of_it),
    "undershoot": ib.worst_change(undershoot), "in_flight": ib.at_end(in_flight),
}  # fmt: skip

# -- of theory ---------------------------------------------------------------------------------------------------------

EPS = np.finfo(float).eps
KNOWN = 1e-6
"""To what the sums of R have to be known: where a run blows up they do, too."""


def halves(pair):
    return np.split(pair, 2, -1)


def moved(z, operator, given):
    """|(I - P) of the change of log|a/b|, with what was given up|, P onto range(A^T)."""
    change = np.subtract(*halves(np.log(abs(z[-1] / z[0])) + given))
    basis = np.linalg.svd(operator, full_matrices=False)[2]
    return np.max(abs(change - basis.T @ (basis @ change)))


def rounding(size_of_it, steps, momentum):
    """8 eps a step (a cycle rounds always alike), and 64 of what is summed, which a momentum keeps for 1 / (1 - beta) steps"""
    return 8 * EPS * (steps + 8 * np.sum(size_of_it) / (1 - momentum)) / (1 - momentum)


def allowed(operator, x, z, rounding, limit_left):
    """What the limit is known to: start moved by a relative delta, x by 2 |(a, b)|_max^2 |delta|; and the solver's A x"""
    if not rounding < KNOWN:
        return np.nan
    width = sum(halves(z[-1] ** 2))
    sensitivity = np.linalg.norm(np.sqrt(width)[:, None] * np.linalg.pinv(operator * np.sqrt(width), rcond=0.0))
    misfit = 1e-13 * (1 + np.max(abs(x[-1]))) + np.linalg.norm(operator @ (limit_left - x[-1]))
    return 2 * np.sqrt(len(width)) * np.max(width) * rounding + sensitivity * misfit


def shrinks(z, given):
    """log|ab| at the end less that at the start: the greatest, the mean, and by how much the law is off"""
    a, b = halves(np.log(abs(z[-1] / z[0])))
    return {"by": np.max(a + b), "mean": np.mean(a + b), "law": np.max(abs(a + b + sum(halves(given))))}


@ib.batched
def limits(operator, x, z, given, rounding):
    """Where the plain flow ends, on the data A x: from what is left of the start, from it without its shift, from it whole"""
    known = (rounding < KNOWN)[..., None]  # of a run that blew up nothing is left to compute with
    given, end = np.where(known, given, 0.0), np.where(known, x[..., -1, :], 0.0)
    stacked, reached = np.concatenate([operator, -operator], -1), np.einsum("...mn,...n->...m", operator, end)
    start, gain = abs(z[..., 0, :]), sum(halves(given)) / 2
    starts = {"left": start * np.exp(-given), "unshifted": start * np.exp(-np.concatenate([gain, gain], -1)), "whole": start}
    ends = {name: np.subtract(*halves(theory.plain_limit(stacked, reached, s, 2))) for name, s in starts.items()}
    return {name: np.where(known, limit, np.nan) for name, limit in ends.items()}


PREDICTED = {
    "given": ib.batched(lambda given_up, in_flight, momentum: (given_up - in_flight) / (1 - momentum)[..., None]),
    "moved": moved,
    "moved_without": lambda z, operator: moved(z, operator, 0.0),
    "rounding": rounding,
    "shrinks": shrinks,
    "limit": limits,
    "allowed": allowed,
    "carried": lambda in_flight, momentum: np.max(abs(sum(halves(in_flight)))) / (1 - momentum),
    "off": lambda x, limit_left: np.max(abs(x[-1] - limit_left)),
    "off_unshifted": lambda x, limit_unshifted: np.linalg.norm(x[-1] - limit_unshifted),
    "off_whole": lambda x, limit_whole: np.linalg.norm(x[-1] - limit_whole),
}
