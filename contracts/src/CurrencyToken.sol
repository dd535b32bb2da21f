// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from
    "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {ERC20Upgradeable} from "@openzeppelin/contracts-upgradeable/token/ERC20/ERC20Upgradeable.sol";
import {EIP712Upgradeable} from "@openzeppelin/contracts-upgradeable/utils/cryptography/EIP712Upgradeable.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {ICurrencyToken} from "./interfaces/ICurrencyToken.sol";
import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {ISettlementAsset} from "./interfaces/ISettlementAsset.sol";

/// @title One ISO 4217 currency as central-bank money: an ERC-20 that its central bank issues against attested reserves.
/// @notice Every movement passes `_update`. Settlement accounts move only through the settlement contract, by issue and
/// redeem, or between accounts of one participant.
contract CurrencyToken is
    ICurrencyToken,
    Initializable,
    AccessManagedUpgradeable,
    ERC20Upgradeable,
    EIP712Upgradeable,
    UUPSUpgradeable
    layout at erc7201("corridor.storage.CurrencyToken")
{
    bytes32 private constant ATTESTATION_TYPEHASH = keccak256(
        "Attestation(uint64 sequence,uint40 asOf,uint40 validUntil,uint256 amount,bytes32 statementHash)"
    );

    /// @dev Longest time a statement may back issuance: a lost attesting key must not do so for ever.
    uint40 private constant ATTESTATION_VALIDITY_MAX = 7 days;

    bytes3 private _currency;
    uint8 private _exponent;
    bytes20 private _issuer;
    IParticipantRegistry private _registry;
    address private _settlement;
    Attestation private _latest;
    /// @dev Of issues only, which only the issuer can make: nobody else can use a reference up.
    mapping(bytes32 issueReference => bool) private _referenceUsed;
    mapping(bytes20 lei => mapping(bytes32 redeemReference => bool)) private _redeemReferenceUsed;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @param exponent Digits after the decimal point of the currency (ISO 4217), served as `decimals`.
    /// @param issuer_ LEI of the currency's central bank.
    /// @param settlement_ The one contract that may call `settle`.
    function initialize(
        address authority_,
        string calldata name_,
        bytes3 currency_,
        uint8 exponent,
        bytes20 issuer_,
        address registry_,
        address settlement_
    ) external initializer {
        __AccessManaged_init(authority_);
        __ERC20_init(name_, string(abi.encodePacked(currency_)));
        __EIP712_init("Corridor CurrencyToken", "1");
        _currency = currency_;
        _exponent = exponent;
        _issuer = issuer_;
        _registry = IParticipantRegistry(registry_);
        _settlement = settlement_;
    }

    /// @inheritdoc ICurrencyToken
    function issue(bytes32 issueReference, address to, uint256 amount) external {
        if (!_isOperating(msg.sender) || _registry.participantOf(msg.sender) != _issuer) {
            revert TokenCallerNotIssuer(msg.sender);
        }
        _checkOrder(issueReference, _referenceUsed[issueReference], to, amount);
        _checkReserves(amount);

        // From here it must succeed, unless `to` is not admitted.
        _referenceUsed[issueReference] = true;
        _mint(to, amount);
        emit Issued(issueReference, to, amount);
    }

    /// @inheritdoc ICurrencyToken
    function redeem(bytes32 redeemReference, address from, uint256 amount) external {
        bytes20 lei = _registry.participantOf(msg.sender);
        if (!_isOperating(msg.sender) || lei != _registry.participantOf(from)) {
            revert TokenCallerNotOwner(msg.sender, from);
        }
        _checkOrder(redeemReference, _redeemReferenceUsed[lei][redeemReference], from, amount);

        // From here it must succeed, unless the balance is too low.
        _redeemReferenceUsed[lei][redeemReference] = true;
        // The reserves behind what is burnt are released: they back no issuance until attested again.
        uint256 attested = _latest.amount;
        _latest.amount = attested > amount ? attested - amount : 0;
        _burn(from, amount);
        emit Redeemed(redeemReference, from, amount);
    }

    /// @inheritdoc ICurrencyToken
    function attest(Attestation calldata attestation, bytes calldata signature) external {
        if (!_registry.isAdmitted(msg.sender)) revert TokenAccountNotAdmitted(msg.sender);
        address attester = _attesterOf(attestation, signature);
        if (attestation.sequence <= _latest.sequence) {
            revert TokenAttestationSequence(attestation.sequence, _latest.sequence);
        }
        _checkTimes(attestation.asOf, attestation.validUntil);

        // From here it must succeed.
        _latest = attestation;
        emit ReservesAttested(
            attestation.sequence, attester, attestation.amount, attestation.validUntil, attestation.statementHash
        );
        uint256 supply = totalSupply();
        if (attestation.amount < supply) emit ReservesBelowSupply(attestation.sequence, attestation.amount, supply);
    }

    /// @inheritdoc ISettlementAsset
    function settle(bytes32, address from, address to, uint256 amount, bytes calldata) external {
        if (msg.sender != _settlement) revert TokenCallerNotSettlement(msg.sender);
        if (!_isSettlement(from)) revert TokenNotSettlementAccount(from);
        if (!_isSettlement(to)) revert TokenNotSettlementAccount(to);
        _transfer(from, to, amount);
    }

    /// @inheritdoc ISettlementAsset
    function canSettle(address from, address to, uint256 amount, bytes calldata) external view returns (bool) {
        return _isSettlement(from) && _isSettlement(to) && _registry.isAdmitted(from) && _registry.isAdmitted(to)
            && balanceOf(from) >= amount;
    }

    /// @inheritdoc ICurrencyToken
    function latestAttestation() external view returns (Attestation memory) {
        return _latest;
    }

    /// @inheritdoc ICurrencyToken
    function isIssueReferenceUsed(bytes32 issueReference) external view returns (bool) {
        return _referenceUsed[issueReference];
    }

    /// @inheritdoc ICurrencyToken
    function isRedeemReferenceUsed(bytes20 lei, bytes32 redeemReference) external view returns (bool) {
        return _redeemReferenceUsed[lei][redeemReference];
    }

    /// @inheritdoc ICurrencyToken
    function currency() external view returns (bytes3) {
        return _currency;
    }

    /// @inheritdoc ICurrencyToken
    function issuer() external view returns (bytes20 lei) {
        return _issuer;
    }

    /// @notice Moves the caller's tokens; settlement accounts only within their participant.
    function transfer(address to, uint256 amount) public override returns (bool) {
        _checkPublicTransfer(msg.sender, to);
        return super.transfer(to, amount);
    }

    /// @notice Moves tokens by allowance; settlement accounts only within their participant.
    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        _checkPublicTransfer(from, to);
        return super.transferFrom(from, to, amount);
    }

    /// @notice Digits after the decimal point, as ISO 4217 has them.
    function decimals() public view override returns (uint8) {
        return _exponent;
    }

    /// @dev The one place every movement, mint and burn passes.
    function _update(address from, address to, uint256 amount) internal override {
        if (from != address(0) && !_registry.isAdmitted(from)) revert TokenAccountNotAdmitted(from);
        if (to != address(0) && !_registry.isAdmitted(to)) revert TokenAccountNotAdmitted(to);
        super._update(from, to, amount);
    }

    function _authorizeUpgrade(address) internal override restricted {}

    /// @dev Guards that `issue` and `redeem` share.
    function _checkOrder(bytes32 orderReference, bool isUsed, address account, uint256 amount) private view {
        if (amount == 0) revert TokenInvalidAmount(amount);
        if (orderReference == 0 || isUsed) revert TokenReferenceUsed(orderReference);
        if (!_isSettlement(account)) revert TokenNotSettlementAccount(account);
    }

    function _checkReserves(uint256 amount) private view {
        if (_latest.sequence == 0) revert TokenAttestationMissing();
        if (_latest.validUntil < block.timestamp) {
            revert TokenAttestationExpired(_latest.sequence, _latest.validUntil);
        }
        uint256 supply = totalSupply();
        uint256 reserves = _latest.amount;
        if (supply > reserves || amount > reserves - supply) revert TokenReservesExceeded(supply, amount, reserves);
    }

    /// @dev Reserves are never attested backwards in time, nor for longer than a statement may last.
    function _checkTimes(uint40 asOf, uint40 validUntil) private view {
        bool isTimely = _latest.asOf <= asOf && asOf <= block.timestamp && block.timestamp < validUntil;
        if (!isTimely || validUntil - asOf > ATTESTATION_VALIDITY_MAX) revert TokenAttestationTime(asOf, validUntil);
    }

    /// @dev Else anybody leaves its own queue by a plain transfer, or pays with no UETR, acceptance or sealed message.
    function _checkPublicTransfer(address from, address to) private view {
        if (_registry.participantOf(from) == _registry.participantOf(to)) return;
        if (_isSettlement(from)) revert TokenSettlementAccountLocked(from);
        if (_isSettlement(to)) revert TokenSettlementAccountLocked(to);
    }

    function _attesterOf(Attestation calldata attestation, bytes calldata signature) private view returns (address) {
        bytes32 digest = _hashTypedDataV4(
            keccak256(
                abi.encode(
                    ATTESTATION_TYPEHASH,
                    attestation.sequence,
                    attestation.asOf,
                    attestation.validUntil,
                    attestation.amount,
                    attestation.statementHash
                )
            )
        );
        (address attester, ECDSA.RecoverError fault,) = ECDSA.tryRecoverCalldata(digest, signature);
        bool isKnown = fault == ECDSA.RecoverError.NoError
            && _registry.kindOf(attester) == IParticipantRegistry.AccountKind.Attesting
            && _registry.participantOf(attester) == _issuer && _registry.isAdmitted(attester);
        if (!isKnown) revert TokenAttesterUnknown(attester);
        return attester;
    }

    function _isOperating(address account) private view returns (bool) {
        return _registry.kindOf(account) == IParticipantRegistry.AccountKind.Operating && _registry.isAdmitted(account);
    }

    function _isSettlement(address account) private view returns (bool) {
        return _registry.kindOf(account) == IParticipantRegistry.AccountKind.Settlement;
    }
}
