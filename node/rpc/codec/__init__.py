"""Text and bytes: the only place that knows 0x-hex, block tags and the JSON objects of Ethereum JSON-RPC.

`parse` takes what a client sent and gives typed values or raises `ParameterInvalid` naming what was wrong; `format`
takes our values and gives the JSON object that standard tools expect. Quantities are hex without leading zeros, data
are hex of whole bytes.

Source: the Ethereum execution API specification (types and methods).
"""
