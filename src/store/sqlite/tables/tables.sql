-- Version 6: the apps' own tables (store/tables). Each has one of its own, app_NAME, made when it is opened.

CREATE TABLE data_table (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    key       TEXT NOT NULL UNIQUE,                    -- the name in small letters
    numbered  INTEGER NOT NULL,                        -- ids are numbers that the server gives
    clock     INTEGER NOT NULL DEFAULT 0,              -- ms: the stamp of the last change
    next      INTEGER NOT NULL DEFAULT 1               -- number of the next row
) STRICT;

CREATE TABLE data_column (
    tbl     INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    name    TEXT NOT NULL COLLATE NOCASE,
    kind    INTEGER NOT NULL,                          -- Kind::code
    PRIMARY KEY (tbl, number),
    UNIQUE (tbl, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE data_history (
    tbl     INTEGER NOT NULL,
    id      TEXT NOT NULL,
    stamp   INTEGER NOT NULL,
    fields  TEXT NOT NULL,                             -- JSON, by the names of columns
    PRIMARY KEY (tbl, id, stamp)
) STRICT, WITHOUT ROWID;
CREATE INDEX data_history_age ON data_history (stamp);

CREATE TABLE data_note (
    tbl       TEXT NOT NULL,                           -- the table's key
    audience  TEXT NOT NULL,
    number    INTEGER NOT NULL,                        -- stamp of the last change
    settled   INTEGER NOT NULL DEFAULT 0,              -- of the last that a broadcast told of
    due       INTEGER NOT NULL,                        -- ms
    PRIMARY KEY (tbl, audience)
) STRICT, WITHOUT ROWID;
CREATE INDEX data_note_due ON data_note (due);
