-- What lists, counts and incidents show has a stamp that becomes another one with every change of it. Anything derived is kept
-- under the stamp it was made from, so that it can be of no use once that has changed. A random number rather than a count: a
-- database that was restored from a backup must not come to a stamp that stood for something else before.
CREATE TABLE generation (
  only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
  stamp    INTEGER NOT NULL
) STRICT;
INSERT INTO generation VALUES (1, random());

CREATE TRIGGER generation_incident_added AFTER INSERT ON incidents BEGIN UPDATE generation SET stamp = random(); END;
CREATE TRIGGER generation_incident_changed AFTER UPDATE ON incidents BEGIN UPDATE generation SET stamp = random(); END;
CREATE TRIGGER generation_incident_removed AFTER DELETE ON incidents BEGIN UPDATE generation SET stamp = random(); END;
CREATE TRIGGER generation_account_added AFTER INSERT ON accounts BEGIN UPDATE generation SET stamp = random(); END;
CREATE TRIGGER generation_account_changed AFTER UPDATE ON accounts BEGIN UPDATE generation SET stamp = random(); END;
CREATE TRIGGER generation_store_added AFTER INSERT ON stores BEGIN UPDATE generation SET stamp = random(); END;
CREATE TRIGGER generation_store_changed AFTER UPDATE ON stores BEGIN UPDATE generation SET stamp = random(); END;
