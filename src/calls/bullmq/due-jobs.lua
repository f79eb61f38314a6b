-- due-jobs: how many jobs of a queue could run now? Reads only.
--
-- KEYS 1 wait       BullMQ's list of jobs that wait
--      2 delayed    its set of those put off, by the time they are due in its own form
-- ARGV 1 due        the score of jobs that are due
--
-- Answers the number. One script, since every worker asks it every few seconds, however idle. Cost: O(log jobs).

return redis.call('LLEN', KEYS[1]) + redis.call('ZCOUNT', KEYS[2], '-inf', ARGV[1])
