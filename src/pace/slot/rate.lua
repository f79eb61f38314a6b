-- rate: the calls a second in force for a command. Functions for slot.lua; they need keys.pace, the clock,
-- and the fields below, which slot.lua reads.
--
-- Fields of pace:<command>: slowest (us) and slowestAt (us) are written here; cutAt (us), cutBase, cutCeiling
-- (calls/s), cutSince (us) and refusedAt (us) by throttle.lua, and cleared here.

local slowest, slowestAt, cutAt

-- If processes disagree about the quota, the lowest counts while one that has it is alive. `own` is the
-- spacing (us) of the asker as text; a process that only looks is not counted. Answers the greatest spacing.
local function lowestQuota(own, onlyLooks)
  -- A process that has not told its quota for so long counts no more.
  local QUOTA_FORGOTTEN_US, QUOTA_TOLD_EVERY_US = 15000000, 1000000
  local spacing, toldAt = tonumber(own), tonumber(slowestAt or 0)
  if slowest and (onlyLooks or tonumber(slowest) > spacing) and isRecent(toldAt, nowMicros, QUOTA_FORGOTTEN_US) then
    return tonumber(slowest)
  end
  if not onlyLooks and (slowest ~= own or not isRecent(toldAt, nowMicros, QUOTA_TOLD_EVERY_US)) then
    redis.call('HSET', keys.pace, 'slowest', own, 'slowestAt', nowMicrosText)
  end
  return spacing
end

-- Throttled (docs/decisions/0023): the rate climbs from where it was cut to near where it was refused; the
-- longer the limit has stood, the slower. Then it feels for the limit for two seconds, by 2 % of the full
-- rate a second. If that is refused nowhere, the limit is gone, and the rate runs up.
--
-- Answers the spacing (us) in force; `spacing` is that of the full rate.
local function throttled(spacing)
  if not cutAt then
    return spacing
  end
  local CLIMB_SHARE, LEAST_CLIMB_S, MOST_CLIMB_S, FEEL_S, FEEL_SHARE, NEAR_LIMIT = 0.1, 3, 10, 2, 0.02, 0.97
  local cut = readFields(keys.pace, 'cutBase', 'cutCeiling', 'cutSince')
  local full, ceiling, from = 1000000 / spacing, NEAR_LIMIT * tonumber(cut.cutCeiling), tonumber(cutAt)
  if isFromAnotherClock(from, nowMicros, 0) then
    -- It climbs from here on, not from when the clock has come there again.
    from = nowMicros
    redis.call('HSET', keys.pace, 'cutAt', nowMicrosText)
  end
  local age = (nowMicros - from) / 1000000
  local stood = (from - tonumber(cut.cutSince or from)) / 1000000
  local climb = math.min(MOST_CLIMB_S, math.max(LEAST_CLIMB_S, CLIMB_SHARE * stood))
  local rate = math.min(tonumber(cut.cutBase), full)
  if age < climb then
    rate = rate + math.max(0, ceiling - rate) * age / climb
  else
    local beyond = age - climb
    local run = math.max(0, beyond - FEEL_S)
    rate = math.max(rate, ceiling) + full * (FEEL_SHARE * beyond + run * run)
  end
  if rate < full then
    return 1000000 / rate
  end
  redis.call('HDEL', keys.pace, 'cutAt', 'cutBase', 'cutCeiling', 'cutSince', 'refusedAt')
  return spacing
end
