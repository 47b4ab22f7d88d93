-- What people query. The tables below (live_*) hold what was folded now, all_* those and the compacted files.
CREATE VIEW runs AS SELECT * FROM all_runs;
CREATE VIEW poses AS SELECT * FROM live_poses;
CREATE VIEW credits AS SELECT * FROM all_credits;
-- The category belongs to the library, not to the journal: NULL for a pose of one's own.
CREATE VIEW images AS
    SELECT i.*, p.category FROM all_images AS i LEFT JOIN live_poses AS p USING (pose_id);
CREATE VIEW events AS SELECT * FROM all_events;
CREATE VIEW errors AS SELECT * FROM all_errors;
CREATE VIEW exports AS SELECT * FROM all_exports;
CREATE VIEW stages AS SELECT * FROM all_stages;
CREATE VIEW candidates AS SELECT * FROM all_candidates;
CREATE VIEW attempts AS SELECT * FROM all_attempts;
-- Runs that started from `since` on and before `until`, of user `who`; NULL leaves a bound open.
CREATE MACRO runs_between(since, until, who) AS TABLE
    SELECT * FROM runs
    WHERE (since IS NULL OR started_at >= since::TIMESTAMP)
        AND (until IS NULL OR started_at < until::TIMESTAMP)
        AND (who IS NULL OR "user" = who);
