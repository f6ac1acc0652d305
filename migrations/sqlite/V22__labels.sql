-- Reports and lists say what the company calls its fields: what is kept of them is of no use once that is another word.
CREATE TRIGGER generation_settings_added AFTER INSERT ON settings BEGIN UPDATE generation SET stamp = random(); END;
CREATE TRIGGER generation_settings_changed AFTER UPDATE ON settings BEGIN UPDATE generation SET stamp = random(); END;
CREATE TRIGGER generation_settings_removed AFTER DELETE ON settings BEGIN UPDATE generation SET stamp = random(); END;
-- What is kept from before says the keys.
UPDATE generation SET stamp = random();
