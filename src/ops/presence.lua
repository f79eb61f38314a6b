-- Stores a worker's sign of life with the time of Redis. The worker's own clock may be wrong by minutes.
--
-- KEYS 1 workers    hash worker -> JSON of version, lastSeen (ms) and intake (where its HTTP intake listens)
-- ARGV 1 worker     2 version     3 intake ('' if it has none)
--
-- Answers { isNew, timeMs }. isNew is 1 when the worker was not in the list: at its start, or after Redis lost
-- its data. By timeMs, Redis's time, the worker knows how far its own clock is ahead.

-- A write that needs no memory comes first, so that a full Redis runs the rest as well (docs/decisions/0050).
redis.call('HDEL', KEYS[1], '')

local t = redis.call('TIME')
local seen = { version = ARGV[2], lastSeen = t[1] * 1000 + math.floor(t[2] / 1000) }
if ARGV[3] ~= '' then
  seen.intake = ARGV[3]
end
local isNew = redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(seen))
return { isNew, string.format('%.0f', seen.lastSeen) }
