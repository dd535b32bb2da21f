"""`scripts/liquidity`: a file of gridlocks is read strictly, and the last line printed is one JSON object."""

import json
from pathlib import Path
from typing import Any

import pytest

from gridlocks.__main__ import main
from gridlocks.cases import FILE_BYTES_MAX, FileRefused, parse_cases


def payment(name: object, payer: object, payee: object, amount: object) -> dict[str, object]:
    return {"id": name, "payer": payer, "payee": payee, "amount": amount}


def file_of(*cases: object) -> bytes:
    return json.dumps({"cases": cases}).encode()


def case(*payments: object, name: object = "1", **balances: object) -> dict[str, object]:
    return {"id": name, "opening_balances": balances, "payments_in_queue_order": payments}


QUEUE = (payment("T1", "A", "B", 9), payment("T2", "A", "B", 4), payment("T3", "B", "A", 1))


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_last_line_has_what_settled_in_each_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cases.json"
    path.write_bytes(file_of(case(*QUEUE, A=5, B=0), case(name="2")))
    assert main([str(path)]) == 0
    assert printed(capsys) == {
        "cases": [
            {"id": "1", "settled": [], "closing_balances": {"A": 5, "B": 0}, "value": 0},
            {"id": "2", "settled": [], "closing_balances": {}, "value": 0},
        ]
    }
    assert main([str(path), "--bypassable"]) == 0
    assert printed(capsys)["cases"][0] == {
        "id": "1",
        "settled": ["T2", "T3"],
        "closing_balances": {"A": 2, "B": 3},
        "value": 5,
    }


REFUSED = {
    "no JSON": b"{",
    "too deep": b"[" * 200_000,
    "no object": b"[]",
    "no cases": b"{}",
    "too large": b" " * (FILE_BYTES_MAX + 1),
    "too many cases": file_of(*[{}] * 1_001),
    "a case that is no object": file_of(3),
    "no id": file_of({}),
    "no balances": file_of({"id": "1"}),
    "no payments": file_of({"id": "1", "opening_balances": {}}),
    "one id twice": file_of(case(), case()),
    "a fraction": file_of(case(A=1.5)),
    "a truth value": file_of(case(A=True)),
    "a balance below zero": file_of(case(A=-1)),
    "an amount beyond all": file_of(case(payment("T1", "A", "B", 10**18), A=1, B=1)),
    "an amount of zero": file_of(case(payment("T1", "A", "B", 0), A=1, B=1)),
    "one payment twice": file_of(case(*[payment("T1", "A", "B", 1)] * 2, A=1, B=1)),
    "an account unknown": file_of(case(payment("T1", "A", "B", 1), A=1)),
    "a name that is a number": file_of(case(payment(1, "A", "B", 1), A=1, B=1)),
    "a name that rings the bell": file_of(case(payment("\a", "A", "B", 1), A=1, B=1)),
    "a name too long": file_of(case(name="1" * 65)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused_by_one_sentence(name: str) -> None:
    with pytest.raises(FileRefused) as refused:
        parse_cases(REFUSED[name], bypassable=False)
    assert len(str(refused.value).splitlines()) == 1


def test_too_many_payments_are_refused() -> None:
    payments = [payment(f"T{number}", "A", "B", 1) for number in range(50_001)]
    cases = [case(*payments, name=name, A=1, B=1) for name in ("1", "2")]
    with pytest.raises(FileRefused, match="more than 100000 payments"):
        parse_cases(file_of(*cases), bypassable=False)


def test_a_file_that_cannot_be_used_is_said_in_one_line_and_the_exit_code_is_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.json").write_text("{}")
    for name in ("bad.json", "missing.json", "."):
        assert main([str(tmp_path / name)]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert len(told.err.splitlines()) == 1
