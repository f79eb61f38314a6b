-- forget-call: takes the events of one user out of the call that they are in. Functions for forget.lua.

-- Answers the entries of the record that are the user's, and the others.
local function splitEntries(entries)
  local own, others = {}, {}
  for _, entry in ipairs(cjson.decode(entries)) do
    local list = namedUser(entry, 2) == request.userId and own or others
    list[#list + 1] = entry
  end
  return own, others
end

-- For how many ms the call may be on the wire; 0 if it is not. One that was sent in the future was sent by another clock:
-- a run that is alive settles within the same time.
local function onWireMs(record)
  local landsAt = tonumber(record.sentAt or 0) + request.landingMs
  return record.sentAt and landsAt > nowMs and landsAt <= nowMs + 2 * request.landingMs and landsAt - nowMs or 0
end

local function closeEmptyCall(call, callId, isRedrive)
  redis.call('DEL', call)
  redis.call('ZREM', keys.open, callId)
  redis.call('ZREM', keys.isolated, callId)
  redis.call('ZREM', keys.openSince, callId)
  if isRedrive then
    redis.call('HINCRBY', keys.books, 'redriveCalls', -1)
  end
end

-- The record is taken from its run, which has the calls of the others made again.
local function keepOthers(call, record, others, ownCount)
  local packed, attempts = {}, {}
  for i = 1, #others do
    packed[i] = cjson.encode(others[i])
  end
  for _, attempt in ipairs(cjson.decode(record.attempts or '[]')) do
    if attempt.userId ~= request.userId then
      attempts[#attempts + 1] = cjson.encode(attempt)
    end
  end
  redis.call('HSET', call, 'run', request.run, 'users', tonumber(record.users) - 1,
    'events', tonumber(record.events) - ownCount, 'entries', '[' .. table.concat(packed, ',') .. ']',
    'attempts', '[' .. table.concat(attempts, ',') .. ']')
  if record.suspects then
    local suspects = cjson.decode(record.suspects)
    suspects[request.userId] = nil
    redis.call('HSET', call, 'suspects', cjson.encode(suspects))
  end
end

-- Takes the user's entries out of the record.
local function takeOutOfCall(callId, record, own, others)
  local call, isRedrive = keys.callPrefix .. callId, record.class == 'redrive'
  redis.call('HDEL', keys.owners, request.userId)
  redis.call('HINCRBY', keys.books, 'events', -#own)
  redis.call('HINCRBY', keys.books, 'users:' .. record.command, -1)
  if isRedrive then
    for _, entry in ipairs(own) do
      redis.call('DEL', keys.deadPrefix .. entry[1])
      redis.call('ZREM', keys.deadRedriving, entry[1])
    end
  end
  if #others == 0 then
    closeEmptyCall(call, callId, isRedrive)
  else
    keepOthers(call, record, others, #own)
  end
end
