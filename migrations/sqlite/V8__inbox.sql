-- Files that came through the drop folder and name no incident: kept, until a person says where they belong.
CREATE TABLE inbox (
  item_id    BLOB PRIMARY KEY,
  sha256     TEXT NOT NULL UNIQUE,
  size_bytes INTEGER NOT NULL,
  filename   TEXT NOT NULL,
  found_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
