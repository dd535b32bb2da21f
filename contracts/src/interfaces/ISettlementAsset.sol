// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title How the settlement contract reaches one currency.
/// @notice Nothing outside this adapter reads an amount. `proof` is empty for clear currencies, so that hidden amounts
/// and parties can come later behind the same calls.
interface ISettlementAsset {
    /// @notice Whether `settle` with the same arguments would succeed in this state. Never reverts for a clear currency.
    function canSettle(address from, address to, uint256 amount, bytes calldata proof) external view returns (bool);

    /// @notice Moves `amount` from one settlement account to another for a payment. Only the settlement contract may call.
    function settle(bytes32 paymentId, address from, address to, uint256 amount, bytes calldata proof) external;
}
