-- owner-time: the clock of the server that holds the app's keys, for Redis Cluster, where TIME without a key goes
-- to any node, and every node has a clock of its own. Reads only.
--
-- KEYS 1 any key of the app
-- Answers {seconds, microseconds}.

return redis.call('TIME')
