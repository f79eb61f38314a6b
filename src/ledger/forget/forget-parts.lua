-- forget-parts: functions for forget.lua.

-- Counts an event that ends here in the tally of its import, if that still stands: a wait for the import must
-- not last for ever.
local function countInTally(entry)
  local name = valueOf(entry, 2, 'tally')
  if not name or #name > 64 or not string.find(name, '^[%w_-]+$') then
    return
  end
  local tally = keys.tallyPrefix .. name
  if redis.call('EXISTS', tally) == 1 then
    redis.call('HINCRBY', tally, 'dead-lettered', 1)
  end
end

-- An event of a redrive ended once before, and its tally counted it then.
local function countEnds(entries, isRedriven)
  if #entries == 0 or request.dryRun then
    return
  end
  for _, name in ipairs({ 'dead', 'deadDeleted', 'forgotten' }) do
    redis.call('HINCRBY', keys.books, name, #entries)
  end
  for i = 1, isRedriven and 0 or #entries do
    countInTally(entries[i])
  end
end

-- Takes a page of parked entries, from the tail. Answers how many, and whether there are more.
local function takeParkedPage()
  local parked = keys.parkedPrefix .. request.userId
  if request.dryRun then
    return redis.call('LLEN', parked), false
  end
  local entries = redis.call('LRANGE', parked, -request.pageSize, -1)
  if #entries == 0 then
    return 0, false
  end
  for i = 1, #entries do
    entries[i] = cjson.decode(entries[i])
  end
  redis.call('LTRIM', parked, 0, -(#entries + 1))
  if redis.call('HINCRBY', keys.parkedCounts, request.userId, -#entries) == 0 then
    redis.call('HDEL', keys.parkedCounts, request.userId)
  end
  redis.call('HINCRBY', keys.books, 'parked', -#entries)
  countEnds(entries)
  return #entries, redis.call('EXISTS', parked) == 1
end

-- Answers the entries of the record that are the user's, and the others.
local function splitEntries(entries)
  local own, others = {}, {}
  for _, entry in ipairs(cjson.decode(entries)) do
    local list = namedUser(entry, 2) == request.userId and own or others
    list[#list + 1] = entry
  end
  return own, others
end

-- For how many ms the call may be on the wire; 0 if it is not. One that was sent in the future was sent by
-- another clock: a run that is alive settles within the same time.
local function onWireMs(record)
  local landsAt = tonumber(record.sentAt or 0) + request.landingMs
  return record.sentAt and landsAt > nowMs and landsAt <= nowMs + 2 * request.landingMs and landsAt - nowMs or 0
end

local function packed(list)
  return '[' .. table.concat(list, ',') .. ']'
end

-- The record is taken from its run, which has the calls of the others made again.
local function keepOthers(call, record, others, ownCount)
  local entries, attempts = {}, {}
  for i = 1, #others do
    entries[i] = cjson.encode(others[i])
  end
  for _, attempt in ipairs(cjson.decode(record.attempts or '[]')) do
    if attempt.userId ~= request.userId then
      attempts[#attempts + 1] = cjson.encode(attempt)
    end
  end
  redis.call('HSET', call, 'run', request.run, 'users', tonumber(record.users) - 1,
    'events', tonumber(record.events) - ownCount, 'entries', packed(entries), 'attempts', packed(attempts))
  if record.suspects then
    local suspects = cjson.decode(record.suspects)
    suspects[request.userId] = nil
    redis.call('HSET', call, 'suspects', cjson.encode(suspects))
  end
end

-- Takes the user's entries out of the record.
local function takeOutOfCall(callId, record, own, others)
  local isRedrive = record.class == 'redrive'
  redis.call('HDEL', keys.owners, request.userId)
  redis.call('HINCRBY', keys.books, 'events', -#own)
  redis.call('HINCRBY', keys.books, 'users:' .. record.command, -1)
  for _, entry in ipairs(isRedrive and own or {}) do
    redis.call('DEL', keys.deadPrefix .. entry[1])
    redis.call('ZREM', keys.deadRedriving, entry[1])
  end
  if #others == 0 then
    closeCall(callId, isRedrive, true)
  else
    keepOthers(keys.callPrefix .. callId, record, others, #own)
  end
end
