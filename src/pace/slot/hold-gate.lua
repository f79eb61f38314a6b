-- hold-gate: whether the hold lets a call pass, and which call is its probe. Functions for slot.lua.

-- The calls whose slot is asked for: {class, run, call (key of the record, false without one)}.
local candidates
-- Fields of the hold: those of the fleet, and of a hold if there is one.
local fleet, hold

-- The call that failed as the last probe, or began the hold: another one goes before it.
local function failedLast(i)
  local id, call = hold.failedProbe or '', candidates[i].call
  return call and id ~= '' and string.sub(call, -#id - 1) == ':' .. id
end

-- False where only calls of that record wait here: then one of them is the probe.
local function othersWait()
  for i = 1, #candidates do
    if candidates[i].call and not failedLast(i) then
      return true
    end
  end
  return false
end

-- What slot.lua answers. Before the fleet's epoch is read it is ''.
local function answer(kind, fields)
  fields.kind, fields.nowMicros, fields.epoch = kind, nowMicros, fleet and (fleet.epoch or '0') or ''
  return { map = fields }
end

local function refuse(waitMs, wanted)
  return nil, answer('held', { waitMs = waitMs, wanted = wanted })
end

-- Whether a held fleet lets a call pass as the probe; answers as passHold.
local function passAsProbe(mode)
  -- A call whose turn it is not waits so much longer, and goes if no other comes forward.
  local OTHERS_FIRST_MS = 250
  -- A brake begins with so many single users, since it is often the accounts' own fault.
  local QUICK_PROBES = 3
  local function hasRecord()
    for i = 1, #candidates do
      if candidates[i].call then
        return true
      end
    end
    return false
  end

  -- Calls of one user and calls of many take turns as the probe, and calls that have not failed go before
  -- those that have (cut.lua cuts one): so a fault of all is told from a fault of one call or user. Any
  -- answer ends an outage. Answers whether calls take turns, and whether it is the turn of many users.
  local function turns()
    local isBrake = hold.proof == 'scout'
    local takesTurns = isBrake or (hold.proof == 'import' and hold.kind ~= 'outage')
    local probes = tonumber(hold.probes or 0)
    local isTurnOfMany = takesTurns and probes % 2 == (isBrake and 1 or 0) and not (isBrake and probes < QUICK_PROBES)
    return takesTurns, isTurnOfMany
  end

  hold = readFields(keys.hold, 'nextProbeAt', 'probeUntil', 'proof', 'newcomer', 'newcomerUntil', 'probes', 'maxGapMs',
    'leaseMs', 'kind', 'failedProbe')
  -- For the proof `new` a check finds the record that holds an account which does not exist yet; that call is
  -- the probe then, while it may still come for its slot (10 s, hold-state.ts).
  local newcomer = hold.proof == 'new' and hold.newcomer and isUpcoming(tonumber(hold.newcomerUntil), nowMs, 60000)
    and hold.newcomer
  -- A call that cannot give the proof waits for the change, which is told on the channel.
  local byCheck = hold.proof == 'check' or (hold.proof == 'new' and not newcomer)
  if byCheck ~= (mode == 'check') or (mode == 'calls' and not hasRecord()) then
    return refuse(5000)
  end
  local leaseUntil, proven = tonumber(hold.probeUntil or 0), nil
  if newcomer then
    for i = 1, #candidates do
      if candidates[i].call == newcomer then
        proven = i
      end
    end
    if not proven then
      return refuse(1000, string.match(newcomer, '[^:]*$'))
    end
    leaseUntil = 0
  end
  if isFromAnotherClock(leaseUntil, nowMs, 2 * request.leaseMs) then
    leaseUntil = 0
  end
  local free = math.max(tonumber(hold.nextProbeAt or 0), leaseUntil)
  local takesTurns, isTurnOfMany = turns()
  if takesTurns then
    local isOfMany = string.find(keys.pace, 'multiaccount_import', 1, true) ~= nil
    if isOfMany ~= isTurnOfMany or not othersWait() then
      free = free + OTHERS_FIRST_MS
    end
  end
  -- Further ahead than the greatest gap: another clock wrote it.
  if isUpcoming(free, nowMs, math.max(60000, tonumber(hold.maxGapMs or 0)) + 1000) then
    return refuse(free - nowMs)
  end
  return { isProbe = true, proven = proven, takesTurns = takesTurns, isTurnOfMany = isTurnOfMany }
end

-- Answers how a call passes: {isProbe, proven (index of the candidate that is the proof, or nil), takesTurns,
-- isTurnOfMany}. If none does: nil, and what slot.lua answers.
local function passHold(mode)
  fleet = readFields(keys.hold, 'epoch', 'held', 'paused', 'heldMs')
  if fleet.paused then
    return nil, answer('paused', {})
  end
  if fleet.held then
    return passAsProbe(mode)
  end
  if mode == 'check' then
    return refuse(5000)
  end
  return { isProbe = false }
end

-- The probe is out, under a lease: a process that dies with it is replaced.
local function leaseProbe()
  redis.call('HDEL', keys.hold, 'newcomer', 'newcomerUntil')
  redis.call('HSET', keys.hold, 'probeUntil', text(nowMs + tonumber(hold.leaseMs or request.leaseMs)))
end
