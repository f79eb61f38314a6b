-- cut: which user goes into which call.
--
-- Moves entries off the intake into call records whose membership never changes again.
--
-- Joined with: ledger/record.lua, hold/hold-shared.lua, cut/due.lua, cut/place.lua.
-- Request  CutLimits, maxBytes (of a call) and maxLooked of cut.ts, and
--          format         of the records
--          run            that takes the batch call in hand (calls/local-calls.ts); '': a job runs it. If the
--                         answer is lost with its connection, the sweep makes a job of the call
-- Answers CutAnswer of cut.ts; of kind `cut` with nowMs and, in place of `local`, inHand: callId, users and
--   entries (JSON)
-- Cost: O(entries moved). A cut of 100 took 1.3 ms on a slow core.
-- Atomic, so that no entry is ever in two places or in none, and a user is in one call only, however many
--   processes cut at the same time.

nameKeys('stream', 'returned', 'owners', 'parkedPrefix', 'parkedCounts', 'callPrefix', 'open', 'openSince', 'isolated',
  'books', 'cutter', 'hold', 'startedPrefix', 'culprits', 'bodyLimit')
readRequest()
keys.started = keys.startedPrefix .. request.batchCommand
writeNothing('HDEL', keys.cutter)

-- While many users are refused along with their calls, smaller ones carry more. Something on the way may
-- refuse large bodies (both: intake/batch-size.ts); entries are longer than bodies.
batch.maxUsers = math.min(request.maxUsers, tonumber(redis.call('HGET', keys.culprits, 'size') or request.maxUsers))
batch.maxBytes = math.min(request.maxBytes, tonumber(redis.call('GET', keys.bodyLimit) or request.maxBytes))

local returned = redis.call('LLEN', keys.returned)
local waiting = returned + redis.call('XLEN', keys.stream)
if waiting == 0 then
  return { map = { kind = 'empty', waiting = 0 } }
end
readClock()
local room, open = roomForCalls()
if not room then
  return { map = { kind = 'blocked', waiting = waiting, by = open } }
end
local answer = lingers(waiting, returned, open, batch.maxUsers)
if answer then
  return answer
end

-- Places entries: lists of their fields, which begin at `first`, and of their packed forms. Answers how many
-- found a place, and whether no more can.
local function placeChunk(first, fields, packed)
  local users = {}
  for i = 1, #fields do
    users[i] = claimedUser(fields[i], first)
  end
  local owners = redis.call('HMGET', keys.owners, unpack(users))
  for i = 1, #fields do
    if not place(fields[i], first, packed[i], users[i], owners[i]) then
      return i - 1, true
    end
  end
  return #fields, false
end

cut.room = room
local isFull, taken, looked = false, 0, 0
local function goesOn()
  return not isFull and batch.users < batch.maxUsers and looked < request.maxLooked
end

-- First those that came back from parking. They were counted when they were taken off the stream.
while returned > 0 and goesOn() do
  local packed, fields, used = redis.call('LRANGE', keys.returned, 0, batch.maxUsers - 1), {}, 0
  for i = 1, #packed do
    fields[i] = cjson.decode(packed[i])
  end
  used, isFull = placeChunk(2, fields, packed)
  takeReturned(used)
  returned, looked = returned - used, looked + used
end

while returned == 0 and goesOn() do
  local chunk = redis.call('XRANGE', keys.stream, '-', '+', 'COUNT', batch.maxUsers - batch.users)
  if #chunk == 0 then
    break
  end
  local packed, fields, used = {}, {}, 0
  for i, entry in ipairs(chunk) do
    -- Packed as JSON, [eventId, name, value, ...]. An entry of a stream has a field at least.
    fields[i], packed[i] = entry[2], '["' .. entry[1] .. '",' .. string.sub(cjson.encode(entry[2]), 2)
  end
  used, isFull = placeChunk(1, fields, packed)
  if used > 0 then
    takeOffStream(chunk, used)
  end
  taken, looked = taken + used, looked + used
end

sealBatch()
writeParked()
countCut(taken, cut.parked)
redis.call('HSET', keys.cutter, 'cutAt', string.format('%.3f', nowMicros / 1000))
return {
  map = {
    kind = 'cut', waiting = returned + redis.call('XLEN', keys.stream), parked = cut.parked, nowMs = nowMs,
    inHand = cut.inHand, calls = cut.others,
  },
}
