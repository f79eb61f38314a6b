-- hold-shared: what scripts of other rooms do to the hold. Functions for hold.lua, ledger/settle.lua (the
-- success of a call) and intake/cut.lua (a fresh call). They need keys.hold, keys.holdChannel and the clock;
-- hold-change.lua lists the fields.

-- Under load, one write in so many ms says enough.
local PASSED_EVERY_MS = 50

-- Ends the hold. Time held counts against no event. What ended is remembered, to tell a recovery from a flap.
-- `by` is 'check' or 'call': what proved that calls succeed.
local function endHold(by)
  local h = readFields(keys.hold, 'heldSince', 'held', 'probeGapMs')
  redis.call('HINCRBY', keys.hold, 'heldMs', text(math.max(0, nowMs - tonumber(h.heldSince or nowMs))))
  redis.call('HSET', keys.hold, 'clearedAt', nowText, 'clearedCode', cjson.decode(h.held).errorCode,
    'clearedGapMs', h.probeGapMs or '0', 'clearedBy', by)
  if redis.call('HEXISTS', keys.hold, 'stoppedFrom') == 1 then
    redis.call('HSET', keys.hold, 'stoppedFrom', nowText)
  end
  redis.call('HDEL', keys.hold, 'held', 'kind', 'proof', 'heldSince', 'causeAt', 'nextProbeAt', 'probeUntil',
    'probeGapMs', 'probes', 'firstGapMs', 'maxGapMs', 'leaseMs', 'freshAt', 'newcomer', 'newcomerUntil', 'proves',
    'failedProbe', 'thenProof')
  redis.call('PUBLISH', keys.holdChannel, redis.call('HINCRBY', keys.hold, 'epoch', 1))
end

-- A call that started at startMs imported an account. That ends every row of failures, and a hold whose cause
-- started before the call: not all calls fail. A hold for the account quota stays, since existing accounts
-- pass whatever the plan says; only a new account ends it (hold.lua).
local function callPassed(startMs)
  local h = readFields(keys.hold, 'badCalls', 'troubleSince', 'failedBy', 'passedAt', 'held', 'kind', 'causeAt')
  if h.badCalls or h.troubleSince or h.failedBy then
    redis.call('HDEL', keys.hold, 'badCalls', 'badUsers', 'troubleSince', 'troubleCalls', 'troubleAt', 'failedBy',
      'appFailures')
  end
  local newest = tonumber(h.passedAt or 0)
  if startMs > newest + PASSED_EVERY_MS or isFromAnotherClock(newest, nowMs, 60000) then
    redis.call('HSET', keys.hold, 'passedAt', text(startMs))
  end
  if h.held and h.kind ~= 'quota' and h.causeAt and startMs > tonumber(h.causeAt) then
    endHold('call')
  end
end

-- Whether cut.lua should send a fresh call ahead as the next probe, because all users in open calls may be
-- bad: then none of them can prove that the hold is over (slot/hold-gate.lua). `hold`: its fields.
local function wantsFreshCall(hold)
  local probes = tonumber(hold.probes or 0)
  local mayBeFresh
  if hold.kind == 'brake' then
    mayBeFresh = probes >= 3 and probes % 2 == 1
  else
    mayBeFresh = hold.proof == 'import' and (hold.kind == 'outage' or probes % 2 == 0)
  end
  return hold.held and mayBeFresh and hold.freshAt ~= hold.probes
end

-- The fresh call for this probe is cut: no other one is.
local function recordFreshCall(hold)
  redis.call('HSET', keys.hold, 'freshAt', hold.probes)
end
