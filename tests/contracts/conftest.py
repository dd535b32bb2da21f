"""Every test of a contract starts from the same genesis."""

import pytest

from support.settlement_network import Street, open_street


@pytest.fixture
def street() -> Street:
    return open_street()
