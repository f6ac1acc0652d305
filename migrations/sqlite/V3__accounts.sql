-- Stores and accounts are records; these tables are what they make. Sessions and failed logins stay on their site.
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
CREATE INDEX accounts_store ON accounts (store_code, username);

CREATE TABLE sessions (
  token_hash BLOB PRIMARY KEY,
  username   TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_expiry ON sessions (expires_ms);
CREATE INDEX sessions_username ON sessions (username);

CREATE TABLE login_failures (
  username   TEXT PRIMARY KEY,         -- as typed, folded; also for accounts that do not exist
  failures   INTEGER NOT NULL,
  last_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX login_failures_age ON login_failures (last_ms);
