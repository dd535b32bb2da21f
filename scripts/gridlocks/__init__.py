"""`scripts/liquidity`: published or own gridlocks, read from a file and settled by the liquidity solver.

cases       the file, read strictly
__main__    the command
"""
