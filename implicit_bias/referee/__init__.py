"""The referee: look for a run inside a claim's hypotheses on which it fails, make it small, and do it again in 30 digits.

    refute          find the claim and its runs; search, shrink, recheck; what to print
    recast          a study's cell as a function of one vector, with the arrays of its problem given
    region          where to look, and what every problem of the study has in common
    search          random search, then uphill
    shrink          the same failure in the simplest numbers
    motion          a run as plain data, and back; by type, so that a new weight or law registers itself
    recheck         plain data again, in 30 digits, by a scheme that shares no code with the engine
    counterexample  what was found, as Python and as LaTeX

It runs programs, so it stands above the studies; what it finds is judged by `evidence`, which reads datasets only.
"""
