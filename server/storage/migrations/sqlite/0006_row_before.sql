-- Rows as they were when the state began to be hashed, for those that changed meanwhile (DESIGN.md D25).
-- The rows are built anew once: a database may stand where they should have been kept since.

CREATE TABLE "row_before" (
    "id" VARCHAR(320) NOT NULL PRIMARY KEY,
    "line" BLOB NOT NULL
) WITHOUT ROWID;
DELETE FROM "derived_table";
