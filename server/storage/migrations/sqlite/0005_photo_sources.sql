-- Every photo that a node keeps has a row, also one that a peer gave; every upload has one, with the node it was made at.
-- Of what was kept before, nobody noted at which node it was uploaded: `source` is empty.

ALTER TABLE "photo" RENAME TO "photo_before";
ALTER TABLE "photo_upload" RENAME TO "photo_upload_before";
CREATE TABLE "photo" (
    "sha256" VARCHAR(64) NOT NULL PRIMARY KEY,
    "photo_bytes" BIGINT NOT NULL,
    "source" VARCHAR(40) NOT NULL,
    "kept_ms" BIGINT NOT NULL,
    "record" VARCHAR(43) NOT NULL
) WITHOUT ROWID;
CREATE TABLE "photo_upload" (
    "id" VARCHAR(170) NOT NULL PRIMARY KEY,
    "sha256" VARCHAR(64) NOT NULL,
    "original_sha256" VARCHAR(64) NOT NULL,
    "member" VARCHAR(40) NOT NULL,
    "source" VARCHAR(40) NOT NULL,
    "photo_bytes" BIGINT NOT NULL,
    "uploaded_ms" BIGINT NOT NULL
) WITHOUT ROWID;
INSERT INTO "photo" ("sha256", "photo_bytes", "source", "kept_ms", "record")
    SELECT "sha256", "photo_bytes", '', "created_ms", "record" FROM "photo_before";
INSERT INTO "photo_upload" ("id", "sha256", "original_sha256", "member", "source", "photo_bytes", "uploaded_ms")
    SELECT u."sha256" || '/' || p."original_sha256" || '/' || u."member", u."sha256", p."original_sha256", u."member",
        '', p."photo_bytes", p."created_ms"
    FROM "photo_upload_before" u JOIN "photo_before" p ON p."sha256" = u."sha256";
DROP TABLE "photo_upload_before";
DROP TABLE "photo_before";
CREATE INDEX "idx_photo_record_kept" ON "photo" ("record", "kept_ms");
CREATE INDEX "idx_photo_upload_picture" ON "photo_upload" ("sha256");
CREATE INDEX "idx_photo_upload_member" ON "photo_upload" ("member", "uploaded_ms");
