-- How far a content has got that arrives in an upload: asked whenever somebody looks at a photo that is not there yet.
CREATE INDEX uploads_content ON uploads (metadata ->> 'sha256') WHERE result IS NULL;
