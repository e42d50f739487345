"""Claims of `collapse`, and the moments at which paths are compared."""

import numpy as np

import implicit_bias as ib

SOURCE = "Papazov et al. 2024"
TIMES = np.linspace(0.0, 4.0, 26)
ENDED = (ib.Status.CAPPED, ib.Status.STALLED)


def size(w):
    """|w|"""
    return np.sqrt((w**2).sum("z_0", skipna=False))


def worst(along):
    """The greatest of all moments; nan where one is missing."""
    return along.max("record", skipna=False)


def gap(ds):
    """max_t |w(t) - w(t) of heavy ball|; nothing is claimed of heavy ball itself."""
    return worst(size(ds.z - ib.curves.at(ds.z, law="heavy ball"))).where(ds.law != "heavy ball")


def apart(ds):
    """max_t |w(t) - w(t) at the least eps| / |w(t)|"""
    return worst(size(ds.z - ib.curves.at_smallest(ds.z, "interval")) / size(ds.z))


def between_moments(ds):
    """Steps from one moment to the next."""
    return TIMES[1] / ds.interval


def small(ds):
    steps = between_moments(ds)
    return {
        r"$\varepsilon \le \lambda / 2$": 0.5 - ds.interval / ds.inertia + 1e-9,
        "moments after whole steps": 1e-6 - abs(steps - np.round(steps)),
    }


def order(flow, value, id, statement):
    printed = f"{SOURCE}, abstract: lambda defines the path (derived: its order)"
    return ib.Claim(
        id=id,
        source=printed if flow == "printed" else f"{SOURCE} (derived)",
        statement=statement,
        kind=ib.Exponent(against="interval", value=value, within=0.1),
        accepts=ENDED,
        hypotheses=lambda ds: {
            "flow": ib.curves.among(ds.law, "flow"), "inertia and start": ib.curves.among(ds.flow, flow)
        } | small(ds),
        residual=gap,
        because="the next order bends the slope at the largest steps",
    )  # fmt: skip


CLAIMS = [
    order(
        "printed", 1.0, "printed-inertia-is-of-first-order",
        r"with $\lambda = \gamma / (1 - \beta)^2$ and from rest the distance to heavy ball is of first order in $\varepsilon$",
    ),
    order(
        "corrected and matched", 2.0, "corrected-inertia-is-of-second-order",
        r"with $\lambda_c = \gamma (1 + \beta) / 2 (1 - \beta)^2$ and $w'(0) = -\varepsilon \nabla f / (2 \lambda_c + "
        r"\varepsilon)$ it is of second order",
    ),
    order(
        "corrected", 1.0, "corrected-inertia-from-rest-is-of-first-order",
        r"with $\lambda_c$ and from rest it is of first order",
    ),
    order(
        "matched", 1.0, "matched-start-alone-is-of-first-order",
        r"with $\lambda$ and the start that matches it, it is of first order",
    ),
    ib.Claim(
        id="one-inertia-one-path",
        source=f"{SOURCE}, abstract: lambda uniquely defines the path (as read, asked of steps)",
        statement=r"heavy balls of one $\lambda$ are where the one of least $\varepsilon$ is, to 1 % of $|w|$ at every moment",
        accepts=ENDED,
        hypotheses=lambda ds: {"heavy ball": ib.curves.among(ds.law, "heavy ball")},
        residual=apart,
        tolerance=lambda ds: 0.01,
        because="what one would call one path",
        expected="refuted",
    ),
]  # fmt: skip
