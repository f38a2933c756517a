-- Rows as they were when the state began to be hashed, for those that changed meanwhile (DESIGN.md D25).

CREATE TABLE "row_before" (
    "id" VARCHAR(320) NOT NULL PRIMARY KEY,
    "line" BLOB NOT NULL
) WITHOUT ROWID;
