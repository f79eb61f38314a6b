-- whose-fault: whether a failure follows its own users or meets every call, as far as answers to other calls tell.
-- A function for hold-answers.lua.

-- A call passed a moment ago: single answers that say "no call can succeed" are not believed yet.
local RECENT_MS = 5000

local function hasPassedOfLate()
  return nowMs - tonumber(fleet.passedAt or 0) <= RECENT_MS
end

-- Answers 'others-pass': calls of others passed since these users failed, so the fault follows them.
-- 'lone': nobody passed meanwhile, but no other record failed either. 'noted': it is not known.
-- A suspect proves nothing about others: its failure is not counted as that of its record.
-- `passedAt`: which success counts as that of others; by default any import.
local function whoseFault(passedAt)
  if request.failedSinceMs > 0 and tonumber(passedAt or fleet.passedAt or 0) >= request.failedSinceMs then
    return 'others-pass'
  end
  if request.op == 'suspect' then
    -- Others were seen to pass once before, and only suspects have failed since. But nobody has passed either.
    return request.proved and not fleet.failedBy and 'lone' or 'noted'
  end
  if isCurrent and request.callId ~= '' and fleet.failedBy ~= request.callId and fleet.failedBy ~= '*' then
    fleet.failedBy = fleet.failedBy and '*' or request.callId
    redis.call('HSET', keys.hold, 'failedBy', fleet.failedBy)
  end
  if request.op == 'compare' and not hasPassedOfLate() then
    return 'noted'
  end
  return fleet.failedBy == request.callId and 'lone' or 'noted'
end
