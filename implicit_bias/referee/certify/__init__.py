"""Certificates: a counterexample as a program that proves it, in ball arithmetic, and stands alone.

    balls     motions, their limits and references in balls of python-flint; read as text, and copied
    program   the file: data, what it calls of `balls`, the claim's exact form, and what it prints
    certify   from a counterexample to a file that was run

A paper says what its claims say without a tolerance in a file `certified.py` beside its studies: a function named after
the claim, of the data, that returns the residual and then the slacks of the hypotheses.
"""
