"""ISO 20022 messages: what the bridge says to customers and other banks, and what it hears.

    codes                the code lists used, and the name and version of each message
    identifiers          IBAN, BIC, LEI, UETR and text: read strictly, refused by name
    messages             the frozen values that the rest of the bridge works with: payments,
    messages_returns     what follows a payment,
    messages_statements  and the statements of an account
    document             bytes to an XML tree, safely
    structure            the accepted subset of a message, enforced
    elements, writing    leaves to values, values to XML
    layout               how a message is declared: structure, reading and writing from one source
    kinds                the elements that messages share
    usage                the rules that go beyond the schemas
    layouts_*            the messages themselves
    catalogue            every layout by its name
    parse, format        bytes to messages, messages to bytes
    envelope             a message with its business application header
    checking             what a file is, in a few lines
    commitment           the hash that binds a sealed message to the chain

The subset is narrow on purpose: an element that the bridge would ignore is refused instead, so
that nobody believes it was acted upon. `docs/reference/messages.md` lists every element.
"""
