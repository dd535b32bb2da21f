"""Copies of payment messages, sealed for central banks and supervisors alone.

The debtor bank signs document and salt (JWS) and encrypts that once with a content key of its own
(JWE, A256GCM, general JSON serialisation of RFC 7516), wrapped for each recipient (ECDH-ES+A256KW). The
SHA-256 of the bytes stands in the payment's terms on the chain. Who may open it can be read from it by
anybody; what it says, by its recipients alone.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from joserfc import jwe, jws
from joserfc.errors import JoseError

from bridge.chain import Directory, Participant
from bridge.errors import CopyUnreadable, PeerMisconfigured
from bridge.interbank.jose import is_signed_by, public_key, sign
from bridge.keys import MessageKeys

_WRAPPING: Final = ("ECDH-ES+A256KW", "A256GCM")


@dataclass(frozen=True, slots=True)
class CopyContent:
    """What a copy says: a payment's pacs.008 and the salt that opens its commitment.

    Of a return it is the pacs.004, and `return_number` says which of its original's returns it is.
    """

    settlement_id: bytes
    document: bytes
    salt: bytes
    return_number: int | None = None


@dataclass(frozen=True, slots=True)
class OpenedCopy:
    """A copy that was opened, and who signed it."""

    sender_lei: str
    content: CopyContent


@dataclass(frozen=True, slots=True)
class Copyist:
    """One institution's hand in copies: seals its own, opens those that are for it."""

    lei: str
    keys: MessageKeys
    network: str

    def seal(self, content: CopyContent, recipients: Sequence[Participant]) -> bytes:
        """A copy for exactly these recipients; raises `PeerMisconfigured` for a key that is none."""
        plain = {
            "network": self.network,
            "settlement_id": content.settlement_id.hex(),
            "document": content.document.decode(),
            "salt": content.salt.hex(),
            "return_number": content.return_number,
        }
        signed = sign(plain, self.lei, self.keys.signing)
        sealed = jwe.GeneralJSONEncryption({"enc": _WRAPPING[1]}, signed.encode())
        for recipient in sorted(recipients, key=lambda each: each.lei):
            try:
                key = public_key("X25519", recipient.sealing_key)
                sealed.add_recipient({"alg": _WRAPPING[0], "kid": recipient.lei}, key)
            except (JoseError, ValueError) as error:
                raise PeerMisconfigured(recipient.lei, "sealing key") from error
        try:
            document = jwe.encrypt_json(sealed, None, algorithms=list(_WRAPPING))
        except (JoseError, ValueError) as error:
            leis = ", ".join(each.lei for each in recipients)
            raise PeerMisconfigured(leis, "sealing key") from error
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    def open(self, copy: bytes, directory: Directory) -> OpenedCopy:
        """What a copy says; raises `CopyUnreadable` for one that is not for this institution, is not
        rightly sealed or signed, or is of another network.
        """
        document = _read(copy)
        own = [each for each in document["recipients"] if each["header"].get("kid") == self.lei]
        if len(own) != 1:
            raise CopyUnreadable("it is not sealed for this institution")
        try:
            narrowed = cast(jwe.GeneralJSONSerialization, {**document, "recipients": own})
            opened = jwe.decrypt_json(narrowed, self.keys.sealing, algorithms=list(_WRAPPING))
            signed = jws.extract_compact(opened.plaintext or b"")
            sender_lei = signed.headers().get("kid")
            content = json.loads(signed.payload)
            found = CopyContent(
                settlement_id=bytes.fromhex(content["settlement_id"]),
                document=content["document"].encode(),
                salt=bytes.fromhex(content["salt"]),
                return_number=_number(content.get("return_number")),
            )
            network = content["network"]
        except (
            JoseError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            raise CopyUnreadable("it cannot be unsealed") from error
        if not isinstance(sender_lei, str) or network != self.network:
            raise CopyUnreadable("it names no sender, or another network")
        if not is_signed_by(signed, directory.by_lei(sender_lei).signing_key):
            raise CopyUnreadable("it is not signed by whom it names")
        return OpenedCopy(sender_lei, found)


def _number(given: object) -> int | None:
    """The number of a return on the chain (a uint256); raises ValueError for what is none."""
    if given is None:
        return None
    if type(given) is not int or not 0 < given < 1 << 256:
        raise ValueError(given)
    return given


def copy_hash(copy: bytes) -> bytes:
    """What of a copy stands on the chain: the SHA-256 of its bytes."""
    return hashlib.sha256(copy).digest()


def recipients_of(copy: bytes) -> frozenset[str]:
    """The LEIs of those who may open a copy; raises `CopyUnreadable` for what is no copy."""
    kids = [each["header"].get("kid") for each in _read(copy)["recipients"]]
    if not all(isinstance(kid, str) for kid in kids):
        raise CopyUnreadable("it does not name its recipients")
    return frozenset(kids)


def _read(copy: bytes) -> Mapping[str, Any]:  # JSON
    try:
        document = json.loads(copy)
        recipients = document["recipients"]
        is_whole = all(isinstance(each["header"], dict) for each in recipients)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CopyUnreadable("it is no sealed copy") from error
    if not is_whole or not isinstance(recipients, list):
        raise CopyUnreadable("it is no sealed copy")
    return dict(document)
