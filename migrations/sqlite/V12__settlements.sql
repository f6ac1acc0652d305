-- What people decide: about changes in quarantine, and between edits that met.

-- The incident that a change in quarantine belongs to; and whether a person decided against it: then it is kept, out of its
-- record for good, and nothing waits behind it.
ALTER TABLE quarantine ADD COLUMN parent_id BLOB;
ALTER TABLE quarantine ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;
UPDATE quarantine SET parent_id = (
  SELECT CASE WHEN json_valid(c.body) AND json_extract(c.body, '$.kind') <> 'incident'
              THEN unhex(replace(json_extract(c.body, '$.set.incident_id'), '-', '')) END
  FROM changes c WHERE c.change_no = quarantine.change_no
);
CREATE INDEX quarantine_parent ON quarantine (parent_id) WHERE parent_id IS NOT NULL;

-- Which changes people settled, known also before the change itself is.
CREATE TABLE settlements (
  settlement_no INTEGER PRIMARY KEY REFERENCES records,
  origin        BLOB NOT NULL,
  seq           INTEGER NOT NULL,
  decided       INTEGER NOT NULL       -- 1: it stays out of its record
) STRICT;
CREATE INDEX settlements_change ON settlements (origin, seq);

-- The change that settled a review; null while it is open.
ALTER TABLE reviews ADD COLUMN settled_no INTEGER;
