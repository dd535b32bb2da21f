"""A development chain: one command, the accounts every tool knows, and nothing to set up.

The chain is like any other: its own genesis, the same contracts, the same rules, blocks as soon as there is something
to put in. Only its genesis differs: it is marked `development`, hands native coin to the well-known accounts, and its
registry lets anybody transact and deploy. The keys of these accounts are public: whatever they hold anywhere else is
anybody's.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from eth_account import Account
from eth_utils.address import to_checksum_address

from node import genesis
from node.app.core import run_core
from node.app.process import SystemClock
from node.config import (
    ANONYMOUS,
    ClientSettings,
    LogLevel,
    Network,
    Settings,
    parse_network,
)
from node.engine import PyEvmEngine
from node.errors import GenesisMismatch
from node.primitives import Address
from node.specification import BLOCK_GAS_LIMIT_DEFAULT, TRANSACTION_GAS_LIMIT_DEFAULT
from node.store import MemoryState

MNEMONIC: Final = "test test test test test test test test test test test junk"
"""The phrase that development tools share."""

CHAIN_ID_DEFAULT: Final = 31_337
PORT_DEFAULT: Final = 8_545
ACCOUNTS_DEFAULT: Final = 10
DEVELOPMENT_ACCOUNTS_MAX: Final = 100
BALANCE_WEI: Final = 10_000 * 10**18
"""What each account begins with."""


@dataclass(frozen=True, slots=True)
class DevelopmentAccount:
    """An account whose key everybody knows."""

    address: Address
    key: bytes


@dataclass(frozen=True, slots=True)
class DevelopmentSettings:
    """What `node dev` is told."""

    data_directory: Path | None
    """None: a temporary one, removed at the end."""
    port: int = PORT_DEFAULT
    host: str = "127.0.0.1"
    log_level: LogLevel = "warning"
    chain_id: int = CHAIN_ID_DEFAULT
    accounts: int = ACCOUNTS_DEFAULT
    block_gas_limit: int = BLOCK_GAS_LIMIT_DEFAULT


def run_development(settings: DevelopmentSettings, out: TextIO = sys.stdout) -> int:
    """Runs a development chain until a signal; gives the exit code."""
    with _directory(settings.data_directory) as directory:
        genesis_file = directory / "genesis.json"
        made = load_or_make_genesis(genesis_file, settings)
        print_accounts(settings, made, out)
        return run_core(
            Settings(
                genesis_file=genesis_file,
                data_directory=directory,
                port=settings.port,
                host=settings.host,
                log_level=settings.log_level,
                # Whoever can reach a development chain may do anything with it: its keys are public.
                clients={ANONYMOUS: ClientSettings(deny=())},
            )
        )


def development_accounts(count: int) -> tuple[DevelopmentAccount, ...]:
    """The first accounts of the shared phrase, at m/44'/60'/0'/0/0 and up (BIP-44)."""
    Account.enable_unaudited_hdwallet_features()
    wallets = [
        Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}")
        for index in range(count)
    ]
    return tuple(
        DevelopmentAccount(Address(bytes.fromhex(wallet.address[2:])), bytes(wallet.key))
        for wallet in wallets
    )


def development_network(settings: DevelopmentSettings, genesis_time: int) -> Network:
    """The network file of a development chain; its first account is the operator."""
    accounts = [f"0x{each.address.hex()}" for each in development_accounts(settings.accounts)]
    document = {
        "chain_id": settings.chain_id,
        "genesis_time": genesis_time,
        "development": True,
        "transactions_open": True,
        "operator": accounts[0],
        "block_gas_limit": settings.block_gas_limit,
        "transaction_gas_limit": min(TRANSACTION_GAS_LIMIT_DEFAULT, settings.block_gas_limit),
        "currencies": [],
        "participants": [],
        "funds": [{"address": address, "balance": BALANCE_WEI} for address in accounts],
    }
    return parse_network(json.dumps(document).encode())


def load_or_make_genesis(file: Path, settings: DevelopmentSettings) -> genesis.Genesis:
    """The genesis of a kept chain, or a new one; raises `GenesisMismatch` for another chain id."""
    if not file.exists():
        network = development_network(settings, SystemClock().now())
        made = genesis.generate(network, PyEvmEngine(MemoryState()))
        file.write_bytes(genesis.format_genesis(made))
        return made
    loaded = genesis.parse(file.read_bytes())
    chain_id = loaded.specification.chain_id
    if chain_id != settings.chain_id:
        raise GenesisMismatch(
            "chain id",
            expected=settings.chain_id.to_bytes(8, "big"),
            found=chain_id.to_bytes(8, "big"),
        )
    return loaded


@contextlib.contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="corridor-dev-") as made:
        yield Path(made)


def print_accounts(settings: DevelopmentSettings, made: genesis.Genesis, out: TextIO) -> None:
    """Prints the accounts, their keys and what they began with."""
    lines = [
        f"Corridor development chain {settings.chain_id}, genesis 0x{made.header.hash.hex()}",
        f"phrase: {MNEMONIC}",
        "These keys are public. Never send anything of value to these accounts.",
        "",
    ]
    for index, account in enumerate(development_accounts(settings.accounts)):
        funds = made.alloc.get(account.address)
        ether = (funds.balance if funds else 0) // 10**18
        lines.append(
            f"({index}) {to_checksum_address(account.address)}  key 0x{account.key.hex()}  {ether} ETH"
        )
    out.write("\n".join([*lines, "", ""]))
    out.flush()
