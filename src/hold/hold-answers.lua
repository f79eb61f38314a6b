-- hold-answers: what the fleet concludes from the answer to a call, or from none. Functions for hold.lua, one
-- for each operation of that name; the operation `blocked` is in hold-blocked.lua.

-- A call passed so short a time ago: single answers that say "no call can succeed" are not believed yet.
local RECENT_MS = 5000

local function hasPassedOfLate()
  return nowMs - tonumber(fleet.passedAt or 0) <= RECENT_MS
end

-- Answers 'others-pass': calls of others passed since these users failed, so the fault follows them.
-- 'lone': nobody passed meanwhile, but no other record failed either. 'noted': it is not known. A suspect
-- proves nothing about others: its failure is not counted as that of its record. `passedAt`: which success
-- counts as that of others; by default any import.
local function whoseFault(passedAt)
  if request.failedSinceMs > 0 and tonumber(passedAt or fleet.passedAt or 0) >= request.failedSinceMs then
    return 'others-pass'
  end
  if request.op == 'suspect' then
    -- Others were seen to pass once before, and only suspects have failed since. Nobody passed either.
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

local OUTAGE_AFTER_MS, OUTAGE_CALLS = 5000, 3
-- A fault now and then is no outage: a failure further back than this belongs to an earlier row.
local TROUBLE_FORGOTTEN_MS = 120000
local BRAKE_CALLS, BRAKE_USERS = 5, 100
-- How long an answer may be on its way after the lease of its probe.
local ANSWER_WAY_MS = 500

local answers = {}

-- An account was imported, or a check passed.
function answers.success()
  if fleet.held and isProbe and fleet.kind == 'quota' then
    local proves = redis.call('HGET', keys.hold, 'proves')
    if proves == '1' then
      redis.call('HSET', keys.hold, 'newPassedAt', text(request.startMs))
    elseif proves == '0' then
      postponeProbe()
      return 'held'
    end
  end
  -- A check imports nobody: it ends a hold, and proves nothing against those whose calls fail.
  if request.callId ~= '' then
    callPassed(request.startMs)
  elseif fleet.badCalls or fleet.troubleSince then
    forget('badCalls', 'badUsers', 'troubleSince', 'troubleCalls', 'troubleAt')
  end
  if redis.call('HEXISTS', keys.hold, 'held') == 0 then
    return fleet.held and 'cleared' or 'noted'
  end
  return isProbe and clearHold() or 'held'
end

function answers.suspect()
  if not fleet.held then
    return whoseFault()
  end
  if isProbe then
    postponeProbe(true)
  end
  return 'held'
end
answers.compare = answers.suspect

-- An answer that would dead-letter somebody.
function answers.bad()
  if fleet.held then
    if not isProbe then
      return 'held'
    end
    -- The API answers, and not about the app. So an outage or a wrong credential is over, but a brake is not.
    if fleet.kind ~= 'brake' and fleet.kind ~= 'quota' then
      return clearHold()
    end
    postponeProbe()
    return 'postponed'
  end
  if fleet.troubleSince then
    forget('troubleSince', 'troubleCalls', 'troubleAt')
  end
  local word = whoseFault()
  if not isCurrent or word == 'others-pass' then
    return word
  end
  local calls = redis.call('HINCRBY', keys.hold, 'badCalls', 1)
  local users = redis.call('HINCRBY', keys.hold, 'badUsers', request.newUsers)
  if calls < BRAKE_CALLS or users < BRAKE_USERS then
    return word
  end
  return beginHold('brake', 'scout', 0, SHORT_GAP_MS, SHORT_MAX_GAP_MS)
end

local function isNewRow()
  return not fleet.troubleSince or nowMs - tonumber(fleet.troubleAt) > TROUBLE_FORGOTTEN_MS
    or isFromAnotherClock(tonumber(fleet.troubleSince), nowMs, 0)
end

local function beginRow(calls)
  redis.call('HSET', keys.hold, 'troubleSince', nowText, 'troubleAt', nowText, 'troubleCalls', calls)
end

-- A call has had no answer for seconds. What goes wrong began now, and not only when the call is given up;
-- the call itself is counted then.
function answers.silent()
  if not fleet.held and isCurrent and isNewRow() then
    beginRow(0)
  end
  return fleet.held and 'held' or 'noted'
end

-- No answer, or a transient one.
function answers.trouble()
  if fleet.held then
    if not isProbe then
      return 'held'
    end
    -- A probe that outlived its lease: others have gone out since, whose time this one does not set.
    local leaseMs = tonumber(redis.call('HGET', keys.hold, 'leaseMs') or math.huge)
    if request.startMs == 0 or nowMs - request.startMs <= leaseMs + ANSWER_WAY_MS then
      postponeProbe()
    end
    return 'waiting'
  end
  local word = whoseFault()
  if not isCurrent or word == 'others-pass' then
    return word
  end
  if isNewRow() then
    beginRow(1)
    return word
  end
  local calls = redis.call('HINCRBY', keys.hold, 'troubleCalls', 1)
  redis.call('HSET', keys.hold, 'troubleAt', nowText)
  if calls < OUTAGE_CALLS or nowMs - tonumber(fleet.troubleSince) < OUTAGE_AFTER_MS then
    return word
  end
  return beginHold('outage', 'import', SHORT_GAP_MS, SHORT_GAP_MS, SHORT_MAX_GAP_MS)
end
