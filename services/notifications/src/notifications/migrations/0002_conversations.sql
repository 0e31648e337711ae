-- Conversations between investors and their traders. Nothing said is ever changed or removed.

CREATE TABLE notifications.mandates (
    number      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id  bigint      NOT NULL,
    trader      text        NOT NULL,     -- subject of the trader's token
    grant_time  timestamptz NOT NULL,
    revoke_time timestamptz
);
CREATE UNIQUE INDEX mandates_standing ON notifications.mandates (account_id, trader) WHERE revoke_time IS NULL;
CREATE INDEX mandates_traders ON notifications.mandates (trader, number);

CREATE TABLE notifications.threads (
    thread_id   text        PRIMARY KEY,
    account_id  bigint      NOT NULL,
    trader      text        NOT NULL,
    title       text        NOT NULL,
    about       bytea,                    -- a Card of the contract
    opener      text        NOT NULL,     -- with request_id: the same request opens one thread
    request_id  bigint      NOT NULL,
    create_time timestamptz NOT NULL,
    active_time timestamptz NOT NULL,
    position    bigint      NOT NULL,     -- of its last message, or of its opening
    UNIQUE (opener, request_id)
);
CREATE INDEX threads_accounts ON notifications.threads (account_id, position);
CREATE INDEX threads_traders ON notifications.threads (trader, position);

-- The row's lock gives positions in the order of commits, so that a reader who saw one has seen all before it.
CREATE TABLE notifications.talk_head (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    position bigint NOT NULL
);
INSERT INTO notifications.talk_head (position) VALUES (0);

CREATE TABLE notifications.messages (
    position    bigint      PRIMARY KEY,
    thread_id   text        NOT NULL REFERENCES notifications.threads,
    author      smallint    NOT NULL,     -- Party
    origin      text        NOT NULL,
    text        text        NOT NULL,
    card        bytea,
    proposal_id text,
    request_key text        NOT NULL UNIQUE,
    grams       text[]      NOT NULL,     -- pairs of characters, for the search
    create_time timestamptz NOT NULL
);
CREATE INDEX messages_threads ON notifications.messages (thread_id, position);
CREATE INDEX messages_grams ON notifications.messages USING gin (grams);

CREATE TABLE notifications.proposals (
    proposal_id text        PRIMARY KEY,
    thread_id   text        NOT NULL REFERENCES notifications.threads,
    account_id  bigint      NOT NULL,
    trader      text        NOT NULL,
    number      integer     NOT NULL,     -- of the account, for replies
    content     bytea       NOT NULL,     -- the Proposal of the contract, with the numbers of its orders
    state       smallint    NOT NULL,     -- ProposalState
    create_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    answer_time timestamptz,
    results     bytea,                    -- a Proposal with its results, once they are known
    trace_id    text        NOT NULL,
    UNIQUE (account_id, number)
);
CREATE INDEX proposals_open ON notifications.proposals (account_id) WHERE state = 1;
CREATE INDEX proposals_unsettled ON notifications.proposals (answer_time) WHERE state = 2 AND results IS NULL;

CREATE TABLE notifications.thread_reads (
    thread_id text     NOT NULL REFERENCES notifications.threads,
    party     smallint NOT NULL,
    position  bigint   NOT NULL,
    PRIMARY KEY (thread_id, party)
);
