-- Photos and other files of incidents: what is said of them, the content that is here, and how far that has got to headquarters.

-- The first photo that can be shown, and a count that moves with everything an answer says of the incident's photos.
ALTER TABLE incidents ADD COLUMN thumbnail_id BLOB;
ALTER TABLE incidents ADD COLUMN photos_rev INTEGER NOT NULL DEFAULT 0;

CREATE TABLE photos (
  photo_no    INTEGER PRIMARY KEY REFERENCES records,
  photo_id    BLOB NOT NULL,
  incident_no INTEGER NOT NULL,
  sha256      TEXT NOT NULL,           -- of the original, in hexadecimal
  size_bytes  INTEGER NOT NULL,
  media_type  TEXT NOT NULL,
  filename    TEXT NOT NULL,
  caption     TEXT,
  taken_at    TEXT,
  width       INTEGER,
  height      INTEGER,
  state       TEXT NOT NULL,           -- processing, ready, undecodable
  uploaded_by TEXT NOT NULL,
  uploaded_ms INTEGER NOT NULL,
  hlc         INTEGER NOT NULL
) STRICT;
CREATE INDEX photos_incident ON photos (incident_no, hlc, photo_id);

-- The contents a photo consists of: 0 its thumbnail, 1 its display image, 2 its original.
CREATE TABLE pieces (
  photo_no   INTEGER NOT NULL REFERENCES photos,
  lane       INTEGER NOT NULL,
  sha256     TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  at_hub     INTEGER NOT NULL,         -- 0 waiting, 1 sending, 2 verified
  PRIMARY KEY (photo_no, lane)
) STRICT, WITHOUT ROWID;
CREATE INDEX pieces_content ON pieces (sha256);
-- What has yet to get to headquarters, smallest kind first; empty in a quiet store.
CREATE INDEX pieces_waiting ON pieces (lane, photo_no) WHERE at_hub < 2;

-- Contents that are durable in this site's folder.
CREATE TABLE blobs (
  sha256     TEXT PRIMARY KEY,
  size_bytes INTEGER NOT NULL,
  kept_ms    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
