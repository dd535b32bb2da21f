"""The bridge's command line as an operator runs it: real processes on a real node.

Cites docs/spec/api.md: API-10, 12, 50, 60 to 63.
"""

import hashlib
import json
import select
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_account import Account

from bridge.store import Store
from support.bridge_api import ALICE, ALICE_IBAN, CHAIN_ID, bank, bank_document
from support.node_process import NodeProcess, free_port, make_genesis, running_node
from support.participants import BANK_A
from support.settlement_network import ALPHA, network_file

ROOT = Path(__file__).parents[3]
SECONDS_MAX = 45


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bridge", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )


def test_the_books_are_verified_from_the_command_line(tmp_path: Path) -> None:
    """LED-11 of docs/spec/ledger.md."""
    bank(tmp_path).store.close()
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(bank_document()))
    right = command("verify-books", "--settings", str(settings))
    assert (right.returncode, right.stdout) == (0, "the books are right\n")
    connection = sqlite3.connect(tmp_path / "bridge.sqlite")
    connection.execute("DROP TRIGGER entries_refuse_update")
    connection.execute("UPDATE entries SET booked_at = booked_at - 1")
    connection.commit()
    connection.close()
    wrong = command("verify-books", "--settings", str(settings))
    assert wrong.returncode == 1
    assert wrong.stdout.endswith("the books are wrong\n")
    assert "version 1" in wrong.stdout


def make_participant(folder: Path, *extra: str) -> subprocess.CompletedProcess[str]:
    return command(
        *("participant", "--output", str(folder), "--lei", BANK_A, "--bic", "AURODEF0XXX"),
        *("--country", "DE", "--role", "bank", "--endpoint", "http://127.0.0.1:1"),
        *("--light-keys", *extra),
    )


@dataclass(frozen=True, slots=True)
class Street:
    """A node and the settings of a bank on it."""

    node: NodeProcess
    settings: Path
    document: dict[str, Any]

    def with_settings(self, **changes: object) -> Path:
        """Another settings file beside the first."""
        path = self.settings.with_name(f"settings-{len(changes)}-{min(changes)}.json")
        path.write_text(json.dumps({**self.document, **changes}))
        return path


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with opened_street(tmp_path_factory.mktemp("street")) as opened:
        yield opened


@contextmanager
def opened_street(folder: Path) -> Iterator[Street]:
    """A chain of its own on which the bank has not been yet."""
    folder.mkdir(exist_ok=True)
    keys = folder / "bank"
    made = make_participant(keys)
    assert made.returncode == 0, made.stderr
    network = network_file()
    network["genesis_time"] = 1_700_000_000
    network["participants"].append(json.loads((keys / "participant.json").read_text()))
    genesis = make_genesis(folder, network)
    with running_node(genesis, folder / "node") as node:
        document = {
            **bank_document(),
            "openings": [
                opening
                for opening in bank_document()["openings"]
                if not opening["debit"].startswith("tokens:")  # the chain has issued none
            ],
            "node_url": node.url,
            "chain_id": CHAIN_ID,
            "genesis_hash": json.loads(genesis.read_text())["hash"],
            "operators": [
                {
                    "operator_id": name,
                    "token_sha256": hashlib.sha256((keys / name).read_bytes()).hexdigest(),
                }
                for name in ("operator-token", "second-operator-token")
            ],
        }
        settings = keys / "settings.json"
        settings.write_text(json.dumps(document))
        yield Street(node, settings, document)


