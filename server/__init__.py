"""Linli: a neighbourhood's votes, tickets and points as signed records on a ledger that three organisations keep."""
