-- owner-info: what the server that holds the app's keys says of itself, for Redis Cluster, where INFO without a
-- key goes to any node. Reads only.
--
-- KEYS 1 any key of the app
-- Answers INFO's text.

return redis.call('INFO')
