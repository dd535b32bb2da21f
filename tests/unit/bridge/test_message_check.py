"""`bridge message check`: which message a file is, what a commitment binds of it, or why not.

Cites docs/spec/messages.md: MSG-1, 5, 27.
"""

import json
from pathlib import Path

import pytest

from bridge.__main__ import main
from bridge.commands.outcome import EXIT_FAILED, EXIT_OK, EXIT_UNUSABLE
from bridge.iso20022.checking import describe_message
from bridge.iso20022.codes import CopyDuplicate, MessageName
from bridge.iso20022.commitment import canonical_content
from bridge.iso20022.document import (
    MESSAGE_BYTES_MAX,
    MESSAGE_DEPTH_MAX,
    MESSAGE_ELEMENTS_MAX,
)
from bridge.iso20022.envelope import (
    BusinessHeader,
    BusinessMessage,
    BusinessParty,
    format_business_message,
)
from bridge.iso20022.format import format_message
from support.every_message import BETWEEN_BANKS, EXAMPLE_BY_NAME
from support.messages import BANK_A, BANK_B, MOMENT, credit_transfer


@pytest.fixture(autouse=True)
def signals_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the command line from taking over the signals of the test's process."""
    monkeypatch.setattr("bridge.__main__._stop_at_signals", lambda: None)


def check(tmp_path: Path, data: bytes) -> int:
    path = tmp_path / "message.xml"
    path.write_bytes(data)
    return main(["message", "check", str(path)])


def test_msg_27_a_message_between_banks_is_named_with_what_a_commitment_binds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(tmp_path, format_message(credit_transfer())) == EXIT_OK
    first, second = capsys.readouterr().out.splitlines()
    assert first == "message pacs.008.001.08 credit transfer, id AURODEF0-000001"
    assert second == f"content {canonical_content(credit_transfer()).decode()}"
    assert json.loads(second.removeprefix("content "))["message"] == "pacs.008.001.08"


@pytest.mark.parametrize("name", MessageName)
def test_msg_27_every_message_is_known_and_those_between_banks_have_a_content(
    name: MessageName,
) -> None:
    first, *others = describe_message(format_message(EXAMPLE_BY_NAME[name]))
    assert first.startswith(f"message {name} ")
    assert len(others) == (name in BETWEEN_BANKS)


def test_msg_27_a_header_is_told_too() -> None:
    header = BusinessHeader(
        sender=BusinessParty(bic=BANK_A.bic, lei=BANK_A.lei),
        receiver=BusinessParty(lei=BANK_B.lei),
        business_message_id="COPY-1",
        message_name=MessageName.CREDIT_TRANSFER,
        created_at=MOMENT,
        copy=CopyDuplicate.COPY,
        is_possible_duplicate=True,
    )
    lines = describe_message(format_business_message(BusinessMessage(header, credit_transfer())))
    assert lines[-1] == (
        "header from AURODEF0XXX DEVN00AURORABANK0015 to DEVN00STRAITSHARB026, id COPY-1, COPY, "
        "possible duplicate"
    )


MESSAGE = format_message(credit_transfer())
DEEPER = MESSAGE_DEPTH_MAX + 1
MANY = (MESSAGE_BYTES_MAX - len(b"<a></a>")) // len(b"<!---->")
"""So many comments still fit: whoever sorts or counts them one by one is told here by waiting."""


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "malformed_message (FF01)"),
        (MESSAGE.replace(b"<MsgId>", b"<Surprise/><MsgId>"), "unknown_element (FF01)"),
        (MESSAGE.replace(b">1000.00</IntrBk", b">0</IntrBk"), "zero_amount (AM01)"),
        (MESSAGE.replace(b"?>", b"?><!DOCTYPE x>"), "forbidden_markup (FF01)"),
        (b"<a>" + b"<b/>" * MESSAGE_ELEMENTS_MAX + b"</a>", "too_many_elements (FF01)"),
        (b"<a>" * DEEPER + b"</a>" * DEEPER, "message_too_deep (FF01)"),
        (MESSAGE + b" " * MESSAGE_BYTES_MAX, "message_too_large (FF01)"),
        (b"<a>" + b"<!---->" * MANY + b"</a>", "forbidden_markup (FF01)"),
        (b"<a>" + b"<?a?>" * MANY + b"</a>", "forbidden_markup (FF01)"),
        (b"<a>" + b"<!----><?a?>" * (MANY // 2) + b"</a>", "forbidden_markup (FF01)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_msg_1_5_27_what_would_be_refused_is_refused_with_code_reason_and_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, words: str
) -> None:
    assert check(tmp_path, data) == EXIT_FAILED
    captured = capsys.readouterr()
    assert f"refused, {words}" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    "data",
    [
        b"<a>" * MESSAGE_DEPTH_MAX + b"</a>" * MESSAGE_DEPTH_MAX,
        b"<a>" + b"<b/>" * (MESSAGE_ELEMENTS_MAX - 1) + b"</a>",
    ],
    ids=["deepest", "most elements"],
)
def test_msg_1_at_the_bounds_only_the_message_is_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes
) -> None:
    assert check(tmp_path, data) == EXIT_FAILED
    assert "refused, unknown_message" in capsys.readouterr().err


def test_msg_27_a_file_that_is_not_there_is_a_fault_of_the_arguments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["message", "check", str(tmp_path / "nothing.xml")]) == EXIT_UNUSABLE
    assert "nothing.xml" in capsys.readouterr().err
