"""What a node tells its operator of itself: structured logs and metrics.

`logs` writes JSON lines; `metrics` counts and times. Neither is ever waited for by what makes blocks.
"""

from node.telemetry.logs import LogSink, configure_logs, get_logger
from node.telemetry.metrics import (
    FAMILIES,
    CoreMetrics,
    CoreReading,
    EngineReading,
    Family,
    RpcMetrics,
    format_samples,
)

__all__ = [
    "FAMILIES",
    "CoreMetrics",
    "CoreReading",
    "EngineReading",
    "Family",
    "LogSink",
    "RpcMetrics",
    "configure_logs",
    "format_samples",
    "get_logger",
]
