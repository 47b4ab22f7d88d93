-- The reference's figures over the runs that started in a range, but for its error codes (top_errors.sql).
WITH chosen AS (FROM runs_between($since, $until, $user)),
money AS (
    SELECT
        coalesce(sum(charged) FILTER (kind = 'settlement'), 0)::BIGINT AS used,
        coalesce(sum(amount) FILTER (kind = 'refund'), 0)::BIGINT AS refunded
    FROM credits SEMI JOIN chosen USING (run_id)
),
counted AS (
    SELECT
        count(outcome) AS total,
        count(*) FILTER (outcome = 'successful') AS successful,
        count(*) FILTER (outcome = 'failed') AS failed,
        avg(duration_ms) FILTER (outcome IS NOT NULL) AS average_ms,
        coalesce(sum(made), 0)::BIGINT AS made
    FROM chosen
)
SELECT
    total AS total_generations,
    successful AS successful_generations,
    failed AS failed_generations,
    round(100.0 * successful / nullif(total, 0), 2) AS success_rate_percent,
    round(average_ms)::BIGINT AS average_duration_ms,
    made AS total_poses_generated,
    used AS credits_used,
    refunded AS credits_refunded,
    round(100.0 * refunded / nullif(used, 0), 2) AS refund_rate_percent
FROM counted, money;
