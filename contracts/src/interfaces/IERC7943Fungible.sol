// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

/// @title ERC-7943, the interface for ERC-20 tokens (identifier 0x3edbb4c4).
/// @notice Names, types and order of parameters are the standard's. How two persons stand behind the two functions that
/// change something is in `ICurrencyToken`.
interface IERC7943Fungible is IERC165 {
    event ForcedTransfer(address indexed from, address indexed to, uint256 amount);
    event Frozen(address indexed account, uint256 amount);

    error ERC7943CannotSend(address account);
    error ERC7943CannotReceive(address account);
    error ERC7943CannotTransfer(address from, address to, uint256 amount);
    error ERC7943InsufficientUnfrozenBalance(address account, uint256 amount, uint256 unfrozen);

    /// @notice Moves tokens whatever their owner wants, by an order that two officers of the issuer stand behind.
    /// @dev Caller: an officer. Executes the confirmed order of exactly this call. Takes money that is not held only; where
    /// it takes frozen money, `frozen` is lowered first. `from` may be frozen or suspended, `to` must be able to receive.
    function forcedTransfer(address from, address to, uint256 amount) external returns (bool result);

    /// @notice Sets the frozen amount, up or down, by an order that two officers of the issuer stand behind.
    /// @dev Caller: an officer. Executes the confirmed order of exactly this call, if what is frozen still is what the order
    /// expected. The amount may be above the balance; from 2^255 on the account is frozen whole.
    function setFrozenTokens(address account, uint256 amount) external returns (bool result);

    /// @notice Whether an account may pay at all: admitted and not frozen whole. Says nothing of amounts.
    function canSend(address account) external view returns (bool allowed);

    /// @notice Whether an account may receive at all: admitted and not frozen whole. Says nothing of amounts.
    function canReceive(address account) external view returns (bool allowed);

    /// @notice What is frozen now, a freeze of one officer that has not lapsed included; may be above the balance.
    function getFrozenTokens(address account) external view returns (uint256 amount);

    /// @notice Whether the rules let `transfer`, `transferFrom` and the signed transfers move this now. Balance and
    /// allowance are not looked at, as the standard asks.
    function canTransfer(address from, address to, uint256 amount) external view returns (bool allowed);
}
