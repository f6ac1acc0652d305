-- What headquarters adds when a folder becomes a hub: an index for each filter, every one in the list's order.
CREATE INDEX IF NOT EXISTS incidents_store    ON incidents (store_code, occurred_at_ms, incident_id);
CREATE INDEX IF NOT EXISTS incidents_status   ON incidents (status, occurred_at_ms, incident_id);
CREATE INDEX IF NOT EXISTS incidents_category ON incidents (category, occurred_at_ms, incident_id);
CREATE INDEX IF NOT EXISTS incidents_severity ON incidents (severity, occurred_at_ms, incident_id);
CREATE INDEX IF NOT EXISTS incidents_reporter ON incidents (reported_by, occurred_at_ms, incident_id);
