-- throttle: the API answered "too often". The command's shared rate goes down, and recovers by itself.
--
-- KEYS 1 pace:<command>   fields cutAt (us), cutBase, cutCeiling (calls/s), notBefore (us); refusedAt (us): the last
--                         refusal that said something new; cutSince (us): when the full rate was refused
-- ARGV 1 time of the refused call's slot (us)   2 calls/s at full rate   3 calls/s at least
--      4 Retry-After (us), 0 if none            5 rate in force when the slot was granted (calls/s)
--
-- Only a call that was granted after the last cut says anything about the rate since: the refusals of one moment
-- count once. The first refusal after a calm halves; one that comes while the rate is creeping back up to where
-- it was refused takes little off, since the limit is near. What is refused within the second after is an echo: that
-- second was full already. The rate goes down further, but where the limit lies is not learned from it: a limit that
-- is believed to be lower than it is would be overrun (docs/decisions/0023).
-- Answers the new rate in thousandths of calls/s, or 0 when the answer changed nothing.

-- A write that needs no memory comes first: so a full Redis runs the rest, too (docs/decisions/0050).
redis.call('HDEL', KEYS[1], '')

local CALM_US, NEAR, ECHO_US = 30000000, 0.85, 1200000
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
local cut = redis.call('HMGET', KEYS[1], 'cutAt', 'cutCeiling', 'cutSince', 'refusedAt')
local cutAt, ceiling = tonumber(cut[1] or 0), tonumber(cut[2])
if cutAt > now then
  cutAt = 0
end
if slot <= cutAt then
  return 0
end
local rate = math.min(full, tonumber(ARGV[5]))
local function lower(factor, ...)
  local base = math.max(least, rate * factor)
  redis.call('HSET', KEYS[1], 'cutAt', text(now), 'cutBase', tostring(base), ...)
  return math.floor(base * 1000)
end
local refusedAt = tonumber(cut[4] or 0)
if ceiling and refusedAt <= now and now - refusedAt < ECHO_US then
  return lower(0.5)
end
-- The limit was found before, and is not far below: the rate had come near it again.
local isNear = ceiling and now - cutAt < CALM_US and rate >= 0.8 * ceiling
local since = ceiling and tonumber(cut[3] or now) or now
return lower(isNear and NEAR or 0.5, 'cutCeiling', tostring(rate), 'refusedAt', text(now),
  'cutSince', text(math.min(since, now)))
