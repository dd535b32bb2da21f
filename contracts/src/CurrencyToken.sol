// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessManagedUpgradeable} from
    "@openzeppelin/contracts-upgradeable/access/manager/AccessManagedUpgradeable.sol";
import {ERC20Upgradeable} from "@openzeppelin/contracts-upgradeable/token/ERC20/ERC20Upgradeable.sol";
import {ERC20PermitUpgradeable} from
    "@openzeppelin/contracts-upgradeable/token/ERC20/extensions/ERC20PermitUpgradeable.sol";
import {ERC3009Upgradeable} from
    "@openzeppelin/contracts-upgradeable/token/ERC20/extensions/draft-ERC3009Upgradeable.sol";
import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {ICurrencyToken} from "./interfaces/ICurrencyToken.sol";
import {IERC7943Fungible} from "./interfaces/IERC7943Fungible.sol";
import {IParticipantRegistry} from "./interfaces/IParticipantRegistry.sol";
import {ISettlementAsset} from "./interfaces/ISettlementAsset.sol";
import {FreezeRecord, TokenBook} from "./token/TokenBook.sol";
import {TokenFreezes} from "./token/TokenFreezes.sol";
import {TokenHolds} from "./token/TokenHolds.sol";
import {TokenOrders} from "./token/TokenOrders.sol";
import {TokenReserves} from "./token/TokenReserves.sol";
import {TokenRules} from "./token/TokenRules.sol";
import {TokenTransfers} from "./token/TokenTransfers.sol";

