"""State sync asked as the engine asks it, snapshots made as blocks come, and the commands around both.

Cites docs/spec/node.md: N-171 to N-174.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from coincurve import PrivateKey

from node import app
from node.app.snapshots import SnapshotMaker, SnapshotSource, keep_snapshot
from node.chain import Tip
from node.config import ConsensusSettings, load_settings
from node.consensus.cometbft import abci_pb2 as abci
from node.consensus.cometbft.home import Places, make_keys, write_configuration
from node.consensus.cometbft.snapshots import SnapshotFace, describe_manifest
from node.consensus.witness import Witness
from node.errors import EngineUnavailable, SettingsInvalid, SnapshotInvalid, StoreBusy
from node.membership import VALIDATOR_POWER, ValidatorKey
from node.signed_header import (
    SignedHeader,
    Timestamp,
    Validator,
    ValidatorSet,
    sign_header,
)
from node.snapshot import SNAPSHOT_FORMAT, Shelf
from node.store import StateStore
from support.core import WITNESS_KEY, Core, open_core
from support.kept_chain import still_genesis
from support.settlement_network import network_file
from support.snapshot_chain import (
    BLOCKS,
    NETWORK,
    Parcel,
    open_chain,
    open_newcomer,
    pack,
    records_of,
)
from support.transactions import ALICE, Draft
from support.validator_network import HOUSES, compressed, validator_key, validator_network_file

NUMBER = BLOCKS - 1
Offer = abci.OfferSnapshotResponse
Apply = abci.ApplySnapshotChunkResponse


@dataclass(slots=True)
class Engine:
    """An engine of consensus that syncs the state of one node."""

    core: Core
    face: SnapshotFace
    restored: list[Tip]

    def offer(self, parcel: Parcel, **other: Any) -> int:
        snapshot = describe_manifest(parcel.manifest)
        app_hash = other.pop("app_hash", parcel.manifest.app_hash)
        for name, value in other.items():
            setattr(snapshot, name, value)
        request = abci.OfferSnapshotRequest(snapshot=snapshot, app_hash=app_hash)
        return int(self.face.answer(abci.Request(offer_snapshot=request)).offer_snapshot.result)

    def apply(self, index: int, chunk: bytes, sender: str = "peer") -> Any:
        request = abci.ApplySnapshotChunkRequest(index=index, chunk=chunk, sender=sender)
        answer = self.face.answer(abci.Request(apply_snapshot_chunk=request))
        return answer.apply_snapshot_chunk

    def apply_all(self, parcel: Parcel) -> int:
        results = [self.apply(*each).result for each in enumerate(parcel.chunks)]
        assert set(results[:-1]) <= {Apply.ACCEPT}
        return int(results[-1])


def engine_of(core: Core, shelf: Path, first: Sequence[ValidatorKey] | None = None) -> Engine:
    validators = core.application.validators() if first is None else first
    restored: list[Tip] = []
    face = SnapshotFace(
        core.application, Shelf(shelf), core.state, core.store, restored.append, validators
    )
    return Engine(core, face, restored)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Core]:
    core = open_chain(tmp_path_factory.mktemp("source") / "chain")
    yield core
    core.store.close()


@pytest.fixture(scope="module")
def parcel(chain: Core) -> Parcel:
    return pack(chain, NUMBER, records_of(chain, NUMBER))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    core = open_newcomer(tmp_path / "chain")
    yield engine_of(core, tmp_path / "snapshots")
    core.store.close()


def test_a_node_at_genesis_takes_in_a_snapshot_and_stands_there(
    engine: Engine, parcel: Parcel
) -> None:
    """N-172."""
    assert engine.offer(parcel) == Offer.ACCEPT
    assert engine.apply_all(parcel) == Apply.ACCEPT
    info = engine.core.application.info()
    assert (info.last_height, info.app_hash) == (parcel.manifest.height, parcel.manifest.app_hash)
    assert [tip.header.number for tip in engine.restored] == [NUMBER]
    assert engine.apply(0, parcel.chunks[0]).result == Apply.ABORT, "there is no restoration now"


def test_a_node_that_has_executed_blocks_takes_in_no_snapshot(
    engine: Engine, parcel: Parcel
) -> None:
    """N-172."""
    engine.core.send(Draft().signed_by(ALICE))
    assert engine.offer(parcel) == Offer.ABORT
    assert engine.apply(0, parcel.chunks[0]).result == Apply.ABORT


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({"format": SNAPSHOT_FORMAT + 1}, Offer.REJECT_FORMAT),
        ({"app_hash": bytes(32)}, Offer.REJECT),
        ({"metadata": b"\xc0"}, Offer.REJECT),
        ({"metadata": b""}, Offer.REJECT),
        ({"hash": bytes(32)}, Offer.REJECT),
        ({"height": 1}, Offer.REJECT),
        ({"chunks": 1}, Offer.REJECT),
    ],
)
def test_an_offer_that_is_not_what_consensus_names_is_refused(
    engine: Engine, parcel: Parcel, changes: dict[str, Any], result: int
) -> None:
    """N-172."""
    assert engine.offer(parcel, **changes) == result
    assert engine.apply(0, parcel.chunks[0]).result == Apply.ABORT


def test_a_bad_chunk_is_fetched_again_from_somebody_else(engine: Engine, parcel: Parcel) -> None:
    """N-172."""
    engine.offer(parcel)
    engine.apply(0, parcel.chunks[0])
    for chunk in (b"", parcel.chunks[1][:-1], parcel.chunks[2], parcel.chunks[0]):
        answer = engine.apply(1, chunk, "liar")
        assert answer.result == Apply.RETRY
        assert list(answer.refetch_chunks) == [1]
        assert list(answer.reject_senders) == ["liar"]
    for index, good in [*enumerate(parcel.chunks)][1:]:
        assert engine.apply(index, good).result == Apply.ACCEPT
    assert engine.core.application.info().last_height == parcel.manifest.height


def test_a_snapshot_that_holds_something_else_is_dropped_for_another(
    engine: Engine, chain: Core, parcel: Parcel
) -> None:
    """N-172."""
    records = records_of(chain, NUMBER)
    lying = pack(chain, NUMBER, [*records[:-1], b"\x01"])
    assert engine.offer(lying) == Offer.ACCEPT
    assert engine.apply_all(lying) == Apply.REJECT_SNAPSHOT
    assert engine.core.application.info().last_height == 0
    assert engine.offer(parcel) == Offer.ACCEPT
    assert engine.apply_all(parcel) == Apply.ACCEPT


def test_snapshots_are_listed_and_given_out_chunk_by_chunk(chain: Core, tmp_path: Path) -> None:
    """N-171."""
    giver = engine_of(chain, tmp_path / "snapshots")
    shelf = Shelf(tmp_path / "snapshots")
    source = SnapshotSource(chain.store, chain.state)
    newest = source.newest()
    assert newest == NUMBER, "the newest block has no two heights after it yet"
    made = source.put(shelf, newest)
    giver.face._shelf.inspect()
    listed = giver.face.answer(abci.Request(list_snapshots=abci.Empty())).list_snapshots
    assert [*listed.snapshots] == [describe_manifest(made)]

    def load(**fields: int) -> bytes:
        request = abci.LoadSnapshotChunkRequest(**fields)
        answer = giver.face.answer(abci.Request(load_snapshot_chunk=request))
        return bytes(answer.load_snapshot_chunk.chunk)

    assert made.is_chunk(0, load(height=made.height, format=SNAPSHOT_FORMAT, chunk=0))
    assert load(height=made.height, format=SNAPSHOT_FORMAT, chunk=1) == b""
    assert load(height=made.height, format=SNAPSHOT_FORMAT + 1, chunk=0) == b""
    assert load(height=made.height + 1, format=SNAPSHOT_FORMAT, chunk=0) == b""


def test_the_maker_makes_what_is_due_and_no_more(tmp_path: Path) -> None:
    """N-173."""
    core = open_chain(tmp_path / "chain")
    shelf = Shelf(tmp_path / "snapshots")
    maker = SnapshotMaker(SnapshotSource(core.store, core.state), shelf, every_blocks=2)
    SnapshotMaker(SnapshotSource(core.store, core.state), shelf, every_blocks=0).catch_up()
    assert shelf.manifests() == ()
    for nonce, numbers in ((2 * BLOCKS, [2]), (2 * BLOCKS + 1, [4, 2]), (2 * BLOCKS + 2, [4, 2])):
        maker.catch_up()
        assert [each.number for each in shelf.manifests()] == numbers
        core.send(Draft(nonce=nonce).signed_by(ALICE))
    maker.catch_up()
    assert [each.number for each in shelf.manifests()] == [6, 4, 2]
    core.store.close()


def test_a_maker_that_is_stopped_leaves_no_half_snapshot(tmp_path: Path) -> None:
    """N-173."""
    core = open_chain(tmp_path / "chain")
    shelf = Shelf(tmp_path / "snapshots")
    maker = SnapshotMaker(SnapshotSource(core.store, core.state), shelf, every_blocks=1)
    maker.stop()
    maker.catch_up()
    assert shelf.manifests() == ()
    assert [*(tmp_path / "snapshots").iterdir()] == []
    core.store.close()


VALIDATING = {**validator_network_file(1, development=True), "transactions_open": True}
FIRST_KEY = PrivateKey(b"\x07" * 32)


def change_of(core: Core, key: PrivateKey, height: int, to: Sequence[Validator]) -> SignedHeader:
    """A header signed by one validator after which others validate."""
    witness = Witness(key, core.application.consensus_chain_id())
    tip = core.chain.tip.header
    signed = witness.sign(tip, height=height - 1, application_version=1)
    header = replace(signed.header, next_validators_hash=ValidatorSet.of(to).hash)
    return sign_header(header, signed.validators, key, Timestamp(tip.timestamp, 0))


def open_changed(directory: Path) -> tuple[Core, SignedHeader]:
    """A chain whose validators are told to have come after one other, and the header in which they came."""
    core = open_core(directory, VALIDATING)
    members = [Validator(compressed(validator_key(HOUSES[0].name)), VALIDATOR_POWER)]
    change = change_of(core, FIRST_KEY, 2, members)
    core.send(Draft().signed_by(ALICE))
    return core, change


def test_the_changes_of_validators_come_with_a_snapshot(tmp_path: Path) -> None:
    """N-172. What makes certificates of a node that has not executed them."""
    source, change = open_changed(tmp_path / "source")
    source.store.certify({1: change})
    engine = engine_of(
        open_core(tmp_path / "chain", VALIDATING),
        tmp_path / "snapshots",
        [ValidatorKey(FIRST_KEY.public_key.format(), b"")],  # type: ignore[arg-type]
    )
    parcel = pack(source, 1, records_of(source, 1))
    assert engine.offer(parcel) == Offer.ACCEPT
    assert engine.apply_all(parcel) == Apply.ACCEPT
    assert engine.core.history.validator_changes() == (change,)
    for core in (source, engine.core):
        core.store.close()


@pytest.mark.parametrize("case", ["left out", "twice", "of others", "signed by another", "chain"])
def test_changes_of_validators_that_lead_elsewhere_are_refused(tmp_path: Path, case: str) -> None:
    """N-172."""
    source, change = open_changed(tmp_path / "source")
    others = [Validator(WITNESS_KEY.public_key.format(), VALIDATOR_POWER)]
    signature = replace(change.commit.signatures[0], signature=bytes(65))
    changes = {
        "left out": [],
        "twice": [change, change],
        "of others": [change_of(source, FIRST_KEY, 2, others)],
        "signed by another": [
            replace(change, commit=replace(change.commit, signatures=(signature,)))
        ],
        "chain": [change_of(source, WITNESS_KEY, 2, change.validators.members)],
    }[case]
    engine = engine_of(
        open_core(tmp_path / "chain", VALIDATING),
        tmp_path / "snapshots",
        [ValidatorKey(FIRST_KEY.public_key.format(), b"")],  # type: ignore[arg-type]
    )
    records = records_of(source, 1)
    with source.store.read() as reader:
        from node.snapshot import read_preamble

        records[0] = read_preamble(reader, 1, changes).encode()
    parcel = pack(source, 1, records)
    assert engine.offer(parcel) == Offer.ACCEPT
    assert engine.apply_all(parcel) == Apply.REJECT_SNAPSHOT
    assert engine.core.application.info().last_height == 0
    for core in (source, engine.core):
        core.store.close()


class AgreedHeaders:
    """An engine that has the commit of one change; of every other it has none."""

    def __init__(self, agreed: SignedHeader | None) -> None:
        self._agreed = agreed

    def signed_header(self, height: int) -> SignedHeader:
        if self._agreed is None or height != self._agreed.header.height:
            raise EngineUnavailable("commit", "no such height")
        return self._agreed


def test_a_change_goes_out_with_the_commit_that_all_nodes_agree_on(tmp_path: Path) -> None:
    """N-170. The commit that a node saw first differs between nodes."""
    core, seen = open_changed(tmp_path / "chain")
    core.send(Draft(nonce=1).signed_by(ALICE))
    core.store.certify({1: seen})
    later = replace(seen.commit.signatures[0], time=Timestamp(1, 1))
    agreed = replace(seen, commit=replace(seen.commit, signatures=(later,)))
    hashes = set()
    for place, known in enumerate((None, seen, agreed)):
        source = SnapshotSource(core.store, core.state, AgreedHeaders(known))
        hashes.add(source.put(Shelf(tmp_path / str(place)), 1).hash)
    assert len(hashes) == 2
    core.store.close()


def test_the_command_makes_a_snapshot_of_a_stopped_node_and_lists_what_is_there(
    tmp_path: Path,
) -> None:
    """N-174."""
    data = tmp_path / "data"
    with closing(StateStore(data / "state")) as state:
        open_chain(data / "chain", state).store.close()
    listed = io.StringIO()
    keep_snapshot(data_directory=data, only_list=True, out=listed)
    assert listed.getvalue() == ""
    keep_snapshot(data_directory=data, only_list=False, out=listed)
    line = listed.getvalue()
    assert line.startswith(f"height 5  block {NUMBER}  0x")
    assert "not offered" not in line
    with pytest.raises(StoreBusy):
        keep_snapshot(data_directory=tmp_path / "elsewhere", only_list=False, out=listed)


def test_a_chain_without_blocks_gives_no_snapshot(tmp_path: Path) -> None:
    """N-174."""
    data = tmp_path / "data"
    with closing(StateStore(data / "state")) as state:
        open_core(data / "chain", NETWORK, state).store.close()
    with pytest.raises(SnapshotInvalid):
        keep_snapshot(data_directory=data, only_list=False, out=io.StringIO())


PEERS = (f"{'ab' * 20}@198.51.100.7:26656", f"{'cd' * 20}@host.example:26656")


def join_request(tmp_path: Path, **more: Any) -> app.JoinRequest:
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(still_genesis(network_file()))
    return app.JoinRequest(
        genesis_file=genesis, data_directory=tmp_path / "new", peers=PEERS, **more
    )


def consensus_settings(tmp_path: Path) -> ConsensusSettings:
    file = tmp_path / "new" / "node.toml"
    return load_settings(flags={"port": "1"}, environment={}, config_file=file).settings.consensus


def test_join_prepares_a_node_that_executes_from_genesis(tmp_path: Path) -> None:
    """N-174."""
    keys = app.join_network(join_request(tmp_path, listen="127.0.0.1:7"))
    assert keys == make_keys(tmp_path / "new" / "engine"), "they are kept"
    settings = consensus_settings(tmp_path)
    assert (settings.engine, settings.peers, settings.listen) == ("cometbft", PEERS, "127.0.0.1:7")
    assert settings.sync_rpc == ()
    copied = (tmp_path / "new" / "genesis.json").read_bytes()
    assert copied == (tmp_path / "genesis.json").read_bytes()
    with pytest.raises(FileExistsError):
        app.join_network(join_request(tmp_path))


def test_join_prepares_a_node_that_begins_from_a_snapshot(tmp_path: Path) -> None:
    """N-174."""
    urls = ("http://198.51.100.7:26657", "https://host.example:443")
    request = join_request(tmp_path, sync_rpc=urls, trust_height=7, trust_hash="AB" * 32)
    app.join_network(request)
    settings = consensus_settings(tmp_path)
    home = tmp_path / "home"
    write_configuration(home, settings, Places(tmp_path / "a", tmp_path / "b"), "new")
    text = (home / "config" / "config.toml").read_text()
    section = text.partition("[statesync]\n")[2].partition("\n\n")[0]
    assert section.splitlines() == [
        "enable = true",
        f"rpc_servers = {json.dumps(','.join(urls))}",
        "trust_height = 7",
        f'trust_hash = "{"ab" * 32}"',
        'trust_period = "8760h"',
        'discovery_time = "5s"',
    ]


@pytest.mark.parametrize(
    "more",
    [
        {"sync_rpc": ("http://198.51.100.7:26657",), "trust_height": 7, "trust_hash": "ab" * 32},
        {"sync_rpc": ("http://a.example:1", "http://b.example:1"), "trust_hash": "ab" * 32},
        {"sync_rpc": ("http://a.example:1", "http://b.example:1"), "trust_height": 7},
        {"listen": "nowhere"},
    ],
)
def test_join_refuses_what_no_node_could_run_with(tmp_path: Path, more: dict[str, Any]) -> None:
    """N-174."""
    with pytest.raises(SettingsInvalid):
        app.join_network(join_request(tmp_path, **more))
    assert not (tmp_path / "new" / "node.toml").exists()


def test_the_engines_rpc_listens_for_joining_nodes_where_a_setting_says_so(tmp_path: Path) -> None:
    """N-174."""
    places = Places(tmp_path / "a", tmp_path / "b")
    for settings, laddr in (
        (ConsensusSettings(), f"unix://{places.rpc}"),
        (
            ConsensusSettings(light_rpc_listen="127.0.0.1:26657"),
            f"unix://{places.rpc},tcp://127.0.0.1:26657",
        ),
    ):
        write_configuration(tmp_path, settings, places, "one")
        text = (tmp_path / "config" / "config.toml").read_text()
        assert f'[rpc]\nladdr = "{laddr}"\n' in text
        assert "[statesync]\nenable = false\n" in text
