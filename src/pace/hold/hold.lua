-- hold: what the fleet concludes from an answer. See hold-state.ts for the machine in words.
--
-- One script, because several processes hear answers at the same time: a hold is set once, an answer from an
-- older epoch neither sets nor clears anything, and the counts of what went wrong in a row are the fleet's.
--
-- KEYS 1 hold hash
--        epoch                                  grows at every change that stops or frees the fleet
--        held (JSON), kind, proof, heldSince, nextProbeAt, probeUntil, probeGapMs, probes, firstGapMs, maxGapMs
--        leaseMs                                of a probe, where it is shorter than slot.ts has it
--        newcomer, newcomerUntil, proves        the call record whose import is the proof, for a while
--        freshAt                                the count of probes for which cut.lua sent a fresh call ahead
--        heldMs                                 milliseconds of holds and pauses that ended
--        clearedAt, clearedCode, clearedGapMs   of the last hold, to tell a recovery from a flap
--        paused (JSON), stoppedFrom              and from when on a pause is not counted in heldMs yet
--        causeAt                                when the call started whose answer began the hold (ms)
--        passedAt                               when the newest call started that imported somebody (ms); hold-end.lua
--        newPassedAt                            the same of a call that made an account which did not exist (ms)
--        failedBy, appFailures                  the call record that failed since then ('*': several did), and how many
--                                               answers said since then that no call can succeed
--        failedProbe                            the call record whose call failed last as a probe, or began the hold
--        thenProof                              what proves the end of the hold once its quick probes have failed
--        badCalls, badUsers                     answers in a row that would dead-letter; the users of first calls
--        troubleSince, troubleCalls, troubleAt  transient failures in a row
-- ARGV 1 operation   2 epoch of the slot   3 channel   4 '1' if the answer is a probe's
--      5 start of the call (ms)   6 its call record, '' for none
--      7 since when its users have failed (ms): the start of their earlier failure, or of this call
--      8... by operation
--   success                                     an account was imported (or a check passed)
--   bad        users, JSON                      an answer that would dead-letter somebody; users it newly speaks of
--   trouble    JSON                             no answer, or a transient one
--   silent                                      a call has had no answer for seconds, and may have one yet
--   blocked    JSON, kind, proof, code, first gap ms, greatest gap ms    no call can succeed
--   suspect    proved                           a user who is suspected already failed once more, alone; '1' if others
--                                               were seen to pass after a failure of this kind
--   compare                                     asks only whose fault a refused call seems to be
--   newcomer   call record key, ms, proves       this call is the next probe; proves is '1' if it holds an account that
--                                               does not exist yet, '0' if none of those that wait does
--   missed                                      a probe's slot was not used
--   pause      JSON        resume
--
-- Answers one word: 'set' 'postponed' 'cleared' 'waiting' (held on) | 'noted' (nothing is held)
-- | 'others-pass' (nothing is held, and calls of others have passed since these users failed: the fault follows them)
-- | 'lone' (nothing is held, nobody passed meanwhile, but nobody else failed either; compare: and somebody passed of late)
-- | 'held' (came from before the hold) | 'paused' 'resumed' 'same'
--
-- Shares hold-end.lua.

local OUTAGE_AFTER_MS, OUTAGE_CALLS = 5000, 3
-- A fault now and then is no outage: what lies further back than this is not of the same row.
local TROUBLE_FORGOTTEN_MS = 120000
local BRAKE_CALLS, BRAKE_USERS, QUICK_PROBES = 5, 100, 3
-- Somebody passed a moment ago: so many answers in a row say that no call can succeed before that is believed, since each
-- may follow one user of its call. Then the first probes go out without a gap.
local RECENT_MS, APP_FAILURES = 5000, 3
local SHORT_GAP_MS, SHORT_MAX_GAP_MS = 1000, 3000
local FLAP_MS = 60000
-- The check has passed and calls fail all the same: no signature is at stake, so a call may be the probe more often.
local CALL_MAX_GAP_MS = 15000
-- A hold whose gaps are short must not outlast its reason by the lease of a probe that went out just before: there a
-- fresh one goes out beside one that hangs. Elsewhere the longer lease of slot.ts holds: a signature that is refused
-- too often is punished for it.
local SHORT_LEASE_MS, ANSWER_WAY_MS = 2000, 500

local hold = KEYS[1]
-- A write that needs no memory comes first: so a full Redis runs the rest, too (docs/decisions/0050).
redis.call('HDEL', hold, '')
local op, probe = ARGV[1], ARGV[4] == '1'
local t = redis.call('TIME')
local nowMs = t[1] * 1000 + math.floor(t[2] / 1000)
local function text(n) return string.format('%.0f', n) end
local now = text(nowMs)

local function changed()
  redis.call('PUBLISH', ARGV[3], redis.call('HINCRBY', hold, 'epoch', 1))
end

