-- letters: events that end as dead letters, and older letters that an import makes up for. Functions for settle.lua.

-- What is kept of a letter whose event dies once more: the attempts before, the first death, the redrives. A date
-- before which trying is useless (the account was deleted) stays the first one: trying too early moves nothing.
local MOST_ATTEMPTS, FIRST_ATTEMPTS = 50, 10

local function keepHistory(deadLetter, letter)
  local was = readFields(deadLetter, 'letter', 'earlier', 'notBefore')
  local readable, old = pcall(cjson.decode, was.letter)
  if not readable then
    return
  end
  local earlier = was.earlier and cjson.decode(was.earlier) or {}
  for _, attempt in ipairs(old.attempts) do
    earlier[#earlier + 1] = attempt
  end
  while #earlier > MOST_ATTEMPTS do
    table.remove(earlier, FIRST_ATTEMPTS + 1)
  end
  if #earlier > 0 then
    redis.call('HSET', deadLetter, 'earlier', cjson.encode(earlier))
  end
  local first, new = tonumber(was.notBefore) or old.notBefore, cjson.decode(letter)
  if type(first) == 'number' and first > nowMs and type(new.notBefore) == 'number' and new.errorCode == old.errorCode then
    redis.call('HSET', deadLetter, 'notBefore', text(first))
  else
    redis.call('HDEL', deadLetter, 'notBefore')
  end
end

-- The event's own words are the reader's; counts and indexes are made here.
local function writeLetters()
  for _, d in ipairs(request.dead) do
    local deadLetter, code = keys.deadPrefix .. d.eventId, text(d.code)
    if redis.call('HGET', deadLetter, 'state') == 'redriving' then
      redis.call('ZREM', keys.deadRedriving, d.eventId)
      keepHistory(deadLetter, d.letter)
    end
    redis.call('HSET', deadLetter, 'letter', d.letter, 'state', 'dead', 'userId', d.userId, 'reason', d.reason,
      'code', code, 'deadAt', nowText)
    redis.call('HSETNX', deadLetter, 'firstDeadAt', nowText)
    listLetter(d.eventId, d.userId, d.reason, code, nowText)
  end
end

-- Resolves the letters of a user that are older than the imported event. Answers how many.
local function resolveOlder(user, importedId)
  local resolved, prefix = 0, user .. ' '
  for _, member in ipairs(redis.call('ZRANGEBYLEX', keys.deadByUser, '[' .. prefix, '(' .. user .. '!')) do
    local eventId = string.sub(member, #prefix + 1)
    if isOlder(eventId, importedId) then
      local letter = redis.call('HMGET', keys.deadPrefix .. eventId, 'state', 'reason', 'code')
      if letter[1] == 'dead' then
        unlistLetter(eventId, user, letter[2], letter[3])
        resolveLetter(eventId, importedId)
        resolved = resolved + 1
        if request.outcomes then
          tellOutcome({ 'eventId', eventId, 'userId', user, 'outcome', 'superseded', 'errorCode', '0', 'hasAccount', 'true' })
        end
      end
    end
  end
  return resolved
end

-- An import makes up for the older letters of its user: those events end superseded. Answers how many.
local function makeUpFor()
  local imported, users, resolved = request.imported, {}, 0
  if #imported == 0 or redis.call('HLEN', keys.deadUsers) == 0 then
    return 0
  end
  for i = 1, #imported, 2 do
    users[#users + 1] = imported[i]
  end
  local counts = redis.call('HMGET', keys.deadUsers, unpack(users))
  for i = 1, #users do
    if counts[i] then
      resolved = resolved + resolveOlder(users[i], imported[2 * i])
    end
  end
  return resolved
end
