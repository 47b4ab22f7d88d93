-- Users by how many of their runs have ended.
WITH chosen AS (FROM runs_between($since, $until, $user)),
money AS (
    SELECT
        run_id,
        sum(charged) FILTER (kind = 'settlement') AS used,
        sum(amount) FILTER (kind = 'refund') AS refunded
    FROM credits
    WHERE run_id IS NOT NULL
    GROUP BY run_id
)
SELECT
    "user",
    count(outcome) AS generations,
    count(*) FILTER (outcome = 'successful') AS successful,
    count(*) FILTER (outcome = 'failed') AS failed,
    coalesce(sum(made), 0)::BIGINT AS poses,
    coalesce(sum(used), 0)::BIGINT AS credits_used,
    coalesce(sum(refunded), 0)::BIGINT AS credits_refunded,
    max(started_at) AS last_started_at
FROM chosen LEFT JOIN money USING (run_id)
GROUP BY "user"
HAVING count(outcome) > 0
ORDER BY generations DESC, poses DESC, "user"
LIMIT $limit;
