"""The catalog's tables. What removes a bundle's rows is `refreshing`: nothing cascades here."""

from .link_schema import LINK_TABLES

VERSION = 1
"""Raised with every change of what stands in the tables, or of how it is read from a bundle."""

TABLES = (
    """
CREATE TABLE catalog (
    version INTEGER NOT NULL,        -- of the latest change; it goes up even when all is made again
    is_linked INTEGER NOT NULL       -- calls were linked since any was added
) STRICT;

CREATE TABLE bundles (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,       -- the directory's
    trace_id TEXT NOT NULL,
    log_inode INTEGER NOT NULL,      -- another inode: another bundle of the same name
    log_size INTEGER NOT NULL,       -- as it was when it was read last
    log_ctime_ns INTEGER NOT NULL,
    log_offset INTEGER NOT NULL,     -- bytes of it that were read
    log_head BLOB NOT NULL,          -- its first bytes: an inode may be given to another file
    is_live INTEGER NOT NULL,        -- its writer holds the lock
    is_ended INTEGER NOT NULL,       -- its recording is complete
    damaged_lines INTEGER NOT NULL,
    damage TEXT                      -- why it cannot be read whole: the first that was found
) STRICT;

CREATE INDEX bundles_of_trace ON bundles (trace_id);

CREATE TABLE calls (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice
    bundle INTEGER NOT NULL,
    changed INTEGER NOT NULL,        -- the version that wrote it last
    kind TEXT NOT NULL,
    call_id TEXT NOT NULL,
    thread_id TEXT NOT NULL,
    turn_id TEXT,
    status TEXT NOT NULL,
    started_at_unix_ms INTEGER NOT NULL,
    ended_at_unix_ms INTEGER,
    model TEXT NOT NULL,
    transport TEXT NOT NULL,
    http_status INTEGER,
    response_id TEXT,
    upstream_request_id TEXT,
    client_call_id TEXT,
    previous_response_id TEXT,
    retry_count INTEGER NOT NULL,
    protocol TEXT,
    transport_end TEXT,
    reason TEXT,
    upstream_headers_ms REAL,
    first_event_ms REAL,
    first_text_ms REAL,
    last_event_ms REAL,
    ended_ms REAL,
    waited_on_upstream_ms REAL,
    waited_on_client_ms REAL,
    max_gap_ms REAL,
    input_tokens INTEGER,            -- all four or none
    cached_input_tokens INTEGER,
    output_tokens INTEGER,
    reasoning_output_tokens INTEGER,
    events INTEGER NOT NULL,
    bytes_up INTEGER NOT NULL,
    bytes_down INTEGER NOT NULL,
    lost_bytes INTEGER NOT NULL,
    has_partial INTEGER NOT NULL,
    asked TEXT NOT NULL,
    answered TEXT NOT NULL,
    tools TEXT NOT NULL,             -- a JSON array of names
    continues INTEGER,
    continues_by TEXT,
    retry_of INTEGER,
    attempt INTEGER NOT NULL,
    conversation INTEGER NOT NULL,
    start_offset INTEGER NOT NULL,
    end_offset INTEGER,
    request_path TEXT,
    response_path TEXT,
    UNIQUE (bundle, call_id, kind)   -- Codex's ids of calls and of compactions are apart
) STRICT;
-- Holds all that calls are filtered and counted by, so that no filter needs the rows it excludes.
CREATE INDEX calls_in_time ON calls (
    started_at_unix_ms, id, bundle, status, model, protocol, transport_end, thread_id, conversation,
    first_event_ms, last_event_ms, ended_ms,
    input_tokens, cached_input_tokens, output_tokens, reasoning_output_tokens
);
-- For figures by model: groups come in its order, and need no sorting.
CREATE INDEX calls_of_model ON calls (
    model, status, bundle, first_event_ms, last_event_ms, ended_ms,
    input_tokens, cached_input_tokens, output_tokens, reasoning_output_tokens
);
CREATE INDEX calls_running ON calls (bundle, turn_id) WHERE status = 'running';
CREATE INDEX calls_changed ON calls (changed);
CREATE INDEX calls_of_thread ON calls (thread_id, started_at_unix_ms, id);
CREATE INDEX calls_of_conversation ON calls (conversation, started_at_unix_ms, id);

-- Every id that a selector may name: a call's own, its response's, its upstream request's.
CREATE TABLE names (
    name TEXT NOT NULL,
    call INTEGER NOT NULL,
    reversed TEXT NOT NULL,          -- so that an end is looked up as a beginning
    PRIMARY KEY (name, call)
) STRICT, WITHOUT ROWID;
CREATE INDEX names_reversed ON names (reversed);
CREATE INDEX names_of_call ON names (call);

-- Each distinct item of a bundle, at the call that showed it first.
CREATE TABLE items (
    id INTEGER PRIMARY KEY,          -- its text's rowid in texts
    bundle INTEGER NOT NULL,
    digest BLOB NOT NULL,
    call INTEGER NOT NULL,
    side TEXT NOT NULL,
    label TEXT NOT NULL,
    UNIQUE (bundle, digest)
) STRICT;
CREATE VIRTUAL TABLE texts USING fts5 (text, tokenize = "unicode61 tokenchars '_'");
"""
    + LINK_TABLES
)
