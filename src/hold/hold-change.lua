-- hold-change: how a hold begins, is put off and ends. Functions for hold.lua. The machine: hold-state.ts.
--
-- The fields of the hold hash; times in ms on Redis's clock. Files of this folder write them, and pace/slot
-- the lease of a probe.
--   epoch                         grows at every change that stops or frees the fleet
--   held (JSON), kind, proof      why no call can succeed, and what proves that it is over
--   heldSince, nextProbeAt        and probeGapMs, firstGapMs, maxGapMs: the gaps between probes
--   probeUntil                    lease of the probe that is out; leaseMs: its length, if not that of slot.ts
--   probes                        probes that failed in this hold
--   newcomer, newcomerUntil       the call record that is the next probe, for a while; proves: is the proof
--   freshAt                       the count of probes for which cut.lua sent a fresh call ahead
--   heldMs                        milliseconds of holds and pauses that ended
--   clearedAt, clearedCode,       of the last hold, to tell a recovery from a flap
--   clearedGapMs, clearedBy
--   paused (JSON), stoppedFrom    an operator's pause, and from when on it is not counted in heldMs yet
--   causeAt                       start of the call whose answer began the hold
--   passedAt, newPassedAt         start of the newest call that imported an account; that made a new one
--   failedBy, appFailures         the call record that failed since then ('*': several did), and how many
--                                 answers said since then that no call can succeed
--   failedProbe                   the call record whose call failed last as a probe, or began the hold
--   thenProof                     what proves the end of the hold once its quick probes have failed
--   badCalls, badUsers            answers in a row that would dead-letter, and the users they spoke of first
--   troubleSince, troubleCalls,   transient failures in a row
--   troubleAt

-- If a call passed a moment ago, so many probes of a hold go out without a gap.
local QUICK_PROBES = 3
local SHORT_GAP_MS, SHORT_MAX_GAP_MS = 1000, 3000
-- A hold whose gaps are short must not outlast its reason by the lease of a probe that went out just before:
-- a fresh probe goes out beside one that hangs. Other holds keep the longer lease of slot.ts, because a
-- signature that is refused too often is punished for it.
local SHORT_LEASE_MS = 2000

-- The fields that hold.lua has read. `isProbe`: the answer is that of the probe of this epoch.
local fleet, isCurrent, isProbe

local function forget(...)
  redis.call('HDEL', keys.hold, ...)
end

local function changed()
  redis.call('PUBLISH', keys.holdChannel, redis.call('HINCRBY', keys.hold, 'epoch', 1))
end

-- Nothing changed, but another call may be the next probe: processes that wait look again.
local function wake()
  redis.call('PUBLISH', keys.holdChannel, fleet.epoch or '0')
end

local function beginHold(kind, proof, gapMs, firstGapMs, maxGapMs)
  redis.call('HSET', keys.hold, 'held', request.held, 'kind', kind, 'proof', proof, 'heldSince', nowText,
    'probes', 0, 'causeAt', text(request.startMs), 'firstGapMs', text(firstGapMs), 'maxGapMs', text(maxGapMs),
    'nextProbeAt', text(nowMs + gapMs), 'probeGapMs', text(gapMs), 'failedProbe', request.callId)
  forget('probeUntil', 'badCalls', 'badUsers', 'troubleSince', 'troubleCalls', 'troubleAt', 'freshAt', 'leaseMs')
  if kind == 'outage' or kind == 'brake' then
    redis.call('HSET', keys.hold, 'leaseMs', SHORT_LEASE_MS)
  end
  changed()
  return 'set'
end

local function clearHold()
  endHold(request.callId ~= '' and 'call' or 'check')
  return 'cleared'
end

-- The probe proved nothing. The next one goes out after a longer gap, within the bounds of this kind of hold.
-- The call of a suspect says nothing of the fleet: another probe follows soon, and the gap does not grow.
local function postponeProbe(isSuspect)
  local h = readFields(keys.hold, 'firstGapMs', 'maxGapMs', 'thenProof')
  local first, most = tonumber(h.firstGapMs or SHORT_GAP_MS), tonumber(h.maxGapMs or SHORT_MAX_GAP_MS)
  local probes = redis.call('HINCRBY', keys.hold, 'probes', 1)
  local gap = math.min(most, math.max(first, 2 * tonumber(fleet.probeGapMs or first)))
  if probes < QUICK_PROBES and (fleet.kind == 'brake' or h.thenProof) then
    gap = 0
  elseif h.thenProof then
    gap = first
    redis.call('HSET', keys.hold, 'proof', h.thenProof)
    forget('thenProof')
    changed()
  end
  if isSuspect then
    redis.call('HSET', keys.hold, 'nextProbeAt', text(nowMs + math.min(gap, first)))
  else
    redis.call('HSET', keys.hold, 'nextProbeAt', text(nowMs + gap), 'probeGapMs', text(gap))
  end
  if request.callId ~= '' then
    redis.call('HSET', keys.hold, 'failedProbe', request.callId)
  end
  forget('probeUntil', 'newcomer', 'newcomerUntil')
  wake()
end
