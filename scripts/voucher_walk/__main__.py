"""Prints the walk: `scripts/vouchers`."""

import tempfile
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bridge.chain import Directory
from bridge.interbank import Interbank
from bridge.keys import MessageKeys
from bridge.retail import device
from bridge.retail.device import Purse
from bridge.voucher import check_presentation, culprit_of

BANK = "DEVN00AURORABANK0015"
WALLET = "wal_" + "0" * 24
NOON = 1_795_435_200
WEEK = 7 * 86_400


def main() -> int:
    """Load, pay, hand on, present; then spend the same counter twice."""
    with tempfile.TemporaryDirectory() as folder:
        keys = MessageKeys.generate(Path(folder, "keys.json"))
    bank = Interbank(BANK, keys, lambda: Directory(()), httpx.Client(), b"")
    alice, bob, till = (Purse(Ed25519PrivateKey.generate(), BANK, "EUR") for _ in range(3))

    certificate = bank.state(
        {
            "device": alice.device,
            "bank": BANK,
            "currency": "EUR",
            "loaded": "5000",
            "expires_at": str(NOON + WEEK),
        }
    )
    alice = device.load(alice, certificate, keys.signing_public)
    print(f"Alice's device carries {alice.loaded} cents until {alice.expires_at}.")

    before = alice
    alice, paid = device.spend(alice, 1_200, bob.device, serial=bytes(16), now=NOON)
    bob = device.accept(bob, paid, keys.signing_public, now=NOON)
    print(f"It signs voucher {paid.voucher.counter} over {paid.voucher.amount} cents to Bob's.")

    bob, passed = device.endorse(bob, paid, till.device)
    till = device.accept(till, passed, keys.signing_public, now=NOON)
    first = device.present(till, passed, WALLET)
    check_presentation(first)
    print("Bob hands it on to a till, which presents it: every signature holds.")

    _, again = device.spend(before, 900, till.device, serial=bytes(16), now=NOON)
    till = device.accept(emptied(till), again, keys.signing_public, now=NOON)
    second = device.present(till, again, WALLET)
    name = {alice.device: "Alice's device", bob.device: "Bob's device"}
    culprit = culprit_of(first, second)
    print(f"A voucher under the same counter comes: {name[culprit or '']} signed both.")
    return 0 if culprit == alice.device else 1


def emptied(purse: Purse) -> Purse:
    """The purse with its vouchers deposited."""
    return Purse(purse.key, purse.bank_lei, purse.currency)


if __name__ == "__main__":
    raise SystemExit(main())
