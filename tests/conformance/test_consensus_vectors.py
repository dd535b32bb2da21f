"""What CometBFT signs: its published vectors (types/vote_test.go, types/block_test.go), and commits that it made."""

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest

from node.signed_header import (
    BlockId,
    ConsensusHeader,
    SignedHeader,
    Timestamp,
    check_signed_header,
)
from node.verify_certificate import sign_bytes
from support.certificates import CHAIN_ID, engine_headers, sample

YEAR_ONE = {"seconds": -62_135_596_800, "nanos": 0}
"""Go's zero time."""


@pytest.mark.parametrize(
    ("chain_id", "step", "expected"),
    [
        pytest.param("", (0, 0, 0), "0d2a0b088092b8c398feffffff01", id="case 0: empty vote"),
        pytest.param(
            "",
            (2, 1, 1),
            "2108021101000000000000001901000000000000002a0b088092b8c398feffffff01",
            id="case 1: precommit",
        ),
        pytest.param(
            "",
            (1, 1, 1),
            "2108011101000000000000001901000000000000002a0b088092b8c398feffffff01",
            id="case 2: prevote",
        ),
        pytest.param(
            "",
            (0, 1, 1),
            "1f1101000000000000001901000000000000002a0b088092b8c398feffffff01",
            id="case 3: no kind",
        ),
        pytest.param(
            "test_chain_id",
            (0, 1, 1),
            "2e1101000000000000001901000000000000002a0b088092b8c398feffffff01"
            "320d746573745f636861696e5f6964",
            id="case 4: chain id",
        ),
    ],
)
def test_n_160_a_vote_is_signed_in_the_published_bytes(
    chain_id: str, step: tuple[int, int, int], expected: str
) -> None:
    assert sign_bytes(chain_id, step, None, YEAR_ONE).hex() == expected


def test_n_160_a_header_has_the_published_hash() -> None:
    def digest(label: str) -> bytes:
        return sha256(label.encode()).digest()

    seconds = int(datetime(2019, 10, 13, 16, 14, 44, tzinfo=UTC).timestamp())
    header = ConsensusHeader(
        version_block=1,
        version_app=2,
        chain_id="chainId",
        height=3,
        time=Timestamp(seconds, 0),
        last_block_id=BlockId(bytes(32), 6, bytes(32)),
        last_commit_hash=digest("last_commit_hash"),
        data_hash=digest("data_hash"),
        validators_hash=digest("validators_hash"),
        next_validators_hash=digest("next_validators_hash"),
        consensus_hash=digest("consensus_hash"),
        app_hash=digest("app_hash"),
        last_results_hash=digest("last_results_hash"),
        evidence_hash=digest("evidence_hash"),
        proposer_address=digest("proposer_address")[:20],
    )
    published = "F740121F553B5418C3EFBD343C2DBFE9E007BB67B0D020A0741374BAB65242A4"
    assert header.hash.hex().upper() == published


def test_n_169_what_the_engine_answers_is_borne_out_by_its_signatures() -> None:
    for signed in engine_headers():
        check_signed_header(signed, chain_id=CHAIN_ID)
        assert SignedHeader.decode(signed.encode()) == signed


def test_n_161_a_commit_of_the_engine_certifies_through_a_change_of_validators() -> None:
    first, change, later = engine_headers()
    one = replace(sample(), genesis=first.validators)
    before = replace(one, material=replace(one.material, signed=first))
    after = replace(one, material=replace(one.material, signed=later, changes=[change]))
    assert len(before.verify().signers) == 3
    verdict = after.verify()
    assert (verdict.height, verdict.validators) == (5, 3)
    assert verdict.ethereum_hash == one.material.header.hash
