-- claim: a run takes a call record over.
--
-- KEYS 1 call record   2 open-calls   3 hold
-- ARGV 1 run           2 record format   3 callId   4 longest that a retry is put off (ms)
--
-- Answers {'gone'}                     finished work
--         {'foreign', format}          a newer version wrote it: left for who understands it
--         {'early', wait ms}           not due yet (its job came back from a worker that died)
--         {'yours', now ms, when the newest call that passed started (ms) or '0', field, value, field, value, ...}
-- Atomic, so that of two runs the later one owns the record and the earlier one can do nothing more.

-- A write that needs no memory comes first: so a full Redis runs the rest, too (docs/decisions/0050).
redis.call('HDEL', KEYS[1], '')

local record = redis.call('HMGET', KEYS[1], 'v', 'dueAt')
if not record[1] then
  return { 'gone' }
end
local t = redis.call('TIME')
local nowMs = t[1] * 1000 + math.floor(t[2] / 1000)
if tonumber(record[1]) ~= tonumber(ARGV[2]) then
  -- It does not stand in the way of others meanwhile: see back-pressure in cut.lua.
  redis.call('ZADD', KEYS[2], string.format('%.0f', nowMs + 5000), ARGV[3])
  return { 'foreign', record[1] }
end
local wait = tonumber(record[2] or 0) - nowMs
-- A due time further away than any back-off comes from another clock.
if wait > 1 and wait <= tonumber(ARGV[4]) then
  return { 'early', wait }
end
redis.call('HSET', KEYS[1], 'run', ARGV[1])
redis.call('ZADD', KEYS[2], string.format('%.0f', nowMs), ARGV[3])
return {
  'yours', string.format('%.0f', nowMs), redis.call('HGET', KEYS[3], 'passedAt') or '0',
  unpack(redis.call('HGETALL', KEYS[1])),
}
