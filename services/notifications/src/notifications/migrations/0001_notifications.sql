-- Notices as they came, deduplicated by their id.
CREATE TABLE notifications.notices (
    notice_id     text        PRIMARY KEY,
    account_id    bigint      NOT NULL,
    kind          text        NOT NULL,
    urgency       smallint    NOT NULL,
    cause_time    timestamptz NOT NULL,
    expire_time   timestamptz NOT NULL,
    supersede_key text        NOT NULL,
    withdrawn     boolean     NOT NULL,
    card_id       text        NOT NULL,
    trace_id      text        NOT NULL,
    content       bytea       NOT NULL,   -- the Notice of the contract
    create_time   timestamptz NOT NULL
);
CREATE INDEX notices_keys ON notifications.notices (account_id, supersede_key, cause_time) WHERE supersede_key <> '';
CREATE INDEX notices_cards ON notifications.notices (card_id) WHERE card_id <> '';
CREATE INDEX notices_traces ON notifications.notices (trace_id);

-- Where each reader of the bus stands; written with the rows.
CREATE TABLE notifications.consumer_positions (
    topic       text    NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint  NOT NULL,
    PRIMARY KEY (topic, partition)
);

-- One row an account: its lock orders the changes of an inbox.
CREATE TABLE notifications.inboxes (
    account_id bigint PRIMARY KEY,
    position   bigint NOT NULL,
    unread     bigint NOT NULL
);
CREATE TABLE notifications.inbox_entries (
    account_id  bigint      NOT NULL,
    notice_id   text        NOT NULL,
    arrival     bigint      NOT NULL,     -- position at which it came
    position    bigint      NOT NULL,     -- position of its last change
    title       text        NOT NULL,
    body        text        NOT NULL,
    create_time timestamptz NOT NULL,
    read_time   timestamptz,
    superseded  boolean     NOT NULL DEFAULT false,
    supersede_key text      NOT NULL,
    PRIMARY KEY (account_id, notice_id)
);
CREATE UNIQUE INDEX inbox_arrivals ON notifications.inbox_entries (account_id, arrival);
CREATE UNIQUE INDEX inbox_positions ON notifications.inbox_entries (account_id, position);
CREATE INDEX inbox_unread ON notifications.inbox_entries (account_id, arrival)
    WHERE read_time IS NULL AND NOT superseded;
CREATE INDEX inbox_keys ON notifications.inbox_entries (account_id, supersede_key)
    WHERE supersede_key <> '' AND NOT superseded;

CREATE TABLE notifications.preferences (
    account_id  bigint      PRIMARY KEY,
    content     bytea       NOT NULL,     -- the Preferences of the contract
    update_time timestamptz NOT NULL
);

