-- Rows as they were when the state began to be hashed, for those that changed meanwhile (DESIGN.md D25).

CREATE TABLE "row_before" (
    "id" VARCHAR(320) COLLATE "C" NOT NULL PRIMARY KEY,
    "line" BYTEA NOT NULL
);
