-- The whole book at some events of the market, so that the past is not folded from the log's beginning.

CREATE TABLE checkpoints (
    shard        integer NOT NULL,
    sequence     bigint NOT NULL,                  -- of the last event in it
    time_ns      bigint NOT NULL,                  -- time of the market then
    next_offset  bigint NOT NULL,                  -- of the event log
    layout       text NOT NULL,                    -- of the bytes; others are passed over
    checksum     bytea NOT NULL,                   -- BLAKE2b of all parts
    PRIMARY KEY (shard, sequence)
);

CREATE TABLE checkpoint_parts (                    -- the bytes, in the order of their numbers
    shard     integer NOT NULL,
    sequence  bigint NOT NULL,
    part      integer NOT NULL,
    body      bytea STORAGE EXTERNAL NOT NULL,     -- compressed already
    PRIMARY KEY (shard, sequence, part),
    FOREIGN KEY (shard, sequence) REFERENCES checkpoints ON DELETE CASCADE
);
