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
-- Answers  nowMicros (us on Redis's clock), epoch, and by kind
--   slot     index, atMicros, isProbe, heldMs, number, rate (calls/s in force, as text)
--   later    waitMs
--   held     waitMs, wanted (the call that is to be the probe, if one is)
--   paused
--   lost     index                   the record is gone or another run owns it
--   rate     rate, lowestSpacing (us by the lowest quota; both as text)
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
slowest, slowestAt, cutAt, nextAt, notBefore, slots, lead, leadAt, behind, behindAt, nearAt = unpack(redis.call(
  'HMGET', keys.pace, 'slowest', 'slowestAt', 'cutAt', 'next', 'notBefore', 'slots', 'lead', 'leadAt', 'behind', 'behindAt',
  'nearAt'))
local lowest = lowestQuota(ownSpacing, mode == 'look')
local spacing = throttled(lowest)
local rate = string.format('%.3f', 1000000 / spacing)
if mode == 'rate' or mode == 'look' then
  return answer('rate', { rate = rate, lowestSpacing = tostring(lowest) })
end

for i = 1, #candidates do
  if candidates[i].call and not isOwnedBy(candidates[i].call, candidates[i].run) then
    return answer('lost', { index = i - 1 })
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
  return answer('later', { waitMs = math.ceil(wait / 1000) })
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
  return answer('later', { waitMs = math.ceil(spacing / 1000) })
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
return answer('slot', {
  index = index - 1, atMicros = slot, isProbe = pass.isProbe, heldMs = tonumber(fleet.heldMs or 0), number = number,
  rate = rate,
})
