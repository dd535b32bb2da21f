"""What a node is told from outside, read once and validated: its own settings and the network file.

`settings` names every setting with its type, unit, bounds, default and meaning, `sources` puts the settings of one
process together (flags before environment before file before defaults), `network` reads the network file.
"""

from node.config.network import (
    ACCOUNTS_MAX,
    Network,
    NetworkCurrency,
    NetworkParticipant,
    parse_network,
)
from node.config.settings import (
    ANONYMOUS,
    AccessSettings,
    ClientSettings,
    ConsensusSettings,
    Limits,
    LogLevel,
    PoolLimits,
    Settings,
    is_loopback,
)
from node.config.sources import (
    CONFIG_VARIABLE,
    LoadedSettings,
    Setting,
    format_settings,
    list_settings,
    load_settings,
)

__all__ = [
    "ACCOUNTS_MAX",
    "ANONYMOUS",
    "CONFIG_VARIABLE",
    "AccessSettings",
    "ClientSettings",
    "ConsensusSettings",
    "Limits",
    "LoadedSettings",
    "LogLevel",
    "Network",
    "NetworkCurrency",
    "NetworkParticipant",
    "PoolLimits",
    "Setting",
    "Settings",
    "format_settings",
    "is_loopback",
    "list_settings",
    "load_settings",
    "parse_network",
]
