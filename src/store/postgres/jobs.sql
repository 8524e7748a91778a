-- Version 3: jobs, and the files that they read and write (store/jobs.rs).

CREATE TABLE job (
    hub       integer NOT NULL,
    id        text COLLATE "C" NOT NULL,
    state     bytea NOT NULL,
    finished  boolean NOT NULL DEFAULT false,
    epoch     bigint NOT NULL DEFAULT 0,
    until     bigint NOT NULL DEFAULT 0,               -- ms, of the lease
    created   bigint NOT NULL,                         -- ms
    updated   bigint NOT NULL,                         -- ms
    expires   bigint NOT NULL,                         -- ms
    PRIMARY KEY (hub, id)
);
CREATE INDEX job_open ON job (created) WHERE NOT finished;
CREATE INDEX job_expires ON job (expires);

CREATE TABLE file (
    id         bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    hub        integer NOT NULL,
    container  text COLLATE "C" NOT NULL,
    name       text COLLATE "C" NOT NULL,
    whole      boolean NOT NULL DEFAULT false,
    bytes      bigint NOT NULL DEFAULT 0,
    pieces     integer NOT NULL DEFAULT 0,
    written    bigint NOT NULL,                        -- ms
    expires    bigint NOT NULL                         -- ms
);
CREATE INDEX file_name ON file (hub, container, name);
CREATE INDEX file_expires ON file (expires);

CREATE TABLE file_piece (
    file    bigint NOT NULL REFERENCES file ON DELETE CASCADE,
    number  integer NOT NULL,
    bytes   bytea NOT NULL,
    PRIMARY KEY (file, number)
);
ALTER TABLE file_piece ALTER COLUMN bytes SET STORAGE EXTERNAL;
