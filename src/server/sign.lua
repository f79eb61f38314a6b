-- sign: a worker's sign of life, by Redis's clock, since the worker's own may be off by minutes.
--
-- KEYS 1 workers    hash worker -> JSON of version and lastSeen (ms)
-- ARGV 1 worker     2 version

-- A write that needs no memory comes first: so a full Redis runs the rest, too (docs/decisions/0050).
redis.call('HDEL', KEYS[1], '')

local t = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode({ version = ARGV[2], lastSeen = t[1] * 1000 + math.floor(t[2] / 1000) }))
