-- Version 7: what sign-in keeps (store/sign_in.rs).

CREATE TABLE auth_code (
    key      BLOB NOT NULL PRIMARY KEY,                -- SHA-256 of what is good once
    content  BLOB,                                     -- sealed; null once it was taken
    expires  INTEGER NOT NULL                          -- ms
) STRICT, WITHOUT ROWID;
CREATE INDEX auth_code_expires ON auth_code (expires);

CREATE TABLE auth_tokens (
    account   TEXT NOT NULL,
    provider  TEXT NOT NULL,
    content   BLOB NOT NULL,                           -- sealed
    expires   INTEGER NOT NULL,                        -- ms
    PRIMARY KEY (account, provider)
) STRICT;
CREATE INDEX auth_tokens_expires ON auth_tokens (expires);

CREATE TABLE auth_revoked (
    account  TEXT NOT NULL,
    session  TEXT NOT NULL,                            -- '' for all
    until    INTEGER NOT NULL,                         -- ms: sessions that began until then are over
    expires  INTEGER NOT NULL,                         -- ms
    PRIMARY KEY (account, session)
) STRICT, WITHOUT ROWID;
CREATE INDEX auth_revoked_expires ON auth_revoked (expires);
