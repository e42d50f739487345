"""The referee: look for a run, or a setting, inside a claim's hypotheses in which it fails; make it small, and do it again.

    refute          find the claim and its runs; which search, and what to print
    clock           how long it may take, and what it had no time for

A claim about single runs (an identity, an inequality):

    recast          a study's cell as a function of one vector, with the arrays of its problem given
    given           of other problems and weights: directions in the place of what is drawn; which of them are free
    region          where to look, and what every problem of the study has in common
    shared          what every draw of an array has in common
    thin            ties, zero blocks, aligned starts, special values: what no random draw meets
    runs            runs at such vectors, in blocks, and their slopes
    search          thin sets, random search, uphill, CMA-ES
    needed          the predictions that a claim reads
    shrink          the same failure in the simplest numbers
    confirm         what was found, done again, as data to print
    motion          a run as plain data, and back; by type, so that a new weight or law registers itself
    recheck         plain data again, in 30 digits, by a scheme that shares no code with the engine
    counterexample  what was found, as Python and as LaTeX
    certify/        the same in ball arithmetic: a proof

A claim about many runs (an ordering, an exponent, a limit, a probability, a bound up to a constant), or one that reads
several runs together:

    settings        requests of the study in which the claim's own test rejects, confirmed on fresh seeds

It runs programs, so it stands above the studies; what it finds is judged by `evidence`, which reads datasets only.
"""
