"""Messages to and from other institutions' bridges.

    kinds      what is sent, and the heading of what is delivered
    channel    signed and sealed, sent once, opened and checked
    copies     payment messages sealed for central banks and supervisors
    tls        who may connect, and how a certificate names its institution
    delivery   recorded with its cause, sent by couriers until it is taken
    receiving  taken once, by the receiver of its kind
    fetching   a bridge with restored books asks for what it missed

What must reach another institution is recorded by `deliver` in the transaction of its cause. Whoever
has a new kind of message gives it a `Kind`, a receiver (`Receivers`) and, where its refusal matters, a
`Course`; the composition root puts them together.
"""

from bridge.interbank.channel import (
    CONTENT_TYPE,
    PEER_SECONDS_MAX,
    PEER_TIMEOUT_SECONDS,
    SEALED_BYTES_MAX,
    Interbank,
    Received,
    read_statement,
)
from bridge.interbank.delivery import Courier, Course, Courses, Outgoing, deliver
from bridge.interbank.kinds import ANSWER_KIND, Heading, Kind
from bridge.interbank.receiving import Receiver, Receivers, Taking, take

__all__ = [
    "ANSWER_KIND",
    "CONTENT_TYPE",
    "PEER_SECONDS_MAX",
    "PEER_TIMEOUT_SECONDS",
    "SEALED_BYTES_MAX",
    "Courier",
    "Course",
    "Courses",
    "Heading",
    "Interbank",
    "Kind",
    "Outgoing",
    "Received",
    "Receiver",
    "Receivers",
    "Taking",
    "deliver",
    "read_statement",
    "take",
]