if op == 'pause' or op == 'resume' then
  if (redis.call('HEXISTS', hold, 'paused') == 1) == (op == 'pause') then
    return 'same'
  end
  if op == 'pause' then
    redis.call('HSET', hold, 'paused', ARGV[8], 'stoppedFrom', now)
  else
    -- Time paused counts against no event, as time held does; of both at once it is counted when the hold ends.
    local s = redis.call('HMGET', hold, 'stoppedFrom', 'held', 'heldSince')
    local from, to = tonumber(s[1] or nowMs), nowMs
    if s[2] then
      to = math.min(nowMs, tonumber(s[3]))
    end
    redis.call('HINCRBY', hold, 'heldMs', text(math.max(0, to - from)))
    redis.call('HDEL', hold, 'paused', 'stoppedFrom')
  end
  changed()
  return op .. 'd'
end

local f = redis.call('HMGET', hold, 'epoch', 'held', 'kind', 'badCalls', 'badUsers', 'troubleSince', 'troubleCalls',
  'troubleAt', 'probeGapMs', 'probes', 'passedAt', 'failedBy', 'proof', 'newPassedAt')
local held, kind = f[2], f[3]
local current = (f[1] or '0') == ARGV[2]
local startMs, callId, failedSinceMs = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])

-- Whose fault it is, as far as the answers to others tell. A suspect proves nothing about others.
local isRecent = nowMs - tonumber(f[11] or 0) <= RECENT_MS
local function whose(passedAt)
  if failedSinceMs > 0 and tonumber(passedAt or f[11] or 0) >= failedSinceMs then
    return 'others-pass'
  end
  if op == 'suspect' then
    -- Proved once before, and nobody but suspects has failed since somebody passed: but nobody has passed either.
    return ARGV[8] == '1' and not f[12] and 'lone' or 'noted'
  end
  if current and callId ~= '' and f[12] ~= callId and f[12] ~= '*' then
    f[12] = f[12] and '*' or callId
    redis.call('HSET', hold, 'failedBy', f[12])
  end
  if op == 'compare' and not isRecent then
    return 'noted'
  end
  return f[12] == callId and 'lone' or 'noted'
end

local function forget(...)
  redis.call('HDEL', hold, ...)
end

local function begin(json, newKind, proof, gap, first, most)
  redis.call('HSET', hold, 'held', json, 'kind', newKind, 'proof', proof, 'heldSince', now, 'probes', 0,
    'causeAt', text(startMs), 'firstGapMs', text(first), 'maxGapMs', text(most),
    'nextProbeAt', text(nowMs + gap), 'probeGapMs', text(gap), 'failedProbe', callId)
  forget('probeUntil', 'badCalls', 'badUsers', 'troubleSince', 'troubleCalls', 'troubleAt', 'freshAt', 'leaseMs')
  if newKind == 'outage' or newKind == 'brake' then
    redis.call('HSET', hold, 'leaseMs', SHORT_LEASE_MS)
  end
  changed()
  return 'set'
end

local function clear()
  endHold(hold, ARGV[3], nowMs, callId ~= '' and 'call' or 'check')
  return 'cleared'
end

-- Nothing changed, but the next probe may be somebody else's: those who wait look again.
local function wake()
  redis.call('PUBLISH', ARGV[3], f[1] or '0')
end

-- The probe proved nothing: the next one goes out after a longer gap, within what the kind of hold asks for.
local function postpone()
  local bounds = redis.call('HMGET', hold, 'firstGapMs', 'maxGapMs')
  local first, most = tonumber(bounds[1] or SHORT_GAP_MS), tonumber(bounds[2] or SHORT_MAX_GAP_MS)
  local probes = redis.call('HINCRBY', hold, 'probes', 1)
  local gap = math.min(most, math.max(first, 2 * tonumber(f[9] or first)))
  local thenProof = redis.call('HGET', hold, 'thenProof')
  if probes < QUICK_PROBES and (kind == 'brake' or thenProof) then
    gap = 0
  elseif thenProof then
    gap = first
    redis.call('HSET', hold, 'proof', thenProof)
    forget('thenProof')
    changed()
  end
  redis.call('HSET', hold, 'nextProbeAt', text(nowMs + gap), 'probeGapMs', text(gap))
  if callId ~= '' then
    redis.call('HSET', hold, 'failedProbe', callId)
  end
  forget('probeUntil', 'newcomer', 'newcomerUntil')
  wake()
end

if op == 'missed' then
  if held and current then
    forget('probeUntil', 'newcomer', 'newcomerUntil')
    if kind == 'brake' then
      redis.call('HSET', hold, 'nextProbeAt', now)
    end
    wake()
  end
  return held and 'waiting' or 'noted'
end

if op == 'newcomer' then
  if held and current then
    redis.call('HSET', hold, 'newcomer', ARGV[8], 'newcomerUntil', text(nowMs + tonumber(ARGV[9])), 'proves', ARGV[10])
    changed()
  end
  return held and 'waiting' or 'noted'
end

