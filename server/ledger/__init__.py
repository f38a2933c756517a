"""What the log is: blocks, the Merkle tree, checkpoints and receipts. Pure: it knows no record kind and does no I/O."""
