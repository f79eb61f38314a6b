-- redrive: dead letters go into calls again.
--
-- Moves all letters of each user that can be tried again into a call record of class redrive, newest to
-- decide as in every call. One step, so that an event is never dead and in a call at once, nor in neither;
-- and only for a user who is in no call, so that what is older cannot overtake what is newer: whatever of the
-- user comes meanwhile is parked behind this call, and an imported newer event has resolved it.
--
-- Joined with: letter-index.lua, letter-text.lua, letters-to-redrive.lua, ledger/record.lua.
-- Request  RedriveRequest of redrive.ts, and format (of the records);
--          maxEvents, maxBytes: of one user's letters in a call; the newest go, the others have to wait
--          maxLooked  letters after which no further user is begun: the others are asked for again
-- Answers RedriveAnswer of redrive.ts; `stopped` is left out where calls go out.
-- Cost: O(letters looked at): maxLooked, and those of the last user, 1000 at most.

nameKeys('owners', 'parkedCounts', 'callPrefix', 'open', 'openSince', 'books', 'hold', 'deadPrefix', 'deadByTime',
  'deadByUser', 'deadByCode', 'deadByReason', 'deadUsers', 'deadCounts', 'deadRedriving')
readRequest()
readClock()
local open = tonumber(redis.call('HGET', keys.books, 'redriveCalls') or 0)
local calls, batch = {}, { entries = {}, users = {}, bytes = 0 }

local function seal(command, entries, users)
  local callId, claims = newCallId(), {}
  sealCall(callId, command, 'redrive', '[' .. table.concat(entries, ',') .. ']', #users, #entries, nowText, '')
  for _, user in ipairs(users) do
    claims[#claims + 1] = user
    claims[#claims + 1] = callId
  end
  claimUsers(claims)
  redis.call('HINCRBY', keys.books, 'redriveCalls', 1)
  redis.call('HINCRBY', keys.books, 'dead', -#entries)
  calls[#calls + 1] = { map = { callId = callId, command = command } }
end

local function sealBatch()
  if #batch.users > 0 then
    seal(request.batchCommand, batch.entries, batch.users)
  end
  batch = { entries = {}, users = {}, bytes = 0 }
end

-- Notes in the letter who has it tried again.
local function markRedriven(user, eventId, reason, code)
  local deadLetter = keys.deadPrefix .. eventId
  unlistLetter(eventId, user, reason, code)
  local redrives = cjson.decode(redis.call('HGET', deadLetter, 'redrives') or '[]')
  redrives[#redrives + 1] = { at = nowMs, by = request.by }
  while #redrives > 50 do
    table.remove(redrives, 2)
  end
  redis.call('HSET', deadLetter, 'state', 'redriving', 'redrives', cjson.encode(redrives))
  redis.call('ZADD', keys.deadRedriving, nowText, eventId)
end

local function take(user, letters)
  local packed = {}
  for i, letter in ipairs(letters) do
    markRedriven(user, letter[1], letter[3], letter[4])
    packed[i] = letter[2]
  end
  if letters.alone then
    seal(request.singleCommand, packed, { user })
    return
  end
  if batch.bytes + letters.bytes > request.maxBytes then
    sealBatch()
  end
  batch.bytes = batch.bytes + letters.bytes
  batch.users[#batch.users + 1] = user
  for _, entry in ipairs(packed) do
    batch.entries[#batch.entries + 1] = entry
  end
end

-- Answers the word for a user, and how many letters it is about.
local function redrive(user)
  if redis.call('HEXISTS', keys.owners, user) == 1 or redis.call('HEXISTS', keys.parkedCounts, user) == 1 then
    return 'busy', 0
  end
  local letters, filling = lettersOf(user), #batch.users > 0
  local planned = #calls + (filling and 1 or 0) + ((letters.alone or not filling) and 1 or 0)
  if #letters == 0 then
    return letters.left, letters.count
  elseif open + planned > request.maxOpenCalls and not request.dryRun then
    return 'full', #letters
  elseif not request.dryRun then
    take(user, letters)
  end
  return 'redriven', #letters
end

local answers = {}
for _, user in ipairs(request.users) do
  if looked >= request.maxLooked then
    break
  end
  local word, letters = redrive(user)
  answers[#answers + 1] = { map = { userId = user, word = word, letters = letters } }
end
sealBatch()
local hold = readFields(keys.hold, 'held', 'paused')
return { map = { stopped = hold.paused and 'paused' or hold.held and 'held', users = answers, calls = calls } }
