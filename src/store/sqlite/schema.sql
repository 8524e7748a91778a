-- The embedded store's schema, version 1. Names and columns follow design.md section 6.
--
-- A target's row key is hub << 40 | seq, so that rows lie in arrival order and a chunk is one range of keys.
-- Look-ups by id, user and channel go through indexes on 64-bit hashes (model/hash.rs); a hit is compared with the row.

CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;   -- 'generation': bumped at every open

CREATE TABLE deleted_hub (id INTEGER PRIMARY KEY) STRICT;                    -- whose rows are still to be removed

CREATE TABLE hub (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,     -- never reused
    name        TEXT NOT NULL UNIQUE,
    settings    BLOB NOT NULL,
    version     INTEGER NOT NULL,
    next_seq    INTEGER NOT NULL DEFAULT 0,
    next_no     INTEGER NOT NULL DEFAULT 0,            -- arrival number of the next installation
    commit_no   INTEGER NOT NULL DEFAULT 0             -- number of the last registry commit
) STRICT;

CREATE TABLE installation (
    no            INTEGER PRIMARY KEY,                 -- hub << 40 | arrival number, never reused
    hub           INTEGER NOT NULL,
    id_hash       INTEGER NOT NULL,
    user_hash     INTEGER,
    document      BLOB NOT NULL,                       -- Installation::stored_form
    expires       INTEGER,
    confirmed     INTEGER NOT NULL,                    -- ms; a touch may say later
    updated       INTEGER NOT NULL,
    channel_dead  INTEGER NOT NULL DEFAULT 0,          -- pushChannelExpired
    seqs          BLOB NOT NULL                        -- 8 bytes each, in the order of Installation::targets;
                                                       -- all ones where the target has left by a drop
) STRICT;
CREATE INDEX installation_id ON installation (id_hash);
CREATE INDEX installation_user ON installation (user_hash) WHERE user_hash IS NOT NULL;
CREATE INDEX installation_dead ON installation (expires) WHERE channel_dead = 1 AND expires IS NOT NULL;

CREATE TABLE target (
    key           INTEGER PRIMARY KEY,                 -- hub << 40 | seq
    installation  INTEGER NOT NULL,
    class         INTEGER NOT NULL,                    -- TargetClass
    platform      INTEGER NOT NULL,                    -- Platform
    name          TEXT,                                -- TargetKind's text when it is not native
    channel       BLOB,                                -- NULL in a tombstone
    channel_hash  INTEGER NOT NULL,
    expires       INTEGER,                             -- ms
    confirmed     INTEGER NOT NULL,                    -- ms
    user_mark     INTEGER NOT NULL,                    -- commit that last changed its user
    gone_why      INTEGER,                             -- Departure; NULL while live
    gone_at       INTEGER,
    gone_id       TEXT                                 -- the installation's id, kept by the tombstone
) STRICT;
CREATE INDEX target_channel ON target (channel_hash) WHERE gone_why IS NULL;
CREATE INDEX target_expires ON target (expires) WHERE expires IS NOT NULL AND gone_why IS NULL;
CREATE INDEX target_gone ON target (key >> 40, gone_at) WHERE gone_why IS NOT NULL;

CREATE INDEX target_gone_id ON target (gone_id) WHERE gone_id IS NOT NULL;   -- outcomes of an installation that left

CREATE TABLE tag_chunk (
    hub          INTEGER NOT NULL,
    tag          TEXT NOT NULL,
    chunk        INTEGER NOT NULL,
    cardinality  INTEGER NOT NULL,
    seqs         BLOB NOT NULL,                        -- ChunkSet::encode
    PRIMARY KEY (hub, tag, chunk)
) STRICT, WITHOUT ROWID;

