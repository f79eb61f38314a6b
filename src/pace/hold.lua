-- hold: what stops the whole fleet, and what lets it go on.
--
-- KEYS 1 hold hash: epoch, held (JSON), heldSince, nextProbeAt, probeUntil, probeGapMs, heldMs, paused
-- ARGV 1 operation  2 epoch of the slot that the answer belongs to  3 channel  4 JSON  5 gap (ms)  6 greatest gap (ms)
--
-- Operations
--   set     an answer says that no call can succeed
--   clear   an answer proves that calls succeed again
--   wait    a probe came back without proof: the next one goes out after the same gap
--   pause   an operator stops the fleet (ARGV 4: {reason, since})     resume  and lets it go on
-- An answer from an older epoch neither sets nor clears anything: it was on the wire when things changed.
--
-- Answers 'set', 'postponed', 'cleared', 'waiting', 'paused', 'resumed', or 'stale' / 'same' when nothing changed.

local op = ARGV[1]
local epoch = redis.call('HGET', KEYS[1], 'epoch') or '0'
local t = redis.call('TIME')
local nowMs = t[1] * 1000 + math.floor(t[2] / 1000)
local function text(n) return string.format('%.0f', n) end

local function changed()
  local next = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
  redis.call('PUBLISH', ARGV[3], next)
end

if op == 'pause' or op == 'resume' then
  local paused = redis.call('HEXISTS', KEYS[1], 'paused') == 1
  if paused == (op == 'pause') then
    return 'same'
  end
  if op == 'pause' then
    redis.call('HSET', KEYS[1], 'paused', ARGV[4])
  else
    redis.call('HDEL', KEYS[1], 'paused')
  end
  changed()
  return op .. 'd'
end

if ARGV[2] ~= epoch then
  return 'stale'
end
local held = redis.call('HGET', KEYS[1], 'held')

if op == 'set' then
  local gap = tonumber(ARGV[5])
  if held then
    gap = math.min(math.max(gap, 2 * tonumber(redis.call('HGET', KEYS[1], 'probeGapMs') or gap)), tonumber(ARGV[6]))
  end
  redis.call('HSET', KEYS[1], 'held', ARGV[4], 'nextProbeAt', text(nowMs + gap), 'probeGapMs', text(gap))
  redis.call('HDEL', KEYS[1], 'probeUntil')
  if held then
    return 'postponed'
  end
  redis.call('HSET', KEYS[1], 'heldSince', text(nowMs))
  changed()
  return 'set'
end

if not held then
  return 'same'
end
if op == 'wait' then
  local gap = tonumber(redis.call('HGET', KEYS[1], 'probeGapMs') or 1000)
  redis.call('HSET', KEYS[1], 'nextProbeAt', text(nowMs + gap))
  redis.call('HDEL', KEYS[1], 'probeUntil')
  return 'waiting'
end
-- clear: the time held counts against no event's age.
local since = tonumber(redis.call('HGET', KEYS[1], 'heldSince') or nowMs)
redis.call('HINCRBY', KEYS[1], 'heldMs', text(math.max(0, nowMs - since)))
redis.call('HDEL', KEYS[1], 'held', 'heldSince', 'nextProbeAt', 'probeUntil', 'probeGapMs')
changed()
return 'cleared'