@contextmanager
def running(settings: Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """A bridge that serves, and a client of it."""
    log = settings.with_suffix(".log").open("a")
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", "run", "--settings", str(settings)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    log.close()
    output = process.stdout
    assert output is not None
    try:
        readable, _, _ = select.select([output], [], [], SECONDS_MAX)
        line = output.readline() if readable else ""
        assert line.startswith("ready http://"), settings.with_suffix(".log").read_text()
        url = line.removeprefix("ready ").strip()
        with httpx.Client(base_url=url, timeout=SECONDS_MAX) as client:
            yield process, client
    finally:
        output.close()
        if process.poll() is None:
            process.kill()
        process.wait()


def make_block(node: NodeProcess) -> None:
    """One more block: a transaction of an admitted account that does nothing."""
    wallet = Account.from_key(ALPHA.operating.secret)
    nonce = int(node.rpc("eth_getTransactionCount", wallet.address, "pending"), 16)
    signed = wallet.sign_transaction(
        {
            "type": 2,
            "chainId": CHAIN_ID,
            "nonce": nonce,
            "to": wallet.address,
            "value": 0,
            "gas": 21_000,
            "maxFeePerGas": 0,
            "maxPriorityFeePerGas": 0,
        }
    )
    node.receipt(node.rpc("eth_sendRawTransaction", f"0x{bytes(signed.raw_transaction).hex()}"))


def await_status(client: httpx.Client, path: str, status: int) -> httpx.Response:
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        answer = client.get(path)
        if answer.status_code == status or time.monotonic() > deadline:
            assert answer.status_code == status, answer.text
            return answer
        time.sleep(0.05)


def test_api_50_62_a_bridge_says_when_it_serves_and_ends_in_order(street: Street) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with running(street.settings) as (process, client):
            assert client.get("/healthz").status_code == 200
            await_status(client, "/readyz", 200)
            token = (street.settings.parent / "operator-token").read_text()
            books = client.get(
                "/v1/reconciliation", headers={"authorization": f"Bearer {token}"}
            ).json()
            assert books["reconciled"] is True
            process.send_signal(number)
            assert process.wait(SECONDS_MAX) == 0


def test_api_61_starting_again_books_nothing_again(street: Street) -> None:
    for _ in range(2):
        with running(street.settings) as (_, client):
            answer = client.get("/v1/accounts", headers={"authorization": f"Bearer {ALICE}"})
            (account,) = answer.json()["items"]
            assert account["identification"] == ALICE_IBAN
            assert account["ledger"]["value"] == "2000.00"


def test_api_10_12_no_body_ends_the_process(street: Street) -> None:
    with running(street.settings) as (process, client):
        headers = {
            "authorization": f"Bearer {ALICE}",
            "content-type": "application/json",
            "idempotency-key": "k",
        }
        for body in (b"[" * 400_000, b'{"a":' * 90_000, b"\x00" * 1_000, b"1" * 500_000):
            answer = client.post("/v1/payments", headers=headers, content=body)
            assert answer.status_code in {400, 422}, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
        deep = b"<a>" * 100_000
        answer = client.post(
            "/v1/messages", headers={**headers, "content-type": "application/xml"}, content=deep
        )
        assert answer.status_code == 422

        def endless() -> Iterator[bytes]:
            for _ in range(200):
                yield b" " * 8_192

        for chunked in (endless(), b" " * 1_600_000):
            answer = client.post("/v1/payments", headers=headers, content=chunked)
            assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        nested = "W1tb" * 10_000
        answer = client.post(
            "/v1/interbank/messages",
            headers={"content-type": "application/jose"},
            content=f"{nested}.a.a.a.a".encode(),
        )
        assert answer.status_code >= 400
        assert client.get("/healthz").status_code == 200
        assert process.poll() is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"genesis_hash": "0x" + "22" * 32}, "the node serves"),
        ({"chain_id": CHAIN_ID + 1}, "chain id"),
        ({"surprise": 1}, "surprise"),
        ({"message_keys": "nowhere.json"}, "nowhere.json"),
    ],
)
def test_api_60_what_does_not_fit_is_refused_with_one_line_and_code_2(
    street: Street, change: dict[str, Any], words: str
) -> None:
    settings = street.with_settings(**change, database="refused.sqlite")
    ended = command("run", "--settings", str(settings))
    assert ended.returncode == 2
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stdout == ""


def test_api_60_a_port_that_is_taken_is_named(street: Street) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = command("run", "--settings", str(street.with_settings(port=port)))
    assert ended.returncode == 2
    assert f"port {port}" in ended.stderr


def test_api_60_only_a_central_bank_attests(street: Street) -> None:
    ended = command("attest", "--settings", str(street.settings))
    assert ended.returncode == 2
    assert "only a central bank attests" in ended.stderr


def test_api_62_a_database_that_does_not_follow_from_the_chain_ends_the_process(
    street: Street,
) -> None:
    settings = street.with_settings(database="wrong.sqlite", port=free_port())
    store = Store.open(settings.parent / "wrong.sqlite")
    with store.unit_of_work() as work:
        for number in range(2):
            work.chain_log.advance(
                number=number, block_hash=bytes([number]) * 32, parent_hash=bytes(32)
            )
    store.close()
    with running(settings) as (process, _):
        make_block(street.node)
        make_block(street.node)
        assert process.wait(SECONDS_MAX) == 1
    assert "ChainDiscontinuous" in settings.with_suffix(".log").read_text()


