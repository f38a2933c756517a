"""The independent verifier behind scripts/verify.py: standard library and `ecdsa` only.

Written from DESIGN.md part 2 and the C2SP pages alone, so that it and the server check one another. It must import
nothing from `server`, and nothing here may write.
"""
