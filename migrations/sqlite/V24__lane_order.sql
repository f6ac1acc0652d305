-- When the next job of each lane is due, without a look at every job that waits for a receiver that is away.
CREATE INDEX jobs_lane ON jobs (kind, lane, run_at_ms) WHERE state = 'waiting';
