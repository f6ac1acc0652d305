-- The ledger of a site: streams of changes, the records they make, and what a reader needs by index.
-- Times are milliseconds since 1970 (UTC) in `…_ms`, money is minor units in `…_minor`, ids are 16-byte UUIDs.

-- Who this site is, and the few single values it keeps (see ledger/sqlite/site.rs for the names).
CREATE TABLE site (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Every stream this site knows. `seq` and `head` move in the transaction that applies the data.
CREATE TABLE origins (
  origin_no INTEGER PRIMARY KEY,
  origin    BLOB NOT NULL UNIQUE,
  scope     TEXT NOT NULL,
  site      TEXT NOT NULL,             -- whose: a store's code, or `hub`
  mine      INTEGER NOT NULL,          -- 1: the stream this site records under now, one for each scope
  node_id   BLOB,                      -- at the hub: the node that pushes it
  seq       INTEGER NOT NULL,          -- last number held
  head      BLOB NOT NULL,             -- chain link after it
  acked_seq INTEGER NOT NULL DEFAULT 0 -- at a node: last number the hub acknowledged
) STRICT;
CREATE UNIQUE INDEX origins_mine ON origins (scope) WHERE mine = 1;

-- Every change, byte for byte as it was made. Never updated but for what the hub says of it.
CREATE TABLE changes (
  change_no   INTEGER PRIMARY KEY,     -- order of arrival at this site
  origin_no   INTEGER NOT NULL REFERENCES origins,
  seq         INTEGER NOT NULL,
  record_id   BLOB,                    -- null where the body could not be read
  hlc         INTEGER NOT NULL,        -- place in the order, after clamping
  received_ms INTEGER,                 -- by the hub's clock; null until the hub has it
  outcome     TEXT,                    -- the hub's answer, null for `applied`
  body        TEXT NOT NULL,
  UNIQUE (origin_no, seq)
) STRICT;
CREATE INDEX changes_record ON changes (record_id, change_no);
-- What the hub did not take as it came; empty in a healthy store.
CREATE INDEX changes_outcome ON changes (outcome) WHERE outcome IS NOT NULL;

-- Changes that are kept but not in their record, and why.
CREATE TABLE quarantine (
  change_no  INTEGER PRIMARY KEY REFERENCES changes,
  record_id  BLOB,
  waits      INTEGER NOT NULL,         -- 0: itself bad; 1: behind another one of its record
  code       TEXT NOT NULL,
  reason     TEXT NOT NULL,
  since_ms   INTEGER NOT NULL
) STRICT;
CREATE INDEX quarantine_record ON quarantine (record_id);

-- A push whose history contradicts the one held: kept as it came, for a person.
CREATE TABLE forks (
  fork_no    INTEGER PRIMARY KEY,
  origin     BLOB NOT NULL,
  node_id    BLOB NOT NULL,
  agreed_seq INTEGER NOT NULL,
  first_seq  INTEGER NOT NULL,
  body       TEXT NOT NULL,            -- the bodies, one a line
  digest     BLOB NOT NULL UNIQUE,     -- so that a repeated push is kept once
  since_ms   INTEGER NOT NULL
) STRICT;

-- Every record as its winning writes make it, kinds this version does not know included.
CREATE TABLE records (
  record_no   INTEGER PRIMARY KEY,
  record_id   BLOB NOT NULL UNIQUE,
  kind        TEXT NOT NULL,
  scope       TEXT NOT NULL,
  parent_no   INTEGER,                 -- the incident a comment or step belongs to
  state       TEXT NOT NULL,
  received_ms INTEGER
) STRICT;
CREATE INDEX records_parent ON records (parent_no, record_no) WHERE parent_no IS NOT NULL;

-- Fields in which two people did not know of each other's edit, until a person has decided.
CREATE TABLE reviews (
  record_no INTEGER NOT NULL REFERENCES records,
  field     TEXT NOT NULL,
  since_ms  INTEGER NOT NULL,
  PRIMARY KEY (record_no, field)
) STRICT, WITHOUT ROWID;

-- What each scope's members have to hear of, in commit order (hub).
CREATE TABLE scopes (
  scope TEXT PRIMARY KEY,
  seq   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE feed (
  scope     TEXT NOT NULL,
  seq       INTEGER NOT NULL,
  change_no INTEGER NOT NULL REFERENCES changes,
  PRIMARY KEY (scope, seq)
) STRICT, WITHOUT ROWID;

-- Where this node stands in each scope; moves in the transaction that applies the page.
CREATE TABLE cursors (
  scope  TEXT PRIMARY KEY,
  cursor TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Chain links kept so that a push or its check need not hash a stream from its start.
CREATE TABLE links (
  origin_no INTEGER NOT NULL REFERENCES origins,
  seq       INTEGER NOT NULL,
  link      BLOB NOT NULL,
  PRIMARY KEY (origin_no, seq)
) STRICT, WITHOUT ROWID;
