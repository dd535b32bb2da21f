// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title A plain ERC-20 without rules, for benchmarks and for trying tools on a development chain.
/// @notice It is no currency of the network: nothing in genesis knows it, and nobody stands behind it.
contract DevelopmentToken is ERC20 {
    /// @param supply What the deployer holds at first, in the smallest unit.
    constructor(string memory name_, string memory symbol_, uint256 supply) ERC20(name_, symbol_) {
        _mint(msg.sender, supply);
    }
}
