"""Conjectures: the law of a measured quantity, looked for on one half of what is known and judged on the other.

    measured    results -> a number for each seed and point; which seeds and points are fitted, and which are kept back
    laws        power laws, two power laws with a crossover, limits: least squares, with simultaneous intervals
    forms       closed forms of at most two constants, from a small stated grammar
    collapse    the product of powers of the axes that makes many curves one
    candidate   what was found: in LaTeX, in Python, and as a function of the axes
    writing     the same as claims in Python, whose text is what is judged
    verdict     what became of it on what was kept back
    search      all of them on one quantity; what survives, and what does not
    command     `implicit-bias conjecture STUDY QUANTITY over=x,y`

A law is fitted on half of the seeds and on the inner part of each axis. It survives if on the other seeds, and beyond
the fitted part of the axes, it holds as it was stated; a claim's verdict is `evidence`'s own.
"""
