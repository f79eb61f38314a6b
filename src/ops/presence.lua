-- sign: a worker's sign of life, by Redis's clock, since the worker's own may be off by minutes.
--
-- KEYS 1 workers    hash worker -> JSON of version, lastSeen (ms) and intake (where its HTTP intake listens)
-- ARGV 1 worker     2 version     3 intake ('' if it has none)
--
-- Answers {1 if the worker stood nowhere before (at its start, or when what Redis held is gone), Redis's time (ms),
-- by which the worker knows how far its own clock is off}.

-- A write that needs no memory comes first: so a full Redis runs the rest, too (docs/decisions/0050).
redis.call('HDEL', KEYS[1], '')

local t = redis.call('TIME')
local seen = { version = ARGV[2], lastSeen = t[1] * 1000 + math.floor(t[2] / 1000) }
if ARGV[3] ~= '' then
  seen.intake = ARGV[3]
end
local isNew = redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(seen))
return { isNew, string.format('%.0f', seen.lastSeen) }
