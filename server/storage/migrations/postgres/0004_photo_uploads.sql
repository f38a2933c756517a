-- Everybody who uploaded a photo may see it here; the index of photos knows only the first.

CREATE TABLE "photo_upload" (
    "id" VARCHAR(105) COLLATE "C" NOT NULL PRIMARY KEY,
    "sha256" VARCHAR(64) COLLATE "C" NOT NULL,
    "member" VARCHAR(40) COLLATE "C" NOT NULL
);
CREATE INDEX "idx_photo_upload_sha256" ON "photo_upload" ("sha256");
INSERT INTO "photo_upload" ("id", "sha256", "member") SELECT "sha256" || '/' || "owner", "sha256", "owner" FROM "photo";
