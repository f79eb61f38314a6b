-- back-pressure: how many calls may still be opened. A function for cut.lua.
--
-- While the fleet is held, one call may stand ready for the probe. The rest waits in the stream, where it is small and
-- goes on coalescing.

-- Fresh calls of a hold may pass the bound by so many.
local MOST_FRESH = 50

-- Answers nil and why nothing may be cut ('paused', 'held', 'open-calls'); or how many calls may be opened and how
-- many stand open.
local function roomForCalls()
  local hold = readFields(keys.hold, 'held', 'paused', 'kind', 'probes', 'freshAt', 'proof')
  if hold.paused then
    return nil, 'paused'
  end
  -- Suspected users are retried alone for hours and stop nobody: their calls are left out, up to a bound.
  local open = redis.call('ZCARD', keys.open) - math.min(request.maxIsolated, redis.call('ZCARD', keys.isolated))
  local isFresh = wantsFreshCall(hold) and open < request.maxOpenCalls + MOST_FRESH
  if hold.held and not isFresh then
    -- A call that waits for its retry cannot be the probe; it must not keep the place of one that can.
    if redis.call('ZCOUNT', keys.open, '-inf', text(nowMicros / 1000)) >= 1 then
      return nil, 'held'
    end
  end
  if open >= request.maxOpenCalls and not isFresh then
    return nil, 'open-calls'
  end
  if isFresh then
    recordFreshCall(hold)
  end
  return hold.held and 1 or request.maxOpenCalls - open, open
end
