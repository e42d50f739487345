"""Many machines: workers of one plan, the schedulers that start them, and processes that join into one.

A worker is `implicit-bias work PLAN --worker I --of N`, and shares nothing with the others but the results folder. So a
scheduler has only to start N of them, any number of times.
"""

STOPPED = 75
"""A worker's exit code when a signal stopped it (EX_TEMPFAIL of sysexits.h): submit it again."""

COUNT = "IMPLICIT_BIAS_WORKERS"
"""The environment variable that says N where the scheduler says only I."""
