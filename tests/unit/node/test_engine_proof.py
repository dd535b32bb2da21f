"""Proofs of accounts and slots hold for an independent verifier, and for no other state."""

from collections.abc import Iterator, Sequence

import pytest
import rlp
from eth_hash.auto import keccak

from node.engine import AccountProof, GenesisAccount, PyEvmEngine
from node.errors import StateMissing
from node.primitives import EMPTY_CODE_HASH, EMPTY_TRIE_ROOT, Address, Hash32
from node.store import MemoryState

CONTRACT = Address(b"\xc0" * 20)
CODE = b"\x00"
STORAGE = {slot: slot + 1 for slot in range(40)}
ACCOUNTS = {Address(bytes([n]) * 20): GenesisAccount(balance=n + 1, nonce=n) for n in range(1, 60)}
ABSENT = Address(b"\xfe" * 20)


class ProofInvalid(Exception):
    """The nodes do not prove anything about the key."""


def nibbles(data: bytes) -> list[int]:
    return [int(digit, 16) for digit in data.hex()]


def proven(root: bytes, key: bytes, nodes: Sequence[bytes]) -> bytes | None:
    """What a proof says stands under a key: its value, or None. Written from the Yellow Paper, appendix D."""
    left: Iterator[bytes] = iter(nodes)
    path = nibbles(keccak(key))
    if root == EMPTY_TRIE_ROOT and not nodes:
        return None
    reference: object = root
    while True:
        if isinstance(reference, bytes):
            encoded = next(left, b"")
            if keccak(encoded) != reference:
                raise ProofInvalid
            reference = rlp.decode(encoded)
        assert isinstance(reference, list)
        if len(reference) == 17:
            reference = reference[path.pop(0)]
        else:
            head = nibbles(reference[0])
            segment = head[1:] if head[0] & 1 else head[2:]
            if path[: len(segment)] != segment:
                reference = b""
            elif head[0] & 2:
                assert next(left, None) is None
                return bytes(reference[1])
            else:
                path = path[len(segment) :]
                reference = reference[1]
        if reference == b"":
            if next(left, None) is not None:
                raise ProofInvalid
            return None


@pytest.fixture(scope="module")
def state() -> tuple[PyEvmEngine, Hash32]:
    engine = PyEvmEngine(MemoryState())
    alloc = {**ACCOUNTS, CONTRACT: GenesisAccount(nonce=1, code=CODE, storage=STORAGE)}
    loaded = engine.load_genesis(alloc)
    engine.commit(loaded.handle)
    return engine, loaded.state_root


def fields_of(proof: AccountProof) -> list[bytes]:
    """An account as its leaf holds it."""
    numbers = [n.to_bytes((n.bit_length() + 7) // 8, "big") for n in (proof.nonce, proof.balance)]
    return [*numbers, proof.storage_root, proof.code_hash]


def test_every_account_is_proven(state: tuple[PyEvmEngine, Hash32]) -> None:
    """N-60."""
    engine, root = state
    for address, account in ACCOUNTS.items():
        proof = engine.proof(root, address, [])
        assert (proof.nonce, proof.balance) == (account.nonce, account.balance)
        assert rlp.decode(proven(root, address, proof.nodes)) == fields_of(proof)


def test_an_absent_account_is_proven_absent(state: tuple[PyEvmEngine, Hash32]) -> None:
    """N-60."""
    engine, root = state
    proof = engine.proof(root, ABSENT, [1])
    assert proof.nodes
    assert proven(root, ABSENT, proof.nodes) is None
    assert (proof.nonce, proof.balance) == (0, 0)
    assert (proof.code_hash, proof.storage_root) == (EMPTY_CODE_HASH, EMPTY_TRIE_ROOT)
    assert [(each.value, each.nodes) for each in proof.storage] == [(0, ())]


def test_slots_are_proven_present_or_absent_under_the_accounts_own_root(
    state: tuple[PyEvmEngine, Hash32],
) -> None:
    """N-60."""
    engine, root = state
    proof = engine.proof(root, CONTRACT, [*STORAGE, 999])
    assert rlp.decode(proven(root, CONTRACT, proof.nodes)) == fields_of(proof)
    for each in proof.storage:
        value = proven(proof.storage_root, each.slot.to_bytes(32, "big"), each.nodes)
        expected = STORAGE.get(each.slot, 0)
        assert each.value == expected
        assert value == (rlp.encode(expected) if expected else None)


def test_a_changed_byte_of_a_proof_proves_nothing(state: tuple[PyEvmEngine, Hash32]) -> None:
    engine, root = state
    nodes = engine.proof(root, CONTRACT, []).nodes
    for position in range(len(nodes)):
        changed = list(nodes)
        changed[position] = nodes[position][:-1] + bytes([nodes[position][-1] ^ 1])
        with pytest.raises(ProofInvalid):
            proven(root, CONTRACT, changed)
    with pytest.raises(ProofInvalid):
        proven(root, CONTRACT, nodes[:-1])


def test_a_proof_in_a_state_that_is_not_here_stops_the_node(
    state: tuple[PyEvmEngine, Hash32],
) -> None:
    with pytest.raises(StateMissing):
        state[0].proof(Hash32(b"\x01" * 32), CONTRACT, [])
