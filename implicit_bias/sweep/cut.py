"""Reading a traced program: which outputs depend on which inputs, and where to cut it in two.

>>> import jax
>>> program = jax.make_jaxpr(lambda seed, scale: (jax.numpy.sin(seed), jax.numpy.sin(seed) * scale))(1.0, 2.0)
>>> dependence(program, ("seed", "scale"))
[('seed',), ('seed', 'scale')]
>>> first, second = split(program, [True, False])
>>> [round(float(x), 3) for x in second(first(1.0), [2.0])]
[0.841, 1.683]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jax.extend import core
from jaxtyping import Array


def dependence(program: core.ClosedJaxpr, names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """For each output, the named inputs it depends on. A call inside the program counts as one equation."""
    jaxpr = program.jaxpr
    of = {v: frozenset([n]) for v, n in zip(jaxpr.invars, names)}

    def look(v) -> frozenset[str]:
        return frozenset() if isinstance(v, core.Literal) else of.get(v, frozenset())

    for eqn in jaxpr.eqns:
        union = frozenset().union(*(look(v) for v in eqn.invars))
        of.update(dict.fromkeys(eqn.outvars, union))
    return [tuple(n for n in names if n in look(v)) for v in jaxpr.outvars]


First = Callable[..., list[Array]]
Second = Callable[[Sequence[Array], Sequence[Array]], list[Array]]


def split(
    program: core.ClosedJaxpr, known: Sequence[bool], outputs: Sequence[int] | None = None
) -> tuple[First, Second]:
    """Cut a program where its known inputs end.

    `first(*known inputs)` computes what follows from them alone, and only what the rest needs;
    `second(first's results, unknown inputs)` gives the chosen outputs.
    """
    jaxpr = program.jaxpr
    outvars = [jaxpr.outvars[i] for i in outputs] if outputs is not None else list(jaxpr.outvars)
    unknown_vars = {v for v, k in zip(jaxpr.invars, known) if not k}

    def variables(vs) -> list:
        return [v for v in vs if not isinstance(v, core.Literal)]

    needed = set(variables(outvars))
    live = []
    for eqn in reversed(jaxpr.eqns):
        if needed.intersection(eqn.outvars):
            live.append(eqn)
            needed.update(variables(eqn.invars))
    live.reverse()

    early, late = [], []
    for eqn in live:
        if unknown_vars.intersection(variables(eqn.invars)):
            unknown_vars.update(eqn.outvars)
            late.append(eqn)
        else:
            early.append(eqn)

    made_late = {v for eqn in late for v in eqn.outvars}
    wanted = dict.fromkeys(v for vs in [*(e.invars for e in late), outvars] for v in variables(vs))
    passed = [v for v in wanted if v not in made_late and v not in unknown_vars]

    def part(invars, outvars, eqns) -> Callable[..., list[Array]]:
        # Without debug info: it names the arguments of the whole program, which the part does not have.
        info = jaxpr.debug_info._replace(arg_names=None, result_paths=None)
        piece = jaxpr.replace(invars=list(invars), outvars=list(outvars), eqns=eqns, debug_info=info)
        return core.jaxpr_as_fun(core.ClosedJaxpr(piece, program.consts))

    first = part([v for v, k in zip(jaxpr.invars, known) if k], passed, early)
    second = part([*passed, *(v for v, k in zip(jaxpr.invars, known) if not k)], outvars, late)
    return first, lambda results, unknown: second(*results, *unknown)
