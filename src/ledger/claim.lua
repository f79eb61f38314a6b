-- claim: a run takes a call record over.
--
-- KEYS 1 call record   2 open-calls
-- ARGV 1 run           2 record format   3 callId
--
-- Answers {'gone'}                     finished work
--         {'foreign', format}          a newer version wrote it: left for who understands it
--         {'early', wait ms}           not due yet (its job came back from a worker that died)
--         {'yours', now ms, field, value, field, value, ...}
-- Atomic, so that of two runs the later one owns the record and the earlier one can do nothing more.

local record = redis.call('HMGET', KEYS[1], 'v', 'dueAt')
if not record[1] then
  return { 'gone' }
end
if tonumber(record[1]) ~= tonumber(ARGV[2]) then
  return { 'foreign', record[1] }
end
local t = redis.call('TIME')
local nowMs = t[1] * 1000 + math.floor(t[2] / 1000)
local wait = tonumber(record[2] or 0) - nowMs
-- A due time further away than any back-off comes from another clock.
if wait > 1 and wait < 86400000 then
  return { 'early', wait }
end
redis.call('HSET', KEYS[1], 'run', ARGV[1])
redis.call('ZADD', KEYS[2], string.format('%.0f', nowMs), ARGV[3])
return { 'yours', string.format('%.0f', nowMs), unpack(redis.call('HGETALL', KEYS[1])) }
