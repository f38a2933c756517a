-- People who own no home and still must be known: staff, merchants, auditors. A new roster does not replace them.

CREATE TABLE "added_person" (
    "member" VARCHAR(40) COLLATE "C" NOT NULL PRIMARY KEY,
    "sealed_details" BYTEA NOT NULL,
    "added_by" VARCHAR(40) COLLATE "C" NOT NULL,
    "added_ms" BIGINT NOT NULL
);
