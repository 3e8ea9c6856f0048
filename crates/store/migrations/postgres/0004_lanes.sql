-- A job that waits for its time holds its lane back; whoever claims should not look at those behind it again and again. So they
-- wait as long as it does. This only spares work: whether a job may be claimed is the claim's own question, so it does no harm
-- that two transactions at once do not see each other here.
CREATE FUNCTION jobs_behind() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.run_at := GREATEST(NEW.run_at, (SELECT h.run_at FROM jobs h
        WHERE h.shop_id = NEW.shop_id AND h.lane = NEW.lane AND h.id < NEW.id ORDER BY h.id LIMIT 1));
    RETURN NEW;
END $$;
CREATE TRIGGER jobs_behind BEFORE INSERT ON jobs FOR EACH ROW WHEN (NEW.lane IS NOT NULL) EXECUTE FUNCTION jobs_behind();

-- Put off or called early, it takes those behind it along.
CREATE FUNCTION jobs_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE jobs SET run_at = NEW.run_at
    WHERE shop_id = NEW.shop_id AND lane = NEW.lane AND id > NEW.id AND leased_until = 0
        AND NOT EXISTS (SELECT 1 FROM jobs h WHERE h.shop_id = NEW.shop_id AND h.lane = NEW.lane AND h.id < NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER jobs_moved AFTER UPDATE OF run_at ON jobs FOR EACH ROW
    WHEN (NEW.lane IS NOT NULL AND NEW.run_at <> OLD.run_at AND pg_trigger_depth() = 0) EXECUTE FUNCTION jobs_moved();

UPDATE jobs j SET run_at =
    GREATEST(j.run_at, (SELECT h.run_at FROM jobs h WHERE h.shop_id = j.shop_id AND h.lane = j.lane ORDER BY h.id LIMIT 1))
WHERE j.lane IS NOT NULL AND j.leased_until = 0;
