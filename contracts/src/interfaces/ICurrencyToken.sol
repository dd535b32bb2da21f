// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISettlementAsset} from "./ISettlementAsset.sol";

/// @title One ISO 4217 currency as central-bank money on the chain.
interface ICurrencyToken is ISettlementAsset {
    /// @notice A statement of the reserves held in RTGS against this token, signed by the issuer's attesting key
    /// (EIP-712, domain name "Corridor CurrencyToken", version "1", chain id, this token).
    /// @param sequence Strictly rising.
    /// @param asOf UTC second at which the reserves were read.
    /// @param validUntil Last UTC second (block time) at which the statement backs an issuance.
    /// @param amount Reserves in minor units.
    /// @param statementHash SHA-256 of the RTGS statement it was read from.
    struct Attestation {
        uint64 sequence;
        uint40 asOf;
        uint40 validUntil;
        uint256 amount;
        bytes32 statementHash;
    }

    event Issued(bytes32 indexed issueReference, address indexed to, uint256 amount);
    event Redeemed(bytes32 indexed redeemReference, address indexed from, uint256 amount);
    event ReservesAttested(uint64 indexed sequence, address indexed attester, uint256 amount, uint40 validUntil, bytes32 statementHash);
    event ReservesBelowSupply(uint64 indexed sequence, uint256 amount, uint256 supply);

    error TokenAccountNotAdmitted(address account);
    error TokenSettlementAccountLocked(address account);
    error TokenNotSettlementAccount(address account);
    error TokenCallerNotIssuer(address caller);
    error TokenCallerNotSettlement(address caller);
    error TokenCallerNotOwner(address caller, address account);
    error TokenReferenceUsed(bytes32 orderReference);
    error TokenInvalidAmount(uint256 amount);
    error TokenAttestationMissing();
    error TokenAttestationExpired(uint64 sequence, uint40 validUntil);
    error TokenAttestationSequence(uint64 sequence, uint64 latest);
    error TokenAttestationTime(uint40 asOf, uint40 validUntil);
    error TokenAttesterUnknown(address attester);
    error TokenReservesExceeded(uint256 supply, uint256 amount, uint256 reserves);

    /// @notice Mints against attested reserves. Caller: an operating account of the issuer. `to`: a settlement account.
    /// Each reference once, for ever; redemptions have references of their own.
    function issue(bytes32 issueReference, address to, uint256 amount) external;

    /// @notice Burns from a settlement account of the caller's own participant and lowers the attested reserves by as
    /// much. Caller: an operating account. Each reference once per participant, for ever.
    function redeem(bytes32 redeemReference, address from, uint256 amount) external;

    /// @notice Records an attestation. Anyone admitted may carry it. Below supply it is recorded too and stops issuance.
    function attest(Attestation calldata attestation, bytes calldata signature) external;

    /// @notice The newest statement recorded, its amount less what was burnt since; all zero before the first.
    function latestAttestation() external view returns (Attestation memory);

    /// @notice Whether an issue had this reference.
    function isIssueReferenceUsed(bytes32 issueReference) external view returns (bool);

    /// @notice Whether a redemption of this participant had this reference.
    function isRedeemReferenceUsed(bytes20 lei, bytes32 redeemReference) external view returns (bool);

    /// @notice ISO 4217 letters.
    function currency() external view returns (bytes3);

    /// @notice The central bank that issues it.
    function issuer() external view returns (bytes20 lei);
}
