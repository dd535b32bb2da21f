"""Outgoing messages are valid against the schemas that ISO 20022 publishes (MSG-2).

The schemas are looked for beside the repository and in the directory that ISO20022_SCHEMAS names;
they are not part of the repository.
"""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from bridge.iso20022.codes import CreditDebit, MessageName
from bridge.iso20022.format import format_account_notification, format_message
from support.every_message import EXAMPLE_BY_NAME, STRATEGY_BY_NAME
from support.messages import EXAMPLE_PATH, account_notification

REPOSITORY = Path(__file__).parents[2]
SCHEMAS = Path(
    os.environ.get("ISO20022_SCHEMAS", REPOSITORY.parent / "shared" / "data" / "iso20022")
)
MISSING = (
    "the ISO 20022 schemas are not here: put the .xsd files of the ISO 20022 message catalogue that "
    "docs/reference/messages.md names into a directory and name it in ISO20022_SCHEMAS"
)

pytestmark = pytest.mark.skipif(
    not all((SCHEMAS / f"{name}.xsd").is_file() for name in MessageName), reason=MISSING
)

_loaded: dict[MessageName, etree.XMLSchema] = {}


def assert_valid(data: bytes, name: MessageName) -> None:
    """Fail with the validator's words unless the message is valid against its schema."""
    if name not in _loaded:
        _loaded[name] = etree.XMLSchema(etree.parse(SCHEMAS / f"{name}.xsd"))
    _loaded[name].assertValid(etree.fromstring(data))


def test_the_example_instruction_is_valid() -> None:
    assert_valid(EXAMPLE_PATH.read_bytes(), MessageName.CUSTOMER_CREDIT_TRANSFER_INITIATION)


def test_the_schema_does_refuse_a_damaged_message() -> None:
    data = EXAMPLE_PATH.read_bytes().replace(b"<PmtMtd>TRF</PmtMtd>", b"")
    with pytest.raises(etree.DocumentInvalid):
        assert_valid(data, MessageName.CUSTOMER_CREDIT_TRANSFER_INITIATION)


@pytest.mark.parametrize("name", MessageName)
def test_the_example_of_each_message_is_valid(name: MessageName) -> None:
    assert_valid(format_message(EXAMPLE_BY_NAME[name]), name)


@pytest.mark.parametrize("direction", CreditDebit)
def test_an_account_notification_is_valid(direction: CreditDebit) -> None:
    data = format_account_notification(account_notification(direction))
    assert_valid(data, MessageName.ACCOUNT_NOTIFICATION)


@pytest.mark.parametrize("name", MessageName)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_message_we_write_is_valid(name: MessageName, data: st.DataObject) -> None:
    assert_valid(format_message(data.draw(STRATEGY_BY_NAME[name])), name)
