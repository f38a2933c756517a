-- The ledger: blocks, entries, the Merkle tree and cosignatures; and which shapes the row tables were made for.
-- Texts that are compared are in the C collation: the order of bytes, the same on every machine.

CREATE TABLE "block" (
    "height" BIGINT NOT NULL PRIMARY KEY,
    "block_id" VARCHAR(43) COLLATE "C" NOT NULL,
    "header" BYTEA NOT NULL,
    "view" BIGINT NOT NULL,
    "new_view" VARCHAR(64) COLLATE "C" NOT NULL,
    "certificate" BYTEA NOT NULL,
    "first_index" BIGINT NOT NULL,
    "size" BIGINT NOT NULL,
    "root" BYTEA NOT NULL,
    "peaks" BYTEA NOT NULL,
    "state_digest" VARCHAR(43) COLLATE "C" NOT NULL,
    "time_ms" BIGINT NOT NULL
);
CREATE INDEX "idx_block_size_e9f50b" ON "block" ("size");
CREATE TABLE "cosignature" (
    "id" VARCHAR(64) COLLATE "C" NOT NULL PRIMARY KEY,
    "size" BIGINT NOT NULL,
    "member" VARCHAR(16) COLLATE "C" NOT NULL,
    "root" VARCHAR(43) COLLATE "C" NOT NULL,
    "line" TEXT NOT NULL
);
CREATE INDEX "idx_cosignature_size_1ba5ba" ON "cosignature" ("size");
CREATE TABLE "derived_table" (
    "name" VARCHAR(255) COLLATE "C" NOT NULL PRIMARY KEY,
    "fingerprint" VARCHAR(64) COLLATE "C" NOT NULL
);
CREATE TABLE "entry" (
    "index" BIGINT NOT NULL PRIMARY KEY,
    "height" BIGINT NOT NULL,
    "record" VARCHAR(43) COLLATE "C" NOT NULL,
    "kind" VARCHAR(64) COLLATE "C" NOT NULL,
    "author" VARCHAR(40) COLLATE "C" NOT NULL,
    "outcome" VARCHAR(64) COLLATE "C" NOT NULL,
    "content" BYTEA NOT NULL
);
CREATE INDEX "idx_entry_record_c7d4c0" ON "entry" ("record");
CREATE INDEX "idx_entry_author_83a4f6" ON "entry" ("author", "index");
CREATE TABLE "tile" (
    "id" BIGINT NOT NULL PRIMARY KEY,
    "hashes" BYTEA NOT NULL
);
CREATE TABLE "transcript" (
    "digest" VARCHAR(64) COLLATE "C" NOT NULL PRIMARY KEY,
    "kind" VARCHAR(32) COLLATE "C" NOT NULL,
    "content" BYTEA NOT NULL
);
