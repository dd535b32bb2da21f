"""How much of its history the engine of consensus is to keep, told with each commit.

The engine's blocks serve three ends. The node archives what certifies its own blocks, and must have done so. Others
fetch from it what they missed. And who joins from a snapshot fetches every height after it. So it lets go only of what
is older than all three: archived, further back than the setting says, and before the oldest snapshot. What evidence
may still be about, headers and commits of the last two days, it keeps by itself.
"""

from __future__ import annotations

from node.consensus.cometbft.archivist import Archivist
from node.snapshot import Shelf


class Retention:
    """Says from which height on the engine keeps its history."""

    def __init__(self, heights: int, archivist: Archivist, shelf: Shelf) -> None:
        """`heights` is how many the engine keeps at least; 0: all that there ever were."""
        self._heights = heights
        self._archivist = archivist
        self._shelf = shelf

    def first_kept(self, height: int) -> int:
        """The oldest height to keep once `height` is durable; 0: whatever there is."""
        first = min(height - self._heights, self._archivist.archived_height) + 1
        if not self._heights or first <= 1:
            return 0
        oldest = self._shelf.oldest_height()
        return first if oldest is None else min(first, oldest)
