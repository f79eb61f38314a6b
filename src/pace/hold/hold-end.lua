-- hold-end: what a call that imported somebody ends. Functions for hold.lua and settle.lua; hold.lua lists the fields.

local PASSED_EVERY_MS = 50

-- Ends the hold. Time held counts against no event; what ended is remembered, to tell a recovery from a flap. `by`: 'check' or
-- 'call', what proved it.
local function endHold(hold, channel, nowMs, by)
  local h = redis.call('HMGET', hold, 'heldSince', 'held', 'probeGapMs')
  redis.call('HINCRBY', hold, 'heldMs', string.format('%.0f', math.max(0, nowMs - tonumber(h[1] or nowMs))))
  redis.call('HSET', hold, 'clearedAt', string.format('%.0f', nowMs), 'clearedCode', cjson.decode(h[2]).errorCode,
    'clearedGapMs', h[3] or '0', 'clearedBy', by)
  if redis.call('HEXISTS', hold, 'stoppedFrom') == 1 then
    redis.call('HSET', hold, 'stoppedFrom', string.format('%.0f', nowMs))
  end
  redis.call('HDEL', hold, 'held', 'kind', 'proof', 'heldSince', 'causeAt', 'nextProbeAt', 'probeUntil', 'probeGapMs',
    'probes', 'firstGapMs', 'maxGapMs', 'leaseMs', 'freshAt', 'newcomer', 'newcomerUntil', 'proves', 'failedProbe', 'thenProof')
  redis.call('PUBLISH', channel, redis.call('HINCRBY', hold, 'epoch', 1))
end

-- A call that started at startMs imported somebody: what went wrong in a row is a row no longer, and a hold whose cause
-- started before it is not what everybody gets. Of the account quota only a new account proves anything (hold.lua).
local function callPassed(hold, channel, startMs, nowMs)
  local h = redis.call('HMGET', hold, 'badCalls', 'troubleSince', 'failedBy', 'passedAt', 'held', 'kind', 'causeAt')
  if h[1] or h[2] or h[3] then
    redis.call('HDEL', hold, 'badCalls', 'badUsers', 'troubleSince', 'troubleCalls', 'troubleAt', 'failedBy', 'appFailures')
  end
  -- Under load one write in so many ms says enough. From ahead: Redis's clock was set back.
  local newest = tonumber(h[4] or 0)
  if startMs > newest + PASSED_EVERY_MS or newest > nowMs + 60000 then
    redis.call('HSET', hold, 'passedAt', string.format('%.0f', startMs))
  end
  if h[5] and h[6] ~= 'quota' and h[7] and startMs > tonumber(h[7]) then
    endHold(hold, channel, nowMs, 'call')
  end
end