if op == 'success' then
  if held and probe and current and kind == 'quota' and redis.call('HGET', hold, 'proves') == '1' then
    redis.call('HSET', hold, 'newPassedAt', text(startMs))
  end
  if held and probe and current and kind == 'quota' and redis.call('HGET', hold, 'proves') == '0' then
    postpone()
    return 'held'
  end
  -- A check imports nobody: it ends a hold, and proves nothing against those whose calls fail.
  if callId ~= '' then
    callPassed(hold, ARGV[3], startMs, nowMs)
  elseif f[4] or f[6] then
    forget('badCalls', 'badUsers', 'troubleSince', 'troubleCalls', 'troubleAt')
  end
  if redis.call('HEXISTS', hold, 'held') == 0 then
    return held and 'cleared' or 'noted'
  end
  if probe and current then
    return clear()
  end
  return 'held'
end

if op == 'suspect' or op == 'compare' then
  if held then
    if probe and current then
      postpone()
    end
    return 'held'
  end
  return whose()
end

if op == 'bad' then
  if held then
    if not (probe and current) then
      return 'held'
    end
    -- The API answers, and not about the app: an outage or a wrong credential is over. A brake is not.
    if kind ~= 'brake' and kind ~= 'quota' then
      return clear()
    end
    postpone()
    return 'postponed'
  end
  if f[6] then
    forget('troubleSince', 'troubleCalls', 'troubleAt')
  end
  local word = whose()
  if not current or word == 'others-pass' then
    return word
  end
  local calls = redis.call('HINCRBY', hold, 'badCalls', 1)
  local users = redis.call('HINCRBY', hold, 'badUsers', ARGV[8])
  if calls < BRAKE_CALLS or users < BRAKE_USERS then
    return word
  end
  return begin(ARGV[9], 'brake', 'scout', 0, SHORT_GAP_MS, SHORT_MAX_GAP_MS)
end

-- What goes wrong began now, and not only when the first of the silent calls is given up; those are counted then.
local isNewRow = not f[6] or nowMs - tonumber(f[8]) > TROUBLE_FORGOTTEN_MS or nowMs < tonumber(f[6])
if op == 'silent' then
  if not held and current and isNewRow then
    redis.call('HSET', hold, 'troubleSince', now, 'troubleAt', now, 'troubleCalls', 0)
  end
  return held and 'held' or 'noted'
end

if op == 'trouble' then
  if held then
    if not (probe and current) then
      return 'held'
    end
    -- It outlived its lease: others have gone out since, whose time this one does not set.
    local leaseMs = tonumber(redis.call('HGET', hold, 'leaseMs') or math.huge)
    if startMs == 0 or nowMs - startMs <= leaseMs + ANSWER_WAY_MS then
      postpone()
    end
    return 'waiting'
  end
  local word = whose()
  if not current or word == 'others-pass' then
    return word
  end
  if isNewRow then
    redis.call('HSET', hold, 'troubleSince', now, 'troubleAt', now, 'troubleCalls', 1)
    return word
  end
  local calls = redis.call('HINCRBY', hold, 'troubleCalls', 1)
  redis.call('HSET', hold, 'troubleAt', now)
  if calls < OUTAGE_CALLS or nowMs - tonumber(f[6]) < OUTAGE_AFTER_MS then
    return word
  end
  return begin(ARGV[8], 'outage', 'import', SHORT_GAP_MS, SHORT_GAP_MS, SHORT_MAX_GAP_MS)
end

-- blocked
local json, newKind, proof, code = ARGV[8], ARGV[9], ARGV[10], ARGV[11]
local first, most = tonumber(ARGV[12]), tonumber(ARGV[13])
if held then
  if not (probe and current) then
    return 'held'
  end
  if f[13] == 'import' then
    most = math.max(first, math.min(most, CALL_MAX_GAP_MS))
  end
  redis.call('HSET', hold, 'firstGapMs', text(first), 'maxGapMs', text(most))
  if kind == newKind then
    redis.call('HSET', hold, 'held', json)
    postpone()
    return 'postponed'
  end
  -- Another fault by now: its own words and its own proof, from the same beginning.
  redis.call('HSET', hold, 'held', json, 'kind', newKind, 'proof', proof)
  forget('leaseMs')
  postpone()
  changed()
  return 'postponed'
end
-- Existing accounts pass whatever the plan says: only a new one proves anything of the account quota.
local word = whose(newKind == 'quota' and (f[14] or '0') or nil)
if not current or word == 'others-pass' then
  return word
end
-- A code that wants quiet (70050) gets it at once.
if isRecent and newKind ~= 'quota' and first <= SHORT_GAP_MS then
  if redis.call('HINCRBY', hold, 'appFailures', 1) < APP_FAILURES then
    return word
  end
  redis.call('HSET', hold, 'thenProof', proof)
  return begin(json, newKind, 'import', 0, first, most)
end
-- Held again for the same reason as soon as it was let go: the proof was not good enough, and the gap goes on.
local last = redis.call('HMGET', hold, 'clearedAt', 'clearedCode', 'clearedGapMs', 'clearedBy')
if last[1] and last[2] == code and last[4] ~= 'call' and math.abs(nowMs - tonumber(last[1])) < FLAP_MS then
  if proof == 'check' then
    proof, most = 'import', math.max(first, math.min(most, CALL_MAX_GAP_MS))
  end
  return begin(json, newKind, proof, math.min(most, math.max(first, 2 * tonumber(last[3]))), first, most)
end
return begin(json, newKind, proof, first, first, most)
