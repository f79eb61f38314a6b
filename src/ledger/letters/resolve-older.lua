-- resolve-older: letters that an import makes up for. Functions for settle.lua and resolve.lua.

local function resolveLetter(eventId, by)
  redis.call('HSET', keys.deadPrefix .. eventId, 'state', 'resolved', 'resolvedAt', nowText, 'resolvedBy', by)
  redis.call('ZADD', keys.deadResolved, nowText, eventId)
end

-- Resolves letters of a user that are older than the imported event, and adds them to `resolved`. Looks at the first
-- `most` letters of the user, which are the oldest ones.
local function resolveOlder(user, importedId, most, resolved)
  local prefix = user .. ' '
  for _, member in ipairs(redis.call('ZRANGEBYLEX', keys.deadByUser, '[' .. prefix, '(' .. user .. '!', 'LIMIT', 0, most)) do
    local eventId = string.sub(member, #prefix + 1)
    if isOlder(eventId, importedId) then
      local letter = readFields(keys.deadPrefix .. eventId, 'state', 'reason', 'code')
      if letter.state == 'dead' then
        unlistLetter(eventId, user, letter.reason, letter.code)
        resolveLetter(eventId, importedId)
        resolved[#resolved + 1] = { eventId = eventId, user = user }
      end
    end
  end
end

-- The stream of outcomes, for those who follow all of them.
local function tellOutcome(fields)
  redis.call('XADD', keys.outcomes, 'MAXLEN', '~', request.outcomesKept, '*', unpack(fields))
end

local function tellResolved(resolved)
  for _, r in ipairs(resolved) do
    tellOutcome({ 'eventId', r.eventId, 'userId', r.user, 'outcome', 'superseded', 'errorCode', '0', 'hasAccount', 'true' })
  end
end
