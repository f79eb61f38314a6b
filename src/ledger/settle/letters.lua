-- letters: events that end as dead letters, and letters that an import makes up for. Functions for
-- settle.lua.

-- The history of a letter whose event dies once more keeps the attempts before: the first few and the newest
-- ones.
local MOST_ATTEMPTS, FIRST_ATTEMPTS = 50, 10

-- Keeps of such a letter its attempts, too. A date before which trying is useless (the account was deleted)
-- stays the first one: trying too early moves nothing. Answers the date that holds, nil for none.
local function keepHistory(deadLetter, was, packed, dead)
  local readable, old = pcall(cjson.decode, packed)
  if not readable then
    return dead.notBefore
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
  -- Up to version 0.2.0 the date stood in the text.
  local first = tonumber(was.notBefore) or old.notBefore
  local isFirst = type(first) == 'number' and first > nowMs and dead.notBefore and was.code == text(dead.code)
  return isFirst and first or dead.notBefore
end

-- The event's own words are the reader's; counts and indexes are made here.
local function writeLetters()
  for _, d in ipairs(request.dead) do
    local deadLetter, code, notBefore = keys.deadPrefix .. d.eventId, text(d.code), d.notBefore
    local fields = textFields(d.letter)
    if redis.call('HGET', deadLetter, 'state') == 'redriving' then
      local was, packed = readWhole(deadLetter)
      redis.call('ZREM', keys.deadRedriving, d.eventId)
      notBefore = keepHistory(deadLetter, was, packed, d)
      removeText(deadLetter)
      redis.call('HDEL', deadLetter, 'notBefore')
      redis.call('HSETNX', deadLetter, 'firstDeadAt', was.deadAt)
    end
    if notBefore then
      fields[#fields + 1] = 'notBefore'
      fields[#fields + 1] = text(notBefore)
    end
    redis.call('HSET', deadLetter, 'state', 'dead', 'userId', d.userId, 'reason', d.reason, 'code', code,
      'deadAt', nowText, unpack(fields))
    listLetter(d.eventId, d.userId, d.reason, code, nowText)
  end
end

-- The events of a redrive (their letters are redriving) that are done: {eventId, event whose import made up
-- for it, ...}. An event that is neither imported, dead nor kept was superseded. Or nil and what is wrong.
-- Reads only.
local function redrivenEnds()
  local ends, elsewhere, importOf = {}, {}, {}
  for i = 1, #request.imported, 2 do
    importOf[request.imported[i]] = request.imported[i + 1]
  end
  for _, dead in ipairs(request.dead) do
    elsewhere[dead.eventId] = true
  end
  for _, entry in ipairs(request.keep and cjson.decode(request.keep.entries) or {}) do
    elsewhere[entry[1]] = true
  end
  for _, entry in ipairs(cjson.decode(redis.call('HGET', keys.call, 'entries'))) do
    if not elsewhere[entry[1]] then
      local by = importOf[namedUser(entry, 2) or '']
      if not by then
        return nil, 'IMSYNC settlement of ' .. request.callId .. ' leaves out event ' .. entry[1]
      end
      ends[#ends + 1] = entry[1]
      ends[#ends + 1] = by
    end
  end
  return ends
end

local function resolveRedriven(ends)
  for i = 1, #ends, 2 do
    if redis.call('HGET', keys.deadPrefix .. ends[i], 'state') == 'redriving' then
      redis.call('ZREM', keys.deadRedriving, ends[i])
      resolveLetter(ends[i], ends[i + 1])
    end
  end
end

-- The imported users who have letters, and how many of them: user, its event, number, ...
local function importedWithLetters()
  local imported, users, found = request.imported, {}, {}
  if #imported == 0 or redis.call('HLEN', keys.deadUsers) == 0 then
    return found
  end
  for i = 1, #imported, 2 do
    users[#users + 1] = imported[i]
  end
  local counts = redis.call('HMGET', keys.deadUsers, unpack(users))
  for i = 1, #users do
    if counts[i] then
      found[#found + 1] = { user = users[i], eventId = imported[2 * i], letters = tonumber(counts[i]) }
    end
  end
  return found
end

-- Users whose letters one settlement would take long to resolve.
local function usersWithManyLetters(withLetters)
  local crowded, letters = {}, 0
  for _, one in ipairs(withLetters) do
    letters = letters + one.letters
    if letters > 1000 then
      crowded[#crowded + 1] = one.user
    end
  end
  return crowded
end

-- An import makes up for the older letters of its user: those events end superseded. Answers them.
local function makeUpFor(withLetters)
  local resolved = {}
  for _, one in ipairs(withLetters) do
    resolveOlder(one.user, one.eventId, 1000, resolved)
  end
  return resolved
end
