"""A clock that stands still until a test moves it."""

from dataclasses import dataclass


@dataclass(slots=True)
class Clock:
    """What time it is, in UTC seconds, for whatever takes a clock."""

    now: int

    def __call__(self) -> int:
        return self.now
