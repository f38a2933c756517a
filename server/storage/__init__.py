"""The database of one node: blocks, entries, rows, private tables, and the consensus journal."""
