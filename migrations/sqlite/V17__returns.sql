-- Headquarters: the secret was given to a node that came back with an old one. Its first use says that the node was restored; the
-- request that asked for it may have been an old one that took long.
ALTER TABLE credentials ADD COLUMN returns INTEGER NOT NULL DEFAULT 0;
