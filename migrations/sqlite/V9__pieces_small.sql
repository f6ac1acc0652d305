-- What a node looks through for small contents that only headquarters has: newest first, without sorting and without originals.
CREATE INDEX pieces_small ON pieces (lane, photo_no DESC, sha256) WHERE lane < 2 AND at_hub = 2;
