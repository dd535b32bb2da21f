"""What one area of a bridge's business brings to the process that runs it.

The composition root puts the provisions of a role together and knows nothing more of them: an area
that grows changes its own provision, not the process.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self, TypeAlias

from bridge.interbank import Courses, Receivers
from bridge.operating import Action
from bridge.worker import Handler

Duty: TypeAlias = Callable[[threading.Event], None]
"""A loop of the leading process, until the event is set."""


@dataclass(frozen=True, slots=True)
class Provision:
    """Everything of one area, by the names under which the process finds it.

    `handlers` work off effects by kind, those of kinds in `asking` wait for another institution's
    answer. `receivers` take messages of other institutions, `courses` know what else matters to own
    ones. `actions` take two operators. `duties` are loops of the leader, by thread. `openings` are
    called once when a process starts, after the chain was greeted.
    """

    handlers: Mapping[str, Handler] = field(default_factory=dict)
    asking: frozenset[str] = frozenset()
    receivers: Receivers = field(default_factory=dict)
    courses: Courses = field(default_factory=dict)
    actions: Mapping[str, Action] = field(default_factory=dict)
    duties: Mapping[str, Duty] = field(default_factory=dict)
    openings: tuple[Callable[[], None], ...] = ()

    @classmethod
    def combine(cls, parts: Iterable[Self]) -> Self:
        """All of several areas; no two bring the same name."""
        whole = cls()
        for part in parts:
            whole = cls(
                handlers={**whole.handlers, **part.handlers},
                asking=whole.asking | part.asking,
                receivers={**whole.receivers, **part.receivers},
                courses={**whole.courses, **part.courses},
                actions={**whole.actions, **part.actions},
                duties={**whole.duties, **part.duties},
                openings=(*whole.openings, *part.openings),
            )
        return whole
