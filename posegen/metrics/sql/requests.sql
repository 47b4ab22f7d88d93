-- Requests to providers: how many an image took, and how long it was from the last of them to the image.
WITH sent AS (
    SELECT run_id, task_id, count(*) AS requests, max(logged_at) AS sent_at
    FROM events SEMI JOIN runs_between($since, $until, $user) AS chosen USING (run_id)
    WHERE event = 'task_submitted'
    GROUP BY run_id, task_id
)
SELECT
    backend,
    count(*) AS images,
    sum(requests)::BIGINT AS requests,
    count(*) FILTER (requests > 1) AS asked_again,
    round(quantile_cont(epoch_ms(made_at) - epoch_ms(sent_at), 0.5) / 1000, 2) AS p50_wait_s,
    round(quantile_cont(epoch_ms(made_at) - epoch_ms(sent_at), 0.95) / 1000, 2) AS p95_wait_s
FROM sent JOIN all_images USING (run_id, task_id)
GROUP BY backend
ORDER BY backend;