/// @title One ISO 4217 currency as central-bank money: an ERC-20 that its central bank issues against attested reserves.
/// @notice ERC-2612, ERC-3009, ERC-7943 and ERC-165 besides. Settlement accounts move only through the settlement
/// contract, by issue and redeem, by holds, by orders, or between accounts of one participant while nothing waits there.
/// @dev `_update` is where every public movement of the libraries ends: it keeps to the strictest rules, so that a way
/// to transfer that comes with a library is refused what `transfer` is refused. The other movements check what is theirs
/// and then call `_move`.
contract CurrencyToken is
    ICurrencyToken,
    Initializable,
    AccessManagedUpgradeable,
    ERC20PermitUpgradeable,
    ERC3009Upgradeable,
    UUPSUpgradeable
    layout at erc7201("corridor.storage.CurrencyToken")
{
    using TokenRules for TokenBook;
    using TokenRules for FreezeRecord;
    using TokenHolds for TokenBook;
    using TokenFreezes for TokenBook;

    int24 private constant UTC_OFFSET_MAX = 14 hours;
    uint8 private constant WEEKDAYS_MAX = 127;

    TokenBook private _book;

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @notice Names the currency, its issuer and the contracts it works with; there are no limits at first.
    /// @param exponent Digits after the decimal point of the currency (ISO 4217), served as `decimals`.
    /// @param issuer_ LEI of the currency's central bank.
    /// @param settlement_ The one contract that may call what `ISettlementAsset` has.
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
        __ERC20Permit_init("Corridor CurrencyToken");
        _book.currency = currency_;
        _book.exponent = exponent;
        _book.issuer = issuer_;
        _book.registry = IParticipantRegistry(registry_);
        _book.settlement = settlement_;
        _book.limits = TokenLimits(type(uint256).max, type(uint256).max, type(uint256).max);
    }

    /// @inheritdoc ICurrencyToken
    function issue(bytes32 issueReference, address to, uint256 amount) external {
        TokenReserves.issue(_book, issueReference, to, amount, totalSupply());
        _mint(to, amount);
        emit Issued(issueReference, to, amount);
    }

    /// @inheritdoc ICurrencyToken
    function redeem(bytes32 redeemReference, address from, uint256 amount) external {
        TokenReserves.redeem(_book, redeemReference, from, amount, balanceOf(from));
        _burn(from, amount);
        emit Redeemed(redeemReference, from, amount);
    }

    /// @inheritdoc ICurrencyToken
    function attest(Attestation calldata attestation, bytes calldata signature) external {
        TokenReserves.attest(_book, _domainSeparatorV4(), attestation, signature, totalSupply());
    }

    /// @inheritdoc ISettlementAsset
    function settle(bytes32, address from, address to, uint256 amount, bytes calldata) external {
        _checkSettling();
        _checkSettlementAccount(from);
        _checkSettlementAccount(to);
        _book.checkNotFrozen(from, to);
        if (amount > _book.limits.paymentMax) revert TokenPaymentLimit(amount, _book.limits.paymentMax);
        _book.spend(from, amount, balanceOf(from));
        _move(from, to, amount);
    }

    /// @inheritdoc ISettlementAsset
    function collect(address from, uint256 amount, bytes calldata) external {
        _checkSettling();
        _checkSettlementAccount(from);
        _book.checkNotFrozen(from, msg.sender);
        _book.spend(from, amount, balanceOf(from));
        _move(from, msg.sender, amount);
    }

    /// @inheritdoc ISettlementAsset
    function distribute(address to, uint256 amount, bytes calldata) external {
        _checkSettling();
        _checkSettlementAccount(to);
        _book.checkNotFrozen(msg.sender, to);
        _move(msg.sender, to, amount);
    }

    /// @inheritdoc ISettlementAsset
    function reserve(bytes32 paymentId, address account, uint256 amount, bytes calldata) external {
        _checkSettlementCall();
        _checkSettlementAccount(account);
        TokenHolds.reserve(_book, paymentId, account, amount, balanceOf(account));
    }

    /// @inheritdoc ISettlementAsset
    function release(bytes32 paymentId, address account) external returns (uint256 amount) {
        _checkSettlementCall();
        amount = TokenHolds.giveBack(_book, paymentId, account);
    }

    /// @inheritdoc ICurrencyToken
    function propose(bytes calldata call, uint256 expected, bytes32 orderReference, uint40 validUntil)
        external
        returns (bytes32 orderId)
    {
        orderId = TokenOrders.propose(_book, call, expected, orderReference, validUntil);
    }

    /// @inheritdoc ICurrencyToken
    function confirm(bytes32 orderId) external {
        TokenOrders.confirm(_book, orderId);
    }

    /// @inheritdoc ICurrencyToken
    function withdrawOrder(bytes32 orderId) external {
        TokenOrders.withdraw(_book, orderId);
    }

    /// @inheritdoc ICurrencyToken
    function freeze(address account, uint256 expected, uint256 amount, bytes32 orderReference) external {
        TokenFreezes.freeze(_book, account, expected, amount, orderReference);
    }

    /// @inheritdoc ICurrencyToken
    function confirmFreeze(address account, bytes32 orderReference) external {
        TokenFreezes.confirmFreeze(_book, account, orderReference);
    }

    /// @inheritdoc IERC7943Fungible
    function setFrozenTokens(address account, uint256 amount) external returns (bool result) {
        (bytes32 orderId, uint256 expected) = TokenOrders.execute(_book, msg.data);
        TokenFreezes.setFrozen(_book, orderId, account, expected, amount);
        return true;
    }

    /// @inheritdoc IERC7943Fungible
    function forcedTransfer(address from, address to, uint256 amount) external returns (bool result) {
        (bytes32 orderId,) = TokenOrders.execute(_book, msg.data);
        TokenFreezes.seize(_book, orderId, from, to, amount, balanceOf(from));
        _move(from, to, amount);
        emit ForcedTransfer(from, to, amount);
        return true;
    }

    /// @inheritdoc ICurrencyToken
    function reverseFreeze(bytes32 orderId) external {
        (bytes32 counterOrderId,) = TokenOrders.execute(_book, msg.data);
        TokenFreezes.reverseFreeze(_book, orderId, counterOrderId);
    }

    /// @inheritdoc ICurrencyToken
    function reverseTransfer(bytes32 orderId, uint256 amount) external {
        (bytes32 counterOrderId,) = TokenOrders.execute(_book, msg.data);
        (address owner, address taker) = _book.partiesOf(orderId);
        TokenFreezes.restore(_book, orderId, counterOrderId, amount, balanceOf(taker));
        _move(taker, owner, amount);
        emit ForcedTransfer(taker, owner, amount);
    }

    /// @inheritdoc ICurrencyToken
    function cancelHold(bytes32 holdId) external {
        (bytes32 orderId,) = TokenOrders.execute(_book, msg.data);
        TokenHolds.cancel(_book, holdId, orderId);
    }

    /// @inheritdoc ICurrencyToken
    function createHold(
        bytes32 holdReference,
        address payer,
        address payee,
        address notary,
        uint256 amount,
        uint40 expiresAt
    ) external returns (bytes32 holdId) {
        Hold memory terms =
            Hold({payer: payer, payee: payee, notary: notary, expiresAt: expiresAt, amount: amount});
        holdId = TokenHolds.create(_book, holdReference, terms, balanceOf(payer));
    }

    /// @inheritdoc ICurrencyToken
    function executeHold(bytes32 holdId, uint256 amount) external {
        (address payer, address payee) = TokenHolds.execute(_book, holdId, amount);
        TokenTransfers.receiveWithinLimits(_book, payee, amount, balanceOf(payee));
        _move(payer, payee, amount);
    }

    /// @inheritdoc ICurrencyToken
    function releaseHold(bytes32 holdId) external {
        TokenHolds.release(_book, holdId);
    }

    /// @inheritdoc ICurrencyToken
    function expireHold(bytes32 holdId) external {
        TokenHolds.expire(_book, holdId);
    }

    /// @inheritdoc ICurrencyToken
    function pause(TokenFunction tokenFunction) external {
        _book.checkOfficer(msg.sender);
        _book.checkRunning(tokenFunction);
        _book.paused |= TokenRules.bitOf(tokenFunction);
        emit FunctionPaused(tokenFunction, msg.sender);
    }

    /// @inheritdoc ICurrencyToken
    function resume(TokenFunction tokenFunction) external {
        (bytes32 orderId,) = TokenOrders.execute(_book, msg.data);
        if (!_book.isPaused(tokenFunction)) revert TokenFunctionNotPaused(tokenFunction);
        _book.paused ^= TokenRules.bitOf(tokenFunction);
        emit FunctionResumed(tokenFunction, orderId);
    }

    /// @inheritdoc ICurrencyToken
    function setLimits(TokenLimits calldata limits) external {
        _book.checkOfficer(msg.sender);
        _book.limits = limits;
        emit TokenLimitsSet(limits.holdingMax, limits.receiptMax, limits.paymentMax);
    }

    /// @inheritdoc ICurrencyToken
    function setOpeningHours(OpeningHours calldata hours_) external {
        TokenOrders.execute(_book, msg.data);
        bool isValid = hours_.opensAt < 1 days && hours_.closesAt < 1 days && hours_.weekdays <= WEEKDAYS_MAX
            && hours_.utcOffset >= -UTC_OFFSET_MAX && hours_.utcOffset <= UTC_OFFSET_MAX;
        if (!isValid) revert TokenInvalidHours();
        _book.openingHours = hours_;
        emit OpeningHoursSet(hours_.opensAt, hours_.closesAt, hours_.weekdays, hours_.utcOffset);
    }

    /// @inheritdoc ISettlementAsset
    function standingOf(address payer, address payee, bytes calldata) external view returns (Standing memory) {
        (bool isOpen, uint40 businessDay) = _book.hoursAt();
        return Standing({
            isOpen: isOpen && !_book.isPaused(TokenFunction.Settle),
            isFrozen: TokenRules.isWhole(_book.frozenOf(payer)) || TokenRules.isWhole(_book.frozenOf(payee)),
            businessDay: businessDay,
            paymentMax: _book.limits.paymentMax,
            available: _book.room(payer, balanceOf(payer))
        });
    }

    /// @inheritdoc IERC7943Fungible
    function canSend(address account) external view returns (bool allowed) {
        return _book.canMove(account);
    }

    /// @inheritdoc IERC7943Fungible
    function canReceive(address account) external view returns (bool allowed) {
        return _book.canMove(account);
    }

    /// @inheritdoc IERC7943Fungible
    function canTransfer(address from, address to, uint256 amount) external view returns (bool allowed) {
        uint256 free = _available(from);
        if (amount > free && free < balanceOf(from)) return false;
        try this.checkTransfer(from, to, amount) {
            return true;
        } catch {
            return false;
        }
    }

    /// @inheritdoc ICurrencyToken
    function checkTransfer(address from, address to, uint256 amount) public view {
        TokenTransfers.check(_book, from, to, amount, balanceOf(from), balanceOf(to));
    }

    /// @inheritdoc IERC7943Fungible
    function getFrozenTokens(address account) external view returns (uint256 amount) {
        return _book.frozenOf(account);
    }

    /// @inheritdoc ICurrencyToken
    function availableOf(address account) external view returns (uint256 amount) {
        return _available(account);
    }

    /// @inheritdoc ICurrencyToken
    function heldOf(address account) external view returns (uint256 amount) {
        return _book.held[account];
    }

    /// @inheritdoc ICurrencyToken
    function openFreezeOf(address account)
        external
        view
        returns (uint256 amount, uint40 lapsesAt, address officer, bytes32 orderReference)
    {
        FreezeRecord storage record = _book.freezes[account];
        if (!record.isOpen()) return (0, 0, address(0), 0);
        return (record.provisional, record.lapsesAt, record.officer, record.orderReference);
    }

    /// @inheritdoc ICurrencyToken
    function order(bytes32 orderId) external view returns (Order memory) {
        return _book.orders[orderId];
    }

    /// @inheritdoc ICurrencyToken
    function hold(bytes32 holdId) external view returns (Hold memory) {
        return _book.holds[holdId];
    }

    /// @inheritdoc ICurrencyToken
    function reservedFor(bytes32 paymentId, address account) external view returns (uint256 amount) {
        return _book.reserves[paymentId][account];
    }

    /// @inheritdoc ICurrencyToken
    function isPaused(TokenFunction tokenFunction) external view returns (bool) {
        return _book.isPaused(tokenFunction);
    }

    /// @inheritdoc ICurrencyToken
    function tokenLimits() external view returns (TokenLimits memory) {
        return _book.limits;
    }

    /// @inheritdoc ICurrencyToken
    function openingHours() external view returns (OpeningHours memory) {
        return _book.openingHours;
    }

    /// @inheritdoc ICurrencyToken
    function latestAttestation() external view returns (Attestation memory) {
        return _book.latest;
    }

    /// @inheritdoc ICurrencyToken
    function isIssueReferenceUsed(bytes32 issueReference) external view returns (bool) {
        return _book.issueReferenceUsed[issueReference];
    }

    /// @inheritdoc ICurrencyToken
    function isRedeemReferenceUsed(bytes20 lei, bytes32 redeemReference) external view returns (bool) {
        return _book.redeemReferenceUsed[lei][redeemReference];
    }

    /// @inheritdoc ICurrencyToken
    function currency() external view returns (bytes3) {
        return _book.currency;
    }

    /// @inheritdoc ICurrencyToken
    function issuer() external view returns (bytes20 lei) {
        return _book.issuer;
    }

    /// @notice Digits after the decimal point, as ISO 4217 has them.
    function decimals() public view override returns (uint8) {
        return _book.exponent;
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == type(IERC165).interfaceId || interfaceId == type(IERC7943Fungible).interfaceId
            || interfaceId == type(IERC20).interfaceId || interfaceId == type(IERC20Permit).interfaceId;
    }

    /// @dev Where every mint, burn and public transfer ends. What is no mint or burn keeps to the rules for the public.
    function _update(address from, address to, uint256 amount) internal override {
        if (from != address(0) && to != address(0)) {
            checkTransfer(from, to, amount);
            if (from != to) TokenTransfers.count(_book, to, amount);
        }
        _move(from, to, amount);
    }

    /// @dev Moves tokens with no more rules than ERC-20 has: whoever calls it has checked what applies.
    function _move(address from, address to, uint256 amount) private {
        ERC20Upgradeable._update(from, to, amount);
    }

    /// @dev ERC-3009 knows times in seconds only.
    function _checkValidity(uint256 validAfter, uint256 validBefore) internal view override {
        if (block.timestamp <= validAfter || block.timestamp >= validBefore) {
            revert ERC3009InvalidAuthorizationTime(validAfter, validBefore);
        }
    }

    function _authorizeUpgrade(address) internal override restricted {}

    function _available(address account) private view returns (uint256) {
        return _book.available(account, balanceOf(account));
    }

    function _checkSettling() private view {
        _checkSettlementCall();
        _book.checkRunning(TokenFunction.Settle);
        (bool isOpen,) = _book.hoursAt();
        if (!isOpen) revert TokenClosed();
    }

    function _checkSettlementCall() private view {
        if (msg.sender != _book.settlement) revert TokenCallerNotSettlement(msg.sender);
    }

    function _checkSettlementAccount(address account) private view {
        if (!_book.isSettlement(account)) revert TokenNotSettlementAccount(account);
        if (!_book.registry.maySettle(account)) revert TokenAccountNotAdmitted(account);
    }
}
