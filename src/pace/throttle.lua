-- throttle: the API answered "too often". The command's shared rate goes down, and recovers by itself.
--
-- KEYS 1 pace:<command>   fields cutAt (us), cutBase, cutCeiling (calls/s), notBefore (us)
-- ARGV 1 time of the refused call's slot (us)   2 calls/s at full rate   3 calls/s at least
--      4 Retry-After (us), 0 if none            5 rate in force when the slot was granted (calls/s)
--
-- Only a call that was granted after the last cut says anything about the rate since: the refusals of one moment
-- count once. The first refusal after a calm halves; one that comes while the rate is creeping back up to where
-- it was refused takes little off, since the limit is near.
-- Answers the new rate in thousandths of calls/s, or 0 when the answer changed nothing.

-- A write that needs no memory comes first: so a full Redis runs the rest, too (docs/decisions/0050).
redis.call('HDEL', KEYS[1], '')

local CALM_US, NEAR = 30000000, 0.85
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local slot, full, least, retryAfter = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local function text(n) return string.format('%.0f', n) end

if retryAfter > 0 then
  local p = tonumber(redis.call('HGET', KEYS[1], 'notBefore') or 0)
  if now + retryAfter > p or p > now + 60000000 then
    redis.call('HSET', KEYS[1], 'notBefore', text(now + retryAfter))
  end
end
local cut = redis.call('HMGET', KEYS[1], 'cutAt', 'cutBase', 'cutCeiling')
local cutAt = tonumber(cut[1] or 0)
if cutAt > now then
  cutAt = 0
end
if slot <= cutAt then
  return 0
end
local rate = math.min(full, tonumber(ARGV[5]))
local factor = 0.5
-- The limit was found before, and is not far below: the rate had come near it again.
if cut[3] and now - cutAt < CALM_US and rate >= 0.8 * tonumber(cut[3]) and now - cutAt > 2000000 then
  factor = NEAR
end
local base = math.max(least, rate * factor)
redis.call('HSET', KEYS[1], 'cutAt', text(now), 'cutBase', tostring(base), 'cutCeiling', tostring(rate))
return math.floor(base * 1000)
