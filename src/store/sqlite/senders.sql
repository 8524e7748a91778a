-- Version 2: what keeps senders from sending.

CREATE TABLE sender (
    hub       INTEGER NOT NULL,
    platform  INTEGER NOT NULL,                        -- Platform
    kind      INTEGER NOT NULL,                        -- HoldKind
    reason    TEXT NOT NULL,
    since     INTEGER NOT NULL,                        -- ms
    until     INTEGER NOT NULL,                        -- ms
    version   INTEGER NOT NULL,                        -- 'hubs_revision' of meta at its last write
    PRIMARY KEY (hub, platform)
) STRICT, WITHOUT ROWID;
