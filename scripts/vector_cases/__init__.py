"""The cases of schemas/vectors, one module a family. `files()` of each gives file contents by name."""
