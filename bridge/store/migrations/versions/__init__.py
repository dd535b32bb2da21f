"""One migration per file, named r and its number; applied in their order, never changed once released."""
