-- slot: may a call start, and when?
--
-- Joined with: ledger/record.lua, slot/{rate,hold-gate,gcra,turns}.lua. Each lists the fields of
--   pace:<command> that it writes; give-up.lua, left-late.lua and throttle.lua write the rest.
-- KEYS     hold     see hold/hold-change.lua
--          pace     hash pace:<command>
--          started  sorted set started:<command>: slot number -> its time (us), for the last seconds
--          then the call record of each candidate; the hold once more for one without a record
-- ARGV     by position, since decoding a request would make this script a tenth slower
--          1 mode          'calls' for candidates; 'check' for the probe that needs none; 'rate' to be
--                          told the rate only; 'look' for the same, from a process that makes no calls
--          2 ownSpacing    us between two calls by the asker's own quota
--          3 slotsAhead    slots that may be reserved ahead over the fleet
--          4 leaseMs       of a probe, unless the hold says its own
--          5 settlesMicros for so long no call may start, since Redis's clock was seen set forward; else 0
--          6 leadMicros    how far ahead the asker needs its slot (redis-clock.ts)
--          7 moreClasses   the classes of which more wait in the asking process, such as '02'
--          8.. pairs       class, run: the candidates, one for each waiting class (0-3), best first. One
--                          with the run '' has no record: it takes its slot like every other, but is never a
--                          probe, since what it learns proves nothing about imports
-- Answers  (times in us on Redis's clock)
--   {'slot', now, epoch, index, time, isProbe, heldMs, slot number, calls/s in force,
--            us after which to ask for those who go on waiting}
--   {'later', now, epoch, wait}
--   {'held', now, epoch, wait, call record that is to be the probe, if one is}
--   {'paused', now, epoch}
--   {'lost', now, '', index}          the record is gone or another run owns it
--   {'rate', now, calls/s in force, spacing of the lowest quota}
-- Cost: O(log slots of the last second), no matter how much waits.
-- Atomic, because a process that was frozen must not get a slot for work that another one took over: the
--   check of the record's owner, the check of the hold and the reservation of the time are one step.

nameKeys('hold', 'pace', 'started')
local mode, ownSpacing, leadMicros, moreClasses = ARGV[1], ARGV[2], tonumber(ARGV[6]), ARGV[7]
request = { slotsAhead = tonumber(ARGV[3]), leaseMs = tonumber(ARGV[4]), settlesMicros = tonumber(ARGV[5]) }
candidates = {}
for i = 1, (#ARGV - 7) / 2 do
  local class, run = tonumber(ARGV[6 + 2 * i]), ARGV[7 + 2 * i]
  candidates[i] = { class = class, run = run, call = run ~= '' and KEYS[3 + i] }
end
if mode ~= 'look' then
  writeNothing('HDEL', keys.pace)
end
readClock()

local slots
slowest, slowestAt, cutAt, nextAt, notBefore, slots, lead, leadAt, behind, behindAt, nearAt, told = unpack(redis.call(
  'HMGET', keys.pace, 'slowest', 'slowestAt', 'cutAt', 'next', 'notBefore', 'slots', 'lead', 'leadAt', 'behind', 'behindAt',
  'nearAt', 'told'))
local lowest = lowestQuota(ownSpacing, mode == 'look')
local spacing = throttled(lowest)
local rate = string.format('%.3f', 1000000 / spacing)
if mode == 'rate' or mode == 'look' then
  return { 'rate', nowMicrosText, rate, tostring(lowest) }
end

for i = 1, #candidates do
  if candidates[i].call and not isOwnedBy(candidates[i].call, candidates[i].run) then
    return { 'lost', nowMicrosText, '', i - 1 }
  end
end
local pass, refusal = passHold(mode)
if not pass then
  return refusal
end

local horizon = reservationHorizon(spacing, leadMicros)
local slot, isNear, stillBehind = timeOfSlot(spacing, horizon, leadMicros)
local wait = slot - horizon - nowMicros
if wait > 0 then
  wantAllBut()
  return { 'later', nowMicrosText, fleet.epoch or '0', pass.isProbe and text(math.ceil(wait)) or askIn(wait, spacing) }
end

local number = tonumber(slots or 0) + 1
local chosen, mine = chooseClass(number, spacing, pass)
if pass.isProbe then
  chosen = chooseProbe(pass, mine)
end
local index = pass.proven or mine[chosen]
if mode == 'check' then
  chosen, index = 'check', 1
end
if not index then
  wantAllBut()
  return { 'later', nowMicrosText, fleet.epoch or '0', text(math.ceil(spacing)) }
end

takeSlot(slot, spacing, isNear, stillBehind, number, chosen)
wantAllBut(index)
if string.find(moreClasses, chosen, 1, true) then
  want(chosen)
else
  redis.call('HDEL', keys.pace, 'want:' .. chosen)
end
if pass.isProbe then
  leaseProbe()
end
if mode == 'calls' and candidates[index].call then
  recordSent(candidates[index].call, slot)
end
local next = '0'
if not pass.isProbe and (#candidates > 1 or moreClasses ~= '') then
  next = askIn(slot + spacing - math.min(stillBehind, 0.25 * spacing) - horizon - nowMicros, spacing)
end
return {
  'slot', nowMicrosText, fleet.epoch or '0', index - 1, text(slot), pass.isProbe and 1 or 0, fleet.heldMs or '0', number,
  rate, next,
}
