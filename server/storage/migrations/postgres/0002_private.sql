-- What is not on the ledger: this organisation's copy of the roll, sessions, openings, photos.
-- Texts that are compared are in the C collation: the order of bytes, the same on every machine.

CREATE TABLE "attempt" (
    "id" VARCHAR(255) COLLATE "C" NOT NULL PRIMARY KEY,
    "tries" BIGINT NOT NULL,
    "forget_ms" BIGINT NOT NULL
);
CREATE INDEX "idx_attempt_forget__369cae" ON "attempt" ("forget_ms");
CREATE TABLE "home" (
    "unit" VARCHAR(40) COLLATE "C" NOT NULL PRIMARY KEY,
    "sealed_room" BYTEA NOT NULL,
    "room_hash" VARCHAR(43) COLLATE "C" NOT NULL,
    "area_cm2" BIGINT NOT NULL
);
CREATE INDEX "idx_home_room_ha_69e13c" ON "home" ("room_hash");
CREATE TABLE "opening" (
    "id" VARCHAR(90) COLLATE "C" NOT NULL PRIMARY KEY,
    "sealed_opening" BYTEA NOT NULL,
    "height" BIGINT NOT NULL,
    "received_ms" BIGINT NOT NULL
);
CREATE INDEX "idx_opening_height_c78e7a" ON "opening" ("height", "received_ms");
CREATE TABLE "ownership" (
    "id" VARCHAR(90) COLLATE "C" NOT NULL PRIMARY KEY,
    "unit" VARCHAR(40) COLLATE "C" NOT NULL,
    "member" VARCHAR(40) COLLATE "C" NOT NULL,
    "share_numerator" BIGINT NOT NULL,
    "share_denominator" BIGINT NOT NULL
);
CREATE INDEX "idx_ownership_unit_c7d249" ON "ownership" ("unit");
CREATE INDEX "idx_ownership_member_890ef6" ON "ownership" ("member");
CREATE TABLE "person" (
    "member" VARCHAR(40) COLLATE "C" NOT NULL PRIMARY KEY,
    "identity_kind" VARCHAR(32) COLLATE "C" NOT NULL,
    "sealed_identity" BYTEA NOT NULL,
    "sealed_name" BYTEA NOT NULL,
    "name_hash" VARCHAR(43) COLLATE "C" NOT NULL
);
CREATE INDEX "idx_person_name_ha_0ae70e" ON "person" ("name_hash");
CREATE TABLE "person_phone" (
    "id" VARCHAR(90) COLLATE "C" NOT NULL PRIMARY KEY,
    "member" VARCHAR(40) COLLATE "C" NOT NULL,
    "phone_hash" VARCHAR(43) COLLATE "C" NOT NULL,
    "sealed_phone" BYTEA NOT NULL
);
CREATE INDEX "idx_person_phon_phone_h_d22f4e" ON "person_phone" ("phone_hash");
CREATE INDEX "idx_person_phon_member_7c5b39" ON "person_phone" ("member");
CREATE TABLE "phone_code" (
    "id" VARCHAR(90) COLLATE "C" NOT NULL PRIMARY KEY,
    "member" VARCHAR(40) COLLATE "C" NOT NULL,
    "phone_hash" VARCHAR(43) COLLATE "C" NOT NULL,
    "code_hash" VARCHAR(43) COLLATE "C" NOT NULL,
    "expires_ms" BIGINT NOT NULL
);
CREATE INDEX "idx_phone_code_phone_h_5949de" ON "phone_code" ("phone_hash");
CREATE INDEX "idx_phone_code_expires_f36edc" ON "phone_code" ("expires_ms");
CREATE TABLE "photo" (
    "sha256" VARCHAR(64) COLLATE "C" NOT NULL PRIMARY KEY,
    "original_sha256" VARCHAR(64) COLLATE "C" NOT NULL,
    "photo_bytes" BIGINT NOT NULL,
    "width" BIGINT NOT NULL,
    "height" BIGINT NOT NULL,
    "owner" VARCHAR(40) COLLATE "C" NOT NULL,
    "record" VARCHAR(43) COLLATE "C" NOT NULL,
    "created_ms" BIGINT NOT NULL
);
CREATE INDEX "idx_photo_owner_b4a1a3" ON "photo" ("owner", "created_ms");
CREATE INDEX "idx_photo_record_872471" ON "photo" ("record", "created_ms");
CREATE INDEX "idx_photo_origina_c74032" ON "photo" ("original_sha256");
CREATE TABLE "roll_import" (
    "id" VARCHAR(32) COLLATE "C" NOT NULL PRIMARY KEY,
    "state" VARCHAR(16) COLLATE "C" NOT NULL,
    "sealed_lines" BYTEA NOT NULL,
    "lines" BIGINT NOT NULL,
    "root" VARCHAR(43) COLLATE "C" NOT NULL,
    "staged_ms" BIGINT NOT NULL,
    "applied_ms" BIGINT NOT NULL
);
CREATE INDEX "idx_roll_import_state_fc9607" ON "roll_import" ("state");
CREATE TABLE "session_family" (
    "id" VARCHAR(43) COLLATE "C" NOT NULL PRIMARY KEY,
    "member" VARCHAR(40) COLLATE "C" NOT NULL,
    "kid" VARCHAR(43) COLLATE "C" NOT NULL,
    "generation" BIGINT NOT NULL,
    "opened_ms" BIGINT NOT NULL,
    "rotated_ms" BIGINT NOT NULL,
    "expires_ms" BIGINT NOT NULL,
    "revoked" BOOL NOT NULL
);
CREATE INDEX "idx_session_fam_kid_5d6677" ON "session_family" ("kid");
CREATE INDEX "idx_session_fam_expires_eccf2a" ON "session_family" ("expires_ms");
CREATE TABLE "shop" (
    "member" VARCHAR(40) COLLATE "C" NOT NULL PRIMARY KEY,
    "name" VARCHAR(100) COLLATE "C" NOT NULL
);
CREATE TABLE "vault_check" (
    "name" VARCHAR(32) COLLATE "C" NOT NULL PRIMARY KEY,
    "sealed_text" BYTEA NOT NULL
);
CREATE TABLE "wechat_identity" (
    "openid_hash" VARCHAR(43) COLLATE "C" NOT NULL PRIMARY KEY,
    "member" VARCHAR(40) COLLATE "C" NOT NULL,
    "sealed_openid" BYTEA NOT NULL,
    "bound_ms" BIGINT NOT NULL
);
CREATE INDEX "idx_wechat_iden_member_5fba3c" ON "wechat_identity" ("member");
