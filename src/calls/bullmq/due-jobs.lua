-- due-jobs: how many jobs of a queue could run now? Reads only.
--
-- KEYS 1 wait       BullMQ's list of waiting jobs
--      2 delayed    BullMQ's sorted set of delayed jobs; the score tells when a job is due
-- ARGV 1 due        the greatest score of a due job
--
-- Answers the number. It is one script because every worker asks every few seconds, even an idle one.
-- Cost: O(log jobs).

return redis.call('LLEN', KEYS[1]) + redis.call('ZCOUNT', KEYS[2], '-inf', ARGV[1])
