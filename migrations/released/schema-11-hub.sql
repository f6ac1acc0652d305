-- Frozen: see desk/tests/ledger/released.rs. Never edited.
CREATE TABLE refinery_schema_history(
             version int4 PRIMARY KEY,
             name VARCHAR(255),
             applied_on VARCHAR(255),
             checksum VARCHAR(255));
CREATE TABLE site (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE counters (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
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
, durable_seq INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE changes (
  change_no   INTEGER PRIMARY KEY,     -- order of arrival at this site
  origin_no   INTEGER NOT NULL REFERENCES origins,
  seq         INTEGER NOT NULL,
  record_id   BLOB,                    -- null where the body could not be read
  hlc         INTEGER NOT NULL,        -- place in the order, after clamping
  received_ms INTEGER,                 -- by the hub's clock; null until the hub has it
  outcome     TEXT,                    -- the hub's answer, null for `applied`
  body        TEXT NOT NULL, seal BLOB,
  UNIQUE (origin_no, seq)
) STRICT;
CREATE TABLE quarantine (
  change_no  INTEGER PRIMARY KEY REFERENCES changes,
  record_id  BLOB,
  waits      INTEGER NOT NULL,         -- 0: itself bad; 1: behind another one of its record
  code       TEXT NOT NULL,
  reason     TEXT NOT NULL,
  since_ms   INTEGER NOT NULL
) STRICT;
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
CREATE TABLE records (
  record_no   INTEGER PRIMARY KEY,
  record_id   BLOB NOT NULL UNIQUE,
  kind        TEXT NOT NULL,
  scope       TEXT NOT NULL,
  parent_no   INTEGER,                 -- the incident a comment or step belongs to
  state       TEXT NOT NULL,
  received_ms INTEGER
) STRICT;
CREATE TABLE reviews (
  record_no INTEGER NOT NULL REFERENCES records,
  field     TEXT NOT NULL,
  since_ms  INTEGER NOT NULL,
  PRIMARY KEY (record_no, field)
) STRICT, WITHOUT ROWID;
CREATE TABLE scopes (
  scope TEXT PRIMARY KEY,
  seq   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE feed (
  scope     TEXT NOT NULL,
  seq       INTEGER NOT NULL,
  change_no INTEGER NOT NULL REFERENCES changes, tag INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (scope, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE cursors (
  scope  TEXT PRIMARY KEY,
  cursor TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE links (
  origin_no INTEGER NOT NULL REFERENCES origins,
  seq       INTEGER NOT NULL,
  link      BLOB NOT NULL,
  PRIMARY KEY (origin_no, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE incidents (
  incident_no    INTEGER PRIMARY KEY REFERENCES records,
  incident_id    BLOB NOT NULL,
  occurred_at_ms INTEGER NOT NULL,
  store_code     TEXT NOT NULL,
  status         TEXT NOT NULL,
  category       TEXT NOT NULL,
  severity       INTEGER NOT NULL,
  reported_by    TEXT NOT NULL,
  deleted        INTEGER NOT NULL,
  reference      TEXT NOT NULL,
  people         TEXT NOT NULL,        -- names, folded for search, one a line; empty for most
  comment_count  INTEGER NOT NULL,
  photo_count    INTEGER NOT NULL,
  received_ms    INTEGER
, thumbnail_id BLOB, photos_rev INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE documents (
  incident_no INTEGER PRIMARY KEY REFERENCES records,
  version     TEXT NOT NULL,
  doc         TEXT NOT NULL,
  claim       BLOB                     -- digest of the content as first sent here, so that a repeat of the id is recognised
) STRICT;
CREATE TABLE incident_tags (
  tag            TEXT NOT NULL,
  occurred_at_ms INTEGER NOT NULL,
  incident_id    BLOB NOT NULL,
  incident_no    INTEGER NOT NULL REFERENCES incidents,
  PRIMARY KEY (tag, occurred_at_ms, incident_id)
) STRICT, WITHOUT ROWID;
CREATE VIRTUAL TABLE incident_words USING fts5 (
  words, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 0"
);
CREATE VIRTUAL TABLE incident_names USING fts5 (
  names, content = '', contentless_delete = 1, detail = full, tokenize = "trigram case_sensitive 1"
);
CREATE TABLE comments (
  comment_no  INTEGER PRIMARY KEY REFERENCES records,
  comment_id  BLOB NOT NULL,
  incident_no INTEGER NOT NULL,
  author      TEXT NOT NULL,
  kind        TEXT NOT NULL,
  body        TEXT NOT NULL,
  created_ms  INTEGER NOT NULL,
  hlc         INTEGER NOT NULL
) STRICT;
CREATE TABLE idempotency (
  key         TEXT PRIMARY KEY,        -- USERNAME/KEY
  digest      BLOB NOT NULL,           -- of the content as first sent
  incident_id BLOB NOT NULL,
  at_ms       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE stores (
  store_no   INTEGER PRIMARY KEY REFERENCES records,
  store_id   BLOB NOT NULL,
  store_code TEXT NOT NULL UNIQUE,
  name       TEXT NOT NULL,
  timezone   TEXT NOT NULL
) STRICT;
CREATE TABLE accounts (
  account_no    INTEGER PRIMARY KEY REFERENCES records,
  account_id    BLOB NOT NULL,
  username      TEXT NOT NULL UNIQUE,
  display_name  TEXT NOT NULL,
  role          TEXT NOT NULL,
  store_code    TEXT,
  password_hash TEXT NOT NULL,
  active        INTEGER NOT NULL
) STRICT;
CREATE TABLE sessions (
  token_hash BLOB PRIMARY KEY,
  username   TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE login_failures (
  username   TEXT PRIMARY KEY,         -- as typed, folded; also for accounts that do not exist
  failures   INTEGER NOT NULL,
  last_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE nodes (
  node_id         BLOB PRIMARY KEY,
  store_code      TEXT NOT NULL,
  name            TEXT NOT NULL,
  version         TEXT NOT NULL,
  enrolled_ms     INTEGER NOT NULL,
  revoked_ms      INTEGER,
  last_contact_ms INTEGER,
  clock_offset_ms INTEGER NOT NULL DEFAULT 0,
  status          TEXT NOT NULL DEFAULT '{}'  -- what the node last told of itself (message::NodeStatus)
, generation INTEGER NOT NULL DEFAULT 0, machine TEXT, restored_ms INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE credentials (
  node_id    BLOB NOT NULL REFERENCES nodes,
  generation INTEGER NOT NULL,
  auth       BLOB NOT NULL,
  proof      BLOB NOT NULL,
  issued_ms  INTEGER NOT NULL,
  used_ms    INTEGER,
  PRIMARY KEY (node_id, generation)
) STRICT, WITHOUT ROWID;
CREATE TABLE enrolment_codes (
  code_hash  BLOB PRIMARY KEY,
  store_code TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  used_ms    INTEGER,
  node_id    BLOB
) STRICT, WITHOUT ROWID;
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
CREATE TABLE photos (
  photo_no    INTEGER PRIMARY KEY REFERENCES records,
  photo_id    BLOB NOT NULL,
  incident_no INTEGER NOT NULL,
  sha256      TEXT NOT NULL,           -- of the original, in hexadecimal
  size_bytes  INTEGER NOT NULL,
  media_type  TEXT NOT NULL,
  filename    TEXT NOT NULL,
  caption     TEXT,
  taken_at    TEXT,
  width       INTEGER,
  height      INTEGER,
  state       TEXT NOT NULL,           -- processing, ready, undecodable
  uploaded_by TEXT NOT NULL,
  uploaded_ms INTEGER NOT NULL,
  hlc         INTEGER NOT NULL
) STRICT;
CREATE TABLE pieces (
  photo_no   INTEGER NOT NULL REFERENCES photos,
  lane       INTEGER NOT NULL,
  sha256     TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  at_hub     INTEGER NOT NULL,         -- 0 waiting, 1 sending, 2 verified
  PRIMARY KEY (photo_no, lane)
) STRICT, WITHOUT ROWID;
CREATE TABLE blobs (
  sha256     TEXT PRIMARY KEY,
  size_bytes INTEGER NOT NULL,
  kept_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE generation (
  only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
  stamp    INTEGER NOT NULL
) STRICT;
CREATE TRIGGER generation_incident_added AFTER INSERT ON incidents BEGIN UPDATE generation SET stamp = random(); END;
CREATE TRIGGER generation_incident_changed AFTER UPDATE ON incidents BEGIN UPDATE generation SET stamp = random(); END;
CREATE TRIGGER generation_incident_removed AFTER DELETE ON incidents BEGIN UPDATE generation SET stamp = random(); END;
CREATE TRIGGER generation_account_added AFTER INSERT ON accounts BEGIN UPDATE generation SET stamp = random(); END;
CREATE TRIGGER generation_account_changed AFTER UPDATE ON accounts BEGIN UPDATE generation SET stamp = random(); END;
CREATE TRIGGER generation_store_added AFTER INSERT ON stores BEGIN UPDATE generation SET stamp = random(); END;
CREATE TRIGGER generation_store_changed AFTER UPDATE ON stores BEGIN UPDATE generation SET stamp = random(); END;
CREATE TABLE inbox (
  item_id    BLOB PRIMARY KEY,
  sha256     TEXT NOT NULL UNIQUE,
  size_bytes INTEGER NOT NULL,
  filename   TEXT NOT NULL,
  found_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE epochs (
  epoch_no INTEGER PRIMARY KEY,
  epoch    BLOB NOT NULL UNIQUE,
  since_ms INTEGER NOT NULL,
  reason   TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX origins_mine ON origins (scope) WHERE mine = 1;
CREATE INDEX changes_record ON changes (record_id, change_no);
CREATE INDEX changes_outcome ON changes (outcome) WHERE outcome IS NOT NULL;
CREATE INDEX quarantine_record ON quarantine (record_id);
CREATE INDEX records_parent ON records (parent_no, record_no) WHERE parent_no IS NOT NULL;
CREATE INDEX incidents_order ON incidents
  (occurred_at_ms, incident_id, deleted, store_code, status, category, severity, reported_by);
CREATE INDEX incident_tags_incident ON incident_tags (incident_no, tag);
CREATE INDEX comments_incident ON comments (incident_no, hlc, comment_id);
CREATE INDEX accounts_store ON accounts (store_code, username);
CREATE INDEX sessions_expiry ON sessions (expires_ms);
CREATE INDEX sessions_username ON sessions (username);
CREATE INDEX login_failures_age ON login_failures (last_ms);
CREATE INDEX nodes_store ON nodes (store_code);
CREATE UNIQUE INDEX jobs_key ON jobs (kind, key) WHERE state <> 'dead';
CREATE INDEX jobs_due ON jobs (kind, priority, run_at_ms) WHERE state = 'waiting';
CREATE INDEX jobs_next ON jobs (kind, run_at_ms) WHERE state = 'waiting';
CREATE INDEX jobs_dead ON jobs (job_no) WHERE state = 'dead';
CREATE INDEX uploads_owner ON uploads (owner);
CREATE INDEX uploads_expiry ON uploads (expires_ms);
CREATE INDEX photos_incident ON photos (incident_no, hlc, photo_id);
CREATE INDEX pieces_content ON pieces (sha256);
CREATE INDEX pieces_waiting ON pieces (lane, photo_no) WHERE at_hub < 2;
CREATE INDEX pieces_small ON pieces (lane, photo_no DESC, sha256) WHERE lane < 2 AND at_hub = 2;
CREATE INDEX incidents_store    ON incidents (store_code, occurred_at_ms, incident_id);
CREATE INDEX incidents_status   ON incidents (status, occurred_at_ms, incident_id);
CREATE INDEX incidents_category ON incidents (category, occurred_at_ms, incident_id);
CREATE INDEX incidents_severity ON incidents (severity, occurred_at_ms, incident_id);
CREATE INDEX incidents_reporter ON incidents (reported_by, occurred_at_ms, incident_id);
INSERT INTO refinery_schema_history VALUES (1, 'ledger', '2026-11-28T11:31:20.763760738Z', '7797130279269066901');
INSERT INTO refinery_schema_history VALUES (2, 'incidents', '2026-11-28T11:31:20.763790183Z', '8697022501794211857');
INSERT INTO refinery_schema_history VALUES (3, 'accounts', '2026-11-28T11:31:20.763796214Z', '6771484077958300962');
INSERT INTO refinery_schema_history VALUES (4, 'fleet', '2026-11-28T11:31:20.763802316Z', '2775792509458170702');
INSERT INTO refinery_schema_history VALUES (5, 'work', '2026-11-28T11:31:20.763807325Z', '17763930878692098669');
INSERT INTO refinery_schema_history VALUES (6, 'photos', '2026-11-28T11:31:20.763812785Z', '12105157224410718582');
INSERT INTO refinery_schema_history VALUES (7, 'generation', '2026-11-28T11:31:20.763817464Z', '15302389774857922074');
INSERT INTO refinery_schema_history VALUES (8, 'inbox', '2026-11-28T11:31:20.763822033Z', '6158991082493796717');
INSERT INTO refinery_schema_history VALUES (9, 'pieces_small', '2026-11-28T11:31:20.763826671Z', '7238160024928320669');
INSERT INTO refinery_schema_history VALUES (10, 'histories', '2026-11-28T11:31:20.763831741Z', '2970176991860696506');
INSERT INTO refinery_schema_history VALUES (11, 'machines', '2026-11-28T11:31:20.763837241Z', '1628029686200988386');
INSERT INTO site VALUES ('note', 'of a frozen schema');
INSERT INTO counters VALUES ('hlc', 117646784921600000);
INSERT INTO origins VALUES (1, X'00000000000000000000000000000000', 'store/042', '042', 0, NULL, 1, X'0000000000000000000000000000000000000000000000000000000000000000', 0, 0);
INSERT INTO changes VALUES (1, 1, 1, X'00000000000000000000000000000000', 5, 7, NULL, '{}', NULL);
INSERT INTO quarantine VALUES (1, X'00000000000000000000000000000000', 0, 'bad-value', 'x', 9);
INSERT INTO records VALUES (1, X'00000000000000000000000000000000', 'weather', 'store/042', NULL, '{}', NULL);
INSERT INTO cursors VALUES ('company', 'c');
INSERT INTO sessions VALUES (X'0000000000000000000000000000000000000000000000000000000000000000', 'kim', 1, 2);
INSERT INTO nodes VALUES (X'00000000000000000000000000000000', '042', 'till', '0.1.0', 3, NULL, NULL, 0, '{}', 0, NULL, NULL);
INSERT INTO generation VALUES (1, 7041708269739903929);
