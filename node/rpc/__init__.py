"""Ethereum JSON-RPC over HTTP: codec (text and bytes), methods (what each call means), server (HTTP and batches)."""
