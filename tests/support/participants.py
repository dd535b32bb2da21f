"""Participants for tests: a few institutions with real keys, and the directory that knows them."""

import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from eth_account import Account

from bridge.chain import AccountKind, Directory
from bridge.chain.directory import Participant, ParticipantAccount
from bridge.keys import KeystoreSigner, MessageKeys

BANK_A = "DEVN00AURORABANK0015"
BANK_B = "DEVN00STRAITSHARB026"
PROVIDER = "DEVN00ARDENNEEXCH002"

_BIC = {BANK_A: "AURODEF0XXX", BANK_B: "STHBSGS0XXX", PROVIDER: "ARDELUL0XXX"}
_ROLE = {BANK_A: "bank", BANK_B: "bank", PROVIDER: "fx_provider"}


@dataclass(frozen=True, slots=True)
class Institution:
    """One institution with its private keys."""

    participant: Participant
    keys: MessageKeys
    quoting: KeystoreSigner


def make_institutions(*leis: str) -> dict[str, Institution]:
    """Institutions by LEI; EVM keys are derived from the LEI, message keys are fresh."""
    return {lei: _institution(lei) for lei in leis}


def directory_of(institutions: dict[str, Institution]) -> Directory:
    """The directory in which exactly these are admitted."""
    return Directory(institution.participant for institution in institutions.values())


def _institution(lei: str) -> Institution:
    with tempfile.TemporaryDirectory() as folder:
        keys = MessageKeys.generate(Path(folder, "keys.json"))
    quoting = KeystoreSigner(Account.from_key(sha256(lei.encode()).digest()))
    participant = Participant(
        lei=lei,
        bic=_BIC[lei],
        country=_BIC[lei][4:6],
        is_admitted=True,
        roles=frozenset({_ROLE[lei]}),
        sealing_key=keys.sealing_public,
        signing_key=keys.signing_public,
        endpoint=f"http://{lei.lower()}.test",
        accounts=(
            _account(lei, AccountKind.SETTLEMENT),
            ParticipantAccount(
                reference=sha256(f"{lei} quoting".encode()).digest(),
                address=quoting.address,
                kind=AccountKind.QUOTING,
            ),
        ),
    )
    return Institution(participant=participant, keys=keys, quoting=quoting)


def _account(lei: str, kind: AccountKind) -> ParticipantAccount:
    digest = sha256(f"{lei} {kind.name}".encode()).digest()
    return ParticipantAccount(reference=digest, address=digest[:20], kind=kind)
