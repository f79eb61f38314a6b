-- hold-blocked: the operation `blocked` of hold.lua, for an answer that says "no call can succeed".

-- While calls passed of late: so many answers in a row say that no call can succeed before that is believed,
-- because each of them may follow one user of its call.
local APP_FAILURES = 3
-- A code that asks for a longer gap than this (70050: a minute) gets it at once.
local USUAL_GAP_MS = 1000
-- A hold for the same reason so soon after the last one: what ended that one proved too little.
local FLAP_MS = 60000
-- The check has passed and calls fail all the same. No signature is at stake, so a call may probe more often.
local CALL_MAX_GAP_MS = 15000

-- The probe of a hold was refused by an answer that says "no call can succeed".
local function blockedAgain(firstGapMs, maxGapMs)
  local most = maxGapMs
  if fleet.proof == 'import' then
    most = math.max(firstGapMs, math.min(most, CALL_MAX_GAP_MS))
  end
  redis.call('HSET', keys.hold, 'firstGapMs', text(firstGapMs), 'maxGapMs', text(most), 'held', request.held)
  local isSame = fleet.kind == request.kind
  if not isSame then
    -- Another fault by now: its own words and its own proof, from the same beginning.
    redis.call('HSET', keys.hold, 'kind', request.kind, 'proof', request.proof)
    forget('leaseMs')
  end
  postponeProbe()
  if not isSame then
    changed()
  end
  return 'postponed'
end

-- An answer that says "no call can succeed".
function answers.blocked()
  local kind, proof, first, most = request.kind, request.proof, request.firstGapMs, request.maxGapMs
  if fleet.held then
    return isProbe and blockedAgain(first, most) or 'held'
  end
  -- Existing accounts pass whatever the plan says: only a new one proves anything about the account quota.
  local word = whoseFault(kind == 'quota' and (fleet.newPassedAt or '0') or nil)
  if not isCurrent or word == 'others-pass' then
    return word
  end
  local last = readFields(keys.hold, 'clearedAt', 'clearedCode', 'clearedGapMs', 'clearedBy')
  local isAfterHold = last.clearedAt and last.clearedBy ~= 'call'
    and math.abs(nowMs - tonumber(last.clearedAt)) < FLAP_MS
  -- Quick probes once, and not over and over because a check passes after each.
  if hasPassedOfLate() and not isAfterHold and kind ~= 'quota' and first <= USUAL_GAP_MS then
    if redis.call('HINCRBY', keys.hold, 'appFailures', 1) < APP_FAILURES then
      return word
    end
    redis.call('HSET', keys.hold, 'thenProof', proof)
    return beginHold(kind, 'import', 0, first, most)
  end
  -- Held once more for the same reason soon after: the proof was not good enough; the gap goes on growing.
  if not (isAfterHold and last.clearedCode == text(request.errorCode)) then
    return beginHold(kind, proof, first, first, most)
  end
  if proof == 'check' then
    proof, most = 'import', math.max(first, math.min(most, CALL_MAX_GAP_MS))
  end
  return beginHold(kind, proof, math.min(most, math.max(first, 2 * tonumber(last.clearedGapMs))), first, most)
end
