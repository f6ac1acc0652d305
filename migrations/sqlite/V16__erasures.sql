-- Orders of erasure, what they took out of this site's log, and what has yet to be done about it.

-- One row for each order (a record of kind `erasure`).
CREATE TABLE erasures (
  erasure_no  INTEGER PRIMARY KEY REFERENCES records,
  erasure_id  BLOB NOT NULL UNIQUE,
  incident_id BLOB NOT NULL,
  scope       TEXT NOT NULL,
  done_ms     INTEGER                  -- when this site had removed the bytes as well and said so; null: not yet
) STRICT;
CREATE INDEX erasures_undone ON erasures (erasure_no) WHERE done_ms IS NULL;
CREATE INDEX erasures_incident ON erasures (incident_id);

-- Which field of which record lost its values to which order.
CREATE TABLE erased_fields (
  record_id  BLOB NOT NULL,
  field      TEXT NOT NULL,
  erasure_no INTEGER NOT NULL REFERENCES erasures,
  PRIMARY KEY (record_id, field, erasure_no)
) STRICT, WITHOUT ROWID;

-- Changes of which only a part is left.
CREATE TABLE erased_changes (
  change_no INTEGER PRIMARY KEY REFERENCES changes,
  listed    INTEGER NOT NULL           -- at the hub: 1 once an order tells the digest of what is left
) STRICT;
CREATE INDEX erased_changes_unlisted ON erased_changes (change_no) WHERE listed = 0;

-- Contents of photos that an order removed, until their files are gone.
CREATE TABLE erased_contents (
  sha256     TEXT NOT NULL,
  erasure_no INTEGER NOT NULL REFERENCES erasures,
  removed    INTEGER NOT NULL,
  PRIMARY KEY (sha256, erasure_no)
) STRICT, WITHOUT ROWID;

-- A node whose place another one took.
ALTER TABLE nodes ADD COLUMN replaced_by BLOB;
ALTER TABLE nodes ADD COLUMN retired_ms INTEGER;
-- Changes that it sent since.
ALTER TABLE nodes ADD COLUMN drained_changes INTEGER NOT NULL DEFAULT 0;
-- The node that the one enrolled with this code replaces.
ALTER TABLE enrolment_codes ADD COLUMN replaces BLOB;
