-- The live book, as of one event of the market: rows and position are written in one transaction.
-- Money is micros of the instrument's currency; growth and equity are floats in the base currency.

CREATE TABLE projection (
    shard          integer PRIMARY KEY,
    sequence       bigint NOT NULL DEFAULT 0,      -- of the last event in the tables
    time_ns        bigint NOT NULL DEFAULT 0,      -- time of the market then
    day            bigint NOT NULL DEFAULT 1,      -- trading day
    arriving       bigint NOT NULL DEFAULT 0,      -- order of the command that was under way
    arriving_type  bigint NOT NULL DEFAULT 0,
    next_offset    bigint NOT NULL DEFAULT 0,      -- of the event log
    epoch          bigint NOT NULL DEFAULT 0,      -- grows with each change of the holder; fences the one before
    holder         text NOT NULL DEFAULT '',
    lease_until    timestamptz NOT NULL DEFAULT '-infinity'
);

CREATE TABLE definitions (                         -- of instruments, as the market told them
    instrument_id  integer NOT NULL,
    version        bigint NOT NULL,                -- sequence of the event from which on it holds
    definition     bytea NOT NULL,                 -- smartex.matching.v1.Instrument
    PRIMARY KEY (instrument_id, version)
);

CREATE TABLE instruments (                         -- what the log says of their prices, in ticks
    number         integer PRIMARY KEY,
    reference      bigint NOT NULL,
    last           bigint NOT NULL,
    last_time_ns   bigint NOT NULL,
    volume_today   bigint NOT NULL
);

CREATE TABLE accounts (
    place             bigint PRIMARY KEY,          -- counts from 0
    account_id        bigint NOT NULL,
    growth            double precision NOT NULL,
    base              double precision NOT NULL,
    peak_growth       double precision NOT NULL,
    day_start_equity  double precision NOT NULL,
    day_flow          double precision NOT NULL,
    net_deposits      double precision NOT NULL,
    cash              bytea NOT NULL               -- of 8 bytes each, by number of the currency from 0
) WITH (fillfactor = 80);

CREATE TABLE holdings (
    place            bigint PRIMARY KEY,           -- counts from 0
    account          bigint NOT NULL,              -- place
    instrument       integer NOT NULL,
    quantity         bigint NOT NULL,
    bought_today     bigint NOT NULL,
    cost             bigint NOT NULL,
    average_cost     bigint NOT NULL,
    realised         bigint NOT NULL,
    fees             bigint NOT NULL,
    lot_count        bigint NOT NULL,
    day_start_value  bigint NOT NULL,
    day_flow         bigint NOT NULL,
    lots             bytea NOT NULL                -- (sequence, time_ns, day, quantity, cost) of 8 bytes, oldest first
) WITH (fillfactor = 80);

CREATE TABLE open_orders (
    order_id  bigint PRIMARY KEY,
    holding   bigint NOT NULL,                     -- place
    side      smallint NOT NULL,
    price     bigint NOT NULL,
    leaves    bigint NOT NULL,
    reserve   bigint NOT NULL                      -- cash that a buy binds
) WITH (fillfactor = 80);

CREATE TABLE fills (                               -- one side of a trade
    account_id       bigint NOT NULL,
    sequence         bigint NOT NULL,              -- the trade's number
    side             smallint NOT NULL,
    time_ns          bigint NOT NULL,
    instrument_id    integer NOT NULL,
    order_id         bigint NOT NULL,
    client_order_id  bigint NOT NULL,
    order_type       smallint NOT NULL,
    price_ticks      bigint NOT NULL,
    quantity_lots    bigint NOT NULL,
    fee_micros       bigint NOT NULL,
    tax_micros       bigint NOT NULL,
    previous_ticks   bigint NOT NULL,              -- price of the trade before, else the reference price
    taker            boolean NOT NULL,
    PRIMARY KEY (account_id, sequence, side)
);

CREATE TABLE points (                              -- accounts in the past, in the base currency
    account_id    bigint NOT NULL,
    sequence      bigint NOT NULL,
    day_end       boolean NOT NULL,
    time_ns       bigint NOT NULL,
    day           bigint NOT NULL,
    equity        double precision NOT NULL,
    cash          double precision NOT NULL,
    holdings      double precision NOT NULL,
    unrealised    double precision NOT NULL,
    realised      double precision NOT NULL,
    fees          double precision NOT NULL,
    profit_today  double precision NOT NULL,
    net_deposits  double precision NOT NULL,
    growth        double precision NOT NULL,
    drawdown      double precision NOT NULL,
    unmarked      bigint NOT NULL,
    stale         bigint NOT NULL,
    PRIMARY KEY (account_id, sequence, day_end)
);
