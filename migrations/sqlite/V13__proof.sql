-- Proof that replicas agree, and what bit rot did.

-- A digest over place and body: tells which change of a broken chain is the damaged one.
ALTER TABLE changes ADD COLUMN digest BLOB;
CREATE INDEX changes_undigested ON changes (change_no) WHERE digest IS NULL;

-- What a record's state sums up to (checksum::record_sum, as two integers), and which bucket of its scope it is dealt into.
ALTER TABLE records ADD COLUMN bucket INTEGER;
ALTER TABLE records ADD COLUMN sum_a INTEGER;
ALTER TABLE records ADD COLUMN sum_b INTEGER;
CREATE INDEX records_unsummed ON records (record_no) WHERE sum_a IS NULL;

-- For each scope and bucket, how many records there are and the exclusive or of their sums. Kept by the triggers below, so in
-- whatever transaction a record changes. SQLite has no exclusive or: a ^ b is (a | b) - (a & b), which never overflows.
CREATE TABLE checksums (
  scope   TEXT NOT NULL,
  bucket  INTEGER NOT NULL,
  records INTEGER NOT NULL,
  sum_a   INTEGER NOT NULL,
  sum_b   INTEGER NOT NULL,
  PRIMARY KEY (scope, bucket)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER records_sum_added AFTER INSERT ON records WHEN NEW.sum_a IS NOT NULL BEGIN
  INSERT INTO checksums (scope, bucket, records, sum_a, sum_b) VALUES (NEW.scope, NEW.bucket, 1, NEW.sum_a, NEW.sum_b)
    ON CONFLICT (scope, bucket) DO UPDATE SET records = records + 1,
      sum_a = (sum_a | excluded.sum_a) - (sum_a & excluded.sum_a), sum_b = (sum_b | excluded.sum_b) - (sum_b & excluded.sum_b);
END;
CREATE TRIGGER records_sum_removed AFTER DELETE ON records WHEN OLD.sum_a IS NOT NULL BEGIN
  UPDATE checksums SET records = records - 1,
      sum_a = (sum_a | OLD.sum_a) - (sum_a & OLD.sum_a), sum_b = (sum_b | OLD.sum_b) - (sum_b & OLD.sum_b)
    WHERE scope = OLD.scope AND bucket = OLD.bucket;
END;
CREATE TRIGGER records_sum_out AFTER UPDATE OF scope, bucket, sum_a, sum_b ON records WHEN OLD.sum_a IS NOT NULL BEGIN
  UPDATE checksums SET records = records - 1,
      sum_a = (sum_a | OLD.sum_a) - (sum_a & OLD.sum_a), sum_b = (sum_b | OLD.sum_b) - (sum_b & OLD.sum_b)
    WHERE scope = OLD.scope AND bucket = OLD.bucket;
END;
CREATE TRIGGER records_sum_in AFTER UPDATE OF scope, bucket, sum_a, sum_b ON records WHEN NEW.sum_a IS NOT NULL BEGIN
  INSERT INTO checksums (scope, bucket, records, sum_a, sum_b) VALUES (NEW.scope, NEW.bucket, 1, NEW.sum_a, NEW.sum_b)
    ON CONFLICT (scope, bucket) DO UPDATE SET records = records + 1,
      sum_a = (sum_a | excluded.sum_a) - (sum_a & excluded.sum_a), sum_b = (sum_b | excluded.sum_b) - (sum_b & excluded.sum_b);
END;

-- The last comparison with the other side, for each node (at a node: itself) and scope.
CREATE TABLE checkpoints (
  node_id    BLOB NOT NULL,
  scope      TEXT NOT NULL,
  at_ms      INTEGER NOT NULL,          -- by this site's clock
  state      TEXT NOT NULL,             -- equal, different, behind
  node_lacks INTEGER NOT NULL,          -- changes
  hub_lacks  INTEGER NOT NULL,
  records    INTEGER NOT NULL,          -- held here then
  sum        TEXT NOT NULL,
  equal_ms   INTEGER,                   -- when it was last equal
  damaged    INTEGER NOT NULL,          -- found at the node and not mended
  mended     INTEGER NOT NULL,
  PRIMARY KEY (node_id, scope)
) STRICT, WITHOUT ROWID;

-- What was found damaged, as it was found, and what became of it. Never deleted.
CREATE TABLE damage (
  damage_no INTEGER PRIMARY KEY,
  kind      TEXT NOT NULL,              -- change, record, content, table
  name      TEXT NOT NULL,              -- ORIGIN:SEQ, the record's id, the SHA-256, the table
  scope     TEXT,
  what      TEXT NOT NULL,              -- in words
  aside     TEXT,                       -- what was there
  found_ms  INTEGER NOT NULL,
  mended_ms INTEGER,
  how       TEXT
) STRICT;
CREATE UNIQUE INDEX damage_open ON damage (kind, name) WHERE mended_ms IS NULL;

-- How far the scrub has got with each part of what is kept.
CREATE TABLE scrub (
  part     TEXT PRIMARY KEY,
  position TEXT NOT NULL,               -- everything up to here has been read in this round
  began_ms INTEGER NOT NULL,            -- the round
  ended_ms INTEGER                      -- the last whole round
) STRICT, WITHOUT ROWID;
