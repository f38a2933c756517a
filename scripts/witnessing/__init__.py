"""What scripts/witness.py is made of: a witness's memory, its desk, and asking witnesses (c2sp.org/tlog-witness)."""
