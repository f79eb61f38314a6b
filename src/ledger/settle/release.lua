-- release: users who leave a call, and what is parked behind users. Functions for settle.lua.

-- Returns what is parked behind a user to the head of the intake's front, in order. To the head, since a cut may have
-- stopped in the middle of what the user had there: the part that it parked is older than the part that it left.
local function returnParked(user)
  local parked = keys.parkedPrefix .. user
  noteReturn()
  local entries = redis.call('LRANGE', parked, 0, -1)
  for k = #entries, 1, -1 do
    redis.call('LPUSH', keys.returned, entries[k])
  end
  redis.call('DEL', parked)
  redis.call('HDEL', keys.parkedCounts, user)
  return #entries
end

-- Releases the users of whom no event stays. Answers how many entries went back to the intake.
local function releaseUsers()
  local released, returned = request.released or {}, 0
  if not request.released then
    for i = 1, #request.imported, 2 do
      released[#released + 1] = request.imported[i]
    end
  end
  if #released == 0 then
    return 0
  end
  redis.call('HDEL', keys.owners, unpack(released))
  if redis.call('HLEN', keys.parkedCounts) > 0 then
    local counts = redis.call('HMGET', keys.parkedCounts, unpack(released))
    for i = #released, 1, -1 do
      if counts[i] then
        returned = returned + returnParked(released[i])
      end
    end
  end
  return returned
end

-- A suspect stays for as long as an event may be tried, and a newer event may be the one that passes. So what is parked
-- behind a suspect joins the call, and goes first next time. Answers how many entries joined.
local function adoptParked(keep)
  local ADOPTED_AT_ONCE = 100
  local adopted = 0
  if redis.call('HLEN', keys.parkedCounts) == 0 then
    return 0
  end
  for user in pairs(cjson.decode(keep.suspects)) do
    local parked = keys.parkedPrefix .. user
    local entries = redis.call('LRANGE', parked, 0, ADOPTED_AT_ONCE - 1)
    if #entries > 0 and redis.call('HGET', keys.owners, user) == request.callId then
      redis.call('LTRIM', parked, #entries, -1)
      if redis.call('HINCRBY', keys.parkedCounts, user, -#entries) == 0 then
        redis.call('HDEL', keys.parkedCounts, user)
      end
      redis.call('HINCRBY', keys.books, 'parked', -#entries)
      keep.entries = string.sub(keep.entries, 1, -2) .. ',' .. table.concat(entries, ',') .. ']'
      adopted = adopted + #entries
    end
  end
  return adopted
end
