"""What a record is: bytes, shapes, keys and signatures, kinds and rows. Pure: no I/O, no clock, no rules."""
