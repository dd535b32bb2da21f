"""One call: its method found, its parameters counted, its fault named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from node import errors
from node.errors import MethodUnknown, NodeError, ParameterMissing, ParametersTooMany
from node.link import Submitter
from node.rpc.budget import Budget
from node.rpc.faults import INTERNAL, WireError, describe_error
from node.rpc.json_value import Json
from node.rpc.methods.table import BATCHES, METHODS
from node.rpc.methods.transactions import submit_promptly
from node.rpc.methods.view import View, Watch
from node.telemetry import get_logger

SEND_RAW_TRANSACTION: Final = "eth_sendRawTransaction"


@dataclass(frozen=True, slots=True)
class Methods:
    """The node's JSON-RPC methods. Implements `rpc.server.Dispatcher`; safe between threads."""

    view: View
    submitter: Submitter | None = None
    """What submits single transactions from the event loop; without it threads do."""

    def dispatch(self, method: str, params: list[Json], budget: Budget) -> Json | WireError:
        """The result of a call, or the error to answer with. Never raises."""
        try:
            return self._call(method, params, budget)
        except NodeError as error:
            return describe_error(error)
        except Exception:  # noqa: BLE001 - outermost loop: a fault of ours must not end the process
            get_logger().exception("rpc_method_failed", method=method)
            return WireError(INTERNAL, "internal error")

    def dispatch_many(
        self, method: str, calls: Sequence[list[Json]], budget: Budget
    ) -> list[Json | WireError]:
        """What `dispatch` gives for each of these calls, in their order, at the price of one where there is a way."""
        together = BATCHES.get(method)
        if together is None or any(len(params) != 1 for params in calls):
            return [self.dispatch(method, params, budget) for params in calls]
        try:
            answers = together(self.view, [param for (param,) in calls])
        except NodeError as error:
            return [describe_error(error)] * len(calls)
        except Exception:  # noqa: BLE001 - outermost loop: a fault of ours must not end the process
            get_logger().exception("rpc_method_failed", method=method)
            return [WireError(INTERNAL, "internal error")] * len(calls)
        return [
            describe_error(answer) if isinstance(answer, NodeError) else answer
            for answer in answers
        ]

    async def dispatch_promptly(self, method: str, params: list[Json]) -> Json | WireError:
        """What `dispatch` gives, in the event loop and without holding it up. Never raises."""
        if self.submitter is None:
            return WireError(INTERNAL, "internal error")
        try:
            return await submit_promptly(self.view, self.submitter, params[0])
        except NodeError as error:
            return describe_error(error)
        except Exception:  # noqa: BLE001 - outermost loop: a fault of ours must not end the process
            get_logger().exception("rpc_method_failed", method=method)
            return WireError(INTERNAL, "internal error")

    def is_prompt(self, method: str, params: list[Json]) -> bool:
        """Whether the event loop makes a call by itself: it submits one transaction, a small one."""
        return (
            self.submitter is not None
            and method == SEND_RAW_TRANSACTION
            and len(params) == 1
            and params[0] is not None
        )

    def is_grouped(self, method: str) -> bool:
        """Whether successive calls of it are better answered together."""
        return method in BATCHES

    def is_heavy(self, method: str) -> bool:
        """Whether a call may take seconds of the machine."""
        known = METHODS.get(method)
        return known is not None and known.is_heavy

    def _call(self, name: str, params: list[Json], budget: Budget) -> Json:
        method = METHODS.get(name)
        if method is None:
            raise MethodUnknown(name)
        if len(params) > method.params_max:
            raise ParametersTooMany(method.params_max)
        for position in range(method.params_min):
            if position >= len(params) or params[position] is None:
                raise ParameterMissing(position)
        if method.is_watched:
            return method.function(self.view, *params, watch=self._watch_of(budget))
        return method.function(self.view, *params)

    def _watch_of(self, budget: Budget) -> Watch:
        call_budget = Budget.of_seconds(self.view.limits.call_seconds_max)

        def watch() -> None:
            if budget.is_spent() or call_budget.is_spent():
                raise errors.DryRunTooLong

        return watch