CREATE TABLE index_delta (
    hub      INTEGER NOT NULL,
    number   INTEGER NOT NULL,                         -- the commit's number in its hub
    changes  BLOB NOT NULL,                            -- registry/delta.rs
    PRIMARY KEY (hub, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE touch (
    hub      INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    touches  BLOB NOT NULL,                            -- registry/touch.rs
    PRIMARY KEY (hub, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    hub        INTEGER NOT NULL,
    key        TEXT NOT NULL,
    broadcast  BLOB NOT NULL,
    request    BLOB NOT NULL,                          -- hash of the request
    until      INTEGER NOT NULL,
    PRIMARY KEY (hub, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_until ON idempotency (until);

CREATE TABLE broadcast (
    id               BLOB PRIMARY KEY,                 -- 16 bytes, time-ordered
    hub              INTEGER NOT NULL,
    lane             INTEGER NOT NULL,                 -- place in Lane::ALL
    weight           INTEGER NOT NULL,
    accepted         INTEGER NOT NULL,
    due              INTEGER NOT NULL,
    expires          INTEGER NOT NULL,
    planned          INTEGER,
    started          INTEGER,
    finished         INTEGER,
    failure          TEXT,
    wish             INTEGER NOT NULL DEFAULT 0,
    rate             INTEGER NOT NULL,
    plan_state       INTEGER NOT NULL,                 -- the lease of its planning, as that of a shard
    plan_epoch       INTEGER NOT NULL,
    plan_time        INTEGER NOT NULL,
    plan_progressed  INTEGER NOT NULL,
    plan_strikes     INTEGER NOT NULL,
    plan_bound       INTEGER,                          -- only lower seqs are planned
    plan_chunk       INTEGER NOT NULL DEFAULT 0,       -- the next chunk to plan
    user_bound       INTEGER,                          -- commit number at the start of the plan, if a user is named
    next_shard       INTEGER NOT NULL DEFAULT 0,
    open_shards      INTEGER NOT NULL DEFAULT 0,       -- of an inline plan: platforms, 0 when over
    counters         BLOB NOT NULL,                    -- sums of closed shards and of the inline plan, by platform
    inline           BLOB                              -- inline plan: its sets as planned, when over as they ended
) STRICT, WITHOUT ROWID;
CREATE INDEX broadcast_hub ON broadcast (hub, id);
CREATE INDEX broadcast_unplanned ON broadcast (plan_time) WHERE planned IS NULL;
CREATE INDEX broadcast_open ON broadcast (id) WHERE open_shards > 0;
CREATE INDEX broadcast_unfinished ON broadcast (id) WHERE finished IS NULL;
CREATE INDEX broadcast_small_done ON broadcast (finished) WHERE finished IS NOT NULL AND inline IS NOT NULL;
CREATE INDEX broadcast_large_done ON broadcast (finished) WHERE finished IS NOT NULL AND inline IS NULL;

-- Apart from its broadcast, whose row is written at every shard's end: a request may be large and never changes.
CREATE TABLE broadcast_request (
    broadcast  BLOB PRIMARY KEY,
    request    BLOB NOT NULL                           -- BroadcastRequest as JSON
) STRICT, WITHOUT ROWID;

CREATE TABLE shard (
    broadcast    BLOB NOT NULL,
    shard        INTEGER NOT NULL,
    platform     INTEGER NOT NULL,
    first_chunk  INTEGER NOT NULL,
    last_chunk   INTEGER NOT NULL,
    state        INTEGER NOT NULL,                     -- 0 ready, 1 leased, 2 closed
    epoch        INTEGER NOT NULL,
    time         INTEGER NOT NULL,                     -- due when ready, until when leased
    progressed   INTEGER NOT NULL,
    strikes      INTEGER NOT NULL,
    counters     BLOB NOT NULL,
    PRIMARY KEY (broadcast, shard)
) STRICT, WITHOUT ROWID;
CREATE INDEX shard_open ON shard (broadcast, time) WHERE state < 2;

-- With row ids: a set of 2 KB is then written in one page, and its key is written once in the index.
CREATE TABLE outcome_chunk (
    id         INTEGER PRIMARY KEY,
    broadcast  BLOB NOT NULL,
    platform   INTEGER NOT NULL,
    chunk      INTEGER NOT NULL,
    place      INTEGER NOT NULL,                       -- 0 pending, 1 retry, 2 staged, 3 done
    detail     INTEGER NOT NULL,                       -- retry: attempt; done: outcome << 8 | reason number
    due        INTEGER NOT NULL,                       -- retry: ms, else 0
    at         INTEGER NOT NULL,                       -- last write, ms
    seqs       BLOB NOT NULL                           -- ChunkSet::encode; staged: evidence by offset (life/codec.rs)
) STRICT;
CREATE UNIQUE INDEX outcome_chunk_key ON outcome_chunk (broadcast, platform, chunk, place, detail, due);

CREATE TABLE reason (
    broadcast  BLOB NOT NULL,
    number     INTEGER NOT NULL,                       -- from 1
    text       TEXT NOT NULL,
    PRIMARY KEY (broadcast, number)
) STRICT, WITHOUT ROWID;

-- Broadcasts that are deleted, whose rows in the tables above are still to be removed, slice by slice.
CREATE TABLE purge (broadcast BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
