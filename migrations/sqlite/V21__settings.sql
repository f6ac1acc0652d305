-- What headquarters sets for its nodes, and what incidents say in words of the company's own.

-- One row for the company and one for each store that differs; follows from its record.
CREATE TABLE settings (
  settings_no INTEGER PRIMARY KEY REFERENCES records,
  settings_id BLOB NOT NULL UNIQUE,
  scope       TEXT NOT NULL,             -- company, or store/CODE
  fields      TEXT NOT NULL,             -- the values that stand, as a JSON object
  changed_ms  INTEGER NOT NULL           -- when the last of them was set
) STRICT;

-- Subcategory and custom fields of incidents, for the few that have them; follows from their documents.
CREATE TABLE incident_values (
  name           TEXT NOT NULL,          -- subcategory, or custom/KEY
  value          TEXT NOT NULL,          -- as text; longer ones than a filter can name are left out
  occurred_at_ms INTEGER NOT NULL,
  incident_id    BLOB NOT NULL,
  incident_no    INTEGER NOT NULL REFERENCES incidents,
  PRIMARY KEY (name, value, occurred_at_ms, incident_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX incident_values_incident ON incident_values (incident_no, name, value);
-- A document that the disk has damaged may hold anything: an audit tells of it, and no upgrade fails for it.
INSERT OR IGNORE INTO incident_values (name, value, occurred_at_ms, incident_id, incident_no)
  SELECT 'subcategory', json_extract(d.doc, '$.subcategory'), i.occurred_at_ms, i.incident_id, i.incident_no
  FROM documents d JOIN incidents i ON i.incident_no = d.incident_no
  WHERE json_valid(d.doc) AND json_type(d.doc, '$.subcategory') = 'text' AND length(json_extract(d.doc, '$.subcategory')) <= 200;
INSERT OR IGNORE INTO incident_values (name, value, occurred_at_ms, incident_id, incident_no)
  SELECT 'custom/' || c.key, CASE c.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE CAST(c.value AS TEXT) END,
         i.occurred_at_ms, i.incident_id, i.incident_no
  FROM documents d JOIN incidents i ON i.incident_no = d.incident_no
  JOIN json_each(CASE WHEN json_valid(d.doc) AND json_type(d.doc, '$.custom') = 'object' THEN d.doc ELSE '{"custom":{}}' END, '$.custom') c
  WHERE c.type IN ('text', 'integer', 'real', 'true', 'false') AND length(CAST(c.value AS TEXT)) <= 200;
