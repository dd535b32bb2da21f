"""Chains of simulated blocks."""

from __future__ import annotations

from node.engine import Simulation
from node.rpc.codec.parse import BlockTag, parse_block_reference
from node.rpc.codec.simulation import format_simulated, parse_simulation
from node.rpc.json_value import Json, JsonObject
from node.rpc.methods.view import View, Watch


def eth_simulate_v1(
    view: View, payload: Json, reference: Json = None, *, watch: Watch
) -> list[JsonObject]:
    """Blocks of calls that run one after the other on top of a committed block."""
    query = parse_simulation(payload, name="payload")
    base = parse_block_reference(reference, name="block")
    base = BlockTag.LATEST if base is BlockTag.PENDING else base
    header = view.header(base)
    env, _ = view.environment(header.number)
    simulation = Simulation(view.engine, header, env, view.specification.rules_at)
    return [
        format_simulated(
            simulated,
            has_full_transactions=query.has_full_transactions,
        )
        for simulated in simulation.run(query.blocks, watch)
    ]
