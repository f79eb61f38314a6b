-- due: whether what waits is to be cut now. Functions for cut.lua. Back-pressure comes first. Then a call is
-- due when it is full, when its oldest event has waited for maxWaitMs, or when the system is quiet.
--
-- Field of the hash cutter: cutAt (ms).

-- Fresh calls of a hold may pass the bound by so many.
local MOST_FRESH = 50

-- While the fleet is held, one call may stand ready for the probe. The rest waits in the stream, where it is
-- small and goes on coalescing.
--
-- Answers nil and why nothing may be cut ('paused', 'held', 'open-calls'); or how many calls may be opened,
-- and how many stand open.
local function roomForCalls()
  local hold = readFields(keys.hold, 'held', 'paused', 'kind', 'probes', 'freshAt', 'proof')
  if hold.paused then
    return nil, 'paused'
  end
  -- Suspected users are retried alone for hours and stop nobody: their calls are left out, however many.
  local open = redis.call('ZCARD', keys.open) - redis.call('ZCARD', keys.isolated)
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

-- How long the oldest waiting event has waited (ms).
local function waitedMs(waiting, returned)
  local since = returned > 0 and tonumber(redis.call('HGET', keys.books, 'returnedSince') or 0)
  if waiting > returned then
    local head = redis.call('XRANGE', keys.stream, '-', '+', 'COUNT', 1)[1][1]
    local headMs = tonumber(string.match(head, '^%d+'))
    since = since and math.min(since, headMs) or headMs
  end
  -- An ID from ahead would linger until the clock has caught up.
  return isFromAnotherClock(since, nowMs, 1000) and request.maxWaitMs or nowMs - since
end

-- Quiet: no waiting for company. But slots lie apart, so what comes within one spacing shares the next.
-- Otherwise a rush would begin with many small calls, whose slots the full ones behind them would wait for.
local function dueWhenQuietMs(dueInMs, open, lastCutAt)
  local started = redis.call('ZCOUNT', keys.started, text(nowMicros - 1000000), '+inf')
  if math.max(started, open) >= request.eagerCalls then
    return dueInMs
  end
  local gapMs = request.eagerGapMs - (nowMicros / 1000 - tonumber(lastCutAt or 0))
  return gapMs <= request.eagerGapMs and math.min(dueInMs, gapMs) or 0
end

-- Answers nil when it is due; else what cut.lua answers.
local function lingers(waiting, returned, open, maxUsers)
  if waiting >= maxUsers then
    return nil
  end
  local dueInMs = request.maxWaitMs - math.max(waitedMs(waiting, returned), 0)
  if dueInMs > 0 then
    dueInMs = dueWhenQuietMs(dueInMs, open, redis.call('HGET', keys.cutter, 'cutAt'))
  end
  if dueInMs <= 0 then
    return nil
  end
  return { map = { kind = 'linger', waiting = waiting, dueInMs = math.ceil(dueInMs) } }
end
