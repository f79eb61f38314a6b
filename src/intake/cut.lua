-- cut: who goes into which call.
--
-- Moves entries off the intake into call records whose membership never changes again. One step, so that no
-- entry is ever in two places or in none, and so that a user can be in one call only, whatever the number of
-- processes that cut at the same time.
--
-- KEYS 1 stream  2 returned  3 owners  4 parked-counts  5 open-calls  6 books  7 cutter  8 hold
--      9 started:<batch command>  10 culprits  11 isolated-calls  12 body-limit
--      13 open-since
-- ARGV 1 call prefix  2 parked prefix  3 batch command  4 single command  5 most users a call
--      6 most wait (ms)  7 calls a second below which the system is quiet  8 most open calls
--      9 process that asks  10 record format  11 most bytes a call  12 most entries looked at
--      13 who goes alone: 'nobody' or 'profile-or-robot', by what the batch call cannot carry
--      14 ms that lie between two slots: while quiet, a call that is not full is cut so far behind the one before
--      15 run that takes the batch call in hand (calls/local-calls.ts), '' for none: then it is for a job to run it
--      16 ID of the call that is taken in hand. Asked for once more it is answered once more, without the single calls that
--         were cut beside it: the sweep makes their jobs
--      17 calls of suspected users that back-pressure leaves out, at most
--
-- Answers, all starting with a word and the entries still waiting:
--   {'cut', waiting, parked now, now ms, entries (JSON) of the call in hand or '', users in it,
--           callId, command, users, callId, command, users, ...}   the others; look again at once
--   {'linger', waiting, ms}           not due yet, but then at the latest; the asker has the watch
--   {'watched', waiting, wait ms, ms until due}   another process has the watch
--   {'empty', 0}                      nothing waits
--   {'blocked', waiting, 'paused' | 'held' | 'open-calls'}
-- Cost: O(entries moved). A cut of 100 took 1.3 ms on a slow core.

-- A write that needs no memory comes first: so a full Redis runs the rest, too (docs/decisions/0050).
redis.call('HDEL', KEYS[7], '')

local batchCommand, singleCommand, inHandRun = ARGV[3], ARGV[4], ARGV[15]
if inHandRun ~= '' then
  -- Asked before, and the answer was lost with its connection: the call is the asker's already.
  local before = redis.call('HMGET', ARGV[1] .. ARGV[16], 'run', 'entries', 'users', 'cutAt')
  if before[1] == inHandRun then
    return { 'cut', redis.call('LLEN', KEYS[2]) + redis.call('XLEN', KEYS[1]), 0, before[4], before[2], tonumber(before[3]) }
  end
  if before[2] then
    -- A name that somebody else has is no name for this call.
    inHandRun = ''
  end
end
local maxUsers, maxWaitMs, eagerCalls = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local maxOpen, maxBytes, maxLooked = tonumber(ARGV[8]), tonumber(ARGV[11]), tonumber(ARGV[12])
local someAlone, eagerGapMs = ARGV[13] == 'profile-or-robot', tonumber(ARGV[14])
-- While many users are refused together with their calls, smaller calls carry more (delivery/refusal-rate.lua).
maxUsers = math.min(maxUsers, tonumber(redis.call('HGET', KEYS[10], 'size') or maxUsers))
-- Something on the way refused a larger body of late (delivery/body-limit.ts). Entries are longer than what is sent of them.
maxBytes = math.min(maxBytes, tonumber(redis.call('GET', KEYS[12]) or maxBytes))

local returned = redis.call('LLEN', KEYS[2])
local waiting = returned + redis.call('XLEN', KEYS[1])
if waiting == 0 then
  redis.call('HDEL', KEYS[7], 'watcher')
  return { 'empty', 0 }
end

-- Back-pressure. While held one call may stand ready for the probe; the rest waits in the stream, where it is
-- small and goes on coalescing.
local h = redis.call('HMGET', KEYS[8], 'held', 'paused', 'kind', 'probes', 'freshAt', 'proof')
if h[2] then
  return { 'blocked', waiting, 'paused' }
end
-- Users who are suspected are retried alone for hours, and hold up nobody: their calls are left out, up to a bound.
local open = redis.call('ZCARD', KEYS[5]) - math.min(tonumber(ARGV[17]), redis.call('ZCARD', KEYS[11]))
-- A hold that nobody who is in a call can prove to be over: all that is left in the open calls may be bad. A fresh
-- call goes ahead for each probe that may be one of many (slot.lua), within a bound.
local probes = tonumber(h[4] or 0)
local mayBeFresh
if h[3] == 'brake' then
  mayBeFresh = probes >= 3 and probes % 2 == 1
else
  mayBeFresh = h[6] == 'import' and (h[3] == 'outage' or probes % 2 == 0)
end
local fresh = h[1] and mayBeFresh and h[5] ~= h[4] and open < maxOpen + 50
if h[1] and not fresh then
  -- One that waits for its retry cannot be the probe; it must not keep the place of one that can.
  local clock = redis.call('TIME')
  if redis.call('ZCOUNT', KEYS[5], '-inf', string.format('%.0f', clock[1] * 1000 + clock[2] / 1000)) >= 1 then
    return { 'blocked', waiting, 'held' }
  end
