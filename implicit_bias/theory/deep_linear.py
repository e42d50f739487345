r"""Deep linear networks Z = W_N ... W_1 under gradient flow: singular values, hitting times, and norms that diverge.

**Sources.** Arora, Cohen, Hu, Luo, "Implicit regularization in deep matrix factorization", 2019 (arXiv 1905.13655), Saxe,
McClelland, Ganguli, 2014 (arXiv 1312.6120) and Razin, Cohen, 2020 (arXiv 2005.06398), all from memory and abstracts: what
stands here was derived.

**Conserved.** W_{j+1}^T W_{j+1} - W_j W_j^T, from any start and for any loss of Z.

**Singular values.** If all of those are 0 (balanced), Z = sum s_r u_r v_r^T moves by

    ds_r/dt = -N s_r^{2 - 2/N} <grad loss(Z), u_r v_r^T>.

**Hitting times.** If the start has the target's singular vectors, the loss is |Z - X|^2 / 2, and X has the singular value S,

    ds/dt = N s^{2 - 2/N} (S - s),
    t = log[s (S - s0) / (s0 (S - s))] / 2S                                                      N = 2,
    t = [F(s) - F(s0)] / N,   F = s^{2/N - 1} 2F1(1, 2/N - 1; 2/N; s/S) / (S (2/N - 1))          N >= 3.

For s0 -> 0 that is log(1/s0) / 2S, or s0^{2/N - 1} / ((N - 2) S), whatever s < S is: modes are learnt one after another.

**One unbalanced pair.** z = u v, u^2 - v^2 = delta: dz/dt = sqrt(delta^2 + 4 z^2) (S - z), by z = delta/2 sinh(theta)

    t = [log((w - w_-) / (w_+ - w))]_{w0}^{w} / r,   w = e^theta,   w_+- = (2S +- r) / |delta|,   r = sqrt(4 S^2 + delta^2).

**Stability.** At the balanced minimum the sharpest direction has the curvature N S^{2 - 2/N}, S the greatest singular value.

>>> print(f"{hitting_time(0.5, 0.01, 1.0, 2):.6f} {hitting_time(0.5, 0.01, 1.0, 4):.6f}")
2.297560 4.683412
"""

from __future__ import annotations

from typing import Any

import numpy as np

Values = Any


def hitting_time(s: Values, start: Values, target: Values, depth: Values) -> Values:
    """When a balanced mode of a net of `depth` >= 2 layers is at s, from `start`, 0 < start <= s < target."""
    from scipy.special import hyp2f1

    depth = np.asarray(depth, dtype=float)
    power = np.where(depth > 2, 2 / depth - 1, -0.5)  # of two layers F is a logarithm, and this is not used

    def F(s: Values) -> Values:
        return s**power * hyp2f1(1.0, power, power + 1, s / target) / (target * power)

    logarithm = (np.log(s / start) + np.log((target - start) / (target - s))) / (2 * target)
    return np.where(depth > 2, (F(np.asarray(s)) - F(np.asarray(start))) / depth, logarithm)


def first_hitting_time(start: Values, target: Values, depth: Values) -> Values:
    """What it tends to, for any level, as the start goes to 0."""
    depth = np.asarray(depth, dtype=float)
    deep = np.maximum(depth, 2.5)
    return np.where(depth > 2, start ** (2 / deep - 1) / ((deep - 2) * target), np.log(1 / np.asarray(start)) / (2 * target))


def pair_time(z: Values, start: Values, target: Values, delta: Values) -> Values:
    """When z = u v is at z, from `start`, where u^2 - v^2 = delta, not 0, and z moves up to `target`."""
    size = np.abs(delta)
    root = np.hypot(2 * target, size)
    upper = (2 * target + root) / size

    def primitive(z: Values) -> Values:
        w = np.exp(np.arcsinh(2 * np.asarray(z) / size))
        return np.log((w + 1 / upper) / (upper - w))  # the roots' product is -1

    return (primitive(z) - primitive(start)) / root


def curvature(target: Values, depth: Values) -> Values:
    """N S^{2 - 2/N}: descent of a step below 2 over it is stable at the balanced minimum."""
    return depth * target ** (2 - 2 / depth)
