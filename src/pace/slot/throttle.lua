-- throttle: the API answered "too often". The command's rate goes down, and recovers by itself (rate.lua).
--
-- KEYS     pace: hash pace:<command>. Written here: cutBase, cutCeiling (calls/s); in us cutAt, notBefore,
--          refusedAt (the last refusal that said something new), cutSince (when the full rate was refused)
-- Request  slotMicros         time of the refused call's slot
--          full, least        calls/s at full rate, and at least
--          retryAfterMicros   Retry-After, 0 if none
--          rate               calls/s in force when the slot was granted
-- Answers the new rate in thousandths of calls/s, or 0 when the answer changed nothing.
--
-- Only a call that was granted after the last cut says anything about the rate since: the refusals of one
-- moment count once. The first refusal after a calm halves the rate. One that comes while the rate is
-- creeping back up to where it was refused takes little off, since the limit is near. What is refused within
-- the second after is an echo: that second was full already. The rate goes down further, but the limit is not
-- learned from an echo: a limit believed to be lower than it is would be overrun (docs/decisions/0023).

local CALM_US, NEAR, ECHO_US, MOST_RETRY_AFTER_US = 30000000, 0.85, 1200000, 60000000

nameKeys('pace')
readRequest()
writeNothing('HDEL', keys.pace)
readClock()

local function waitFor(retryAfter)
  local notBefore = tonumber(redis.call('HGET', keys.pace, 'notBefore') or 0)
  if nowMicros + retryAfter > notBefore or isFromAnotherClock(notBefore, nowMicros, MOST_RETRY_AFTER_US) then
    redis.call('HSET', keys.pace, 'notBefore', text(nowMicros + retryAfter))
  end
end

if request.retryAfterMicros > 0 then
  waitFor(request.retryAfterMicros)
end
local cut = readFields(keys.pace, 'cutAt', 'cutCeiling', 'cutSince', 'refusedAt')
local cutAt, ceiling = tonumber(cut.cutAt or 0), tonumber(cut.cutCeiling)
if isFromAnotherClock(cutAt, nowMicros, 0) then
  cutAt = 0
end
if request.slotMicros <= cutAt then
  return 0
end
local rate = math.min(request.full, request.rate)
local function lower(factor, ...)
  local base = math.max(request.least, rate * factor)
  redis.call('HSET', keys.pace, 'cutAt', nowMicrosText, 'cutBase', tostring(base), ...)
  return math.floor(base * 1000)
end
if ceiling and isRecent(tonumber(cut.refusedAt or 0), nowMicros, ECHO_US) then
  return lower(0.5)
end
-- The limit was found before and is not far below: the rate had come near it again.
local isNear = ceiling and nowMicros - cutAt < CALM_US and rate >= 0.8 * ceiling
local since = ceiling and tonumber(cut.cutSince or nowMicros) or nowMicros
return lower(isNear and NEAR or 0.5, 'cutCeiling', tostring(rate), 'refusedAt', nowMicrosText,
  'cutSince', text(math.min(since, nowMicros)))
