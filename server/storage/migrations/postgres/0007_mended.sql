-- Up to which block every opening of ordered records was found to be here, or was fetched again (DESIGN.md D33).

CREATE TABLE "mended" (
    "id" BIGINT NOT NULL PRIMARY KEY,
    "height" BIGINT NOT NULL
);
