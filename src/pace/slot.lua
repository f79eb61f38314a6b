-- slot: may a call start, and when?
--
-- GCRA without burst on Redis's clock: the slots of a command lie 1/rate apart, whoever asks. Atomic, because
-- the check that a run still owns its call record, the check of the hold and the reservation of the time must
-- be one step: a process that was frozen must not get a slot for work that another one took over.
--
-- The time of slots that were given up is made up for, and moments in which nobody asked: the next ones lie nearer to each other,
-- by a quarter at most. What a rolling second holds is bounded by counting then, not by the spacing alone: the slots that were used,
-- n of them back, are as far back as n spacings (docs/decisions/0022).
--
-- KEYS 1 hold           hash, see hold.lua: epoch, held, proof, nextProbeAt, probeUntil, leaseMs (ms), paused, heldMs
--      2 pace:<command> hash: next (us), notBefore (us), slots, givenUp, turn:<class>, want:<class> (us),
--                       slowest, slowestAt (us), lead, leadAt (us), and what throttle.lua writes;
--                       next: one spacing after the last slot; behind, behindAt (us): what is to be made up for, and
--                       when that changed; nearAt (us): the last slot nearer than a spacing;
--                       told (us): until when somebody was told to ask again at a time of their own
--      3 started:<cmd>  sorted set: slot number -> its time (us), for the last seconds
--      4.. call records of the candidates, one for each waiting class, best class first; for a call that has no
--          record (somebody asks who is there) the hold hash once more
-- ARGV 1 spacing (us) by the asker's own quota   2 slots that may be reserved ahead
--      3 probe lease (ms), unless the hold says its own
--      4 mode: 'calls' for candidates, 'check' for the probe that needs none, 'rate' to be told the rate only,
--        'look' the same for somebody who makes no calls
--      5 us for which no call may start, since the asker saw Redis's clock set forward; 0 for none (redis-clock.ts)
--      6.. pairs (class 0-3, run), in the order of the records; a call without a record has the run ''. It takes
--          its slot like every other, but it is never a probe: what it learns proves nothing about imports
--      last but one: the classes of which more wait in the asking process than the one it asks for, such as '02'
--      last: the asker's lead (us), see lead.ts
--
-- Answers (all numbers as integers or strings, times in us on Redis's clock):
--   {'slot', index, time, now, epoch, isProbe, heldMs, slot number, calls/s in force,
--            us after which to ask for those who go on waiting}
--   {'later', now, wait us}
--   {'held', now, wait us, epoch, call record that would be the probe or ''}     {'paused', now, epoch}
--   {'lost', now, index}              the record is gone or another run owns it
--   {'rate', now, calls/s in force, spacing (us) of the lowest quota}
-- Cost: O(log slots of the last second), no matter how much waits.

local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local nowMs = math.floor(now / 1000)
local nowText = string.format('%.0f', now)
local spacing = tonumber(ARGV[1])
local ahead = tonumber(ARGV[2])
local mode = ARGV[4]
local candidates = #KEYS - 3
-- A write that needs no memory comes first: so a full Redis runs the rest, too (docs/decisions/0050).
if mode ~= 'look' then
  redis.call('HDEL', KEYS[2], '')
end

-- Processes that disagree about the quota: the lowest counts, for as long as one of them is heard of.
local q = redis.call('HMGET', KEYS[2], 'slowest', 'slowestAt', 'cutAt', 'cutBase', 'cutCeiling', 'cutSince')
local slowestAt = tonumber(q[2] or 0)
if q[1] and (tonumber(q[1]) > spacing or mode == 'look') and now - slowestAt < 15000000 and slowestAt <= now then
  spacing = tonumber(q[1])
elseif mode ~= 'look' and (q[1] ~= ARGV[1] or now - slowestAt > 1000000 or slowestAt > now) then
  redis.call('HSET', KEYS[2], 'slowest', ARGV[1], 'slowestAt', nowText)
end
local lowest = spacing
-- Slots in which nobody asked that are made up for at most.
local MADE_UP = 5

-- Throttled (docs/decisions/0023): the rate climbs from where it was cut to, to near where it was refused, the longer
-- the limit has stood the slower; then for two seconds it feels for the limit, by 2 % of the full rate a second. Where
-- that is refused nowhere, the limit is gone, whatever seconds it is counted by, and the rate runs up.
local CLIMB_SHARE, LEAST_CLIMB_S, MOST_CLIMB_S, FEEL_S, FEEL_SHARE = 0.1, 3, 10, 2, 0.02
if q[3] then
  local full, ceiling = 1000000 / spacing, 0.97 * tonumber(q[5])
  if tonumber(q[3]) > now then
    -- Redis's clock was set back: from here on, not from when it has come there again.
    q[3] = nowText
    redis.call('HSET', KEYS[2], 'cutAt', nowText)
  end
  local age = (now - tonumber(q[3])) / 1000000
  -- Since when by another clock: as if it had been found just now.
  local stood = (tonumber(q[3]) - tonumber(q[6] or q[3])) / 1000000
  local climb = math.min(MOST_CLIMB_S, math.max(LEAST_CLIMB_S, CLIMB_SHARE * stood))
  local rate = math.min(tonumber(q[4]), full)
  if age < climb then
    rate = rate + math.max(0, ceiling - rate) * age / climb
  else
    local beyond = age - climb
    local run = math.max(0, beyond - FEEL_S)
    rate = math.max(rate, ceiling) + full * (FEEL_SHARE * beyond + run * run)
  end
  if rate >= full then
    redis.call('HDEL', KEYS[2], 'cutAt', 'cutBase', 'cutCeiling', 'cutSince', 'refusedAt')
  else
    spacing = 1000000 / rate
  end
end
local rateText = string.format('%.3f', 1000000 / spacing)
if mode == 'rate' or mode == 'look' then
  return { 'rate', nowText, rateText, tostring(lowest) }
end

local recorded = 0
local function hasRecord(i)
  return ARGV[5 + 2 * i] ~= ''
end
for i = 1, candidates do
  if hasRecord(i) then
    recorded = recorded + 1
    if redis.call('HGET', KEYS[3 + i], 'run') ~= ARGV[5 + 2 * i] then
      return { 'lost', nowText, i - 1 }
    end
  end
end

local h
-- The call that failed as the last probe, or began the hold: another one goes before it.
local function failedLast(i)
  local id = h[14] or ''
  return id ~= '' and string.sub(KEYS[3 + i], -#id - 1) == ':' .. id
end
-- False where several calls of that record alone wait here: then one of them is the probe.
local function othersWait()
  for i = 1, candidates do
    if hasRecord(i) and not failedLast(i) then
      return true
    end
  end
  return false
end
h = redis.call('HMGET', KEYS[1], 'epoch', 'held', 'nextProbeAt', 'probeUntil', 'paused', 'heldMs', 'proof',
  'newcomer', 'newcomerUntil', 'probes', 'maxGapMs', 'leaseMs', 'kind', 'failedProbe')
local epoch = h[1] or '0'
if h[5] then
  return { 'paused', nowText, epoch }
end
local probe, proven, takesTurns, turnOfMany = 0, nil, false, false
if h[2] then
  -- Held: whoever does not fit the proof waits for the change, which is told on the channel. For the proof
  -- `new` a check finds the record that holds an account which does not exist yet; then that one is the probe.
  local newcomer = h[7] == 'new' and h[8] and tonumber(h[9]) > nowMs and tonumber(h[9]) < nowMs + 60000 and h[8]
  local byCheck = h[7] == 'check' or (h[7] == 'new' and not newcomer)
  if byCheck ~= (mode == 'check') or (mode == 'calls' and recorded == 0) then
    return { 'held', nowText, '5000000', epoch }
  end
  local lease = tonumber(h[4] or 0)
  if newcomer then
    for i = 1, candidates do
      if KEYS[3 + i] == newcomer then
        proven = i
      end
    end
    if not proven then
      return { 'held', nowText, '1000000', epoch, newcomer }
    end
    lease = 0
  end
  if lease > nowMs + 2 * tonumber(ARGV[3]) then
    lease = 0
  end
  local free = math.max(tonumber(h[3] or 0), lease)
  -- What everybody gets is told from what one call or one user gets by trying several: calls of a single user and calls of
  -- many take turns, fresh ones before those that failed (cut.lua cuts one). A brake begins with three single users: it is
  -- often the accounts' own fault. The others wait a little, and go if nobody else comes forward. Any answer ends an outage.
  takesTurns = h[7] == 'scout' or (h[7] == 'import' and h[13] ~= 'outage')
  if takesTurns then
    local many = string.find(KEYS[2], 'multiaccount_import', 1, true) ~= nil
    local probes = tonumber(h[10] or 0)
    turnOfMany = probes % 2 == (h[7] == 'scout' and 1 or 0) and not (h[7] == 'scout' and probes < 3)
    if many ~= turnOfMany or not othersWait() then
      free = free + 250
    end
  end
  -- Further ahead than the greatest gap: Redis's clock was set back.
  if nowMs < free and free < nowMs + math.max(60000, tonumber(h[11] or 0)) + 1000 then
    return { 'held', nowText, string.format('%.0f', (free - nowMs) * 1000), epoch }
  end
  probe = 1
elseif mode == 'check' then
  return { 'held', nowText, '5000000', epoch }
end

local p = redis.call('HMGET', KEYS[2], 'next', 'notBefore', 'slots', 'lead', 'leadAt', 'behind', 'behindAt', 'nearAt',
  'told')
-- A far asker's slot lies further ahead. So that the time before it is not lost, all may reserve so far, then.
local lead, horizon, leadAt = tonumber(ARGV[#ARGV]), tonumber(p[4] or 0), tonumber(p[5] or 0)
if leadAt > now or now - leadAt > 5000000 then
  horizon = 0
end
if lead > horizon or (lead > 0.8 * horizon and now - leadAt > 1000000) then
  horizon = lead
  redis.call('HSET', KEYS[2], 'lead', ARGV[#ARGV], 'leadAt', nowText)
end
horizon = horizon + ahead * spacing
local nextSlot = tonumber(p[1] or -1)
local farAhead = now + horizon + spacing + 1000000
-- No stored time (first start, flush) or one from another clock (stepped back, failover): calls may have
-- started in this second that nobody here remembers, so a second is waited.
-- What is behind for longer than a second would be a burst of its own.
local behind, behindAt = math.min(tonumber(p[6] or 0), 1000000), tonumber(p[7] or 0)
if behindAt > now or now - behindAt > 1000000 then
  behind = 0
end
if nextSlot < 0 or nextSlot > farAhead then
  nextSlot, behind = now + 1000000, 0
  redis.call('DEL', KEYS[3])
  redis.call('HSET', KEYS[2], 'next', string.format('%.0f', nextSlot))
end
-- The line had calls to make a moment ago, and whoever has the next one was held up: that time is made up for, too. Not
-- after idleness: a rush begins evenly.
local unasked = now - nextSlot
if unasked > 0 and unasked <= MADE_UP * spacing then
  behind = math.max(behind, math.min(behind + unasked, MADE_UP * spacing))
end
local notBefore = tonumber(p[2] or 0)
if notBefore > now + 60000000 then
  -- No server is waited for longer than a minute (slot.ts): this is of another clock.
  notBefore = now + 60000000
  redis.call('HSET', KEYS[2], 'notBefore', string.format('%.0f', notBefore))
end
-- The asker saw Redis's clock set forward: no slot for anybody until that has settled. Who has just started did not see it.
local settles = tonumber(ARGV[5])
if now + settles > notBefore and settles > 0 then
  notBefore = now + settles
  redis.call('HSET', KEYS[2], 'notBefore', string.format('%.0f', notBefore))
end
local slot = math.max(nextSlot - math.min(behind, 0.25 * spacing), now + lead, notBefore)
local stillBehind = behind - math.max(0, nextSlot - slot)
local window, nearAt = math.ceil(1.005 * 1000000 / spacing), tonumber(p[8] or 0)
if slot < nextSlot or (nearAt <= slot and slot - nearAt < window * spacing) then
  local used = redis.call('ZRANGE', KEYS[3], -window, -window, 'WITHSCORES')[2]
  local full = used and tonumber(used) + window * spacing or 0
  if full > slot then
    -- A second is full since what was made up for in it came late: so does what comes now.
    stillBehind = stillBehind + full - slot
    slot = full
  end
end

-- What waits on is remembered for a moment, so that a lower class elsewhere does not take its place.
local function want(class)
  redis.call('HSET', KEYS[2], 'want:' .. class, nowText)
end
-- When to ask for a slot that comes within reach in so many us. Processes that wait for slots are told times that lie a
-- slot's distance apart: at the same time all would ask, and all but one in vain. Nobody is told to wait when a slot could be
-- had, nor so long that what is reserved ahead would run out: one who does not come costs nothing.
local function askIn(reach)
  if reach <= 0 then
    return '0'
  end
  local at, told = now + reach, tonumber(p[9] or 0)
  if told > now and told < at + ahead * spacing then
    at = math.min(math.max(at, told + spacing), at + (ahead - 1) * spacing)
  end
  redis.call('HSET', KEYS[2], 'told', string.format('%.0f', at))
  return string.format('%.0f', math.ceil(at - now))
end

local wait = slot - horizon - now
if wait > 0 then
  for i = 1, candidates do
    want(ARGV[4 + 2 * i])
  end
  return { 'later', nowText, probe == 0 and askIn(wait) or string.format('%.0f', math.ceil(wait)) }
end

-- Strict classes, but every waiting class gets one slot in ten.
local number = tonumber(p[3] or 0) + 1
local turns = redis.call('HMGET', KEYS[2],
  'turn:0', 'turn:1', 'turn:2', 'turn:3', 'want:0', 'want:1', 'want:2', 'want:3')
local mine = {}
for i = 1, candidates do
  if probe == 0 or (hasRecord(i) and not (failedLast(i) and othersWait())) then
    mine[tonumber(ARGV[4 + 2 * i])] = i
  end
end
local fresh = now - math.max(100000, 12 * spacing)
local chosen, starved
for class = 0, 3 do
  local at = tonumber(turns[5 + class] or 0)
  local wanted = mine[class] or (at > fresh and at <= now)
  if wanted then
    chosen = chosen or class
    if class ~= chosen and number - tonumber(turns[1 + class] or 0) >= 10 then
      starved = starved or class
    end
  end
end
chosen = starved or chosen
if probe == 1 then
  -- A probe is whoever is here, best class first; single users of a call that failed wait as split.
  chosen = 0
  while chosen < 3 and not mine[chosen] do
    chosen = chosen + 1
  end
  if takesTurns and mine[2] and not turnOfMany then
    chosen = 2
  end
end
local index = proven or mine[chosen]
if mode == 'check' then
  chosen, index = 'check', 1
end
if not index then
  for i = 1, candidates do
    want(ARGV[4 + 2 * i])
  end
  return { 'later', nowText, string.format('%.0f', math.ceil(spacing)) }
end

local slotText = string.format('%.0f', slot)
redis.call('HSET', KEYS[2], 'next', string.format('%.0f', slot + spacing), 'slots', number, 'turn:' .. chosen, number)
local others = ARGV[#ARGV - 1]
for i = 1, candidates do
  if i ~= index then
    want(ARGV[4 + 2 * i])
  end
end
if string.find(others, chosen, 1, true) then
  want(chosen)
else
  redis.call('HDEL', KEYS[2], 'want:' .. chosen)
end
if slot < nextSlot then
  redis.call('HSET', KEYS[2], 'nearAt', slotText)
end
if stillBehind ~= tonumber(p[6] or 0) then
  redis.call('HSET', KEYS[2], 'behind', string.format('%.0f', stillBehind), 'behindAt', nowText)
end
redis.call('ZADD', KEYS[3], slotText, number)
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('(%.0f', now - 2000000))
if probe == 1 then
  redis.call('HDEL', KEYS[1], 'newcomer', 'newcomerUntil')
  redis.call('HSET', KEYS[1], 'probeUntil', string.format('%.0f', nowMs + tonumber(h[12] or ARGV[3])))
end
if mode == 'calls' and hasRecord(index) then
  -- From here on the call may be on the wire: who takes this record over must know.
  redis.call('HSET', KEYS[3 + index], 'sentAt', string.format('%.0f', slot / 1000))
end
local next = '0'
if probe == 0 and (candidates > 1 or others ~= '') then
  next = askIn(slot + spacing - math.min(stillBehind, 0.25 * spacing) - horizon - now)
end
return { 'slot', index - 1, slotText, nowText, epoch, probe, h[6] or '0', number, rateText, next }
