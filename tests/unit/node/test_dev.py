"""A development chain: who has what, what is refused, and that it is a chain like any other."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from node import genesis
from node.app.dev import (
    BALANCE_WEI,
    DevelopmentSettings,
    development_accounts,
    development_network,
    load_or_make_genesis,
    print_accounts,
)
from node.config import parse_network
from node.engine import PyEvmEngine
from node.errors import GenesisMismatch, NetworkFileInvalid, PublicChainId
from node.store import MemoryState
from support.settlement_network import GENESIS_TIME

SETTINGS = DevelopmentSettings(data_directory=None)


def test_the_accounts_are_those_that_every_tool_knows() -> None:
    first, second = development_accounts(2)
    assert first.address.hex() == "f39fd6e51aad88f6f4ce6ab8827279cfffb92266"
    assert first.key.hex() == "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
    assert second.address.hex() == "70997970c51812dc3a010c7d01b50e0d17dc79c8"


def test_each_begins_with_native_coin_and_anybody_may_transact() -> None:
    """N-23."""
    network = development_network(SETTINGS, GENESIS_TIME)
    made = genesis.generate(network, PyEvmEngine(MemoryState()))
    balances = [made.alloc[each.address].balance for each in development_accounts(10)]
    assert balances == [BALANCE_WEI] * 10
    assert network.transactions_open
    assert made.specification.development
    assert (made.specification.chain_id, made.header.timestamp) == (31_337, GENESIS_TIME)


@pytest.mark.parametrize("chain_id", [1, 11155111, 42161])
def test_the_id_of_a_public_network_is_refused(chain_id: int) -> None:
    network = development_network(replace(SETTINGS, chain_id=chain_id), GENESIS_TIME)
    with pytest.raises(PublicChainId):
        genesis.generate(network, PyEvmEngine(MemoryState()))


def test_a_network_that_is_not_for_development_hands_out_no_coin() -> None:
    network = development_network(SETTINGS, GENESIS_TIME)
    text = network.model_copy(update={"development": False, "administrator": "operator"})
    with pytest.raises(NetworkFileInvalid, match="only a development network"):
        parse_network(_as_json(text.model_dump()))


def test_a_kept_chain_goes_on_and_another_chain_id_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "genesis.json"
    made = load_or_make_genesis(file, SETTINGS)
    assert load_or_make_genesis(file, SETTINGS).header.hash == made.header.hash
    with pytest.raises(GenesisMismatch, match="chain id"):
        load_or_make_genesis(file, replace(SETTINGS, chain_id=1_338))


def test_the_accounts_are_shown_with_their_keys_and_a_warning(tmp_path: Path) -> None:
    out = io.StringIO()
    made = load_or_make_genesis(tmp_path / "genesis.json", SETTINGS)
    print_accounts(SETTINGS, made, out)
    text = out.getvalue()
    assert "(0) 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266" in text
    assert "(9) 0xa0Ee7A142d267C1f36714E4a8F75612F20a79720" in text
    assert text.count(" 10000 ETH") == 10
    assert "These keys are public" in text


def _as_json(document: dict[str, object]) -> bytes:
    import json

    def text(value: object) -> object:
        return "0x" + value.hex() if isinstance(value, bytes) else value

    funds = [{k: text(v) for k, v in each.items()} for each in document["funds"]]  # type: ignore[attr-defined]
    fields = {key: text(value) for key, value in document.items()}
    return json.dumps({**fields, "funds": funds}).encode()
