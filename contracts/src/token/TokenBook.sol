// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ICurrencyToken} from "../interfaces/ICurrencyToken.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";

/// @dev How long a freeze by one officer lasts without a second.
uint40 constant FREEZE_LAPSE = 72 hours;

/// @dev From this amount on an account is frozen whole: what an order takes of it leaves it so.
uint256 constant FROZEN_WHOLE_MIN = 1 << 255;

/// @dev Longest time an order may wait for its confirmation and execution.
uint40 constant ORDER_VALIDITY_MAX = 30 days;

/// @dev Longest time money may be held.
uint40 constant HOLD_VALIDITY_MAX = 366 days;

/// @dev What is frozen of an account. Append only.
/// @param lapsesAt From this second on `provisional` counts no more; 0 where no freeze is open.
/// @param officer Who made the open freeze, or the last one if it lapsed.
/// @param confirmed What two persons froze.
/// @param provisional What is frozen while the open freeze stands, all included.
/// @param orderReference Of the open freeze.
struct FreezeRecord {
    uint40 lapsesAt;
    address officer;
    uint256 confirmed;
    uint256 provisional;
    bytes32 orderReference;
}

/// @dev A `setFrozenTokens` that was executed. Append only.
struct FreezeChange {
    address account;
    bool isReversed;
    uint256 amountBefore;
    uint256 amount;
}

/// @dev A `forcedTransfer` that was executed. Append only.
/// @param thawed How much `frozen` was lowered for it.
struct Seizure {
    address from;
    address to;
    bool isReversed;
    uint256 amount;
    uint256 thawed;
}

/// @dev What an account received in a business day. Append only.
struct Receipts {
    uint40 businessDay;
    uint256 amount;
}

/// @dev What was burnt since the beginning, up to and with a UTC second. Append only.
struct Burnt {
    uint40 second;
    uint256 total;
}

/// @dev All that a token keeps besides balances and allowances. Append only.
/// @param paused One bit for each `TokenFunction`.
/// @param issueReferenceUsed Of issues only, which only the issuer can make: nobody else can use a reference up.
/// @param held By account: holds and reserves together.
/// @param confirmedOrder The order that stands behind a call now.
/// @param burnt One for each second in which something was burnt, in the order of time.
struct TokenBook {
    bytes3 currency;
    uint8 exponent;
    bytes20 issuer;
    uint8 paused;
    IParticipantRegistry registry;
    address settlement;
    ICurrencyToken.Attestation latest;
    ICurrencyToken.TokenLimits limits;
    ICurrencyToken.OpeningHours openingHours;
    mapping(bytes32 issueReference => bool) issueReferenceUsed;
    mapping(bytes20 lei => mapping(bytes32 redeemReference => bool)) redeemReferenceUsed;
    mapping(address account => uint256) held;
    mapping(bytes32 paymentId => mapping(address account => uint256)) reserves;
    mapping(bytes32 holdId => ICurrencyToken.Hold) holds;
    mapping(bytes32 holdId => bool) holdUsed;
    mapping(address account => FreezeRecord) freezes;
    mapping(address account => mapping(bytes32 orderReference => bool)) freezeReferenceUsed;
    mapping(bytes32 orderId => ICurrencyToken.Order) orders;
    mapping(bytes32 callHash => bytes32 orderId) confirmedOrder;
    mapping(bytes32 orderId => FreezeChange) freezeChanges;
    mapping(bytes32 orderId => Seizure) seizures;
    mapping(address account => Receipts) receipts;
    Burnt[] burnt;
}
