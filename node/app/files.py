"""Commands that work on files alone."""

from __future__ import annotations

from pathlib import Path

from node import genesis
from node.config import parse_network
from node.engine import PyEvmEngine
from node.store import MemoryState


def generate_genesis(network_file: Path) -> tuple[bytes, bytes]:
    """The content of genesis.json for a network file, and the genesis hash."""
    made = genesis.generate(parse_network(network_file.read_bytes()), PyEvmEngine(MemoryState()))
    return genesis.format_genesis(made), made.header.hash


def verify_genesis(genesis_file: Path) -> bytes:
    """The hash of a genesis file, recomputed; raises `GenesisMismatch` where the file states another."""
    loaded, _ = genesis.load(genesis_file.read_bytes(), PyEvmEngine(MemoryState()))
    return loaded.header.hash
