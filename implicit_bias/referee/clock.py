"""How long a search may take, and what it had no time for.

>>> clock = Clock(minutes=60.0)
>>> clock.left > 3590, clock.over
(True, False)
"""

from __future__ import annotations

import dataclasses
import time


@dataclasses.dataclass
class Clock:
    """Started when it is made. What is under way when it ends is finished where it is short, and is left where it is not."""

    minutes: float = 5.0
    begun: float = dataclasses.field(default_factory=time.perf_counter)
    skipped: list[str] = dataclasses.field(default_factory=list)
    """What was not tried for want of time, in words."""

    @property
    def spent(self) -> float:
        return time.perf_counter() - self.begun

    @property
    def left(self) -> float:
        """Seconds; below 0 where it is over."""
        return 60 * self.minutes - self.spent

    @property
    def over(self) -> bool:
        return self.left <= 0

    def skip(self, what: str) -> None:
        if what not in self.skipped:
            self.skipped.append(what)

    @property
    def said(self) -> str:
        """What was not tried; "" if all was."""
        if not self.skipped:
            return ""
        shown = "; ".join(self.skipped[:6]) + f"; and {len(self.skipped) - 6} more" * (len(self.skipped) > 6)
        return f"not tried in {self.minutes:g} minute{'s' * (self.minutes != 1)} (--minutes M): {shown}"
