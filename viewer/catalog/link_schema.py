"""The catalog's tables for links: what tells which call each call continues, and how to find it."""

LINK_TABLES = """
-- What `reducer.call_facts` reads of a call: little, and none of its text.
CREATE TABLE link_facts (
    call INTEGER PRIMARY KEY,
    bundle INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,        -- among its bundle's calls
    order_unix_ms INTEGER NOT NULL,
    begun BLOB NOT NULL,             -- JSON: see link_records
    ended BLOB,
    prefixes BLOB NOT NULL,          -- a hash for each beginning of its input
    conversation BLOB,               -- the hash of it after the response
    signs BLOB NOT NULL,             -- its rows in link_signs and, once it is linked, in link_wants
    wants BLOB,
    first INTEGER                    -- the first attempt, where it is a later one
) STRICT;
CREATE INDEX link_facts_of_bundle ON link_facts (bundle, ordinal, order_unix_ms);
CREATE INDEX link_facts_in_order ON link_facts (order_unix_ms) WHERE wants IS NOT NULL;

-- What later calls may know a call by, and what a call looks for: hashes of `reducer.link_rules`.
CREATE TABLE link_signs (
    sign INTEGER NOT NULL,
    order_unix_ms INTEGER NOT NULL,
    call INTEGER NOT NULL,
    PRIMARY KEY (sign, order_unix_ms, call)
) STRICT, WITHOUT ROWID;
CREATE TABLE link_wants (
    sign INTEGER NOT NULL,
    order_unix_ms INTEGER NOT NULL,
    call INTEGER NOT NULL,
    PRIMARY KEY (sign, order_unix_ms, call)
) STRICT, WITHOUT ROWID;

-- Calls that are still to be linked, or linked again.
CREATE TABLE link_pending (call INTEGER PRIMARY KEY) STRICT;

-- Calls that stand in two directories, since a bundle was copied: linked as the other one is.
CREATE TABLE link_copies (call INTEGER PRIMARY KEY, original INTEGER NOT NULL) STRICT;
CREATE INDEX link_copies_of ON link_copies (original);

-- What a bundle's requests are read with: whose a response is, and the keys of items, by their ids.
CREATE TABLE link_responses (
    bundle INTEGER NOT NULL,
    response INTEGER NOT NULL,
    place INTEGER NOT NULL,
    call INTEGER NOT NULL,
    PRIMARY KEY (bundle, response, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE link_said (
    bundle INTEGER NOT NULL,
    item INTEGER NOT NULL,
    key BLOB,
    PRIMARY KEY (bundle, item)
) STRICT, WITHOUT ROWID;

CREATE TABLE link_prewarms (
    response_id TEXT NOT NULL,
    bundle INTEGER NOT NULL,
    previous_response_id TEXT,
    PRIMARY KEY (response_id, bundle)
) STRICT, WITHOUT ROWID;

CREATE INDEX calls_continuing ON calls (continues) WHERE continues IS NOT NULL;
CREATE INDEX calls_retrying ON calls (retry_of) WHERE retry_of IS NOT NULL;
"""
