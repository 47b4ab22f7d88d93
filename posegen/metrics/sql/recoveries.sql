-- Attempts that went on with a run, and what they did not have to make again.
WITH attempt_of AS (
    SELECT *, lag(coalesce(outcome, 'cut off')) OVER (PARTITION BY run_id ORDER BY attempt) AS after
    FROM attempts
    WHERE kind NOT IN ('export', 'measure')
)
SELECT
    a.run_id,
    a.attempt,
    any_value(a.kind) AS kind,
    any_value(a.started_at) AS started_at,
    any_value(a.after) AS after,
    count(i.task_id) AS images_saved,
    round(coalesce(fsum(i.duration_ms), 0) / 1000, 1) AS seconds_saved,
    round(fsum(i.cost_usd), 4) AS usd_saved,
    any_value(a.made) AS made
FROM attempt_of AS a
    SEMI JOIN runs_between($since, $until, $user) AS chosen USING (run_id)
    LEFT JOIN all_images AS i ON i.run_id = a.run_id AND i.attempt < a.attempt
WHERE a.after IS NOT NULL
GROUP BY a.run_id, a.attempt
ORDER BY started_at, a.run_id, a.attempt;
