// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What names an institution: LEI and BIC.
library ParticipantNames {
    uint256 private constant BIC_LENGTH_SHORT = 8;
    uint256 private constant LEI_LENGTH = 20;
    uint256 private constant LEI_MODULUS = 97;

    /// @notice Whether an LEI is one of ISO 17442: 18 capital letters or digits and two check digits by ISO 7064 mod 97-10.
    function isLei(bytes20 lei) internal pure returns (bool) {
        uint256 remainder = 0;
        for (uint256 i = 0; i < LEI_LENGTH; ++i) {
            bytes1 character = lei[i];
            if (_isDigit(character)) {
                remainder = (remainder * 10 + uint8(character) - uint8(bytes1("0"))) % LEI_MODULUS;
            } else if (_isCapital(character) && i < LEI_LENGTH - 2) {
                remainder = (remainder * 100 + uint8(character) - uint8(bytes1("A")) + 10) % LEI_MODULUS;
            } else {
                return false;
            }
        }
        return remainder == 1;
    }

    /// @notice Whether a BIC has the shape of ISO 9362: 8 or 11 capital letters or digits, positions 5 and 6 letters; the short form ends in zero bytes.
    function isBic(bytes11 bic) internal pure returns (bool) {
        for (uint256 i = 0; i < bic.length; ++i) {
            bytes1 character = bic[i];
            if (i == BIC_LENGTH_SHORT && uint88(bic << (BIC_LENGTH_SHORT * 8)) == 0) return true;
            bool isCountry = i == 4 || i == 5;
            if (!_isCapital(character) && (isCountry || !_isDigit(character))) return false;
        }
        return true;
    }

    function _isDigit(bytes1 character) private pure returns (bool) {
        return character >= "0" && character <= "9";
    }

    function _isCapital(bytes1 character) private pure returns (bool) {
        return character >= "A" && character <= "Z";
    }
}
