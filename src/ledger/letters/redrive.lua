-- redrive: dead letters go into calls again.
--
-- Moves all letters of each user that can be tried again into a call record of class redrive, newest to decide
-- as in every call. One step, so that an event is never dead and in a call at once, nor in neither; and only for
-- a user who is in no call, so that what is older cannot overtake what is newer: whatever of the user comes
-- meanwhile is parked behind this call, and a newer event that was imported has resolved the letter before.
--
-- Shares letter-index.lua.
-- KEYS 1 owners  2 parked-counts  3 open-calls  4 books  5 hold  6 dead-by-time  7 dead-by-user  8 dead-by-code
--      9 dead-by-reason  10 dead-users  11 dead-counts  12 dead-redriving  13 open-since
-- ARGV 1 call prefix  2 dead prefix  3 batch command  4 single command  5 record format  6 request (JSON):
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

local request = cjson.decode(ARGV[6])
local index = letterIndex(6)
local t = redis.call('TIME')
local nowMs = t[1] * 1000 + math.floor(t[2] / 1000)
local now = string.format('%.0f', nowMs)
local open = tonumber(redis.call('HGET', KEYS[4], 'redriveCalls') or 0)
local answers, calls = {}, {}
local batch = { entries = {}, users = {}, bytes = 0 }

-- Answers the letters of a user that can go, newest first, as {eventId, packed, reason, code}; or none and why.
local function lettersOf(user)
  local prefix = user .. ' '
  local members = redis.call('ZREVRANGEBYLEX', index.user, '(' .. user .. '!', '[' .. prefix, 'LIMIT', 0, 1000)
  local ids = {}
  for i = 1, #members do
    ids[i] = string.sub(members[i], #prefix + 1)
  end
  table.sort(ids, function(a, b) return isOlder(b, a) end)
  local letters, left, bytes, alone = {}, 'none', 0, false
  for _, eventId in ipairs(ids) do
    local h = redis.call('HMGET', ARGV[2] .. eventId, 'state', 'reason', 'code', 'letter', 'notBefore')
    local readable, letter = pcall(cjson.decode, h[4] or '')
    if h[1] == 'dead' and h[2] == 'invalid' and not request.invalid then
      left = 'invalid'
    elseif h[1] == 'dead' and (not readable or letter.partial == true) then
      left = left == 'none' and 'partial' or left
    elseif h[1] == 'dead' then
      local notBefore = tonumber(h[5]) or letter.notBefore
      if type(notBefore) == 'number' and notBefore > nowMs and not request.early then
        return {}, 'early', #ids
      end
      local entry = { eventId }
      for name, value in pairs(letter.event) do
        entry[#entry + 1] = name
        entry[#entry + 1] = value
      end
      if request.password then
        entry[#entry + 1] = 'password'
        entry[#entry + 1] = request.password
      end
      local packed = cjson.encode(entry)
      if #letters > 0 and (#letters >= request.maxEvents or bytes + #packed > request.maxBytes) then
        break
      end
      bytes = bytes + #packed
      -- The batch call carries no robot. And what died without a reason of its own may have died of a neighbour in its
      -- call: letters that died together go apart.
      if #letters == 0 then
        alone = letter.event.type == '1'
      end
      alone = alone or h[2] == 'expired' or h[2] == 'unknown'
      letters[#letters + 1] = { eventId, packed, h[2], h[3] }
    end
  end
  return letters, left, #ids, alone, bytes
end

local function seal(command, entries, users)
  local callId = 'c' .. string.format('%.0f', redis.call('HINCRBY', KEYS[4], 'callsCut', 1))
  redis.call('HSET', ARGV[1] .. callId, 'v', ARGV[5], 'command', command, 'class', 'redrive', 'cutAt', now,
    'users', #users, 'events', #entries, 'entries', '[' .. table.concat(entries, ',') .. ']')
  redis.call('ZADD', KEYS[3], now, callId)
  redis.call('ZADD', KEYS[13], now, callId)
  for _, user in ipairs(users) do
    redis.call('HSET', KEYS[1], user, callId)
  end
  redis.call('HINCRBY', KEYS[4], 'redriveCalls', 1)
  redis.call('HINCRBY', KEYS[4], 'dead', -#entries)
  redis.call('HINCRBY', KEYS[4], 'events', #entries)
  redis.call('HINCRBY', KEYS[4], 'users:' .. command, #users)
  calls[#calls + 1] = callId
  calls[#calls + 1] = command
end

local function sealBatch()
  if #batch.users > 0 then
    seal(ARGV[3], batch.entries, batch.users)
  end
  batch = { entries = {}, users = {}, bytes = 0 }
end

local function take(user, letters, alone, bytes)
  local packed = {}
  for i, letter in ipairs(letters) do
    local key = ARGV[2] .. letter[1]
    unlistLetter(index, letter[1], user, letter[3], letter[4])
    local redrives = cjson.decode(redis.call('HGET', key, 'redrives') or '[]')
    redrives[#redrives + 1] = { at = nowMs, by = request.by }
    while #redrives > 50 do
      table.remove(redrives, 2)
    end
    redis.call('HSET', key, 'state', 'redriving', 'redrives', cjson.encode(redrives))
    redis.call('ZADD', KEYS[12], now, letter[1])
    packed[i] = letter[2]
  end
  if alone then
    seal(ARGV[4], packed, { user })
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
  if redis.call('HEXISTS', KEYS[1], user) == 1 or redis.call('HEXISTS', KEYS[2], user) == 1 then
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
local h = redis.call('HMGET', KEYS[5], 'held', 'paused')
return { h[2] and 'paused' or (h[1] and 'held' or ''), answers, calls }
