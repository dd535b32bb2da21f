"""Writes the migration that brings the newest revision to the tables as they are declared now."""
