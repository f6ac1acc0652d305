-- What headquarters' console counts and keeps: losses, what administrators did, and what was wrong with nodes.

-- What an incident cost, for the few that say so; follows from its document.
CREATE TABLE losses (
  incident_no     INTEGER PRIMARY KEY REFERENCES incidents,
  currency        TEXT NOT NULL,          -- ISO 4217; empty: it was not said
  amount_minor    INTEGER NOT NULL,
  recovered_minor INTEGER NOT NULL
) STRICT;
INSERT INTO losses (incident_no, currency, amount_minor, recovered_minor)
  SELECT incident_no, coalesce(json_extract(doc, '$.loss.currency'), ''),
         -- A document that the disk has damaged may hold anything there: an audit tells of it, and no upgrade fails for it.
         CAST(coalesce(json_extract(doc, '$.loss.amount_minor'), 0) AS INTEGER),
         CAST(coalesce(json_extract(doc, '$.loss.recovered_minor'), 0) AS INTEGER)
  FROM documents
  WHERE json_valid(doc)
    AND (json_extract(doc, '$.loss.amount_minor') IS NOT NULL OR json_extract(doc, '$.loss.recovered_minor') IS NOT NULL);

-- What administrators and headquarters did, each written in the transaction of the act itself. Nothing here is ever altered or
-- removed: whoever could would not need to be watched.
CREATE TABLE acts (
  act_no     INTEGER PRIMARY KEY,
  at_ms      INTEGER NOT NULL,
  actor      TEXT NOT NULL,              -- username; of a command at the hub's prompt, what that calls itself
  act        TEXT NOT NULL,              -- such as node.revoke
  subject    TEXT NOT NULL,              -- the node, account, store, incident … it is about
  store_code TEXT NOT NULL,              -- empty: no one store
  details    TEXT NOT NULL,              -- what else there is to know, in words; no secrets
  change_no  INTEGER UNIQUE              -- the change that is the act, where it is one
) STRICT;
CREATE INDEX acts_act ON acts (act, act_no);
CREATE INDEX acts_actor ON acts (actor, act_no);
CREATE INDEX acts_subject ON acts (subject, act_no);
CREATE TRIGGER acts_are_never_altered BEFORE UPDATE ON acts BEGIN SELECT RAISE(ABORT, 'an act is never altered'); END;
CREATE TRIGGER acts_are_never_removed BEFORE DELETE ON acts BEGIN SELECT RAISE(ABORT, 'an act is never removed'); END;

-- What was wrong with a node, since when and until when; the hub looks every half minute. Bounded (ledger/sqlite/alarms.rs).
CREATE TABLE node_alarms (
  alarm_no INTEGER PRIMARY KEY,
  node_id  BLOB NOT NULL REFERENCES nodes,
  alarm    TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  until_ms INTEGER                       -- null: still
) STRICT;
CREATE UNIQUE INDEX node_alarms_open ON node_alarms (node_id, alarm) WHERE until_ms IS NULL;
CREATE INDEX node_alarms_node ON node_alarms (node_id, alarm_no);
CREATE INDEX node_alarms_over ON node_alarms (until_ms) WHERE until_ms IS NOT NULL;

-- What belongs to a node is counted for each of thousands of nodes at once.
CREATE INDEX origins_node ON origins (node_id) WHERE node_id IS NOT NULL;
CREATE INDEX forks_node ON forks (node_id);
