"""Deliveries over real sockets: a bad line, a killed sender, restored books.

Cites docs/spec/interbank.md: IBK-11, 13, 16, 18.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.interbank.fetching import fetch_page
from bridge.store import DeliveryState, Store
from support.participants import BANK_A, BANK_B
from support.street_post import INSTITUTIONS, Fault, Peer, connect, make_side

pytestmark = pytest.mark.integration

NOW = 1_795_429_800
ROOT = Path(__file__).resolve().parents[3]
PAYMENTS = ("p", "q", "r")
MESSAGES = 4


@pytest.mark.parametrize("seed", range(5))
def test_ibk_16_over_a_bad_line_everything_arrives_once_and_in_order(
    tmp_path: Path, seed: int
) -> None:
    """Requests and answers get lost, requests come twice, the peer asks for patience."""
    dice = random.Random(seed)
    sender, receiver = make_side(BANK_A, tmp_path, NOW), make_side(BANK_B, tmp_path, NOW)
    faults = dice.choices(list(Fault), k=20)
    with Peer(receiver, faults).running() as peer:
        connect(sender, {BANK_B: peer.url})
        plan = [(payment, str(number)) for payment in PAYMENTS for number in range(MESSAGES)]
        dice.shuffle(plan)
        plan.sort(key=lambda each: each[1])
        for payment, text in plan:
            sender.delivers(payment, text)
        courier = sender.courier()
        for _ in range(500):
            if not courier.step():
                sender.clock.now += 1
    with sender.store.reading() as work:
        assert work.deliveries.count(DeliveryState.TAKEN) == len(plan)
    assert sorted(receiver.taken) == sorted(plan)
    for payment in PAYMENTS:
        order = [text for name, text in receiver.taken if name == payment]
        assert order == [str(number) for number in range(MESSAGES)]


def test_ibk_13_a_sender_killed_between_sending_and_recording_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    """The receiver has taken the message, and kills its sender before it answers."""
    sender, receiver = make_side(BANK_A, tmp_path, NOW), make_side(BANK_B, tmp_path, NOW)
    ids = [sender.delivers("p", str(number)) for number in range(3)]
    sender.store.close()
    keys = write_keys(tmp_path)
    peer = Peer(receiver)
    with peer.running():
        command = [*("-m", "support.courier_process"), str(tmp_path / f"{BANK_A}.sqlite")]
        for round_number in range(3):
            killed = subprocess.Popen(
                [sys.executable, *command, str(keys), peer.url],
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
            )
            peer.before_answer = lambda process=killed: process.send_signal(signal.SIGKILL)  # type: ignore[misc]
            assert killed.wait(60) == -signal.SIGKILL
            assert len(receiver.taken) == 1, round_number
        peer.before_answer = lambda: None
        last = subprocess.run(
            [sys.executable, *command, str(keys), peer.url],
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
            check=False,
            timeout=60,
        )
        assert last.returncode == 0
    assert receiver.taken == [("p", "0"), ("p", "1"), ("p", "2")]
    assert receiver.duplicates == 3
    store = Store.open(tmp_path / f"{BANK_A}.sqlite")
    with store.reading() as work:
        found = [work.deliveries.find(message_id) for message_id in ids]
    store.close()
    assert {each.state for each in found if each} == {DeliveryState.TAKEN}
    assert [each.attempts for each in found if each] == [4, 1, 1]


def write_keys(folder: Path) -> Path:
    keys = folder / "keys.json"
    own = INSTITUTIONS[BANK_A].keys
    documents = [key.as_dict(private=True) for key in (own.signing, own.sealing)]
    keys.write_text(json.dumps({"keys": documents}), "utf-8")
    known: dict[str, object] = {
        lei: {
            "sealing": each.participant.sealing_key.hex(),
            "signing": each.participant.signing_key.hex(),
        }
        for lei, each in INSTITUTIONS.items()
    }
    (folder / "directory.json").write_text(json.dumps({**known, "now": NOW}), "utf-8")
    return keys


def test_ibk_18_restored_books_hear_again_what_they_missed(tmp_path: Path) -> None:
    """Bank B takes three messages and is then restored from a backup made after the first."""
    sender, receiver = make_side(BANK_A, tmp_path, NOW), make_side(BANK_B, tmp_path, NOW)
    with Peer(sender).running() as asked, Peer(receiver).running() as peer:
        connect(sender, {BANK_B: peer.url})
        courier = sender.courier()
        sender.delivers("p", "0")
        courier.step()
        backup = tmp_path / "backup.sqlite"
        with receiver.store.unit_of_work():
            shutil.copy(tmp_path / f"{BANK_B}.sqlite", backup)
            shutil.copy(tmp_path / f"{BANK_B}.sqlite-wal", f"{backup}-wal")
        for text in ("1", "2"):
            sender.delivers("p", text)
            courier.step()
        receiver.store.close()
        receiver.store = Store.open(backup)
        receiver.taken.clear()
        connect(receiver, {BANK_A: asked.url})
        assert fetch_page(receiver.store, receiver.channel, BANK_A, NOW - 3_600, 0).count == 2
        while courier.step():
            pass
    assert receiver.taken == [("p", "1"), ("p", "2")]
    assert receiver.duplicates == 2
