"""The migrations of a bridge's database, one file per revision in `versions`."""
