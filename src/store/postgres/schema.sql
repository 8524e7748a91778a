-- The PostgreSQL store's schema, version 1. Names and columns follow design.md section 6 and the embedded store's schema.
--
-- A target's key is hub << 40 | seq, so that rows lie in arrival order and a chunk is one range of keys.
-- Look-ups by id, user and channel go through indexes on 64-bit hashes (model/hash.rs); a hit is compared with the row.
-- Sets of about 2 KB are kept in the row (STORAGE PLAIN): out of line they would cost a second look-up each, and they do
-- not compress. fillfactor 50 leaves room to write a row's next version beside it, which spares every index.

CREATE TABLE hub (
    id        integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,   -- never reused
    name      text COLLATE "C" NOT NULL UNIQUE,
    settings  bytea NOT NULL,
    version   bigint NOT NULL
);

-- What registrations of a hub draw numbers from. Its row lock is the writer's turn: one at a time for each hub.
CREATE TABLE hub_counter (
    hub        integer PRIMARY KEY,
    next_seq   bigint NOT NULL DEFAULT 0,
    next_no    bigint NOT NULL DEFAULT 0,              -- arrival number of the next installation
    commit_no  bigint NOT NULL DEFAULT 0               -- number of the last registry commit
) WITH (fillfactor = 10);

-- One row: grows with every change of a hub's settings and of a sender, so that nodes see at a glance whether there is
-- anything to learn.
CREATE TABLE hubs_revision (number bigint NOT NULL) WITH (fillfactor = 10);
INSERT INTO hubs_revision (number) VALUES (0);

-- What keeps senders from sending (store/senders.rs).
CREATE TABLE sender (
    hub       integer NOT NULL REFERENCES hub ON DELETE CASCADE,
    platform  smallint NOT NULL,                       -- Platform
    kind      smallint NOT NULL,                       -- HoldKind
    reason    text NOT NULL,
    since     bigint NOT NULL,                         -- ms
    until     bigint NOT NULL,                         -- ms
    version   bigint NOT NULL,                         -- hubs_revision at its last write
    PRIMARY KEY (hub, platform)
);

CREATE TABLE deleted_hub (id integer PRIMARY KEY);     -- whose rows are still to be removed

CREATE TABLE installation (
    no            bigint PRIMARY KEY,                  -- hub << 40 | arrival number, never reused
    id_hash       bigint NOT NULL,
    user_hash     bigint,
    document      bytea NOT NULL,                      -- Installation::stored_form
    expires       bigint,
    confirmed     bigint NOT NULL,                     -- ms; a touch may say later
    updated       bigint NOT NULL,
    channel_dead  boolean NOT NULL DEFAULT false,      -- pushChannelExpired
    seqs          bytea NOT NULL                       -- 8 bytes each, in the order of Installation::targets;
                                                       -- all ones where the target has left by a drop
) WITH (fillfactor = 85);
CREATE INDEX installation_id ON installation (id_hash);
CREATE INDEX installation_user ON installation (user_hash) WHERE user_hash IS NOT NULL;
CREATE INDEX installation_dead ON installation (expires) WHERE channel_dead AND expires IS NOT NULL;

CREATE TABLE target (
    key           bigint PRIMARY KEY,                  -- hub << 40 | seq
    installation  bigint NOT NULL,
    channel_hash  bigint NOT NULL,
    expires       bigint,                              -- ms
    confirmed     bigint NOT NULL,                     -- ms
    user_mark     bigint NOT NULL,                     -- commit that last changed its user
    gone_at       bigint,
    class         smallint NOT NULL,                   -- TargetClass
    platform      smallint NOT NULL,                   -- Platform
    gone_why      smallint,                            -- Departure; NULL while live
    name          text,                                -- TargetKind's text when it is not native
    channel       bytea,                               -- NULL in a tombstone
    gone_id       text                                 -- the installation's id, kept by the tombstone
) WITH (fillfactor = 85);
CREATE INDEX target_channel ON target (channel_hash) WHERE gone_why IS NULL;
CREATE INDEX target_expires ON target (expires) WHERE expires IS NOT NULL AND gone_why IS NULL;
CREATE INDEX target_gone ON target ((key >> 40), gone_at) WHERE gone_why IS NOT NULL;
CREATE INDEX target_gone_id ON target (gone_id) WHERE gone_id IS NOT NULL;   -- outcomes of an installation that left

CREATE TABLE tag_chunk (
    hub          integer NOT NULL,
    chunk        integer NOT NULL,
    cardinality  integer NOT NULL,
    tag          text COLLATE "C" NOT NULL,
    seqs         bytea NOT NULL,                       -- ChunkSet::encode
    PRIMARY KEY (hub, tag, chunk)
) WITH (fillfactor = 50);
ALTER TABLE tag_chunk ALTER COLUMN seqs SET STORAGE PLAIN;

CREATE TABLE index_delta (
    hub      integer NOT NULL,
    number   bigint NOT NULL,                          -- the commit's number in its hub
    changes  bytea NOT NULL,                           -- index/delta.rs
    PRIMARY KEY (hub, number)
);
ALTER TABLE index_delta ALTER COLUMN changes SET STORAGE EXTERNAL;

