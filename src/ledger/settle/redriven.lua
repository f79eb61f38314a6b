-- redriven: what becomes of the letters (state redriving) of the events of a redrive. Functions for settle.lua.

-- An error of this settlement; settle.lua answers it.
local problem

local function resolveLetter(eventId, by)
  redis.call('HSET', keys.deadPrefix .. eventId, 'state', 'resolved', 'resolvedAt', nowText, 'resolvedBy', by)
  redis.call('ZADD', keys.deadResolved, nowText, eventId)
end

-- The redriven events that are done: {eventId, event whose import made up for it, ...}. An event that is neither
-- imported, dead nor kept was superseded. Reads only.
local function redrivenEnds(callId)
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
        problem = 'IMSYNC settlement of ' .. callId .. ' leaves out event ' .. entry[1]
        return {}
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