-- Values and secrets are encrypted; `fingerprint` is a keyed digest by which the same address is found again.
CREATE TABLE notifications.addresses (
    address_id    text        PRIMARY KEY,
    number        bigint      GENERATED ALWAYS AS IDENTITY,
    account_id    bigint      NOT NULL,
    channel       text        NOT NULL,
    fingerprint   bytea       NOT NULL,
    sealed        bytea       NOT NULL,
    masked        text        NOT NULL,
    label         text        NOT NULL,
    state         smallint    NOT NULL,
    create_time   timestamptz NOT NULL,
    consent_time  timestamptz,
    remove_time   timestamptz,
    remove_reason text        NOT NULL DEFAULT '',
    code_nonce    text        NOT NULL DEFAULT '',
    code_time     timestamptz,
    code_tries    smallint    NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX addresses_once ON notifications.addresses (account_id, channel, fingerprint) WHERE state < 3;
CREATE INDEX addresses_found ON notifications.addresses (channel, fingerprint) WHERE state < 3;
CREATE INDEX addresses_account ON notifications.addresses (account_id, number);

CREATE TABLE notifications.wechat_scenes (
    scene_digest bytea       PRIMARY KEY,
    account_id   bigint      NOT NULL,
    create_time  timestamptz NOT NULL,
    expire_time  timestamptz NOT NULL
);
CREATE INDEX wechat_scenes_account ON notifications.wechat_scenes (account_id);

CREATE TABLE notifications.deliveries (
    delivery_id        text        PRIMARY KEY,
    number             bigint      GENERATED ALWAYS AS IDENTITY,
    notice_id          text        NOT NULL,
    account_id         bigint      NOT NULL,
    channel            text        NOT NULL,
    address_id         text        NOT NULL,
    kind               text        NOT NULL,
    urgency            smallint    NOT NULL,
    state              smallint    NOT NULL,
    state_reason       text        NOT NULL,
    create_time        timestamptz NOT NULL,
    due_time           timestamptz NOT NULL,
    expire_time        timestamptz NOT NULL,
    supersede_key      text        NOT NULL,
    replaced_by        text        NOT NULL DEFAULT '',
    gathered           boolean     NOT NULL DEFAULT false,
    digest_of          text,              -- the delivery that carries this one in its digest
    direct             boolean     NOT NULL DEFAULT false,
    fallback           text[]      NOT NULL DEFAULT '{}',
    attempt            integer     NOT NULL DEFAULT 0,
    tries              integer     NOT NULL DEFAULT 0,    -- attempts since it was last replayed
    first_attempt_time timestamptz,
    last_attempt_time  timestamptz,
    maybe_sent         boolean     NOT NULL DEFAULT false,
    holder             text        NOT NULL DEFAULT '',
    lease_until        timestamptz,
    provider_id        text        NOT NULL DEFAULT '',
    receipt            text        NOT NULL DEFAULT '',
    receipt_time       timestamptz,
    trace_id           text        NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX deliveries_due ON notifications.deliveries (channel, urgency, due_time)
    WHERE state = 1 AND digest_of IS NULL;
CREATE INDEX deliveries_sending ON notifications.deliveries (lease_until) WHERE state = 2;
CREATE INDEX deliveries_keys ON notifications.deliveries (account_id, supersede_key)
    WHERE state IN (1, 2) AND supersede_key <> '';
CREATE INDEX deliveries_notices ON notifications.deliveries (notice_id);
CREATE INDEX deliveries_accounts ON notifications.deliveries (account_id, number);
CREATE INDEX deliveries_numbers ON notifications.deliveries (number);
CREATE INDEX deliveries_pace ON notifications.deliveries (account_id, channel, last_attempt_time)
    WHERE state IN (2, 3, 4);
CREATE INDEX deliveries_digests ON notifications.deliveries (account_id, address_id)
    WHERE state IN (1, 2) AND gathered;
CREATE INDEX deliveries_members ON notifications.deliveries (digest_of) WHERE digest_of IS NOT NULL;
CREATE INDEX deliveries_receipts ON notifications.deliveries (channel, provider_id) WHERE provider_id <> '';
CREATE INDEX deliveries_traces ON notifications.deliveries (trace_id);

-- Written before a provider is called; an empty outcome after a crash says that it may have been sent.
CREATE TABLE notifications.attempts (
    delivery_id text        NOT NULL,
    number      integer     NOT NULL,
    channel     text        NOT NULL,
    time        timestamptz NOT NULL,
    duration_ms bigint      NOT NULL DEFAULT 0,
    outcome     text        NOT NULL DEFAULT '',
    provider_id text        NOT NULL DEFAULT '',
    maybe_sent  boolean     NOT NULL DEFAULT false,
    PRIMARY KEY (delivery_id, number)
);
CREATE INDEX attempts_times ON notifications.attempts (channel, time);

-- Receipts that came, some of them before the attempt was recorded.
CREATE TABLE notifications.receipts (
    channel     text        NOT NULL,
    provider_id text        NOT NULL,
    delivered   boolean     NOT NULL,
    detail      text        NOT NULL,
    time        timestamptz NOT NULL,
    PRIMARY KEY (channel, provider_id)
);

-- Events that a provider told, so that a repeat has no effect.
CREATE TABLE notifications.callback_events (
    key  text        PRIMARY KEY,
    time timestamptz NOT NULL
);
CREATE INDEX callback_events_times ON notifications.callback_events (time);

CREATE TABLE notifications.templates (
    kind        text        NOT NULL,
    language    text        NOT NULL,
    channel     text        NOT NULL,     -- empty: all that have none of their own
    version     integer     NOT NULL,
    content     bytea       NOT NULL,     -- the Template of the contract
    create_time timestamptz NOT NULL,
    author      text        NOT NULL,
    PRIMARY KEY (kind, language, channel, version)
);

-- Links of chains that no other table tells: what was answered, what was ordered for it.
CREATE TABLE notifications.steps (
    number     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    trace_id   text        NOT NULL,
    account_id bigint      NOT NULL,
    kind       text        NOT NULL,
    subject_id text        NOT NULL,
    time       timestamptz NOT NULL,
    detail     text        NOT NULL
);
CREATE INDEX steps_traces ON notifications.steps (trace_id);
CREATE INDEX steps_subjects ON notifications.steps (subject_id);
