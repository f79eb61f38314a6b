-- hold: what the fleet concludes from an answer, and what an operator asks for. hold-state.ts draws the
-- machine; hold-change.lua lists the fields.
--
-- Joined with: hold-shared.lua, hold-change.lua, hold-answers.lua, hold-blocked.lua.
-- Request  op
--          epoch           of the slot
--          isProbe         the answer is that of a probe
--          startMs         start of the call, 0 if unknown
--          callId          its call record, '' for none
--          failedSinceMs   start of the earlier failure of its users, or of this call
--   and by operation:
--          success         an account was imported, or a check passed
--          bad             an answer that would dead-letter a user: held, newUsers (not spoken of before)
--          trouble         no answer, or a transient one: held
--          silent          a call has had no answer for seconds, and may have one yet
--          blocked         no call can succeed: held, kind, proof, errorCode, firstGapMs, maxGapMs
--          suspect         a suspected user failed alone once more: proved (others passed after one)
--          compare         asks only whose fault a refused call seems to be
--          newcomer        this call is the next probe: call (its key), forMs, proves ('1' if it holds an
--                          account that does not exist yet, '0' if no waiting call does)
--          missed          a probe's slot was not used
--          pause           paused (JSON)
--          resume
--   `held` is the text that is kept of the hold (JSON).
-- Answers one word, see HoldWord in hold-state.ts.
-- Cost: O(1). Atomic, because several processes hear answers at the same time: a hold is set once, an answer
--   of an older epoch changes nothing, and failures in a row are counted over the fleet.

local operations = answers

function operations.missed()
  if fleet.held and isCurrent then
    forget('probeUntil', 'newcomer', 'newcomerUntil')
    if fleet.kind == 'brake' then
      redis.call('HSET', keys.hold, 'nextProbeAt', nowText)
    end
    wake()
  end
  return fleet.held and 'waiting' or 'noted'
end

function operations.newcomer()
  if fleet.held and isCurrent then
    redis.call('HSET', keys.hold, 'newcomer', request.call, 'newcomerUntil', text(nowMs + request.forMs),
      'proves', request.proves)
    changed()
  end
  return fleet.held and 'waiting' or 'noted'
end

function operations.pause()
  if fleet.paused then
    return 'same'
  end
  redis.call('HSET', keys.hold, 'paused', request.paused, 'stoppedFrom', nowText)
  changed()
  return 'paused'
end

-- Time paused counts against no event, as time held does. Time of both at once is counted when the hold ends.
function operations.resume()
  if not fleet.paused then
    return 'same'
  end
  local h = readFields(keys.hold, 'stoppedFrom', 'heldSince')
  local untilMs = fleet.held and math.min(nowMs, tonumber(h.heldSince)) or nowMs
  redis.call('HINCRBY', keys.hold, 'heldMs', text(math.max(0, untilMs - tonumber(h.stoppedFrom or nowMs))))
  forget('paused', 'stoppedFrom')
  changed()
  return 'resumed'
end

nameKeys('hold', 'holdChannel')
readRequest()
writeNothing('HDEL', keys.hold)
readClock()
fleet = readFields(keys.hold, 'epoch', 'held', 'kind', 'paused', 'badCalls', 'troubleSince', 'troubleAt',
  'probeGapMs', 'passedAt', 'failedBy', 'proof', 'newPassedAt')
isCurrent = (fleet.epoch or '0') == request.epoch
isProbe = request.isProbe and isCurrent
return operations[request.op]()
