-- redrive: dead letters go into calls again.
--
-- Moves all letters of each user that can be tried again into a call record of class redrive, newest to
-- decide as in every call. One step, so that an event is never dead and in a call at once, nor in neither;
-- and only for a user who is in no call, so that what is older cannot overtake what is newer: whatever of the
-- user comes meanwhile is parked behind this call, and an imported newer event has resolved it.
--
-- Joined with: letter-index.lua, ledger/record.lua.
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
local looked = 0
local calls, batch = {}, { entries = {}, users = {}, bytes = 0 }

-- `isBrief`: only what decides whether a lone letter goes. To read all of it is most of the cost of a dry run.
-- A text inside of the letter cannot look like one of its fields, since its quotes are escaped.
local function readLetter(packed, isBrief)
  if not isBrief then
    return pcall(cjson.decode, packed)
  end
  return packed ~= '', {
    partial = string.find(packed, '"partial":true', 1, true) ~= nil,
    notBefore = tonumber(string.match(packed, '"notBefore":(%d+)')),
    event = { type = string.find(packed, '"type":"1"', 1, true) and '1' or nil },
  }
end

-- The letters of a user that can go, newest first: {eventId, packed, reason, code}, with `bytes` of them all,
-- and `alone` when they need a call of their own. Without any, `left` says why.
local function lettersOf(user)
  local prefix = user .. ' '
  local ids = redis.call('ZREVRANGEBYLEX', keys.deadByUser, '(' .. user .. '!', '[' .. prefix, 'LIMIT', 0, 1000)
  for i = 1, #ids do
    ids[i] = string.sub(ids[i], #prefix + 1)
  end
  table.sort(ids, function(a, b) return isOlder(b, a) end)
  local found = { left = 'none', count = #ids, bytes = 0, alone = false }
  for _, eventId in ipairs(ids) do
    looked = looked + 1
    local h = readFields(keys.deadPrefix .. eventId, 'state', 'reason', 'code', 'letter', 'notBefore')
    local readable, letter = readLetter(h.letter or '', request.dryRun and #ids == 1)
    if h.state == 'dead' and h.reason == 'invalid' and not request.invalid then
      found.left = 'invalid'
    elseif h.state == 'dead' and (not readable or letter.partial == true) then
      found.left = found.left == 'none' and 'partial' or found.left
    elseif h.state == 'dead' then
      local notBefore = tonumber(h.notBefore) or letter.notBefore
      if type(notBefore) == 'number' and notBefore > nowMs and not request.early then
        return { left = 'early', count = #ids }
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
      if #found > 0 and (#found >= request.maxEvents or found.bytes + #packed > request.maxBytes) then
        break
      end
      found.bytes = found.bytes + #packed
      -- The batch call carries no robot. And what died without a reason of its own may have died of a
      -- neighbour in its call: letters that died together go apart.
      if #found == 0 then
        found.alone = letter.event.type == '1'
      end
      found.alone = found.alone or h.reason == 'expired' or h.reason == 'unknown'
      found[#found + 1] = { eventId, packed, h.reason, h.code }
    end
  end
  return found
end

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
