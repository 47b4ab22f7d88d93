-- What failed, by what was being made and code, and what was given back for it.
WITH refunds AS (
    SELECT run_id, task_id, sum(amount) AS amount
    FROM credits
    WHERE kind = 'refund'
    GROUP BY run_id, task_id
),
shown AS (
    -- Only an image that failed is paid back, not an export of it.
    SELECT e.*, CASE WHEN final AND kind IN ('generate', 'withheld') THEN refunds.amount END AS refunded
    FROM errors AS e
        SEMI JOIN runs_between($since, $until, $user) AS chosen USING (run_id)
        LEFT JOIN refunds USING (run_id, task_id)
)
SELECT
    kind,
    code,
    count(*) FILTER (final) AS failed,
    count(*) FILTER (NOT final) AS recovered,
    count(DISTINCT run_id) AS generations,
    round(100.0 * count(*) FILTER (final) / nullif(sum(count(*) FILTER (final)) OVER (), 0), 2) AS share_percent,
    coalesce(sum(refunded), 0)::BIGINT AS credits_refunded,
    min(failed_at) AS first_at,
    max(failed_at) AS last_at,
    arg_max(message, (failed_at, run_id, task_id)) AS last_message
FROM shown
GROUP BY kind, code
ORDER BY failed DESC, recovered DESC, kind, code
LIMIT $limit;
