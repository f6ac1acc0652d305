-- On which machine and in which folder a node runs (a digest of both), so that a backup that was restored there can be told from
-- a copy; and when that last happened.
ALTER TABLE nodes ADD COLUMN machine TEXT;
ALTER TABLE nodes ADD COLUMN restored_ms INTEGER;
