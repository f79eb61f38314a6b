-- cut: which user goes into which call.
--
-- Moves entries off the intake into call records whose membership never changes again.
--
-- Joined with: redis/prelude.lua, ledger/writes/{call-record,owners,intake-entries}.lua, pace/hold/hold-shared.lua,
--   cut/back-pressure.lua, cut/due.lua, cut/place.lua.
-- KEYS     stream, returned, owners, parkedCounts, open, books, cutter, hold, started (of the batch command), culprits,
--          isolated, bodyLimit, openSince
-- Request  callPrefix, parkedPrefix, batchCommand, singleCommand, format (of the records)
--          process        that asks
--          maxUsers       in a call
--          maxWaitMs      of an event
--          eagerCalls     calls a second below which the system is quiet
--          eagerGapMs     between two slots: while quiet, a call that is not full is cut so far behind the one before
--          maxOpenCalls   back-pressure
--          maxIsolated    calls of suspected users that back-pressure leaves out, at most
--          maxBytes       of entries in a call
--          maxLooked      entries that a cut looks at: many events of few users must not stall Redis
--          alone          'nobody' or 'profile-or-robot': what the batch call cannot carry goes alone
--          run            that takes the batch call in hand (calls/local-calls.ts), '' for none: then a job runs it
--          callId         of the call that is taken in hand. Asked for once more it is answered once more, without the
--                         single calls that were cut beside it: the sweep makes their jobs
-- Answers a word and the entries still waiting:
--   {'cut', waiting, parked now, now ms, entries (JSON) of the call in hand or '', users in it,
--           callId, command, users, callId, command, users, ...}   the other calls; look again at once
--   {'linger', waiting, ms}           not due yet, but then at the latest; the asker has the watch
--   {'watched', waiting, wait ms, ms until due}   another process has the watch
--   {'empty', 0}                      nothing waits
--   {'blocked', waiting, 'paused' | 'held' | 'open-calls'}
-- Cost: O(entries moved). A cut of 100 took 1.3 ms on a slow core.
-- Atomic, so that no entry is ever in two places or in none, and a user is in one call only, whatever the number of
--   processes that cut at the same time.

nameKeys('stream', 'returned', 'owners', 'parkedCounts', 'open', 'books', 'cutter', 'hold', 'started', 'culprits',
  'isolated', 'bodyLimit', 'openSince')
readRequest()
keys.callPrefix, keys.parkedPrefix = request.callPrefix, request.parkedPrefix
writeNothing('HDEL', keys.cutter)

inHandRun = request.run
if inHandRun ~= '' then
  -- Asked before, and the answer was lost with its connection: the call is the asker's already.
  local before = readFields(keys.callPrefix .. request.callId, 'run', 'entries', 'users', 'cutAt')
  if before.run == inHandRun then
    local waiting = redis.call('LLEN', keys.returned) + redis.call('XLEN', keys.stream)
    return { 'cut', waiting, 0, before.cutAt, before.entries, tonumber(before.users) }
  end
  if before.entries then
    -- Another run has a call of this name: the name cannot be used for a new one.
    inHandRun = ''
  end
end

-- While many users are refused together with their calls, smaller calls carry more (delivery/refusal-rate.lua). And
-- something on the way refused a larger body of late (delivery/body-limit.ts); entries are longer than what is sent.
batch.maxUsers = math.min(request.maxUsers, tonumber(redis.call('HGET', keys.culprits, 'size') or request.maxUsers))
batch.maxBytes = math.min(request.maxBytes, tonumber(redis.call('GET', keys.bodyLimit) or request.maxBytes))

local returned = redis.call('LLEN', keys.returned)
local waiting = returned + redis.call('XLEN', keys.stream)
if waiting == 0 then
  redis.call('HDEL', keys.cutter, 'watcher')
  return { 'empty', 0 }
end
readClock()
local room, open = roomForCalls()
if not room then
  return { 'blocked', waiting, open }
end
local answer = lingers(waiting, returned, open, batch.maxUsers)
if answer then
  return answer
end

-- Places a chunk of entries; answers how many found a place. `unpacked(i)` answers the fields of an entry, the index of
-- the first one, and its packed form.
local function placeChunk(count, unpacked)
  local users, ids, at = {}, {}, {}
  for i = 1, count do
    users[i] = claimedUser(unpacked(i))
    if users[i] then
      ids[#ids + 1] = users[i]
      at[#ids] = i
    end
  end
  local owners = {}
  if #ids > 0 then
    local found = redis.call('HMGET', keys.owners, unpack(ids))
    for k = 1, #ids do
      owners[at[k]] = found[k]
    end
  end
  for i = 1, count do
    local fields, first, packed = unpacked(i, true)
    if not place(fields, first, packed, users[i], owners[i]) then
      return i - 1, true
    end
  end
  return count, false
end

cut.room = room
local isFull, taken, looked = false, 0, 0
local function goesOn()
  return not isFull and batch.users < batch.maxUsers and looked < request.maxLooked
end

-- First those that came back from parking. They were taken off the stream, and counted, when they were first cut.
while returned > 0 and goesOn() do
  local chunk, entries, used = redis.call('LRANGE', keys.returned, 0, batch.maxUsers - 1), {}, 0
  used, isFull = placeChunk(#chunk, function(i)
    entries[i] = entries[i] or cjson.decode(chunk[i])
    return entries[i], 2, chunk[i]
  end)
  takeReturned(used)
  returned, looked = returned - used, looked + used
end

while returned == 0 and goesOn() do
  local chunk, used = redis.call('XRANGE', keys.stream, '-', '+', 'COUNT', batch.maxUsers - batch.users), 0
  if #chunk == 0 then
    break
  end
  used, isFull = placeChunk(#chunk, function(i, isPacked)
    -- Packed as JSON, [eventId, name, value, ...], without another table. An entry of a stream has a field at least.
    local id, fields = chunk[i][1], chunk[i][2]
    return fields, 1, isPacked and '["' .. id .. '",' .. string.sub(cjson.encode(fields), 2)
  end)
  if used > 0 then
    takeOffStream(chunk, used)
  end
  taken, looked = taken + used, looked + used
end

sealBatch()
countCut(taken, cut.parked)
redis.call('HDEL', keys.cutter, 'watcher')
redis.call('HSET', keys.cutter, 'cutAt', string.format('%.3f', nowMicros / 1000))
return {
  'cut', returned + redis.call('XLEN', keys.stream), cut.parked, nowText, cut.entriesInHand,
  cut.entriesInHand == '' and 0 or batch.users, unpack(cut.others),
}
