-- Whom this site tells of what, and what it has told. A site's own: nothing of it replicates, and nothing in it is about anybody but
-- those who are told.

CREATE TABLE notification_rules (
  rule_id     BLOB PRIMARY KEY,
  rule        TEXT NOT NULL,           -- JSON (notifications::Rule)
  secret      TEXT,                    -- what a webhook is signed with (the file is readable by its owner alone)
  created_by  TEXT NOT NULL,
  created_ms  INTEGER NOT NULL,
  since_ms    INTEGER NOT NULL,        -- tells of nothing before: since when it is enabled
  since_no    INTEGER NOT NULL,        -- and of no change up to this one
  digested_no INTEGER NOT NULL DEFAULT 0, -- last message that a digest has told
  last_ms     INTEGER,                 -- when it was last tried to send something
  last_error  TEXT                     -- why that did not work; null: it did
) STRICT, WITHOUT ROWID;

-- What was told, one row for each rule and thing: its id follows from both, so that nothing is told twice.
CREATE TABLE notification_messages (
  message_no INTEGER PRIMARY KEY,
  message_id TEXT NOT NULL UNIQUE,
  rule_id    BLOB NOT NULL,
  what       TEXT NOT NULL,            -- JSON (notifications::What): ids and times
  state      TEXT NOT NULL,            -- waiting (there is a job), sent, gathered (for a digest)
  made_ms    INTEGER NOT NULL
) STRICT;
CREATE INDEX notification_messages_rule ON notification_messages (rule_id, state, message_no);
CREATE INDEX notification_messages_made ON notification_messages (rule_id, made_ms);

-- When something is to be looked at again: a follow-up that will be overdue, an OSHA clock that runs out.
CREATE TABLE notification_clocks (
  incident_id BLOB NOT NULL,
  what        TEXT NOT NULL,           -- overdue, osha, osha_passed
  at_ms       INTEGER NOT NULL,
  PRIMARY KEY (incident_id, what)
) STRICT, WITHOUT ROWID;
CREATE INDEX notification_clocks_at ON notification_clocks (at_ms);
