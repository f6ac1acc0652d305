-- What people have at this site and nowhere else: none of it is a record, none of it travels.

-- Who has shown the password on which device, and how often a wrong PIN was tried there since the last right one.
CREATE TABLE devices (
  device_hash BLOB NOT NULL,           -- of the browser's own cookie
  username    TEXT NOT NULL,
  proof       BLOB NOT NULL,           -- a digest of the password's hash: another password has to be shown anew
  password_ms INTEGER NOT NULL,
  failures    INTEGER NOT NULL DEFAULT 0,
  last_ms     INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (device_hash, username)
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_age ON devices (password_ms);

CREATE TABLE pins (
  username TEXT PRIMARY KEY,
  pin_hash TEXT NOT NULL,
  set_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What somebody is typing. `fields` is null once it was sent or thrown away: what comes late does not bring it back.
CREATE TABLE drafts (
  username   TEXT NOT NULL,
  draft_id   BLOB NOT NULL,
  fields     TEXT,                     -- JSON: names and values
  changed_ms INTEGER NOT NULL,
  PRIMARY KEY (username, draft_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX drafts_age ON drafts (changed_ms);

-- Filters of the list that somebody has given a name.
CREATE TABLE views (
  username TEXT NOT NULL,
  view_id  BLOB NOT NULL,
  name     TEXT NOT NULL,
  filters  TEXT NOT NULL,              -- JSON: names and values
  made_ms  INTEGER NOT NULL,
  PRIMARY KEY (username, view_id)
) STRICT, WITHOUT ROWID;
