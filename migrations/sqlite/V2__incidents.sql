-- What people look incidents up by. Narrow on purpose: documents are read only for the rows that are shown.
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
) STRICT;
-- The list's order, with every filter's column behind it: a filtered list is one walk along this index. A store's node has
-- no other, so that recording stays cheap; headquarters, with a thousand times the rows, adds one for each filter (hub.sql).
CREATE INDEX incidents_order ON incidents
  (occurred_at_ms, incident_id, deleted, store_code, status, category, severity, reported_by);

-- The incident as the API shows it, but for what other records add.
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
CREATE INDEX incident_tags_incident ON incident_tags (incident_no, tag);

-- Words of an incident, folded by `search::fold`; rowid is incident_no.
CREATE VIRTUAL TABLE incident_words USING fts5 (
  words, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 0"
);
-- Parts of people's names, folded; rowid is incident_no.
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
CREATE INDEX comments_incident ON comments (incident_no, hlc, comment_id);

-- A retry with an `Idempotency-Key` finds what the first try made.
CREATE TABLE idempotency (
  key         TEXT PRIMARY KEY,        -- USERNAME/KEY
  digest      BLOB NOT NULL,           -- of the content as first sent
  incident_id BLOB NOT NULL,
  at_ms       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
