-- What a hub knows of programs it meets: the newest protocol version each node speaks, and requests it refused.
ALTER TABLE nodes ADD COLUMN newest_protocol INTEGER NOT NULL DEFAULT 0; -- 0: has not said yet

-- One row for each node that was named in a refused request and each reason; bounded (ledger/sqlite/refusals.rs).
CREATE TABLE refused_nodes (
  node_id  BLOB NOT NULL,       -- as the request said: proven only where `proven` says so
  code     TEXT NOT NULL,       -- why, as the protocol names it
  proven   INTEGER NOT NULL,    -- 1: it knew a secret that was once the node's
  agent    TEXT NOT NULL,       -- what the program called itself
  count    INTEGER NOT NULL,
  first_ms INTEGER NOT NULL,
  last_ms  INTEGER NOT NULL,
  PRIMARY KEY (node_id, code)
) STRICT, WITHOUT ROWID;
CREATE INDEX refused_nodes_last ON refused_nodes (proven, last_ms);
