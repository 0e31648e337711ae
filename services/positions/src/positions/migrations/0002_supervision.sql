-- What is said to and about accounts: limits, profiles, alerts, advice, and the notices and steps that tell of them.
-- Times are nanoseconds since 1970, UTC. Texts are written when they are read, from facts and catalogues.

CREATE TABLE supervisors (
    supervisor  text NOT NULL,                     -- subject of the token
    account_id  bigint NOT NULL,
    PRIMARY KEY (supervisor, account_id)
);

CREATE TABLE limits (                              -- an account's own; null: the house's
    account_id              bigint PRIMARY KEY,
    loss_today              double precision,
    drawdown                double precision,
    concentration           double precision,
    industry_concentration  double precision,
    value_at_risk           double precision,
    price_limit_distance    double precision,
    stop_loss               double precision,
    leverage                double precision,
    change_time             timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX limits_by_change ON limits (change_time);

CREATE TABLE answers (                             -- of the questionnaire; the newest counts
    account_id   bigint NOT NULL,
    request_id   bigint NOT NULL,
    version      integer NOT NULL,
    level        integer NOT NULL,
    answers      jsonb NOT NULL,
    time_ns      bigint NOT NULL,
    PRIMARY KEY (account_id, request_id)
);
CREATE INDEX answers_by_time ON answers (account_id, time_ns);

CREATE TABLE daily_closes (
    instrument_id  integer NOT NULL,
    date           date NOT NULL,
    price          double precision NOT NULL,      -- of a unit
    volume         double precision NOT NULL,      -- units; 0: not known
    imported       boolean NOT NULL,               -- else the market's own, at the end of a trading day
    PRIMARY KEY (instrument_id, date)
);

CREATE TABLE trading_days (                        -- that have ended
    day          bigint PRIMARY KEY,
    end_time_ns  bigint NOT NULL
);

-- Fills come in by time: an index of ranges is small and costs the writer next to nothing.
CREATE INDEX fills_by_time ON fills USING brin (time_ns);

CREATE TABLE alerts (
    alert_id       text PRIMARY KEY,
    number         bigserial NOT NULL,             -- order of raising, for pages
    account_id     bigint NOT NULL,
    kind           text NOT NULL,                  -- a column of limits
    subject        text NOT NULL,                  -- symbol or industry; empty: the whole account
    subject_id     integer NOT NULL,               -- instrument, or the lowest instrument of the industry; 0: none
    severity       smallint NOT NULL,
    state          smallint NOT NULL,              -- AlertState
    value          double precision NOT NULL,
    threshold      double precision NOT NULL,
    worst          double precision NOT NULL,
    raise_time_ns  bigint NOT NULL,
    risen_time_ns  bigint NOT NULL,                -- when its severity last rose
    clear_time_ns  bigint,
    sequence       bigint NOT NULL,                -- of the market, when it was raised
    advice_id      text NOT NULL DEFAULT '',
    advised        boolean NOT NULL DEFAULT false, -- whether advice was looked for at this severity
    trace_id       text NOT NULL
);
CREATE UNIQUE INDEX alerts_standing ON alerts (account_id, kind, subject_id) WHERE state <> 3;
CREATE INDEX alerts_by_account ON alerts (account_id, number);
CREATE INDEX alerts_acknowledged ON alerts (alert_id) WHERE state = 2;
CREATE INDEX alerts_unadvised ON alerts (number) WHERE state <> 3 AND NOT advised;

CREATE TABLE advice (
    advice_id       text PRIMARY KEY,
    number          bigserial NOT NULL,
    account_id      bigint NOT NULL,
    kind            text NOT NULL,
    subject         text NOT NULL,
    severity        smallint NOT NULL,
    state           smallint NOT NULL,             -- AdviceState
    facts           jsonb NOT NULL,                -- what its words are written with
    caveats         text[] NOT NULL,
    what_if         jsonb NOT NULL,
    basis           jsonb NOT NULL,                -- the portfolio that it was given for, to settle it by
    create_time_ns  bigint NOT NULL,
    expire_time_ns  bigint NOT NULL,
    settle_time_ns  bigint NOT NULL,               -- when it is due to be settled
    sequence        bigint NOT NULL,
    cause_id        text NOT NULL,
    trace_id        text NOT NULL,
    answer_time_ns  bigint,                        -- accepted or dismissed
    dismiss_reason  text NOT NULL DEFAULT '',
    settled         boolean NOT NULL DEFAULT false,
    settled_ns      bigint,
    taken_share     double precision NOT NULL DEFAULT 0,
    benefit         double precision NOT NULL DEFAULT 0,
    helped          boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX advice_open ON advice (account_id, kind, subject) WHERE state = 1;
CREATE INDEX advice_by_account ON advice (account_id, number);
CREATE INDEX advice_by_kind ON advice (kind);
CREATE INDEX advice_unsettled ON advice (settle_time_ns) WHERE NOT settled;
CREATE INDEX advice_expiring ON advice (expire_time_ns) WHERE state = 1;
CREATE INDEX advice_by_subject ON advice (account_id, kind, subject, answer_time_ns);

CREATE TABLE advice_orders (                       -- suggested, and once accepted those handed out
    advice_id        text NOT NULL REFERENCES advice,
    place            integer NOT NULL,
    account_id       bigint NOT NULL,
    client_order_id  bigint NOT NULL,
    instrument_id    integer NOT NULL,
    symbol           text NOT NULL,
    side             smallint NOT NULL,
    quantity_lots    bigint NOT NULL,
    price_ticks      bigint NOT NULL,
    traded_lots      bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (advice_id, place)
);
CREATE INDEX advice_orders_by_client ON advice_orders (account_id, client_order_id);

CREATE TABLE steps (                               -- of chains, from the event to the fill
    number      bigserial PRIMARY KEY,
    trace_id    text NOT NULL,
    account_id  bigint NOT NULL,
    kind        text NOT NULL,
    subject_id  text NOT NULL,
    time_ns     bigint NOT NULL,
    detail      text NOT NULL
);
CREATE INDEX steps_by_trace ON steps (trace_id, time_ns);
CREATE INDEX steps_by_subject ON steps (subject_id);

CREATE TABLE outbox (                              -- notices on their way to the bus
    number      bigserial PRIMARY KEY,
    account_id  bigint NOT NULL,
    notice      bytea NOT NULL
);

CREATE TABLE habit_figures (                       -- of every account, for the percentiles of its peers
    account_id  bigint NOT NULL,
    key         text NOT NULL,
    value       double precision NOT NULL,
    PRIMARY KEY (account_id, key)
);
CREATE INDEX habit_figures_by_key ON habit_figures (key, value);

CREATE TABLE digests (                             -- mornings told
    account_id  bigint NOT NULL,
    date        date NOT NULL,
    PRIMARY KEY (account_id, date)
);
