-- Users, what they enrolled, and everything that is committed with a decision about them.
-- Times are seconds since 1970-01-01T00:00:00Z. JSON documents are read and written whole by the service alone.
-- No foreign keys: every statement that deletes a user deletes what hangs on it, and a check at each insert would cost.

CREATE TABLE users (
    -- Never given twice, also after a deletion: the audit trail goes on naming it.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- What users are looked up by, taken from the profile whenever it is written; the first two in lower case.
    username TEXT UNIQUE,
    email TEXT,
    external_id TEXT,
    -- The newest audit event about the user, and the newest of what the user has finished.
    last_event INTEGER NOT NULL,
    last_finished BLOB,
    profile TEXT NOT NULL,
    mfa TEXT NOT NULL,
    -- When something pending of the user expires first, for the clean-up.
    next_expiry INTEGER
) STRICT;
CREATE INDEX users_by_email ON users (email) WHERE email IS NOT NULL;
-- With the event of the decision, which rises, so that what begins at about the same time goes to the same page.
CREATE INDEX users_by_next_expiry ON users (next_expiry, last_event) WHERE next_expiry IS NOT NULL;
CREATE INDEX users_by_external_id ON users (external_id) WHERE external_id IS NOT NULL;

-- Registrations and verifications that have ended, readable for a while. Their ids go by time: rows are added near the end and
-- deleted from the beginning. Each points to the one that the same user finished before, as events do.
CREATE TABLE finished (
    id BLOB NOT NULL,
    user_id INTEGER NOT NULL,
    finished_at INTEGER NOT NULL,
    previous BLOB,
    document TEXT NOT NULL,
    PRIMARY KEY (id, user_id)
) STRICT, WITHOUT ROWID;

-- Rows are never deleted, so that the ids rise without AUTOINCREMENT. A row without a reason is a success. Each points
-- to the one before about the same user: an index by user would cost every decision one more page of the disk. What is about a
-- credential is about no user: then user_id is 0.
CREATE TABLE audit_events (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    device TEXT,
    action TEXT NOT NULL,
    reason TEXT,
    count INTEGER NOT NULL DEFAULT 1,
    previous INTEGER,
    credential TEXT
) STRICT;

-- Where the trails of users begin that are no more.
CREATE TABLE deleted_users (
    id INTEGER PRIMARY KEY,
    last_event INTEGER NOT NULL
) STRICT;

-- Messages on their way, sealed; a row is deleted once its message is sent or given up.
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    expires_at INTEGER NOT NULL,
    sealed TEXT NOT NULL
) STRICT;
CREATE INDEX messages_by_due_time ON messages (not_before);
CREATE INDEX messages_by_user ON messages (user_id);

-- Where messages go under `factord dev`; a row has the id that its message had.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    sealed TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_by_user ON outbox (user_id, id);

-- How many messages an address or number has had, under its keyed hash.
CREATE TABLE histories (
    destination BLOB PRIMARY KEY,
    history TEXT NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX histories_by_time ON histories (updated_at);

-- By what links, and ids of verifications with a page, a user is found; as SHA-256.
CREATE TABLE links (
    token BLOB PRIMARY KEY,
    user_id INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX links_by_expiry ON links (expires_at);
CREATE INDEX links_by_user ON links (user_id);

-- Security keys and tokens that exist once, whoever has them: whose device each is, if anybody's, and how far its counter is.
CREATE TABLE hardware (
    id TEXT PRIMARY KEY,
    user_id INTEGER,
    device INTEGER,
    document TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX hardware_by_user ON hardware (user_id) WHERE user_id IS NOT NULL;

-- API credentials; revoked ones stay, so that an id is never given again.
CREATE TABLE credentials (
    id TEXT PRIMARY KEY,
    secret BLOB NOT NULL,
    scope TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- Pairs of bearer tokens, as SHA-256.
CREATE TABLE tokens (
    access BLOB PRIMARY KEY,
    refresh BLOB NOT NULL,
    credential TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_credential ON tokens (credential);
CREATE INDEX tokens_by_expiry ON tokens (expires_at);

CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
