"""What the nodes of a network start with: keys made once and kept, public keys taken as stated, one genesis for all.

Cites docs/spec/node.md by number.
"""

from __future__ import annotations

import hashlib
import json
import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from coincurve import PrivateKey

from node import genesis
from node.app.files import generate_network, make_node_keys, trust_anchor
from node.config import ConsensusSettings, load_settings
from node.consensus.cometbft.home import (
    Places,
    consensus_genesis,
    read_keys,
    read_validator_key,
    write_configuration,
)
from node.errors import GenesisFileInvalid, KeyUnusable
from node.membership import first_validators
from node.signed_header import Validator, ValidatorSet
from support.settlement_network import network_file
from support.validator_network import HOUSES, compressed, node_id_of, validator_key

SECRETS = ("engine/config/node_key.json", "engine/config/priv_validator_key.json")
RECORD = "engine/data/priv_validator_state.json"


def made_network(folder: Path, *, stated: int = 0) -> tuple[Path, dict[str, Any]]:
    """A network of four validators, the first of which state their public keys; its directory and final file."""
    entries = []
    for place, house in enumerate(HOUSES[:4]):
        entry = house.entry() | {"peer_address": f"127.0.0.1:{20_000 + place}"}
        if place < stated:
            key = compressed(validator_key(house.name))
            entry |= {
                "nodes": ["0x" + node_id_of(house.name).hex()],
                "validators": ["0x" + key.hex()],
            }
        entries.append(entry)
    network = network_file()
    network |= {"participants": [*network["participants"], *entries]}
    source = folder / "source.json"
    source.write_text(json.dumps(network))
    generate_network(source, folder / "made")
    return folder / "made", json.loads((folder / "made/network.json").read_text())


def test_keys_are_made_for_whoever_states_none_and_stand_in_genesis(tmp_path: Path) -> None:
    """N-152, N-150."""
    made, network = made_network(tmp_path)
    loaded = genesis.parse((made / "genesis.json").read_bytes())
    validators = {each.public_key for each in first_validators(loaded)}
    for house in HOUSES[:4]:
        data = made / house.bic / "data"
        keys = read_keys(data / "engine")
        assert keys.validator in validators
        (entry,) = [each for each in network["participants"] if each["bic"] == house.bic]
        assert entry["nodes"] == ["0x" + keys.node_id.hex()]
        public = PrivateKey(read_validator_key(data / "engine").secret).public_key.format()
        assert public == keys.validator
        for secret in SECRETS:
            assert stat.S_IMODE((data / secret).stat().st_mode) == 0o600
    assert len(validators) == 4


def test_who_states_public_keys_keeps_the_private_ones(tmp_path: Path) -> None:
    """N-152."""
    made, network = made_network(tmp_path, stated=2)
    for house in HOUSES[:2]:
        assert not (made / house.bic / "data").exists()
        assert (made / house.bic / "node.toml").exists()
        (entry,) = [each for each in network["participants"] if each["bic"] == house.bic]
        assert entry["validators"] == ["0x" + compressed(validator_key(house.name)).hex()]


def test_each_node_is_told_all_others_and_its_settings_load(tmp_path: Path) -> None:
    """N-152."""
    made, _ = made_network(tmp_path)
    ids = {house.bic: read_keys(made / house.bic / "data/engine").node_id for house in HOUSES[:4]}
    for house in HOUSES[:4]:
        file = made / house.bic / "node.toml"
        peers = tomllib.loads(file.read_text())["consensus"]["peers"]
        assert {each.partition("@")[0] for each in peers} == {
            node_id.hex() for bic, node_id in ids.items() if bic != house.bic
        }
        settings = load_settings(flags={"port": "8545"}, environment={}, config_file=file).settings
        assert settings.consensus.engine == "cometbft"
        assert settings.genesis_file == made / "genesis.json"
        assert settings.data_directory == made / house.bic / "data"


def test_keys_and_the_record_of_what_was_signed_are_never_made_again(tmp_path: Path) -> None:
    """N-152. A fresh record would let a validator sign a height twice."""
    first = make_node_keys(tmp_path)
    record = tmp_path / RECORD
    record.write_text('{"height": "7", "round": 1, "step": 3}')
    before = [(tmp_path / name).read_bytes() for name in (*SECRETS, RECORD)]
    assert make_node_keys(tmp_path) == first
    assert [(tmp_path / name).read_bytes() for name in (*SECRETS, RECORD)] == before
    record.unlink()
    make_node_keys(tmp_path)
    assert not record.exists(), "whoever lost it must say so, not sign anew"


def test_a_node_id_is_that_of_its_key(tmp_path: Path) -> None:
    keys = make_node_keys(tmp_path)
    document = json.loads((tmp_path / SECRETS[0]).read_text())
    assert document["priv_key"]["type"] == "tendermint/PrivKeyEd25519"
    assert keys == read_keys(tmp_path / "engine")
    assert len(keys.node_id) == len(hashlib.sha256().digest()[:20])


@pytest.mark.parametrize("broken", ["", "{}", '{"priv_key": 7}', '{"priv_key": {"value": "*"}}'])
def test_a_key_file_that_is_none_is_refused(tmp_path: Path, broken: str) -> None:
    make_node_keys(tmp_path)
    (tmp_path / SECRETS[0]).write_text(broken)
    with pytest.raises(KeyUnusable):
        read_keys(tmp_path / "engine")


