-- What lets a hub that was restored from a backup find its way back.

-- The hub's seal on a change that came from it, for the day it has forgotten that change (node).
ALTER TABLE changes ADD COLUMN seal BLOB;
-- Up to which number a verified backup of the hub holds the stream too.
ALTER TABLE origins ADD COLUMN durable_seq INTEGER NOT NULL DEFAULT 0;
-- Four bytes of a digest of the change that has the number: a cursor names it, so that another change under it is found out.
ALTER TABLE feed ADD COLUMN tag INTEGER NOT NULL DEFAULT 0;
-- The newest credential ever issued to the node: a generation is never given out twice, even if nobody used it.
ALTER TABLE nodes ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;

-- The hub's histories but for the first one, and why each began.
CREATE TABLE epochs (
  epoch_no INTEGER PRIMARY KEY,
  epoch    BLOB NOT NULL UNIQUE,
  since_ms INTEGER NOT NULL,
  reason   TEXT NOT NULL
) STRICT;
