"""Every setting of a node process: name, type, unit, bounds, default and meaning, in this one place.

Nothing here is consensus: two nodes of one chain may differ in all of it. `docs/reference/configuration.md`, the
flags and the environment's names are made from these fields, so a setting that is added here is everywhere.

A settings file holds no secret: bearer tokens stand in it as SHA-256, keys in files of their own.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

ANONYMOUS: Final = "anonymous"
"""The name of the client that shows no credentials."""

CLIENTS_MAX: Final = 64
"""Clients that access control tells apart."""

PATTERNS_MAX: Final = 64
"""Patterns in one list of methods, origins in one of origins."""

RPC_PROCESSES_MAX: Final = 8
"""RPC processes that one core starts; the link has room for as many more, started by hand."""

HISTORY_HEIGHTS_MIN: Final = 100
"""Heights that an engine keeps at the least: a peer that was away for a moment fetches from it what it missed."""

SYNC_RPC_MIN: Final = 2
"""Engines that a new node must ask, as CometBFT has it."""

HOUR_SECONDS: Final = 3_600
GIBIBYTE: Final = 1 << 30

_SECONDS: Final[dict[str, JsonValue]] = {"unit": "seconds"}
_BYTES: Final[dict[str, JsonValue]] = {"unit": "bytes"}

Pattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_*?]{1,64}$")]
HostName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]{1,253}$", to_lower=True)]
Origin = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.\-\[\]:]{1,253}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
PeerAddress = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]{1,253}:[0-9]{1,5}$")]
Peer = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}@[A-Za-z0-9.-]{1,253}:[0-9]{1,5}$")]
RpcUrl = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.-]{1,253}:[0-9]{1,5}$")]
ClientName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]


LogLevel = Literal["debug", "info", "warning", "error"]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Limits(_Section):
    """What JSON-RPC takes, and for how long."""

    body_bytes_max: int = Field(
        default=2 * 1024 * 1024,
        ge=1_024,
        le=GIBIBYTE,
        description="One request body.",
        json_schema_extra=_BYTES,
    )
    body_seconds_max: int = Field(
        default=10,
        ge=1,
        le=HOUR_SECONDS,
        description="Time in which a request body must have arrived.",
        json_schema_extra=_SECONDS,
    )
    batch_calls_max: int = Field(default=1_000, ge=1, le=10_000, description="Calls of one batch.")
    answer_bytes_max: int = Field(
        default=25_000_000,
        ge=1_024,
        le=GIBIBYTE,
        description="One answer, about; what is past it is refused call by call.",
        json_schema_extra=_BYTES,
    )
    request_seconds_max: int = Field(
        default=5,
        ge=1,
        le=HOUR_SECONDS,
        description="Time in which all calls of a request must have begun and its dry runs have ended.",
        json_schema_extra=_SECONDS,
    )
    call_seconds_max: int = Field(
        default=5,
        ge=1,
        le=HOUR_SECONDS,
        description="Time of one dry run (`eth_call`, estimates, traces), within that of its request.",
        json_schema_extra=_SECONDS,
    )
    logs_blocks_max: int = Field(
        default=1_000_000,
        ge=1,
        le=1 << 53,
        description="Blocks in the range of one `eth_getLogs`.",
    )
    threads: int = Field(
        default=8, ge=1, le=256, description="Requests of an RPC process worked on at once."
    )
    heavy_threads: int = Field(
        default=4,
        ge=1,
        le=256,
        description="Requests with a heavy call worked on at once, besides.",
    )
    requests_waiting_max: int = Field(
        default=256,
        ge=1,
        le=65_536,
        description="Requests of an RPC process taken in and not yet answered; past it the answer is 503.",
    )
    connections_max: int = Field(
        default=1_024,
        ge=1,
        le=65_536,
        description="Connections and requests of an RPC process at once; past it the answer is 503.",
    )
    keep_alive_seconds: int = Field(
        default=75,
        ge=1,
        le=HOUR_SECONDS,
        description="Time a connection may be idle between two requests.",
        json_schema_extra=_SECONDS,
    )
    shutdown_seconds_max: int = Field(
        default=5,
        ge=0,
        le=9,
        description="Time that requests at hand are given once an RPC process is asked to end.",
        json_schema_extra=_SECONDS,
    )
    slow_call_milliseconds: int = Field(
        default=1_000,
        ge=1,
        le=HOUR_SECONDS * 1_000,
        description="A call that takes longer is logged as a warning.",
        json_schema_extra={"unit": "milliseconds"},
    )


class PoolLimits(_Section):
    """What the pool of pending transactions holds."""

    transactions_max: int = Field(
        default=8_192, ge=64, le=1 << 20, description="Transactions in all."
    )
    bytes_max: int = Field(
        default=64 * 1024 * 1024,
        ge=1 << 20,
        le=256 * 1024 * 1024,
        description="Raw transactions in all.",
        json_schema_extra=_BYTES,
    )
    sender_transactions_max: int = Field(
        default=1_024, ge=1, le=1 << 20, description="Nonces that one sender may fill."
    )
    sender_bytes_max: int = Field(
        default=2 * 1024 * 1024,
        ge=128 * 1024,
        le=GIBIBYTE,
        description="Raw transactions of one sender.",
        json_schema_extra=_BYTES,
    )


class ConsensusSettings(_Section):
    """Which engine orders the blocks, and how the one of several validators reaches the others."""

    engine: Literal["solo", "cometbft"] = Field(
        default="solo",
        description="`solo`: one validator, in process; `cometbft`: several, each with an engine of its own.",
    )
    binary: Path | None = Field(
        default=None,
        description="The engine's binary; unset: `corridor-engine` on the PATH or of this checkout.",
    )
    listen: PeerAddress = Field(
        default="127.0.0.1:26656", description="Address on which the engine awaits its peers."
    )
    external_address: Annotated[
        str, StringConstraints(pattern=r"^([A-Za-z0-9.-]+:[0-9]{1,5})?$")
    ] = Field(default="", description="Address that peers are told; empty: the one they see.")
    peers: tuple[Peer, ...] = Field(
        default=(),
        max_length=PATTERNS_MAX * 4,
        description="Nodes to keep a connection with, each as `node id@host:port`.",
    )
    signer_address: Annotated[
        str, StringConstraints(pattern=r"^((tcp|unix)://[A-Za-z0-9./:_-]{1,200})?$")
    ] = Field(
        default="",
        description="Where a remote signer connects to sign votes; empty: the key file of the engine's home.",
    )
    light_rpc_listen: Annotated[
        str, StringConstraints(pattern=r"^([A-Za-z0-9.-]{1,253}:[0-9]{1,5})?$")
    ] = Field(
        default="",
        description=(
            "Address on which the engine's RPC listens besides its socket, for nodes that join from a snapshot; "
            "empty: none."
        ),
    )
    snapshot_blocks: int = Field(
        default=1_000,
        ge=0,
        le=1 << 53,
        description="Blocks from one snapshot to the next, counted from genesis; 0: none are made.",
    )
    history_heights: int = Field(
        default=0,
        ge=0,
        le=1 << 53,
        description=(
            f"Heights that the engine keeps of its own history at least, {HISTORY_HEIGHTS_MIN} or more; 0: all. "
            "It keeps more where a snapshot or what certifies a block needs it."
        ),
    )
    sync_rpc: tuple[RpcUrl, ...] = Field(
        default=(),
        max_length=PATTERNS_MAX,
        description=(
            "RPC of engines that a new node verifies a snapshot by, at least two; none: it starts from genesis."
        ),
    )
    sync_trust_height: int = Field(
        default=0,
        ge=0,
        le=1 << 53,
        description="Height of consensus from which on a new node verifies.",
    )
    sync_trust_hash: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = Field(
        default="", description="Hash of the consensus header at `sync_trust_height`, in hex."
    )
    sync_trust_hours: int = Field(
        default=8_760,
        ge=1,
        le=1_000_000,
        description="Age up to which that header may be trusted; a quiet chain's newest may be old.",
        json_schema_extra={"unit": "hours"},
    )
    propose_milliseconds: int = Field(
        default=500,
        ge=50,
        le=60_000,
        description="Time in which a proposal must have come, in the first round; each round adds half.",
        json_schema_extra={"unit": "milliseconds"},
    )
    vote_milliseconds: int = Field(
        default=250,
        ge=20,
        le=60_000,
        description="Time given to votes that disagree, in the first round; each round adds half.",
        json_schema_extra={"unit": "milliseconds"},
    )
    commit_milliseconds: int = Field(
        default=50,
        ge=0,
        le=60_000,
        description="Time given to late votes once a height is decided; skipped where all are there.",
        json_schema_extra={"unit": "milliseconds"},
    )
    log_level: LogLevel = Field(
        default="error", description="Least level of the engine's own lines in the log."
    )

    @model_validator(mode="after")
    def _keeps_enough(self) -> Self:
        if 0 < self.history_heights < HISTORY_HEIGHTS_MIN:
            raise ValueError(f"history_heights is neither 0 nor at least {HISTORY_HEIGHTS_MIN}")
        return self

    @model_validator(mode="after")
    def _says_what_to_trust(self) -> Self:
        if not self.sync_rpc:
            return self
        if len(self.sync_rpc) < SYNC_RPC_MIN:
            raise ValueError(
                f"sync_rpc: at least {SYNC_RPC_MIN}, so that one is not believed alone"
            )
        if not self.sync_trust_height or not self.sync_trust_hash:
            raise ValueError("sync_rpc: needs sync_trust_height and sync_trust_hash")
        return self


class AccessSettings(_Section):
    """Who may ask in general; what single clients may ask stands under `clients`."""

    cors_origins: tuple[Origin, ...] = Field(
        default=(),
        max_length=PATTERNS_MAX,
        description="Origins of web pages that browsers may let ask; none: CORS is off.",
    )
    host_names: tuple[HostName, ...] = Field(
        default=(),
        max_length=PATTERNS_MAX,
        description="Names this node is asked under, besides addresses, `localhost` and `host`.",
    )


class ClientSettings(_Section):
    """One client of JSON-RPC, under a name of its own: how it is known and what it may call."""

    token_sha256: Digest | None = Field(
        default=None,
        description="SHA-256 of its bearer token, in hex.",
        json_schema_extra={"is_secret": True},
    )
    jwt_secret_file: Path | None = Field(
        default=None,
        description="File with the 32-byte secret, in hex, of its JWTs signed by HS256.",
    )
    jwt_public_key_file: Path | None = Field(
        default=None,
        description="File with the Ed25519 public key (JWK or PEM) of its JWTs signed by EdDSA.",
    )
    allow: tuple[Pattern, ...] = Field(
        default=("*",),
        max_length=PATTERNS_MAX,
        description="Methods it may call; `*` and `?` stand for any text and any character.",
    )
    deny: tuple[Pattern, ...] | None = Field(
        default=None,
        max_length=PATTERNS_MAX,
        description=(
            "Methods it may not call even so. Unset: none, but `debug_*`, `trace_*` and `metrics` "
            "for the client `anonymous` of a node that is not on loopback."
        ),
    )
    calls_per_second: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Calls it may make in each second, in each RPC process; 0: without limit.",
    )
    calls_burst: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Calls it may save up for one moment; 0: as many as `calls_per_second`.",
    )

    @property
    def has_credentials(self) -> bool:
        """Whether it can be known from others."""
        return bool(self.token_sha256 or self.jwt_secret_file or self.jwt_public_key_file)


class Settings(_Section):
    """One node process's own settings."""

    genesis_file: Path = Field(
        description="The chain: `genesis.json` as `node network generate` writes it.",
        json_schema_extra={"flag": "--genesis"},
    )
    data_directory: Path = Field(
        description="Where the stores lie; made where it is missing.",
        json_schema_extra={"flag": "--data"},
    )
    port: int = Field(ge=1, le=65_535, description="TCP port of JSON-RPC, health and metrics.")
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        max_length=253,
        description="Address to listen on; one that is not loopback needs `clients`.",
    )
    log_level: LogLevel = Field(
        default="info", description="Least level of the lines that are logged."
    )
    rpc_processes: int = Field(
        default=1,
        ge=1,
        le=RPC_PROCESSES_MAX,
        description="RPC processes beside the core; they share the port.",
    )
    consensus: ConsensusSettings = ConsensusSettings()
    limits: Limits = Limits()
    pool: PoolLimits = PoolLimits()
    access: AccessSettings = AccessSettings()
    clients: dict[ClientName, ClientSettings] = Field(default={}, max_length=CLIENTS_MAX)

    @model_validator(mode="after")
    def _clients_can_be_told_apart(self) -> Self:
        for name, client in self.clients.items():
            if name == ANONYMOUS and client.has_credentials:
                raise ValueError(f"clients.{name}: it is the one without credentials")
            if name != ANONYMOUS and not client.has_credentials:
                raise ValueError(
                    f"clients.{name}: needs token_sha256, jwt_secret_file or jwt_public_key_file"
                )
        digests = [each.token_sha256 for each in self.clients.values() if each.token_sha256]
        if len(set(digests)) != len(digests):
            raise ValueError("clients: two have the same token_sha256")
        if not is_loopback(self.host) and not self.clients:
            raise ValueError(
                f"host: {self.host} is not loopback, so anybody could ask: say under clients who may"
            )
        return self


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there; a name other than localhost counts as no."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
