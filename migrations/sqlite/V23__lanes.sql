-- Jobs that go to one receiver share a lane: where nobody is there, one of them finds out and not all.
ALTER TABLE jobs ADD COLUMN lane TEXT NOT NULL DEFAULT '';
-- Since when a job is known to be set aside, so that what nobody looks at is forgotten in the end.
ALTER TABLE jobs ADD COLUMN died_ms INTEGER;
