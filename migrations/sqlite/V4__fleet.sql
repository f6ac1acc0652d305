-- The hub's nodes and how they prove who they are.
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
) STRICT, WITHOUT ROWID;
CREATE INDEX nodes_store ON nodes (store_code);

-- At most two of a node are good: the current one and, until that is used for the first time, the one before.
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
