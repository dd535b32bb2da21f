// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title How the settlement contract reaches one currency.
/// @notice `proof` is empty for clear currencies, so that hidden amounts and parties can come later behind the same
/// calls. All that moves or sets money aside is for the settlement contract only.
interface ISettlementAsset {
    /// @param isOpen Whether payments in this currency settle now: not paused, within its opening hours.
    /// @param isFrozen Whether the payer or the payee is frozen whole.
    /// @param businessDay Number of the issuer's business day, for limits that count per day.
    /// @param paymentMax Greatest amount of one leg, in minor units; the greatest uint256 where there is no limit.
    /// @param available The payer's balance less what is held and frozen, in minor units; negative where more is frozen
    /// than is there, since what comes in falls under the freeze too.
    struct Standing {
        bool isOpen;
        bool isFrozen;
        uint40 businessDay;
        uint256 paymentMax;
        int256 available;
    }

    /// @notice All that the settlement contract must know of one leg. Never reverts for a clear currency.
    function standingOf(address payer, address payee, bytes calldata proof) external view returns (Standing memory);

    /// @notice Moves one leg of a payment between settlement accounts.
    function settle(bytes32 paymentId, address from, address to, uint256 amount, bytes calldata proof) external;

    /// @notice Moves what an account owes net in a round to the clearing account, which is the settlement contract.
    function collect(address from, uint256 amount, bytes calldata proof) external;

    /// @notice Moves what an account is owed net in a round out of the clearing account.
    function distribute(address to, uint256 amount, bytes calldata proof) external;

    /// @notice Sets money of a payer aside for a payment that waits; it counts as held until `release`.
    function reserve(bytes32 paymentId, address account, uint256 amount, bytes calldata proof) external;

    /// @notice Gives back what `reserve` set aside; 0 where there is nothing.
    function release(bytes32 paymentId, address account) external returns (uint256 amount);
}
