-- Version 5: jobs, and the files that they read and write (store/jobs.rs).

CREATE TABLE job (
    hub       INTEGER NOT NULL,
    id        TEXT NOT NULL,
    state     BLOB NOT NULL,
    finished  INTEGER NOT NULL DEFAULT 0,
    epoch     INTEGER NOT NULL DEFAULT 0,
    until     INTEGER NOT NULL DEFAULT 0,              -- ms, of the lease
    created   INTEGER NOT NULL,                        -- ms
    updated   INTEGER NOT NULL,                        -- ms
    expires   INTEGER NOT NULL,                        -- ms
    PRIMARY KEY (hub, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_open ON job (created) WHERE finished = 0;
CREATE INDEX job_expires ON job (expires);

CREATE TABLE file (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    hub        INTEGER NOT NULL,
    container  TEXT NOT NULL,
    name       TEXT NOT NULL,
    whole      INTEGER NOT NULL DEFAULT 0,
    bytes      INTEGER NOT NULL DEFAULT 0,
    pieces     INTEGER NOT NULL DEFAULT 0,
    written    INTEGER NOT NULL,                       -- ms
    expires    INTEGER NOT NULL                        -- ms
) STRICT;
CREATE INDEX file_name ON file (hub, container, name);
CREATE INDEX file_expires ON file (expires);

CREATE TABLE file_piece (
    file    INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    bytes   BLOB NOT NULL,
    PRIMARY KEY (file, number)
) STRICT;
