-- Work that outlives a request: jobs, and uploads that go on where they were cut.

-- What is to be done later. A job that is done is gone; one that cannot be done stays, for a person.
CREATE TABLE jobs (
  job_no     INTEGER PRIMARY KEY,
  kind       TEXT NOT NULL,
  key        TEXT NOT NULL,            -- what it is about: one unfinished job of a kind for each
  payload    TEXT NOT NULL,            -- JSON
  priority   INTEGER NOT NULL,         -- the smaller, the sooner
  run_at_ms  INTEGER NOT NULL,
  state      TEXT NOT NULL,            -- waiting, running, dead
  attempts   INTEGER NOT NULL DEFAULT 0,
  crashes    INTEGER NOT NULL DEFAULT 0, -- times the program ended while it ran
  done       INTEGER NOT NULL DEFAULT 0,
  total      INTEGER NOT NULL DEFAULT 0,
  error      TEXT,
  queued_ms  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX jobs_key ON jobs (kind, key) WHERE state <> 'dead';
CREATE INDEX jobs_due ON jobs (kind, priority, run_at_ms) WHERE state = 'waiting';
CREATE INDEX jobs_next ON jobs (kind, run_at_ms) WHERE state = 'waiting';
CREATE INDEX jobs_dead ON jobs (job_no) WHERE state = 'dead';

-- Uploads under way. The bytes are in the blobs' `incoming` folder under the same id; what counts of them is `offset_bytes`.
CREATE TABLE uploads (
  upload_id    BLOB PRIMARY KEY,
  owner        TEXT NOT NULL,
  length_bytes INTEGER NOT NULL,
  offset_bytes INTEGER NOT NULL,
  metadata     TEXT NOT NULL,          -- JSON, name to value
  expires_ms   INTEGER NOT NULL,
  sha256       BLOB,                   -- once whole and kept
  result       TEXT                    -- once its destination has it: what that made of it
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_owner ON uploads (owner);
CREATE INDEX uploads_expiry ON uploads (expires_ms);
