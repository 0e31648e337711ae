-- History of orders, trades and balances, projected from the event log.
-- Sequences are those of the shard's events. Values are sums of price × lots in ticks × lots; the
-- instrument's tick size and lot size, which never change, make money of them.

CREATE TABLE projection (
    shard        integer PRIMARY KEY,
    sequence     bigint NOT NULL DEFAULT 0,        -- of the last event in the tables
    next_offset  bigint NOT NULL DEFAULT 0,        -- of the event log
    epoch        bigint NOT NULL DEFAULT 0,        -- grows with each change of the holder; fences the one before
    holder       text NOT NULL DEFAULT '',
    lease_until  timestamptz NOT NULL DEFAULT '-infinity'
);

CREATE TABLE orders (
    created_sequence bigint NOT NULL,              -- of its ACCEPTED or REJECTED event
    order_id         bigint NOT NULL,              -- 0: rejected
    client_order_id  bigint NOT NULL,
    create_time_ns   bigint NOT NULL,
    update_time_ns   bigint NOT NULL,
    expire_time_ns   bigint NOT NULL,
    sequence         bigint NOT NULL,              -- of the last event that changed it
    price_ticks      bigint NOT NULL,
    quantity_lots    bigint NOT NULL,
    leaves_lots      bigint NOT NULL,
    executed_lots    bigint NOT NULL,
    executed_value   bigint NOT NULL,              -- ticks × lots
    fees_micros      bigint NOT NULL,
    account_id       bigint NOT NULL,
    instrument_id    bigint NOT NULL,              -- as sent: a rejected one may name any
    shard            integer NOT NULL,
    side             smallint NOT NULL,
    order_type       smallint NOT NULL,
    time_in_force    smallint NOT NULL,
    status           smallint NOT NULL,
    reason           smallint NOT NULL,
    open             boolean NOT NULL,
    PRIMARY KEY (shard, created_sequence)
) WITH (fillfactor = 85);                          -- room to update in place
CREATE UNIQUE INDEX orders_by_id ON orders (order_id, shard) WHERE order_id > 0;
CREATE INDEX orders_by_account ON orders (account_id, created_sequence);
CREATE INDEX orders_by_client ON orders (account_id, client_order_id);
CREATE INDEX orders_open ON orders (account_id, created_sequence) WHERE open;

CREATE TABLE trades (
    sequence              bigint NOT NULL,         -- the trade's number
    time_ns               bigint NOT NULL,
    price_ticks           bigint NOT NULL,
    quantity_lots         bigint NOT NULL,
    taker_order_id        bigint NOT NULL,
    taker_client_order_id bigint NOT NULL,
    taker_fee_micros      bigint NOT NULL,
    maker_order_id        bigint NOT NULL,
    maker_client_order_id bigint NOT NULL,
    maker_fee_micros      bigint NOT NULL,
    tax_micros            bigint NOT NULL,         -- the seller's
    taker_account_id      bigint NOT NULL,
    maker_account_id      bigint NOT NULL,
    instrument_id         integer NOT NULL,
    shard                 integer NOT NULL,
    taker_side            smallint NOT NULL,
    PRIMARY KEY (shard, sequence)
);
CREATE INDEX trades_by_instrument ON trades (instrument_id, sequence);
CREATE INDEX trades_by_taker ON trades (taker_account_id, sequence);
CREATE INDEX trades_by_maker ON trades (maker_account_id, sequence);
CREATE INDEX trades_by_taker_order ON trades (taker_order_id, sequence);
CREATE INDEX trades_by_maker_order ON trades (maker_order_id, sequence);

CREATE TABLE transfers (                           -- deposits and withdrawals
    sequence       bigint NOT NULL,
    time_ns        bigint NOT NULL,
    amount_micros  bigint NOT NULL,                -- signed; 0 when shares moved
    quantity_lots  bigint NOT NULL,                -- signed; 0 when cash moved
    request_id     bigint NOT NULL,
    account_id     bigint NOT NULL,
    instrument_id  integer NOT NULL,               -- 0 when cash moved
    currency_id    integer NOT NULL,
    shard          integer NOT NULL,
    PRIMARY KEY (shard, sequence)
);
CREATE INDEX transfers_by_account ON transfers (account_id, sequence);

CREATE TABLE candles (
    instrument_id integer NOT NULL,
    seconds       integer NOT NULL,
    start_ns      bigint NOT NULL,
    open_ticks    bigint NOT NULL,
    high_ticks    bigint NOT NULL,
    low_ticks     bigint NOT NULL,
    close_ticks   bigint NOT NULL,
    volume_lots   numeric NOT NULL,
    value         numeric NOT NULL,                -- ticks × lots
    trade_count   bigint NOT NULL,
    sequence      bigint NOT NULL,
    PRIMARY KEY (instrument_id, seconds, start_ns)
);