@pytest.mark.parametrize("secret", SECRETS)
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, secret: str) -> None:
    """N-152."""
    make_node_keys(tmp_path)
    (tmp_path / secret).chmod(0o640)
    with pytest.raises(KeyUnusable, match="others than its owner"):
        read_keys(tmp_path / "engine")


def configuration(tmp_path: Path, **settings: Any) -> Any:
    """What the engine is told by its configuration file."""
    places = Places(tmp_path / "abci.sock", tmp_path / "rpc.sock")
    write_configuration(tmp_path, ConsensusSettings(**settings), places, "moniker")
    return tomllib.loads((tmp_path / "config" / "config.toml").read_text())


def test_the_engine_connects_to_members_alone_and_keeps_quiet_when_idle(tmp_path: Path) -> None:
    """N-151, N-152."""
    peers = tuple(f"{digit * 40}@bank-{digit}.example:26656" for digit in "ab")
    told = configuration(tmp_path, peers=peers)
    assert told["filter_peers"] is True
    assert told["p2p"]["pex"] is False
    assert told["p2p"]["persistent_peers"] == ",".join(peers)
    assert told["consensus"]["create_empty_blocks"] is False
    assert told["tx_index"] == {"indexer": "null"}
    assert told["mempool"]["recheck"] is True


def test_the_engines_timeouts_are_those_of_the_settings(tmp_path: Path) -> None:
    """N-152."""
    given = {"propose_milliseconds": 600, "vote_milliseconds": 200, "commit_milliseconds": 70}
    found = configuration(tmp_path, **given)["consensus"]
    names = ("timeout_propose", "timeout_prevote", "timeout_precommit", "timeout_commit")
    assert [found[name] for name in names] == ["600ms", "200ms", "200ms", "70ms"]
    assert found["skip_timeout_commit"] is True


@pytest.mark.parametrize(
    ("level", "told"),
    [("debug", "debug"), ("info", "info"), ("warning", "warn"), ("error", "error")],
)
def test_the_engine_logs_from_the_settings_level_on(tmp_path: Path, level: str, told: str) -> None:
    """N-152, N-181: by its own names; that a block stands is told at any."""
    assert configuration(tmp_path, log_level=level)["log_level"] == f"proposals:info,*:{told}"


def test_votes_may_be_signed_elsewhere(tmp_path: Path) -> None:
    """N-152. Then the home needs no key of a validator."""
    address = "tcp://127.0.0.1:26659"
    assert configuration(tmp_path, signer_address=address)["priv_validator_laddr"] == address
    make_node_keys(tmp_path)
    (tmp_path / SECRETS[1]).unlink()
    assert read_keys(tmp_path / "engine").validator is None


def test_a_home_without_keys_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable, match="node network keys"):
        read_keys(tmp_path / "engine")


def test_the_engines_genesis_is_the_same_bytes_from_the_same_chain(tmp_path: Path) -> None:
    """N-150."""
    made, _ = made_network(tmp_path, stated=4)
    loaded = genesis.parse((made / "genesis.json").read_bytes())

    def text() -> bytes:
        return consensus_genesis(
            chain_id="corridor-1-00",
            genesis_time=loaded.header.timestamp,
            genesis_hash=loaded.header.hash,
            validators=first_validators(loaded),
        )

    document = json.loads(text())
    assert text() == text()
    assert document["app_state"] == {"genesis_hash": loaded.header.hash.hex()}
    assert document["consensus_params"]["validator"] == {"pub_key_types": ["secp256k1eth"]}
    assert [each["power"] for each in document["validators"]] == ["10"] * 4
    evidence, block = (document["consensus_params"][name] for name in ("evidence", "block"))
    assert int(evidence["max_bytes"]) <= int(block["max_bytes"])


def test_the_trust_anchor_comes_from_genesis_or_from_the_key_of_a_solo_node(tmp_path: Path) -> None:
    """N-157."""
    made, _ = made_network(tmp_path, stated=4)
    chain_id, anchor = trust_anchor(made / "genesis.json", None)
    keys = [compressed(validator_key(house.name)) for house in HOUSES[:4]]
    assert anchor == ValidatorSet.of([Validator(key, 10) for key in keys]).hash
    genesis_hash = genesis.parse((made / "genesis.json").read_bytes()).header.hash
    assert chain_id == f"corridor-{network_file()['chain_id']}-{genesis_hash.hex()[:16]}"
    own = make_node_keys(tmp_path / "solo").validator
    assert own is not None
    _, solo = trust_anchor(made / "genesis.json", tmp_path / "solo")
    assert solo == ValidatorSet.of([Validator(own, 10)]).hash


def test_a_genesis_without_validators_has_no_anchor_of_its_own(tmp_path: Path) -> None:
    """N-157."""
    source = tmp_path / "source.json"
    source.write_text(json.dumps(network_file()))
    generate_network(source, tmp_path / "made")
    with pytest.raises(GenesisFileInvalid):
        trust_anchor(tmp_path / "made/genesis.json", None)
