"""What takes two operators: proposed by one, decided by another, done once.

Cites docs/spec/api.md: API-70 to API-74.
"""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from bridge.approval import PROPOSAL_SECONDS_MAX, Proposal, ProposalState, decide
from bridge.errors import OwnProposal, ProposalDecided, ProposalLapsed, ProposalNotOwn
from bridge.store import EffectState, NewEffect
from support.bridge_api import ALICE, NOW, OPERATOR, SECOND_OPERATOR, Bridge, bank

KEY = "pay_1:deliver_message"
WISH = {"kind": "revive_effect", "subject": KEY, "note": "the peer is back"}
PATH = "/v1/operations/proposals"


@pytest.fixture
def bridge(tmp_path: Path) -> Bridge:
    """A bank with one effect that was given up."""
    made = bank(tmp_path)
    with made.store.unit_of_work() as work:
        work.effects.add(NewEffect(kind="deliver_message", key=KEY, payload={}, due_at=NOW))
        (effect,) = work.effects.claim(now=NOW, owner="w", limit=1, lease_seconds=60)
        work.effects.abandon(effect, "refused")
    return made


def propose(bridge: Bridge, wish: object = WISH, token: str = OPERATOR, key: str = "k") -> Any:
    return bridge.request("POST", PATH, token=token, headers={"Idempotency-Key": key}, json=wish)


def decision(bridge: Bridge, proposal_id: str, what: str, token: str) -> Any:
    return bridge.request("POST", f"{PATH}/{proposal_id}/{what}", token=token)


def dead(bridge: Bridge) -> int:
    with bridge.store.reading() as work:
        return work.effects.count(EffectState.DEAD)


def test_api_70_an_action_happens_when_another_operator_approves_it(bridge: Bridge) -> None:
    made = propose(bridge)
    assert made.status_code == 201
    assert (made.json()["state"], made.json()["proposed_by"]) == ("open", "olga")
    assert dead(bridge) == 1
    done = decision(bridge, made.json()["id"], "approval", SECOND_OPERATOR)
    assert done.status_code == 200
    assert (done.json()["state"], done.json()["decided_by"]) == ("approved", "otto")
    assert done.json()["outcome"] == "due again"
    assert dead(bridge) == 0


def test_api_71_nobody_decides_on_what_they_proposed(bridge: Bridge) -> None:
    proposal_id = propose(bridge).json()["id"]
    for what in ("approval", "rejection"):
        refused = decision(bridge, proposal_id, what, OPERATOR)
        assert (refused.status_code, refused.json()["code"]) == (403, "own_proposal")
    refused = decision(bridge, proposal_id, "withdrawal", SECOND_OPERATOR)
    assert (refused.status_code, refused.json()["code"]) == (403, "proposal_not_own")
    assert dead(bridge) == 1


def test_api_71_the_database_itself_wants_two_persons(bridge: Bridge) -> None:
    proposal_id = propose(bridge).json()["id"]
    with (
        sqlite3.connect(bridge.database) as raw,
        pytest.raises(sqlite3.IntegrityError, match="proposals_four_eyes"),
    ):
        raw.execute(
            "UPDATE proposals SET state = 'approved', decided_by = proposed_by "
            "WHERE proposal_id = ?",
            (proposal_id,),
        )
    raw.close()


@pytest.mark.parametrize("what", ["approval", "rejection"])
def test_api_72_a_decision_given_twice_is_one_decision(bridge: Bridge, what: str) -> None:
    proposal_id = propose(bridge).json()["id"]
    first = decision(bridge, proposal_id, what, SECOND_OPERATOR)
    rows = bridge.rows()
    assert decision(bridge, proposal_id, what, SECOND_OPERATOR).json() == first.json()
    assert bridge.rows() == rows
    other = "rejection" if what == "approval" else "approval"
    refused = decision(bridge, proposal_id, other, SECOND_OPERATOR)
    assert (refused.status_code, refused.json()["code"]) == (422, "proposal_decided")


def test_api_72_a_proposal_made_twice_is_one_proposal(bridge: Bridge) -> None:
    first = propose(bridge)
    rows = bridge.rows()
    assert propose(bridge).json() == first.json()
    assert bridge.rows() == rows
    refused = propose(bridge, {**WISH, "note": "another reason"})
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert propose(bridge, token=SECOND_OPERATOR).json()["id"] != first.json()["id"]


def test_api_73_what_cannot_be_done_is_not_proposed_nor_approved(bridge: Bridge) -> None:
    refused = propose(bridge, {**WISH, "subject": "pay_2:deliver_message"})
    assert refused.json()["code"] == "effect_not_dead"
    assert propose(bridge, {**WISH, "kind": "print_money"}).json()["code"] == "action_unknown"
    first, second = (propose(bridge, key=key).json()["id"] for key in ("a", "b"))
    assert decision(bridge, first, "approval", SECOND_OPERATOR).status_code == 200
    refused = decision(bridge, second, "approval", SECOND_OPERATOR)
    assert refused.json()["code"] == "effect_not_dead"
    found = bridge.request("GET", f"{PATH}/{second}", token=OPERATOR).json()
    assert (found["state"], found["outcome"]) == ("open", None)


def test_api_74_proposals_are_listed_for_operators_alone(bridge: Bridge) -> None:
    ids = [propose(bridge, key=key).json()["id"] for key in ("a", "b", "c")]
    decision(bridge, ids[1], "withdrawal", OPERATOR)
    listed = bridge.request("GET", f"{PATH}?state=open", token=SECOND_OPERATOR).json()
    assert [item["id"] for item in listed["items"]] == [ids[2], ids[0]]
    page = bridge.request("GET", f"{PATH}?limit=2", token=SECOND_OPERATOR).json()
    assert [item["id"] for item in page["items"]] == [ids[2], ids[1]]
    rest = bridge.request("GET", f"{PATH}?cursor={page['next']}", token=SECOND_OPERATOR).json()
    assert [item["id"] for item in rest["items"]] == [ids[0]]
    assert bridge.request("GET", PATH, token=ALICE).status_code == 401
    missing = bridge.request("GET", f"{PATH}/prp_0", token=OPERATOR)
    assert (missing.status_code, missing.json()["code"]) == (404, "proposal_unknown")


def proposal(at: int = NOW) -> Proposal:
    return Proposal("prp_1", "revive_effect", KEY, {}, "why", "olga", at)


def test_api_74_a_proposal_lapses() -> None:
    last = NOW + PROPOSAL_SECONDS_MAX
    assert decide(proposal(), ProposalState.APPROVED, "otto", last).decided_at == last
    with pytest.raises(ProposalLapsed):
        decide(proposal(), ProposalState.APPROVED, "otto", last + 1)


def test_api_71_a_decision_is_somebody_elses_and_the_only_one() -> None:
    with pytest.raises(OwnProposal):
        decide(proposal(), ProposalState.APPROVED, "olga", NOW)
    with pytest.raises(ProposalNotOwn):
        decide(proposal(), ProposalState.WITHDRAWN, "otto", NOW)
    decided = decide(proposal(), ProposalState.REJECTED, "otto", NOW)
    for state in (ProposalState.APPROVED, ProposalState.REJECTED, ProposalState.WITHDRAWN):
        with pytest.raises(ProposalDecided):
            decide(decided, state, "otto", NOW)