def test_api_63_keys_are_for_their_owner_and_never_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    assert make_participant(folder, "--kinds", "operating,settlement,quoting").returncode == 0
    files = {path.name: path for path in folder.iterdir()}
    assert set(files) == {
        "operating.keystore.json",
        "settlement.keystore.json",
        "quoting.keystore.json",
        "passphrase",
        "secret",
        "operator-token",
        "second-operator-token",
        "monitor-token",
        "message-keys.json",
        "participant.json",
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
    entry = json.loads(files["participant.json"].read_text())
    assert [account["kind"] for account in entry["accounts"]] == [
        "operating",
        "settlement",
        "quoting",
    ]
    before = {name: path.read_bytes() for name, path in files.items()}
    again = make_participant(folder)
    assert again.returncode == 2
    assert len(again.stderr.splitlines()) == 1
    assert {name: path.read_bytes() for name, path in files.items()} == before


def test_api_63_officers_get_a_key_each(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    central_bank = "DEVN00EUROSYSTEM0007"
    more = ("--kinds", "operating", "--officers", "2", "--central-bank", central_bank)
    assert make_participant(folder, *more).returncode == 0
    assert {path.name for path in folder.glob("*.keystore.json")} == {
        "operating.keystore.json",
        "officer-1.keystore.json",
        "officer-2.keystore.json",
    }
    entry = json.loads((folder / "participant.json").read_text())
    assert [account["kind"] for account in entry["accounts"]] == ["operating", "officer", "officer"]
    assert entry["central_bank"] == central_bank


@pytest.mark.parametrize(
    "arguments",
    [
        ("--officers", "10"),
        ("--officers", "-1"),
        ("--central-bank", "DEVN00AURORABANK0016"),
        ("--lei", "DEVN00AURORABANK0016"),
        ("--bic", "NOBIC"),
        ("--country", "XX"),
        ("--kinds", "operating,surprise"),
        ("--kinds", "operating,operating"),
        ("--role", "shop"),
        ("--endpoint", "http://[::1/v1"),
        ("--endpoint", "http://a..b"),
        ("--endpoint", "http://127.0.0.1:99999"),
        ("--endpoint", "127.0.0.1:80"),
        ("--endpoint", "http://bank.example?to=me"),
    ],
)
def test_api_63_an_institution_that_cannot_be_gets_no_keys(
    tmp_path: Path, arguments: tuple[str, str]
) -> None:
    ended = make_participant(tmp_path / "keys", *arguments)
    assert ended.returncode == 2
    assert not (tmp_path / "keys").exists()


def anchored_log(street: Street, settings: Path, file: Path) -> subprocess.CompletedProcess[str]:
    """The audit log of a bridge, exported and held against the chain."""
    exported = command("export-audit-log", "--settings", str(settings), "--to", str(file))
    assert exported.returncode == 0, exported.stderr
    chain = ("--node", street.node.url, "--chain-id", str(CHAIN_ID), "--lei", BANK_A)
    return command("verify-audit-log", str(file), *chain)


def newest_anchor(client: httpx.Client, token: str) -> int:
    """The number of the record that was anchored, once the anchor is final."""
    deadline, bearer = time.monotonic() + SECONDS_MAX, {"authorization": f"Bearer {token}"}
    while time.monotonic() < deadline:
        records = client.get("/v1/audit/records", headers=bearer).json()["items"]
        anchored = [int(each["subject"]) for each in records if each["action"] == "anchored"]
        if anchored:
            return max(anchored)
        time.sleep(0.1)
    raise AssertionError("nothing was anchored")


def test_aud_5_6_7_the_log_is_anchored_on_the_chain_and_checked_against_it(tmp_path: Path) -> None:
    with opened_street(tmp_path / "street") as street:
        check_anchored(street, tmp_path)


def check_anchored(street: Street, tmp_path: Path) -> None:
    settings = street.with_settings(database="audited.db")
    token = (settings.parent / "operator-token").read_text()
    with running(settings) as (process, client):
        anchored = newest_anchor(client, token)
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS_MAX) == 0
    verified = anchored_log(street, settings, tmp_path / "whole.log")
    assert verified.returncode == 0, verified.stderr
    told = json.loads(verified.stdout)
    assert (told["anchored"], told["lost"]) == (anchored, [])
    assert told["sealed_rows"]["entries"] > 0
    lines = (tmp_path / "whole.log").read_text().splitlines()
    (tmp_path / "short.log").write_text("\n".join(lines[:-2]))
    chain = ("--node", street.node.url, "--chain-id", str(CHAIN_ID), "--lei", BANK_A)
    for name in ("short.log", "absent.log"):
        refused = command("verify-audit-log", str(tmp_path / name), *chain)
        assert refused.returncode == 2
        assert len(refused.stderr.splitlines()) == 1
    for file in settings.parent.glob("audited.db*"):
        file.unlink()  # the oldest backup there can be
    with running(settings):
        pass
    restored = anchored_log(street, settings, tmp_path / "restored.log")
    assert restored.returncode == 0, restored.stderr
    assert json.loads(restored.stdout)["lost"] == [[1, anchored]]
