"""`scripts/vouchers`: the walk ends with the culprit named."""

import pytest

from voucher_walk.__main__ import main


def test_the_walk_names_who_spent_twice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0
    assert "Alice's device signed both" in capsys.readouterr().out
