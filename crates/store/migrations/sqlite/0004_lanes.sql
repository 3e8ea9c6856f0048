-- A job that waits for its time holds its lane back; whoever claims should not look at those behind it again and again. So they
-- wait as long as it does. This only spares work: whether a job may be claimed is the claim's own question.
CREATE TRIGGER jobs_behind AFTER INSERT ON jobs WHEN NEW.lane IS NOT NULL
BEGIN
    UPDATE jobs SET run_at = (SELECT h.run_at FROM jobs h WHERE h.shop_id = NEW.shop_id AND h.lane = NEW.lane ORDER BY h.id LIMIT 1)
    WHERE shop_id = NEW.shop_id AND id = NEW.id AND run_at <
        (SELECT h.run_at FROM jobs h WHERE h.shop_id = NEW.shop_id AND h.lane = NEW.lane ORDER BY h.id LIMIT 1);
END;

-- Put off or called early, it takes those behind it along.
CREATE TRIGGER jobs_moved AFTER UPDATE OF run_at ON jobs WHEN NEW.lane IS NOT NULL AND NEW.run_at <> OLD.run_at
    AND NEW.id = (SELECT MIN(h.id) FROM jobs h WHERE h.shop_id = NEW.shop_id AND h.lane = NEW.lane)
BEGIN
    UPDATE jobs SET run_at = NEW.run_at
    WHERE shop_id = NEW.shop_id AND lane = NEW.lane AND id > NEW.id AND leased_until = 0;
END;

UPDATE jobs AS j SET run_at =
    MAX(j.run_at, (SELECT h.run_at FROM jobs h WHERE h.shop_id = j.shop_id AND h.lane = j.lane ORDER BY h.id LIMIT 1))
WHERE j.lane IS NOT NULL AND j.leased_until = 0;