end
if open >= maxOpen and not fresh then
  return { 'blocked', waiting, 'open-calls' }
end
if fresh then
  redis.call('HSET', KEYS[8], 'freshAt', h[4])
end

local t = redis.call('TIME')
local nowMs = t[1] * 1000 + math.floor(t[2] / 1000)
local nowText = string.format('%.0f', nowMs)

-- Due? Full, aged, or quiet.
if waiting < maxUsers then
  local since = returned > 0 and tonumber(redis.call('HGET', KEYS[7], 'returnedSince') or 0)
  if waiting > returned then
    local head = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1]
    local headMs = tonumber(string.match(head, '^%d+'))
    since = since and math.min(since, headMs) or headMs
  end
  local age = nowMs - since
  -- An ID from the future (Redis's clock stepped back) would linger until the clock has caught up.
  if age < -1000 then
    age = maxWaitMs
  end
  local dueInMs = maxWaitMs - math.max(age, 0)
  local w = redis.call('HMGET', KEYS[7], 'watcher', 'watchUntil', 'cutAt')
  if dueInMs > 0 then
    local secondAgo = string.format('%.0f', t[1] * 1000000 + t[2] - 1000000)
    local started = redis.call('ZCOUNT', KEYS[9], secondAgo, '+inf')
    if math.max(started, open) < eagerCalls then
      -- Quiet: no waiting for company. But slots lie apart, so what comes within one shares the next. A rush would begin
      -- with many small calls otherwise, and the full ones behind them would wait for all their slots.
      local gapMs = eagerGapMs - (t[1] * 1000 + t[2] / 1000 - tonumber(w[3] or 0))
      dueInMs = gapMs <= eagerGapMs and math.min(dueInMs, gapMs) or 0
    end
  end
  if dueInMs > 0 then
    if w[1] and w[1] ~= ARGV[9] and tonumber(w[2]) > nowMs and tonumber(w[2]) < nowMs + 2 * maxWaitMs + 200 then
      return { 'watched', waiting, tonumber(w[2]) - nowMs, math.ceil(dueInMs) }
    end
    redis.call('HSET', KEYS[7], 'watcher', ARGV[9], 'watchUntil', string.format('%.0f', nowMs + math.ceil(dueInMs) + 100))
    return { 'linger', waiting, math.ceil(dueInMs) }
  end
end

-- Calls that may still be opened: users who go alone, each a call of their own, must not slip past the back-pressure.
local room = h[1] and 1 or maxOpen - open
local cut, parkedNow, taken, looked = {}, 0, 0, 0
local batch, batchUsers, batchEvents, batchBytes = {}, 0, 0, 0
local entriesInHand = ''
local here = {}   -- users of the batch being cut
local claims = {} -- owners to set: user, callId, ...

local function newCall()
  return 'c' .. string.format('%.0f', redis.call('HINCRBY', KEYS[6], 'callsCut', 1))
end

local function seal(callId, command, entries, users, events, run)
  local packed = '[' .. table.concat(entries, ',') .. ']'
  -- What came back from parking stands in no order of age.
  local oldestMs = nowMs
  for i = 1, #entries do
    oldestMs = math.min(oldestMs, tonumber(string.match(entries[i], '^%["(%d+)')))
  end
  redis.call('ZADD', KEYS[13], string.format('%.0f', oldestMs), callId)
  redis.call('HSET', ARGV[1] .. callId, 'v', ARGV[10], 'command', command, 'class', 'live', 'cutAt', nowText,
    'users', users, 'events', events, 'entries', packed, unpack(run ~= '' and { 'run', run } or {}))
  redis.call('ZADD', KEYS[5], nowText, callId)
  redis.call('HINCRBY', KEYS[6], 'events', events)
  redis.call('HINCRBY', KEYS[6], 'users:' .. command, users)
  if run ~= '' then
    entriesInHand = packed
    return
  end
  cut[#cut + 1] = callId
  cut[#cut + 1] = command
  cut[#cut + 1] = users
end

-- The user is in a call already: the entry waits behind it, in order.
local function park(user, packed)
  redis.call('RPUSH', ARGV[2] .. user, packed)
  redis.call('HINCRBY', KEYS[4], user, 1)
  parkedNow = parkedNow + 1
  return true
end

local batchId
local function openBatch()
  batchId = batchId or (inHandRun ~= '' and ARGV[16] or newCall())
end

-- Places one entry. Answers false when the batch is full, or no call may be opened for it: then it stays where it is.
local function place(fields, first, packed, user, owner)
  if user and owner and owner ~= batchId then
    return park(user, packed)
  end
  -- Of a repeated field the last counts, as for who reads the entry.
  local robot, nick, face = false, false, false
  local last = someAlone and #fields - 1 or 0
  for i = first, last, 2 do
    local name, value = fields[i], fields[i + 1]
    if name == 'type' then
      robot = value == '1'
    elseif name == 'nick' then
      nick = value ~= ''
    elseif name == 'faceUrl' then
      face = value ~= ''
    end
  end
  if (robot or nick or face) and user and not here[user] then
    if room < 1 then
      return false
    end
    room = room - 1
    local callId = newCall()
    seal(callId, singleCommand, { packed }, 1, 1, '')
    redis.call('HSET', KEYS[3], user, callId)
    here[user] = callId
    return true
  end
  if here[user] and here[user] ~= batchId then
    return park(user, packed)
  end
  local known = user and here[user]
  if batchEvents > 0 and batchBytes + #packed > maxBytes then
    return false
  end
  if batchEvents == 0 then
    if room < 1 then
      return false
    end
    room = room - 1
  end
  if not known then
    if batchUsers >= maxUsers then
      return false
    end
    batchUsers = batchUsers + 1
    if user then
      openBatch()
      here[user] = batchId
      claims[#claims + 1] = user
      claims[#claims + 1] = batchId
    end
  end
  batch[#batch + 1] = packed
  batchEvents = batchEvents + 1
  batchBytes = batchBytes + #packed
  return true
end

-- Only a well-formed ID can own anything; any other entry goes along unowned and is dead-lettered by its reader.
local function userOf(fields, first)
  local user
  for i = first, #fields - 1, 2 do
    if fields[i] == 'userId' then
      user = fields[i + 1]
    end
  end
  if user and #user >= 1 and #user <= 32 and not string.find(user, '[^\33-\126]') then
    return user
  end
  return nil
end

-- [eventId, name, value, ...] as JSON, without another table. An entry of a stream has a field at least.
local function pack(eventId, fields)
  return '["' .. eventId .. '",' .. string.sub(cjson.encode(fields), 2)
end

-- Looks up the owners of a whole chunk at once.
local function ownersOf(users)
  local ids, at = {}, {}
  for i = 1, #users do
    if users[i] then
      ids[#ids + 1] = users[i]
      at[#ids] = i
    end
  end
  local owners = {}
  if #ids > 0 then
    local found = redis.call('HMGET', KEYS[3], unpack(ids))
    for k = 1, #ids do
      owners[at[k]] = found[k]
    end
  end
  return owners
end

local full = false
while returned > 0 and not full and batchUsers < maxUsers and looked < maxLooked do
  local chunk = redis.call('LRANGE', KEYS[2], 0, maxUsers - 1)
  local entries, users = {}, {}
  for i = 1, #chunk do
    entries[i] = cjson.decode(chunk[i])
    users[i] = userOf(entries[i], 2) or false
  end
  local owners = ownersOf(users)
  local used = 0
  for i = 1, #chunk do
    if not place(entries[i], 2, chunk[i], users[i] or nil, owners[i] or nil) then
      full = true
      break
    end
    used = i
  end
  redis.call('LTRIM', KEYS[2], used, -1)
  returned = returned - used
  looked = looked + used
  -- They were taken off the stream, and counted, when they were first cut.
end

while returned == 0 and not full and batchUsers < maxUsers and looked < maxLooked do
  local chunk = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', maxUsers - batchUsers)
  if #chunk == 0 then
    break
  end
  local users = {}
  for i = 1, #chunk do
    users[i] = userOf(chunk[i][2], 1) or false
  end
  local owners = ownersOf(users)
  local used = 0
  for i = 1, #chunk do
    local packed = pack(chunk[i][1], chunk[i][2])
    if not place(chunk[i][2], 1, packed, users[i] or nil, owners[i] or nil) then
      full = true
      break
    end
    used = i
  end
  if used > 0 then
    -- All entries up to the last one used have been moved: they go together, by their range.
    local ms, seq = string.match(chunk[used][1], '^(%d+)%-(%d+)$')
    if #seq < 15 then
      redis.call('XTRIM', KEYS[1], 'MINID', ms .. '-' .. string.format('%.0f', tonumber(seq) + 1))
    else
      for i = 1, used do
        redis.call('XDEL', KEYS[1], chunk[i][1])
      end
    end
    taken = taken + used
    looked = looked + used
  end
end

if batchEvents > 0 then
  openBatch()
  seal(batchId, batchCommand, batch, batchUsers, batchEvents, inHandRun)
  if #claims > 0 then
    redis.call('HSET', KEYS[3], unpack(claims))
  end
end
redis.call('HINCRBY', KEYS[6], 'taken', taken)
if parkedNow > 0 then
  redis.call('HINCRBY', KEYS[6], 'parked', parkedNow)
end
redis.call('HDEL', KEYS[7], 'watcher')
redis.call('HSET', KEYS[7], 'cutAt', string.format('%.3f', t[1] * 1000 + t[2] / 1000))
return {
  'cut', returned + redis.call('XLEN', KEYS[1]), parkedNow, nowText, entriesInHand, entriesInHand == '' and 0 or batchUsers,
  unpack(cut),
}
