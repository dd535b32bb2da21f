// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What waits in the queues of the settlement contract, as the tokens ask it.
interface ISettlementQueues {
    /// @notice Payments that wait in an account's queue of one currency and count, and the money they ask of it.
    /// @return count How many; those set aside as not eligible are not counted.
    /// @return amount Minor units.
    function waitingOf(address account, bytes3 currency) external view returns (uint256 count, uint256 amount);
}
