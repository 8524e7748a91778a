-- Version 4: the apps' own tables (store/tables). Each has one of its own, app_NAME, made when it is opened.

CREATE TABLE data_table (
    id        bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    key       text COLLATE "C" NOT NULL UNIQUE,                    -- the name in small letters
    numbered  boolean NOT NULL,                        -- ids are numbers that the server gives
    clock     bigint NOT NULL DEFAULT 0,              -- ms: the stamp of the last change
    next      bigint NOT NULL DEFAULT 1               -- number of the next row
);

CREATE TABLE data_column (
    tbl     bigint NOT NULL,
    number  integer NOT NULL,
    name    text COLLATE "C" NOT NULL,
    kind    smallint NOT NULL,                          -- Kind::code
    PRIMARY KEY (tbl, number),
    UNIQUE (tbl, name)
);

CREATE TABLE data_history (
    tbl     bigint NOT NULL,
    id      text COLLATE "C" NOT NULL,
    stamp   bigint NOT NULL,
    fields  text COLLATE "C" NOT NULL,                             -- JSON, by the names of columns
    PRIMARY KEY (tbl, id, stamp)
);
CREATE INDEX data_history_age ON data_history (stamp);

CREATE TABLE data_note (
    tbl       text COLLATE "C" NOT NULL,                           -- the table's key
    audience  text COLLATE "C" NOT NULL,
    number    bigint NOT NULL,                        -- stamp of the last change
    settled   bigint NOT NULL DEFAULT 0,              -- of the last that a broadcast told of
    due       bigint NOT NULL,                        -- ms
    PRIMARY KEY (tbl, audience)
);
CREATE INDEX data_note_due ON data_note (due);
