-- The same tables as SQLite's, for PostgreSQL 15 and newer. Times are seconds since 1970-01-01T00:00:00Z. JSON documents
-- are read and written whole by the service alone, so they are text: jsonb would refuse a NUL that JSON allows.
-- No foreign keys: every statement that deletes a user deletes what hangs on it, and a check at each insert would cost.

CREATE TABLE users (
    -- Never given twice, also after a deletion: the audit trail goes on naming it.
    id bigint PRIMARY KEY,
    -- Rises with every write: a decision is written only on the version that it read.
    version bigint NOT NULL DEFAULT 1,
    -- What users are looked up by, taken from the profile whenever it is written; the first two in lower case.
    username text COLLATE "C",
    email text COLLATE "C",
    external_id text COLLATE "C",
    -- The newest audit event about the user.
    last_event bigint NOT NULL,
    profile text NOT NULL,
    mfa text NOT NULL,
    -- When something pending of the user expires first, for the clean-up, which finds it by the expiries. No index is on it, nor
    -- on anything else that most decisions change: so a row is changed in place, and no index grows.
    next_expiry bigint
) WITH (fillfactor = 70);
CREATE SEQUENCE user_ids;
CREATE UNIQUE INDEX users_by_username ON users (username);
CREATE INDEX users_by_email ON users (email) WHERE email IS NOT NULL;
CREATE INDEX users_by_external_id ON users (external_id) WHERE external_id IS NOT NULL;

-- When the clean-up has to look at a user: each next_expiry that the user had, whatever became of it. The clean-up deletes
-- what it has looked at.
CREATE TABLE expiries (
    at bigint NOT NULL,
    user_id bigint NOT NULL,
    PRIMARY KEY (at, user_id)
);

-- Registrations and verifications that have ended, readable for a while.
CREATE TABLE finished (
    user_id bigint NOT NULL,
    id uuid NOT NULL,
    finished_at bigint NOT NULL,
    document text NOT NULL,
    PRIMARY KEY (user_id, id)
);
CREATE INDEX finished_by_time ON finished (finished_at);

-- Rows are never deleted. A row without a reason is a success. Each points to the one before about the same user; the
-- key begins with the event's number, so that every new row goes to the same page of the index. What is about a credential is
-- about no user: then user_id is 0.
CREATE TABLE audit_events (
    id bigint NOT NULL,
    user_id bigint NOT NULL,
    at bigint NOT NULL,
    device text,
    action text NOT NULL,
    reason text,
    count bigint NOT NULL DEFAULT 1,
    previous bigint,
    credential text,
    PRIMARY KEY (id, user_id)
);
CREATE SEQUENCE event_ids;

-- Where the trails of users begin that are no more.
CREATE TABLE deleted_users (
    id bigint PRIMARY KEY,
    last_event bigint NOT NULL
);

-- Messages on their way, sealed; a row is deleted once its message is sent or given up.
CREATE TABLE messages (
    id bigint NOT NULL,
    user_id bigint NOT NULL,
    at bigint NOT NULL,
    not_before bigint NOT NULL,
    attempts bigint NOT NULL DEFAULT 0,
    expires_at bigint NOT NULL,
    sealed text NOT NULL,
    PRIMARY KEY (id, user_id)
);
CREATE SEQUENCE message_ids;
CREATE INDEX messages_by_due_time ON messages (not_before, id);
CREATE INDEX messages_by_user ON messages (user_id);

-- Where messages go under `factord dev`; a row has the id that its message had.
CREATE TABLE outbox (
    id bigint NOT NULL,
    user_id bigint NOT NULL,
    at bigint NOT NULL,
    attempts bigint NOT NULL,
    sealed text NOT NULL,
    PRIMARY KEY (id, user_id)
);
CREATE INDEX outbox_by_user ON outbox (user_id, id);

-- How many messages an address or number has had, under its keyed hash.
CREATE TABLE histories (
    destination bytea PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    history text NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX histories_by_time ON histories (updated_at);

-- Security keys and tokens that exist once, whoever has them: whose device each is, if anybody's, and how far its counter is.
CREATE TABLE hardware (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    user_id bigint,
    device bigint,
    document text NOT NULL
);
CREATE INDEX hardware_by_user ON hardware (user_id) WHERE user_id IS NOT NULL;

-- By what links, and ids of verifications with a page, a user is found; as SHA-256.
CREATE TABLE links (
    token bytea NOT NULL,
    user_id bigint NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (token, user_id)
);
CREATE INDEX links_by_expiry ON links (expires_at);
CREATE INDEX links_by_user ON links (user_id);

-- API credentials; revoked ones stay, so that an id is never given again.
CREATE TABLE credentials (
    id text COLLATE "C" PRIMARY KEY,
    secret bytea NOT NULL,
    scope text NOT NULL,
    created_at bigint NOT NULL,
    revoked_at bigint
);

-- Pairs of bearer tokens, as SHA-256.
CREATE TABLE tokens (
    access bytea PRIMARY KEY,
    refresh bytea NOT NULL,
    credential text NOT NULL,
    scope text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX tokens_by_credential ON tokens (credential);
CREATE INDEX tokens_by_expiry ON tokens (expires_at);

CREATE TABLE settings (
    name text PRIMARY KEY,
    value text NOT NULL
);

-- How many requests each credential has made in its window, over all nodes.
CREATE TABLE rate_windows (
    caller text COLLATE "C" PRIMARY KEY,
    ends bigint NOT NULL,
    used bigint NOT NULL
);
