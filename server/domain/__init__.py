"""What a record does: one file a noun, each rule in the class of its record kind. Pure: rows in, rows out."""
