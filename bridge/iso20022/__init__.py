"""ISO 20022 messages: what the bridge says to customers and other banks, and what it hears.

    codes         the code lists used, and the name and version of each message
    identifiers   IBAN, BIC, LEI, UETR and text: read strictly, refused by name
    messages      the frozen values that the rest of the bridge works with
    document      bytes to an XML tree, safely
    structure     the accepted subset of each message, declared and enforced
    parse         bytes to messages
    format        messages to bytes
    commitment    the hash that binds a sealed message to the chain

The subset is narrow on purpose: an element that the bridge would ignore is refused instead, so
that nobody believes it was acted upon. `docs/reference/messages.md` lists every element.
"""
