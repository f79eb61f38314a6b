-- gcra: the time of the next slot. GCRA without burst on Redis's clock: the slots of a command lie one
-- spacing apart over the fleet. Functions for slot.lua; they need keys.pace, keys.started, the clock, and the
-- fields below, which slot.lua reads.
--
-- Slots that were given up are made up for, and moments in which no process asked: the next slots lie nearer
-- to each other, by a quarter of a spacing at most. What a rolling second holds is then bounded by counting,
-- not by the spacing alone: the slot used n slots ago is at least n spacings old (docs/decisions/0022).
--
-- Fields of pace:<command>, times in us: next (here nextAt: one spacing after the last slot), notBefore, lead
-- and leadAt (how far ahead a distant process asks), behind and behindAt (what is to be made up for, and when
-- that changed), nearAt (the last slot nearer than a spacing).

local nextAt, notBefore, lead, leadAt, behind, behindAt, nearAt

-- Constants stand within the functions here: each name that several functions share costs this script time.

-- How far ahead a slot may be reserved. The slot of a distant asker lies further ahead; so that the time
-- before it is not lost, all may reserve so far then. `leadMicros`: how far ahead the asker needs its slot.
local function reservationHorizon(spacing, leadMicros)
  local LEAD_FORGOTTEN_US, LEAD_TOLD_EVERY_US = 5000000, 1000000
  local horizon, toldAt = tonumber(lead or 0), tonumber(leadAt or 0)
  if not isRecent(toldAt, nowMicros, LEAD_FORGOTTEN_US) then
    horizon = 0
  end
  if leadMicros > horizon or (leadMicros > 0.8 * horizon and nowMicros - toldAt > LEAD_TOLD_EVERY_US) then
    horizon = leadMicros
    redis.call('HSET', keys.pace, 'lead', text(leadMicros), 'leadAt', nowMicrosText)
  end
  return horizon + request.slotsAhead * spacing
end

-- Answers the time one spacing after the last slot, and how much is to be made up for.
local function lastSlotAnd(spacing, horizon)
  -- So many slots for which no process asked are made up for, at most.
  local SECOND_US, MADE_UP_SLOTS = 1000000, 5
  local nextSlot = tonumber(nextAt or -1)
  -- What has been left to make up for longer than a second would be a burst of its own.
  local late = math.min(tonumber(behind or 0), SECOND_US)
  if not isRecent(tonumber(behindAt or 0), nowMicros, SECOND_US) then
    late = 0
  end
  -- No stored time (first start, flush) or one from another clock (set back, failover): calls may have
  -- started in this second that nobody here remembers, so a second is waited.
  if nextSlot < 0 or isFromAnotherClock(nextSlot, nowMicros, horizon + spacing + SECOND_US) then
    nextSlot, late = nowMicros + SECOND_US, 0
    redis.call('DEL', keys.started)
    redis.call('HSET', keys.pace, 'next', text(nextSlot))
  end
  -- There were calls to make a moment ago, and the process of the next one was held up: that time is made up
  -- for, too. Not after idleness: a rush begins evenly.
  local unasked = nowMicros - nextSlot
  if unasked > 0 and unasked <= MADE_UP_SLOTS * spacing then
    late = math.max(late, math.min(late + unasked, MADE_UP_SLOTS * spacing))
  end
  return nextSlot, late
end

-- Before this no call may start: an API asked for it (Retry-After), or Redis's clock was set forward.
local function earliestStart()
  -- No server is waited for longer than a minute (slot.ts).
  local MOST_NOT_BEFORE_US = 60000000
  local earliest = tonumber(notBefore or 0)
  if isFromAnotherClock(earliest, nowMicros, MOST_NOT_BEFORE_US) then
    earliest = nowMicros + MOST_NOT_BEFORE_US
    redis.call('HSET', keys.pace, 'notBefore', text(earliest))
  end
  -- The asker saw Redis's clock set forward: nobody gets a slot until that has settled, since a process that
  -- has just started did not see it (redis-clock.ts).
  local settles = request.settlesMicros
  if settles > 0 and nowMicros + settles > earliest then
    earliest = nowMicros + settles
    redis.call('HSET', keys.pace, 'notBefore', text(earliest))
  end
  return earliest
end

-- Answers the slot's time, whether it is nearer than a spacing, and what is still to be made up for.
local function timeOfSlot(spacing, horizon, leadMicros)
  local SECOND_US, NEARER_SHARE = 1000000, 0.25
  local nextSlot, late = lastSlotAnd(spacing, horizon)
  local slot = math.max(nextSlot - math.min(late, NEARER_SHARE * spacing), nowMicros + leadMicros, earliestStart())
  local stillBehind = late - math.max(0, nextSlot - slot)
  local window, lastNear = math.ceil(1.005 * SECOND_US / spacing), tonumber(nearAt or 0)
  if slot < nextSlot or (lastNear <= slot and slot - lastNear < window * spacing) then
    local used = redis.call('ZRANGE', keys.started, -window, -window, 'WITHSCORES')[2]
    local full = used and tonumber(used) + window * spacing or 0
    if full > slot then
      -- The second is full, because what was made up for in it came late: so does what comes now.
      stillBehind = stillBehind + full - slot
      slot = full
    end
  end
  return slot, slot < nextSlot, stillBehind
end

-- Takes the slot: the next one lies a spacing after it. The started calls of the last two seconds are kept.
local function takeSlot(slot, spacing, isNear, stillBehind, number, class)
  redis.call('HSET', keys.pace, 'next', text(slot + spacing), 'slots', number, 'turn:' .. class, number)
  if isNear then
    redis.call('HSET', keys.pace, 'nearAt', text(slot))
  end
  if stillBehind ~= tonumber(behind or 0) then
    redis.call('HSET', keys.pace, 'behind', text(stillBehind), 'behindAt', nowMicrosText)
  end
  redis.call('ZADD', keys.started, text(slot), number)
  redis.call('ZREMRANGEBYSCORE', keys.started, '-inf', '(' .. text(nowMicros - 2000000))
end
