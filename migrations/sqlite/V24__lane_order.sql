-- When the next job of each lane is due, and which one, without a look at every job that waits for a receiver that is away.
CREATE INDEX jobs_lane ON jobs (kind, lane, run_at_ms) WHERE state = 'waiting';
DROP INDEX jobs_next;
DROP INDEX jobs_due;
CREATE INDEX jobs_due ON jobs (kind, priority, run_at_ms, job_no, lane) WHERE state = 'waiting';