CREATE TABLE touch (
    hub      integer NOT NULL,
    number   bigint NOT NULL,
    touches  bytea NOT NULL,                           -- index/touch.rs
    PRIMARY KEY (hub, number)
);
ALTER TABLE touch ALTER COLUMN touches SET STORAGE EXTERNAL;

CREATE TABLE idempotency (
    hub        integer NOT NULL,
    key        text COLLATE "C" NOT NULL,
    broadcast  uuid NOT NULL,
    request    bytea NOT NULL,                         -- hash of the request
    until      bigint NOT NULL,
    PRIMARY KEY (hub, key)
);
CREATE INDEX idempotency_until ON idempotency (until);

-- Everything about broadcasts lies in partitions by the day of acceptance: ranges of the time-ordered id, which leads
-- every key. They are made on demand (partitions.rs) and dropped whole when nothing in them is kept any more.

CREATE TABLE broadcast (
    id               uuid NOT NULL,                    -- time-ordered
    hub              integer NOT NULL,
    lane             smallint NOT NULL,                -- place in Lane::ALL
    weight           integer NOT NULL,
    accepted         bigint NOT NULL,
    due              bigint NOT NULL,
    expires          bigint NOT NULL,
    planned          bigint,
    started          bigint,
    finished         bigint,
    failure          text,
    wish             smallint NOT NULL DEFAULT 0,
    rate             bigint NOT NULL,
    plan_state       smallint NOT NULL,                -- the lease of its planning, as that of a shard
    plan_epoch       bigint NOT NULL,
    plan_time        bigint NOT NULL,
    plan_progressed  boolean NOT NULL,
    plan_strikes     integer NOT NULL,
    plan_bound       bigint,                           -- only lower seqs are planned
    plan_chunk       integer NOT NULL DEFAULT 0,       -- the next chunk to plan
    user_bound       bigint,                           -- commit number at the start of the plan, if a user is named
    next_shard       integer NOT NULL DEFAULT 0,
    open_shards      integer NOT NULL DEFAULT 0,       -- of an inline plan: platforms, 0 when over
    counters         bytea NOT NULL,                   -- sums of closed shards and of the inline plan, by platform
    inline           bytea,                            -- inline plan: its sets as they stand (life/codec.rs)
    inline_leases    bytea,                            -- and the leases of its pseudo-shards while it is at work
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);
CREATE INDEX broadcast_hub ON broadcast (hub, id);
CREATE INDEX broadcast_unplanned ON broadcast (plan_time) WHERE planned IS NULL;
CREATE INDEX broadcast_unfinished ON broadcast (id) WHERE finished IS NULL;
CREATE INDEX broadcast_finished ON broadcast (finished) WHERE finished IS NOT NULL;

-- Apart from its broadcast, whose row is written at every shard's end: a request may be large and never changes.
CREATE TABLE broadcast_request (
    broadcast  uuid NOT NULL,
    request    bytea NOT NULL,                         -- BroadcastRequest as JSON
    PRIMARY KEY (broadcast)
) PARTITION BY RANGE (broadcast);

CREATE TABLE shard (
    broadcast     uuid NOT NULL,
    shard         integer NOT NULL,
    platform      smallint NOT NULL,
    state         smallint NOT NULL,                   -- 0 ready, 1 leased, 2 closed
    first_chunk   integer NOT NULL,
    last_chunk    integer NOT NULL,
    epoch         bigint NOT NULL,
    time          bigint NOT NULL,                     -- due when ready, until when leased
    progressed    boolean NOT NULL,
    strikes       integer NOT NULL,
    narrow_first  bigint,                              -- only these seqs may be sent (model/narrowing.rs)
    narrow_to     bigint,
    narrow_last   bigint,
    counters      bytea NOT NULL,
    PRIMARY KEY (broadcast, shard)
) PARTITION BY RANGE (broadcast);

CREATE TABLE outcome_chunk (
    broadcast  uuid NOT NULL,
    chunk      integer NOT NULL,
    platform   smallint NOT NULL,
    place      smallint NOT NULL,                      -- 0 pending, 1 retry, 2 staged, 3 done
    detail     integer NOT NULL,                       -- retry: attempt; done: outcome << 8 | reason number
    due        bigint NOT NULL,                        -- retry: ms, else 0
    at         bigint NOT NULL,                        -- last write, ms
    seqs       bytea NOT NULL,                         -- ChunkSet::encode; staged: evidence by offset (life/codec.rs)
    PRIMARY KEY (broadcast, platform, chunk, place, detail, due)
) PARTITION BY RANGE (broadcast);
-- In the row too (its partitions set toast_tuple_target); only the evidence against thousands of targets is longer.
ALTER TABLE outcome_chunk ALTER COLUMN seqs SET STORAGE EXTERNAL;

CREATE TABLE reason (
    broadcast  uuid NOT NULL,
    number     smallint NOT NULL,                      -- from 1
    text       text NOT NULL,
    PRIMARY KEY (broadcast, number)
) PARTITION BY RANGE (broadcast);
