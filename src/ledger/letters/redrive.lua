-- redrive: dead letters go into calls again.
--
-- Moves all letters of each user that can be tried again into a call record of class redrive, newest to decide
-- as in every call. One step, so that an event is never dead and in a call at once, nor in neither; and only for
-- a user who is in no call, so that what is older cannot overtake what is newer: whatever of the user comes
-- meanwhile is parked behind this call, and a newer event that was imported has resolved the letter before.
--
-- Joined with: redis/prelude.lua, letter-index.lua, redrivable.lua, ledger/writes/{call-record,owners}.lua.
-- KEYS     owners, parkedCounts, open, books, hold, deadByTime, deadByUser, deadByCode, deadByReason, deadUsers,
--          deadCounts, deadRedriving, openSince
-- Request  callPrefix, deadPrefix, batchCommand, singleCommand, format (of the records)
--   users      [userId, ...] each once; as many as a batch call takes, at most
--   by         who asks, for the letter's history
--   dryRun     true: answers what it would do, and changes nothing
--   early      true: letters before their not-before date, too
--   invalid    true: letters of reason invalid, too
--   maxOpen    redrive calls that may be open at a time, over the fleet
--   maxEvents, maxBytes  of one user's letters in a call; the newest go, the others wait for another redrive
--   password   hosted mode: what the letters do not hold; absent otherwise
--
-- Answers {state of the fleet ('', 'held' or 'paused'), {word, letters, word, letters, ...} in the order of
-- users, {callId, command, callId, command, ...}}. Words:
--   redriven   so many letters are in a call now
--   full       enough redrive calls are open: ask again later
--   busy       the user is in a call now: ask again later
--   none       the user has no dead letter (any more)
--   early      a letter of the user must not be tried yet
--   invalid    all of them are invalid, and those were not asked for
--   partial    all of them hold less than what was sent: only a new push helps
-- Cost: O(letters of the users).

nameKeys('owners', 'parkedCounts', 'open', 'books', 'hold', 'deadByTime', 'deadByUser', 'deadByCode', 'deadByReason',
  'deadUsers', 'deadCounts', 'deadRedriving', 'openSince')
readRequest()
keys.callPrefix, keys.deadPrefix = request.callPrefix, request.deadPrefix
readClock()
local open = tonumber(redis.call('HGET', keys.books, 'redriveCalls') or 0)
local answers, calls = {}, {}
local batch = { entries = {}, users = {}, bytes = 0 }

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
  calls[#calls + 1] = callId
  calls[#calls + 1] = command
end

local function sealBatch()
  if #batch.users > 0 then
    seal(request.batchCommand, batch.entries, batch.users)
  end
  batch = { entries = {}, users = {}, bytes = 0 }
end

local function take(user, letters, alone, bytes)
  local packed = {}
  for i, letter in ipairs(letters) do
    local deadLetter = keys.deadPrefix .. letter[1]
    unlistLetter(letter[1], user, letter[3], letter[4])
    local redrives = cjson.decode(redis.call('HGET', deadLetter, 'redrives') or '[]')
    redrives[#redrives + 1] = { at = nowMs, by = request.by }
    while #redrives > 50 do
      table.remove(redrives, 2)
    end
    redis.call('HSET', deadLetter, 'state', 'redriving', 'redrives', cjson.encode(redrives))
    redis.call('ZADD', keys.deadRedriving, nowText, letter[1])
    packed[i] = letter[2]
  end
  if alone then
    seal(request.singleCommand, packed, { user })
    return
  end
  if batch.bytes + bytes > request.maxBytes then
    sealBatch()
  end
  batch.bytes = batch.bytes + bytes
  batch.users[#batch.users + 1] = user
  for _, entry in ipairs(packed) do
    batch.entries[#batch.entries + 1] = entry
  end
end

for _, user in ipairs(request.users) do
  local word, count
  if redis.call('HEXISTS', keys.owners, user) == 1 or redis.call('HEXISTS', keys.parkedCounts, user) == 1 then
    word, count = 'busy', 0
  else
    local letters, left, found, alone, bytes = lettersOf(user)
    local filling = #batch.users > 0
    local planned = #calls / 2 + (filling and 1 or 0) + ((alone or not filling) and 1 or 0)
    if #letters == 0 then
      word, count = left, found
    elseif request.dryRun then
      word, count = 'redriven', #letters
    elseif open + planned > request.maxOpen then
      word, count = 'full', #letters
    else
      take(user, letters, alone, bytes)
      word, count = 'redriven', #letters
    end
  end
  answers[#answers + 1] = word
  answers[#answers + 1] = count
end
sealBatch()
local h = redis.call('HMGET', keys.hold, 'held', 'paused')
return { h[2] and 'paused' or (h[1] and 'held' or ''), answers, calls }
