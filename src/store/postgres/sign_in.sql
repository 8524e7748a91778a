-- Version 5: what sign-in keeps (store/sign_in.rs).

CREATE TABLE auth_code (
    key      bytea NOT NULL PRIMARY KEY,               -- SHA-256 of what is good once
    content  bytea,                                    -- sealed; null once it was taken
    expires  bigint NOT NULL                           -- ms
);
CREATE INDEX auth_code_expires ON auth_code (expires);

CREATE TABLE auth_tokens (
    account   text COLLATE "C" NOT NULL,
    provider  text COLLATE "C" NOT NULL,
    content   bytea NOT NULL,                          -- sealed
    expires   bigint NOT NULL,                         -- ms
    PRIMARY KEY (account, provider)
);
CREATE INDEX auth_tokens_expires ON auth_tokens (expires);

CREATE TABLE auth_revoked (
    account  text COLLATE "C" NOT NULL,
    session  text COLLATE "C" NOT NULL,                -- '' for all
    until    bigint NOT NULL,                          -- ms: sessions that began until then are over
    expires  bigint NOT NULL,                          -- ms
    PRIMARY KEY (account, session)
);
CREATE INDEX auth_revoked_expires ON auth_revoked (expires);
