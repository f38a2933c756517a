-- The ledger: blocks, entries, the Merkle tree and cosignatures; and which shapes the row tables were made for.
-- Integer keys are row ids; tables with text keys have no row id: one B-tree each.

CREATE TABLE "block" (
    "height" INTEGER NOT NULL PRIMARY KEY,
    "block_id" VARCHAR(43) NOT NULL,
    "header" BLOB NOT NULL,
    "view" BIGINT NOT NULL,
    "new_view" VARCHAR(64) NOT NULL,
    "certificate" BLOB NOT NULL,
    "first_index" BIGINT NOT NULL,
    "size" BIGINT NOT NULL,
    "root" BLOB NOT NULL,
    "peaks" BLOB NOT NULL,
    "state_digest" VARCHAR(43) NOT NULL,
    "time_ms" BIGINT NOT NULL
);
CREATE INDEX "idx_block_size_e9f50b" ON "block" ("size");
CREATE TABLE "cosignature" (
    "id" VARCHAR(64) NOT NULL PRIMARY KEY,
    "size" BIGINT NOT NULL,
    "member" VARCHAR(16) NOT NULL,
    "root" VARCHAR(43) NOT NULL,
    "line" TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX "idx_cosignature_size_1ba5ba" ON "cosignature" ("size");
CREATE TABLE "derived_table" (
    "name" VARCHAR(255) NOT NULL PRIMARY KEY,
    "fingerprint" VARCHAR(64) NOT NULL
) WITHOUT ROWID;
CREATE TABLE "entry" (
    "index" INTEGER NOT NULL PRIMARY KEY,
    "height" BIGINT NOT NULL,
    "record" VARCHAR(43) NOT NULL,
    "kind" VARCHAR(64) NOT NULL,
    "author" VARCHAR(40) NOT NULL,
    "outcome" VARCHAR(64) NOT NULL,
    "content" BLOB NOT NULL
);
CREATE INDEX "idx_entry_record_c7d4c0" ON "entry" ("record");
CREATE INDEX "idx_entry_author_83a4f6" ON "entry" ("author", "index");
CREATE TABLE "tile" (
    "id" INTEGER NOT NULL PRIMARY KEY,
    "hashes" BLOB NOT NULL
);
CREATE TABLE "transcript" (
    "digest" VARCHAR(64) NOT NULL PRIMARY KEY,
    "kind" VARCHAR(32) NOT NULL,
    "content" BLOB NOT NULL
) WITHOUT ROWID;
