"""What both processes of a node do alike."""

from __future__ import annotations

import gc
import sys

from node.app.process import GARBAGE_THRESHOLDS, TURN_SECONDS, settle_in


def test_a_settled_process_spares_what_is_there_to_stay_from_collection() -> None:
    thresholds, turn = gc.get_threshold(), sys.getswitchinterval()
    try:
        settle_in()
        assert gc.get_threshold() == GARBAGE_THRESHOLDS
        assert gc.get_freeze_count() > 0
        assert round(sys.getswitchinterval(), 6) == TURN_SECONDS
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(turn)
