"""Every test of a contract starts from the same genesis."""

import pytest

from support.council_network import Assembly, open_assembly
from support.settlement_network import ALPHA, EUR, MAKER, SGD, Street, open_street


@pytest.fixture
def street() -> Street:
    return open_street()


@pytest.fixture
def hundreds(street: Street) -> Street:
    """Return a fresh street where Alpha has 100 euro and Maker 100 Singapore dollars."""
    street.fund(EUR, {ALPHA: 100})
    street.fund(SGD, {MAKER: 100})
    return street


@pytest.fixture
def assembly() -> Assembly:
    return open_assembly()
